"""Password, access token, session cookie: who is let in as whom, and who is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import IntegrityError
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.authentication import find_person, user_of_token
from accounts.models import User
from accounts.tests.conftest import PASSWORD

ME = "/api/v1/auth/me"
Bearer = Callable[[object], APIClient]


def forged(user: User, key: str = settings.JWT_SIGNING_KEY, algorithm: str = "HS256", **changed: Any) -> str:
    """A token as ours, but for what is changed; a claim set to None is left out."""
    claims = tokens.issue(user).access.payload | {"aud": "iot-platform", "iss": "iot-platform"} | changed
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm)


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.org", "Alice@Example.ORG"])
def test_a_person_signs_in_by_username_or_e_mail_in_any_case(cast: SimpleNamespace, with_password, name: str) -> None:
    with_password(cast.alice)
    assert authenticate(username=name, password=PASSWORD) == cast.alice


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("alice", ""), ("nobody", PASSWORD), ("", PASSWORD), ("bob@example.org", PASSWORD)],
)
def test_wrong_credentials_let_nobody_in(cast: SimpleNamespace, with_password, name: str, password: str) -> None:
    with_password(cast.alice)
    assert authenticate(username=name, password=password) is None


def test_an_inactive_person_is_refused(cast: SimpleNamespace, with_password) -> None:
    with_password(cast.alice)
    User.objects.filter(pk=cast.alice.pk).update(is_active=False)
    assert authenticate(username="alice", password=PASSWORD) is None


def test_a_person_without_password_is_refused(cast: SimpleNamespace) -> None:
    assert authenticate(username="alice", password="") is None


def test_an_unknown_name_costs_a_hashing_too(cast: SimpleNamespace, with_password, monkeypatch) -> None:
    with_password(cast.alice)
    hashed: list[str] = []
    encode = Argon2PasswordHasher.encode

    def counted(self: Argon2PasswordHasher, *words: Any) -> str:
        hashed.append("once")
        return encode(self, *words)

    monkeypatch.setattr(Argon2PasswordHasher, "encode", counted)
    authenticate(username="nobody", password="wrong")
    assert len(hashed) == 1


def test_a_username_that_looks_like_an_e_mail_takes_nobodys_place(cast: SimpleNamespace) -> None:
    User.objects.create(username="alice@example.org", email="thief@example.org")
    assert find_person("alice@example.org") == cast.alice


def test_the_database_keeps_names_apart_in_any_case(cast: SimpleNamespace) -> None:
    with pytest.raises(IntegrityError):
        User.objects.create(username="ALICE", email="other@example.org")


def test_an_access_token_opens_the_door(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    answer = bearer_of(tokens.issue(cast.alice).access).get(ME)
    assert answer.status_code == 200
    assert answer.data["username"] == "alice"


def test_a_forged_token_with_nothing_changed_would_pass(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    assert bearer_of(forged(cast.alice)).get(ME).status_code == 200


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another secret": {"key": "x" * 64},
    "another algorithm": {"algorithm": "HS512"},
    "wrong audience": {"aud": "elsewhere"},
    "no audience": {"aud": None},
    "wrong issuer": {"iss": "elsewhere"},
    "no issuer": {"iss": None},
    "expired": {"exp": 1_700_000_000},
    "no expiry": {"exp": None},
    "no id": {"jti": None},
    "no type": {"token_type": None},
    "refresh type": {"token_type": "refresh"},
    "old version": {"token_version": -1},
    "no version": {"token_version": None},
    "nobody": {"user_id": 999_999},
    "no user": {"user_id": None},
    "no family": {"family": None},
    "unknown family": {"family": "00000000-0000-4000-8000-000000000000"},
}


@pytest.mark.parametrize("changed", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_a_bad_token_is_refused_and_told_what_to_bring(
    cast: SimpleNamespace, bearer_of: Bearer, changed: dict[str, Any]
) -> None:
    token = forged(cast.alice, **changed)
    answer = bearer_of(token).get(ME)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["errors"][0]["code"] == "token_not_valid"
    assert user_of_token(token) is None


def test_an_unsigned_token_is_refused(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    unsigned = jwt.encode(jwt.decode(forged(cast.alice), options={"verify_signature": False}), "", "none")
    assert bearer_of(unsigned).get(ME).status_code == 401


def test_a_refresh_token_is_no_access_token(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    assert bearer_of(tokens.issue(cast.alice).refresh).get(ME).status_code == 401


@pytest.mark.parametrize("value", ["", "a b", "nonsense", "..", "é", "x" * 5000, "null"])
def test_a_bearer_value_that_is_no_token_is_refused(db: None, bearer_of: Bearer, value: str) -> None:
    answer = bearer_of(value).get(ME)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_good_token_with_something_after_it_is_refused(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    assert bearer_of(f"{tokens.issue(cast.alice).access} more").get(ME).status_code == 401


def test_without_credentials_there_is_401(db: None, api_of) -> None:
    answer = api_of(None).get(ME)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_token_in_the_query_string_is_ignored(cast: SimpleNamespace, api_of) -> None:
    assert api_of(None).get(f"{ME}?token={tokens.issue(cast.alice).access}").status_code == 401


def test_a_deleted_person_is_refused(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    api = bearer_of(tokens.issue(cast.norma).access)
    cast.norma.delete()
    assert api.get(ME).status_code == 401


def test_a_disabled_person_is_refused_at_the_next_request(cast: SimpleNamespace, bearer_of: Bearer) -> None:
    api = bearer_of(tokens.issue(cast.alice).access)
    assert api.get(ME).status_code == 200
    User.objects.filter(pk=cast.alice.pk).update(is_active=False)
    assert api.get(ME).status_code == 401


def test_a_new_password_ends_every_token_and_cookie(cast: SimpleNamespace, bearer_of: Bearer, api_of) -> None:
    pair, cookie = tokens.issue(cast.alice), api_of(cast.alice)
    cast.alice.set_password("another fine password")
    cast.alice.save()
    assert bearer_of(pair.access).get(ME).status_code == 401
    assert cookie.get(ME).status_code == 401
    with pytest.raises(tokens.TokenError):
        tokens.rotate(str(pair.refresh))


def test_hashing_the_same_password_afresh_ends_nothing(
    cast: SimpleNamespace, with_password, bearer_of: Bearer, monkeypatch
) -> None:
    before = with_password(cast.alice).password
    api = bearer_of(tokens.issue(cast.alice).access)
    monkeypatch.setattr(Argon2PasswordHasher, "time_cost", Argon2PasswordHasher.time_cost + 1)
    assert authenticate(username="alice", password=PASSWORD) == cast.alice
    assert User.objects.get(pk=cast.alice.pk).password != before
    assert api.get(ME).status_code == 200


def test_a_token_tells_neither_role_nor_organization(cast: SimpleNamespace) -> None:
    claims = jwt.decode(str(tokens.issue(cast.alice).access), options={"verify_signature": False})
    assert set(claims) == {"aud", "exp", "family", "iat", "iss", "jti", "token_type", "token_version", "user_id"}
    assert claims["exp"] - claims["iat"] == settings.ACCESS_TOKEN_EXPIRE_MINUTES * 60


def test_a_token_costs_one_query(cast: SimpleNamespace, django_assert_num_queries) -> None:
    token = str(tokens.issue(cast.alice).access)
    with django_assert_num_queries(1):
        assert user_of_token(token) == cast.alice


@pytest.mark.parametrize("token", [None, 7, [], {}, b"x", "", "x", "\ud800", "dk_12345678_x"])
def test_whatever_a_socket_sends_as_token_raises_nothing(db: None, token: object) -> None:
    assert user_of_token(token) is None


def test_a_cookie_may_change_nothing_without_the_csrf_token(cast: SimpleNamespace) -> None:
    api = APIClient(enforce_csrf_checks=True)
    api.force_login(cast.alice)
    assert api.get(ME).status_code == 200
    assert api.patch(ME, {"name": "Eve"}).status_code == 403
    api.cookies["csrftoken"] = csrf = "a" * 32
    assert api.patch(ME, {"name": "Alice"}, HTTP_X_CSRFTOKEN=csrf).status_code == 200


def test_a_token_needs_no_csrf_token(cast: SimpleNamespace) -> None:
    api = APIClient(enforce_csrf_checks=True)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(cast.alice).access}")
    assert api.patch(ME, {"name": "Alice"}).status_code == 200


def test_an_expired_cookie_is_no_door(cast: SimpleNamespace, api_of) -> None:
    api = api_of(cast.alice)
    session = api.session
    session.set_expiry(timezone.now() - timedelta(seconds=1))
    session.save()
    assert api.get(ME).status_code == 401
