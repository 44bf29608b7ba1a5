"""Failed sign-ins are limited by address and by account, and no header and no burst gets around it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth import authenticate
from django.core.cache import cache
from django.test import RequestFactory
from redis import Redis as RedisClient
from rest_framework.test import APIClient

from accounts import throttling
from accounts.tests.conftest import PASSWORD
from accounts.throttling import Counters, SignInLimit, TooManyFailures, address_of
from iot_platform.tests.services import Redis, free_port

LOGIN = "/api/v1/auth/login"
Login = Callable[..., Any]


@pytest.fixture
def login(cast: SimpleNamespace, with_password) -> Login:
    """Try to sign in from an address."""
    with_password(cast.alice)
    with_password(cast.olga)

    def post(username: str = "alice", password: str = "wrong", address: str = "192.0.2.1", **headers: str) -> Any:
        body = {"username": username, "password": password}
        return APIClient().post(LOGIN, body, REMOTE_ADDR=address, headers=headers)

    return post


@pytest.fixture
def failing(monkeypatch) -> Callable[[int, str], None]:
    """Count failures at an account without the time that hashing takes."""

    def count(times: int, username: str) -> None:
        for number in range(times):
            request = RequestFactory().get("/", REMOTE_ADDR=f"198.51.100.{number}")
            SignInLimit.of(request, username, None).count_failure()

    return count


def test_the_sixth_attempt_from_an_address_within_a_minute_is_refused(login: Login) -> None:
    names = ["alice", "olga", "nobody", "alice", "vera"]
    assert [login(name).status_code for name in names] == [401] * 5
    refused = login("alice", PASSWORD)
    assert refused.status_code == 429
    assert 50 < int(refused["Retry-After"]) <= 60
    assert refused.json()["errors"][0]["code"] == "throttled"


def test_another_address_is_not_affected(login: Login) -> None:
    for _ in range(6):
        login("nobody")
    assert login("alice", PASSWORD, address="192.0.2.2").status_code == 200


def test_successes_do_not_count(login: Login) -> None:
    assert [login("alice", PASSWORD).status_code for _ in range(7)] == [200] * 7


def test_a_success_does_not_forgive_the_address(login: Login) -> None:
    for _ in range(4):
        login("olga")
    assert login("alice", PASSWORD).status_code == 200
    assert login("olga").status_code == 401
    assert login("alice", PASSWORD).status_code == 429


def test_an_account_bears_ten_failures_an_hour_from_wherever(login: Login) -> None:
    names = ["alice", "alice@example.org"] * 5
    assert [login(name, address=f"192.0.2.{i}").status_code for i, name in enumerate(names)] == [401] * 10
    refused = login("ALICE", PASSWORD, address="192.0.2.99")
    assert refused.status_code == 429
    assert 3500 < int(refused["Retry-After"]) <= 3600
    assert login("olga", PASSWORD, address="192.0.2.99").status_code == 200


def test_an_unknown_account_is_limited_like_a_known_one(login: Login, failing) -> None:
    failing(10, "Nobody")
    assert login("nobody", address="192.0.2.99").status_code == 429


def test_a_refused_attempt_does_not_prolong_the_wait(login: Login, monkeypatch) -> None:
    for _ in range(5):
        login("nobody")
    real, now = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: real() + 45)
    assert login("nobody").status_code == 429
    monkeypatch.setattr(time, "time", lambda: now + 75)
    assert login("alice", PASSWORD).status_code == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded"])
def test_without_a_proxy_no_header_makes_another_address(login: Login, header: str) -> None:
    answers = [login("nobody", **{header: f"203.0.113.{i}"}).status_code for i in range(6)]
    assert answers == [401] * 5 + [429]


def test_behind_a_proxy_only_what_the_proxy_wrote_counts(login: Login, settings) -> None:
    settings.REST_FRAMEWORK = {**configured.REST_FRAMEWORK, "NUM_PROXIES": 1}
    forged = [login("nobody", **{"x-forwarded-for": f"203.0.113.{i}, 198.51.100.7"}).status_code for i in range(6)]
    assert forged == [401] * 5 + [429]
    assert login("nobody", **{"x-forwarded-for": "198.51.100.8"}).status_code == 401


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2:ffff::1", "2001:0db8:0001:0002"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("a socket", "a socket"),
        ("", "unknown"),
    ],
)
def test_an_address_is_what_one_customer_has(text: str, address: str) -> None:
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=text)) == address


def test_many_guesses_at_the_same_time_learn_no_more_than_five(db: None, monkeypatch) -> None:
    """Each of twenty passes the first check before any of them fails; only five hear that they were wrong."""
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    limit, barrier = SignInLimit.of(request, "nobody", None), threading.Barrier(20)

    def guess(_: int) -> bool:
        limit.check()
        barrier.wait()
        try:
            limit.count_failure()
        except TooManyFailures:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(guess, range(20))) == 5


def test_a_right_password_tells_nothing_once_the_limit_is_reached_meanwhile(
    cast: SimpleNamespace, with_password, failing, monkeypatch
) -> None:
    with_password(cast.alice)
    real = type(cast.alice).check_password

    def slowly(user, password: str) -> bool:
        failing(10, str(user.pk))
        return real(user, password)

    monkeypatch.setattr(type(cast.alice), "check_password", slowly)
    with pytest.raises(TooManyFailures):
        authenticate(username="alice", password=PASSWORD)


@pytest.mark.parametrize("page", ["/admin/login/", "/sign-in"])
def test_pages_and_admin_share_the_limit(login: Login, client, page: str) -> None:
    for _ in range(5):
        login("nobody")
    answer = client.post(page, {"username": "alice", "password": PASSWORD}, REMOTE_ADDR="192.0.2.1")
    assert b"Too many failed attempts" in answer.content
    assert "_auth_user_id" not in client.session


def redis_cache(port: int) -> dict[str, object]:
    options = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": None}
    backend = "django.core.cache.backends.redis.RedisCache"
    return {"default": {"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{port}", "OPTIONS": options}}


@pytest.fixture
def fresh_counters(monkeypatch) -> None:
    """Of a process that has counted nothing, and does not know yet that Redis is away."""
    counters = Counters()
    counters._own.clear()
    monkeypatch.setattr(throttling, "counters", counters)


@pytest.mark.services
def test_processes_count_together_in_redis(login: Login, settings, redis: Redis, monkeypatch) -> None:
    settings.CACHES = redis_cache(redis.port)
    cache.clear()
    for _ in range(5):
        monkeypatch.setattr(throttling, "counters", Counters())  # as another process has it
        assert login("nobody").status_code == 401
    assert login("nobody").status_code == 429
    client = RedisClient(port=redis.port)
    keys = list(client.scan_iter("*sign-in:*"))
    assert len(keys) >= 4
    assert all(client.ttl(key) > 0 for key in keys)


@pytest.mark.services
def test_a_burst_is_counted_exactly_in_redis(settings, redis: Redis) -> None:
    settings.CACHES = redis_cache(redis.port)
    cache.clear()
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda _: throttling._add(cache, "burst", 60), range(200)))
    assert sorted(counts) == list(range(1, 201))


def test_with_redis_away_each_process_counts_for_itself(login: Login, settings, fresh_counters) -> None:
    settings.CACHES = redis_cache(free_port())
    assert login("alice", PASSWORD).status_code == 200
    assert [login("nobody").status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_hung_redis_holds_up_one_sign_in_not_all(login: Login, settings, fresh_counters) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CACHES = redis_cache(silent.getsockname()[1])
        started = time.monotonic()
        assert [login("nobody").status_code for _ in range(6)] == [401] * 5 + [429]
        assert time.monotonic() - started < 12  # asking it for each of the 22 counts takes 22 s
