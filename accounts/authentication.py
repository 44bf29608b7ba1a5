"""Who is it: password at sign-in, token or session cookie at every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.db.models import QuerySet, Value
from django.db.models.functions import Lower
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import TokenError

from accounts import tokens
from accounts.models import User
from accounts.throttling import SignInLimit

if TYPE_CHECKING:
    from django.http import HttpRequest
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request

__all__ = ["SessionAuthentication", "TokenAuthentication", "UsernameOrEmailBackend", "called", "user_of_token"]

DEVICE_KEY_PREFIX = "dk_"  # a device speaks for itself; its keys are read elsewhere


def called(field: str, value: str) -> QuerySet[User]:
    """People whose `username` or `email` is this, in any case: folded by the database, as its unique keys are."""
    return User.objects.alias(folded=Lower(field)).filter(folded=Lower(Value(value)))


def find_person(name: str) -> User | None:
    """By e-mail before username: a username that looks like somebody else's e-mail leads nowhere."""
    return ("@" in name and called("email", name).first()) or called("username", name).first()


class UsernameOrEmailBackend(ModelBackend):
    """Password sign-in for API, pages and admin alike, with one limit of failures for all of them."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **fields: Any
    ) -> User | None:
        """None for wrong credentials, whatever is wrong with them. Raises TooManyFailures beyond the limit."""
        if username is None or password is None:
            return None
        user = find_person(username)
        limit = SignInLimit.of(request, username, user)
        limit.check()
        if user is None:
            User().set_password(password)  # an unknown name takes as long as a wrong password
        elif user.check_password(password) and self.user_can_authenticate(user):
            limit.check()
            return user
        limit.count_failure()
        return None

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **fields: Any
    ) -> User | None:
        return await sync_to_async(self.authenticate)(request, username, password, **fields)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`. `request.auth` holds its claims."""

    def authenticate(self, request: Request) -> tuple[User, tokens.AccessClaims] | None:
        scheme, *words = get_authorization_header(request).decode("latin-1").split() or [""]
        if scheme.lower() != "bearer":
            return None
        token = words[0] if len(words) == 1 else ""
        if token.startswith(DEVICE_KEY_PREFIX):
            return None
        try:
            return tokens.bearer(token)
        except TokenError as error:
            raise AuthenticationFailed("The access token is not valid: get a new one.", "token_not_valid") from error

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Access token of a person."}


def user_of_token(token: object) -> User | None:
    """The person an access token speaks for; None for whatever else a client may send instead of one."""
    try:
        return tokens.bearer(token)[0]
    except TokenError:
        return None
