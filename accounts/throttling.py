"""Limits of failed sign-ins: five a minute from one address, ten an hour at one account.

Only failures count. An attempt learns the truth only if fewer failures than the limit were counted before and
after its password was checked, so many guesses at the same time learn no more than as many in a row.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, TypeVar, cast

import structlog
from django.core.cache import BaseCache, cache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ValidationError
from redis.exceptions import RedisError
from rest_framework.throttling import BaseThrottle

from accounts.models import User

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")

ADDRESS_FAILURES, ADDRESS_SECONDS = 5, 60
ACCOUNT_FAILURES, ACCOUNT_SECONDS = 10, 3600
CACHE_AWAY_SECONDS = 10  # how long a cache that did not answer is left alone


class TooManyFailures(ValidationError):
    """A form shows it as its error, the API answers 429."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"Too many failed attempts. Try again in {wait_seconds} s.", code="throttled")
        self.wait_seconds = wait_seconds


class Counters:
    """Counts in the cache that all processes share; in this process alone while that cache is away."""

    def __init__(self) -> None:
        self._own = LocMemCache("sign-in failures", {"OPTIONS": {"MAX_ENTRIES": 10_000}})
        self._away_until = 0.0

    def read(self, key: str) -> tuple[int, float]:
        """What was counted, and when it will be forgotten (epoch seconds)."""
        found = self._ask(lambda store: store.get_many([key, f"{key}:end"]))
        return found.get(key, 0), found.get(f"{key}:end", time.time() + 1)

    def add(self, key: str, seconds: int) -> int:
        """Count one more. The first one starts the window; later ones never prolong it."""
        return self._ask(lambda store: _add(store, key, seconds))

    def _ask(self, question: Callable[[BaseCache], Answer]) -> Answer:
        if time.monotonic() >= self._away_until:
            try:
                return question(cache)
            except (RedisError, OSError) as error:
                self._away_until = time.monotonic() + CACHE_AWAY_SECONDS
                log.warning("cache is away, failed sign-ins are counted by each process", error=repr(error))
        return question(self._own)


def _add(store: BaseCache, key: str, seconds: int) -> int:
    store.add(f"{key}:end", time.time() + seconds, seconds)
    store.add(key, 0, seconds)
    try:
        count = store.incr(key)
    except ValueError:  # it expired between the two
        store.add(key, 0, seconds)
        count = store.incr(key)
    if count == 1:
        store.touch(key, seconds)  # Redis gives no end to a key that expired between the two
    return count


counters = Counters()


@dataclass(frozen=True, slots=True)
class SignInLimit:
    """What one attempt counts against: the address it comes from, and the account it wants."""

    limits: tuple[tuple[str, int, int], ...]  # key, failures, seconds

    @classmethod
    def of(cls, request: HttpRequest | None, username: str, user: User | None) -> SignInLimit:
        """A name that nobody has is limited like any other, so that the limit tells nothing."""
        account = str(user.pk) if user else username.lower()
        limits = [(_key("account", account), ACCOUNT_FAILURES, ACCOUNT_SECONDS)]
        if request is not None:
            limits.append((_key("address", address_of(request)), ADDRESS_FAILURES, ADDRESS_SECONDS))
        return cls(tuple(limits))

    def check(self) -> None:
        """Raises TooManyFailures while no attempt may be answered."""
        for key, failures, _ in self.limits:
            count, end = counters.read(key)
            if count >= failures:
                raise TooManyFailures(max(1, math.ceil(end - time.time())))

    def count_failure(self) -> None:
        """Raises TooManyFailures when others used up the limit while this attempt was checked."""
        exceeded = [counters.add(key, seconds) > failures for key, failures, seconds in self.limits]
        if any(exceeded):
            self.check()


def address_of(request: HttpRequest) -> str:
    """Where a request comes from, as far as our own proxies vouch for it (NUM_PROXIES)."""
    text = BaseThrottle().get_ident(cast("Request", request)) or "unknown"
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if isinstance(address, IPv6Address):  # one customer has a whole /64
        return address.ipv4_mapped.compressed if address.ipv4_mapped else address.exploded[:19]
    return text


def _key(kind: str, name: str) -> str:
    return f"sign-in:{kind}:{hashlib.sha256(name.encode()).hexdigest()}"
