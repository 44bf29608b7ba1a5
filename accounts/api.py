"""HTTP endpoints of people and their organizations."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.auth import authenticate, logout
from django.contrib.auth.models import update_last_login
from django.db.models import F, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError

from accounts import serializers as shapes
from accounts import tokens
from accounts.models import Organization, Role, User
from accounts.ownership import check_registration, close_organizations, found_organization, register
from accounts.permissions import Access
from accounts.tenancy import TenantViewSet
from accounts.throttling import TooManyFailures

ORGANIZATION = {"id": 1, "name": "Home", "role": "owner"}
USER = {
    "id": 1,
    "username": "admin",
    "email": "admin@localhost",
    "name": "",
    "is_staff": True,
    "organizations": [ORGANIZATION],
}
PAIR = {
    "access_token": "eyJhbGciOiJIUzI1NiIs...",
    "refresh_token": "eyJhbGciOiJIUzI1NiIs...",
    "token_type": "bearer",
    "expires_in": 1800,
    "user": USER,
}
ORGANIZATION_DETAIL = ORGANIZATION | {"created_at": "2026-11-20T19:24:00Z"}


def example(value: Any, *, request: bool = False) -> OpenApiExample:
    return OpenApiExample("Request" if request else "Answer", value, request_only=request, response_only=not request)


class OpenDoor(APIView):
    """An endpoint for whoever is not signed in: an old token or cookie sent along does no harm."""

    access: ClassVar[Access] = Access(anyone=True)
    authentication_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"


class Register(OpenDoor):
    @extend_schema(
        summary="Register a person and an organization of their own",
        description="Open to the first person of an installation; to others only with `REGISTRATION_OPEN`.",
        request=shapes.RegisterSerializer,
        responses={201: shapes.PairSerializer},
        examples=[
            example(
                {"email": "ada@example.org", "password": "correct-horse-battery", "organization": "Home"}, request=True
            ),
            example(PAIR),
        ],
    )
    def post(self, request: Request) -> Response:
        check_registration()  # before the body is looked at: a closed door does not tell who lives here
        data = shapes.RegisterSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        with shapes.refusing_twins():
            register(**data.validated_data)
        return sign_in(data.validated_data["user"], status=201)


class Login(OpenDoor):
    @extend_schema(
        summary="Sign in with username or e-mail",
        description="Five failures a minute from one address, or ten an hour at one account, are answered by 429.",
        request=shapes.LoginSerializer,
        responses=shapes.PairSerializer,
        examples=[example({"username": "admin", "password": "correct-horse-battery"}, request=True), example(PAIR)],
    )
    def post(self, request: Request) -> Response:
        data = shapes.LoginSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        try:
            user = authenticate(request._request, **data.validated_data)
        except TooManyFailures as error:
            raise Throttled(error.wait_seconds, "Too many failed attempts.") from error
        if user is None:
            raise AuthenticationFailed("Wrong username, e-mail or password.")
        return sign_in(user)


class Refresh(OpenDoor):
    @extend_schema(
        summary="Exchange a refresh token for the next pair",
        description="Each refresh token works once. Using one again ends the whole sign-in.",
        request=shapes.RefreshSerializer,
        responses=shapes.PairSerializer,
        examples=[example({"refresh_token": PAIR["refresh_token"]}, request=True), example(PAIR)],
    )
    def post(self, request: Request) -> Response:
        data = shapes.RefreshSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        try:
            pair = tokens.rotate(data.validated_data["refresh_token"])
        except TokenError as error:
            raise AuthenticationFailed("The refresh token is not valid: sign in.", "token_not_valid") from error
        return Response(shapes.PairSerializer(pair).data)


class Logout(APIView):
    access = Access(without_organization=True)

    @extend_schema(
        summary="Sign out",
        description="Ends this sign-in with all its tokens, or with `everywhere` every session of this person.",
        request=shapes.LogoutSerializer,
        responses={204: None},
        examples=[example({"everywhere": False}, request=True)],
    )
    def post(self, request: Request) -> Response:
        data = shapes.LogoutSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        if data.validated_data["everywhere"]:
            cast("User", request.user).revoke_tokens()
        if isinstance(request.auth, tokens.AccessClaims):
            tokens.revoke_family(request.auth["family"])
        else:
            logout(request._request)
        return Response(status=204)


class Verify(APIView):
    access = Access(without_organization=True)

    @extend_schema(
        summary="Who am I, and until when",
        responses=shapes.VerifySerializer,
        examples=[
            example(
                {
                    "authenticated": True,
                    "user": USER,
                    "token_type": "access_token",
                    "expires": 1795203000,
                    "issued_at": 1795201200,
                }
            )
        ],
    )
    def get(self, request: Request) -> Response:
        answer = {"authenticated": True, "user": request.user} | _lifetime(request)
        return Response(shapes.VerifySerializer(answer).data)


@extend_schema_view(
    get=extend_schema(summary="My account", examples=[example(USER)]),
    put=extend_schema(summary="Replace my name and e-mail", examples=[example(USER)]),
    patch=extend_schema(summary="Change my name or e-mail", examples=[example(USER)]),
)
class Me(RetrieveUpdateAPIView):
    access = Access(without_organization=True)
    serializer_class = shapes.UserSerializer

    def get_object(self) -> User:
        return cast("User", self.request.user)


@extend_schema_view(
    list=extend_schema(summary="My organizations", examples=[example(ORGANIZATION_DETAIL)]),
    retrieve=extend_schema(summary="One of my organizations", examples=[example(ORGANIZATION_DETAIL)]),
    create=extend_schema(summary="Found another organization", examples=[example(ORGANIZATION_DETAIL)]),
    update=extend_schema(summary="Rename an organization", examples=[example(ORGANIZATION_DETAIL)]),
    partial_update=extend_schema(summary="Rename an organization", examples=[example(ORGANIZATION_DETAIL)]),
    destroy=extend_schema(
        summary="Delete an organization with all that is in it",
        responses={200: shapes.ClosedSerializer},
        examples=[OpenApiExample("Answer", {"organizations": 1, "members": 4}, response_only=True)],
    ),
)
class OrganizationViewSet(TenantViewSet):
    """Whoever is signed in may found one; else the caller's role in that very organization decides."""

    access = Access(read=Role.VIEWER, write=Role.ADMIN, delete=Role.OWNER, without_organization=True)
    queryset = Organization.objects.all()
    serializer_class = shapes.OrganizationSerializer

    def get_queryset(self) -> QuerySet[Organization]:
        return super().get_queryset().annotate(role=F("memberships__role"))

    def check_object_permissions(self, request: Request, organization: Any) -> None:
        super().check_object_permissions(request, organization)
        if organization.role < self.access.role_for(request.method or ""):
            self.permission_denied(request)

    def perform_create(self, serializer: Any) -> None:
        serializer.instance = found_organization(cast("User", self.request.user), serializer.validated_data["name"])
        serializer.instance.role = Role.OWNER

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(shapes.ClosedSerializer(close_organizations([self.get_object()])).data)


def sign_in(user: User, status: int = 200) -> Response:
    update_last_login(User, user)
    return Response(shapes.PairSerializer(tokens.issue(user)).data, status)


def _lifetime(request: Request) -> dict[str, Any]:
    claims = request.auth
    if isinstance(claims, tokens.AccessClaims):
        return {"token_type": "access_token", "expires": claims["exp"], "issued_at": claims["iat"]}
    return {"token_type": "session", "expires": request.session.get_expiry_date().timestamp(), "issued_at": None}
