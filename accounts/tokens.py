"""Tokens of people: a short access token, and refresh tokens of which each works exactly once.

One sign-in starts a family of refresh tokens; every use of one gives the next. Whoever uses one a second time
shows that it was stolen, by them or from them, so the whole family ends, and every access token with it.
Neither role nor organization is in a token: those are read from the database at every request.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar, cast

import structlog
from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt import tokens as jwt
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import RefreshToken, User

log = structlog.get_logger(__name__)

MAX_LENGTH = 2048  # ours have about 350 characters


class OwnClaims(jwt.Token):
    """Claims that both kinds carry: `user_id`, `token_version` and `family`, beside jti, iat, exp, aud and iss."""

    @classmethod
    def of(cls, user: User, family: uuid.UUID) -> Self:
        token = cls()
        token.payload.update(user_id=user.pk, token_version=user.token_version, family=str(family))
        return token

    def verify(self) -> None:
        super().verify()
        if not {"user_id", "token_version", "family"} <= self.payload.keys():
            raise TokenError("Token is invalid")

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self["exp"], UTC)


class AccessClaims(OwnClaims):
    """What a request carries."""

    token_type = jwt.AccessToken.token_type
    lifetime = jwt.AccessToken.lifetime


class RefreshClaims(OwnClaims):
    """What is exchanged for the next pair."""

    token_type = jwt.RefreshToken.token_type
    lifetime = jwt.RefreshToken.lifetime


Claims = TypeVar("Claims", bound=OwnClaims)


@dataclass(frozen=True, slots=True)
class Pair:
    """What a client gets at sign-in and at each refresh."""

    user: User
    access: AccessClaims
    refresh: RefreshClaims

    @property
    def token_type(self) -> str:
        return "bearer"

    @property
    def expires_in(self) -> int:
        """Seconds that the access token lives."""
        return int(self.access.lifetime.total_seconds())


def issue(user: User) -> Pair:
    """Start a new family: somebody has just signed in. Rows of theirs that have expired are forgotten."""
    RefreshToken.objects.filter(user=user, expires_at__lt=timezone.now()).delete()
    return _give(user, uuid.uuid4())


def rotate(refresh_token: object) -> Pair:
    """The next pair for a refresh token, which is thereby used up.

    The row of the person is locked, so that of several uses at the same time one is the first, and none slips in
    between while a family is being ended. Raises TokenError for every token that must not be accepted.
    """
    claims = _read(RefreshClaims, refresh_token)
    with transaction.atomic():
        user = User.objects.select_for_update().filter(**_still_valid(claims)).first()
        row = RefreshToken.objects.filter(user=user, jti=claims["jti"]).first() if user else None
        if user is None or row is None:
            raise TokenError("Token is invalid")
        if row.used_at is None and row.revoked_at is None:
            row.used_at = timezone.now()
            row.save(update_fields=["used_at"])
            return _give(user, row.family)
        revoke_family(row.family)
    log.warning("refresh token used again, its family is revoked", user=user.pk, family=str(row.family))
    raise TokenError("Token was used before")


def revoke_family(family: uuid.UUID | str) -> None:
    """End one sign-in: its refresh tokens and its access tokens."""
    RefreshToken.objects.filter(family=family, revoked_at=None).update(revoked_at=timezone.now())


def bearer(access_token: object) -> tuple[User, AccessClaims]:
    """Whom an access token speaks for. Raises TokenError unless they may still come in with it."""
    claims = _read(AccessClaims, access_token)
    user = User.objects.filter(
        **_still_valid(claims), refresh_tokens__family=claims["family"], refresh_tokens__revoked_at=None
    ).first()
    if user is None:
        raise TokenError("Token was revoked")
    return user, claims


def _read(kind: type[Claims], token: object) -> Claims:
    if not (isinstance(token, str) and token.isascii() and len(token) <= MAX_LENGTH):
        raise TokenError("Token is invalid")
    return kind(cast("Any", token))  # simplejwt takes text, whatever its annotation says


def _still_valid(claims: OwnClaims) -> dict[str, Any]:
    return {"pk": claims["user_id"], "token_version": claims["token_version"], "is_active": True}


def _give(user: User, family: uuid.UUID) -> Pair:
    refresh = RefreshClaims.of(user, family)
    RefreshToken.objects.create(user=user, family=family, jti=refresh["jti"], expires_at=refresh.expires_at)
    return Pair(user, AccessClaims.of(user, family), refresh)
