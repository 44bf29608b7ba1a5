"""What people send and get: registration, sign-in, themselves, their organizations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from accounts.authentication import called
from accounts.models import Membership, Organization, Role, User
from accounts.tenancy import TenantSerializer

PASSWORD: dict[str, Any] = {"max_length": 128, "trim_whitespace": False, "style": {"input_type": "password"}}


class RoleField(serializers.ChoiceField):
    """A role, shown as its word."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=Role.labels, **options)

    def to_representation(self, value: Any) -> str:
        return Role(value).label


class NameField(serializers.CharField):
    """A person's name as one text: not every name has a first and a last part."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", max_length=150, **options)

    def to_representation(self, user: Any) -> str:
        return user.get_full_name()

    def run_validation(self, data: Any = empty) -> dict[str, str]:
        return {"first_name": super().run_validation(data), "last_name": ""}


class MembershipSerializer(serializers.ModelSerializer):
    id = serializers.IntegerField(source="organization_id")
    name = serializers.CharField(source="organization.name")
    role = RoleField()

    class Meta:
        model = Membership
        fields = ("id", "name", "role")


class UserSerializer(serializers.ModelSerializer):
    """A person, as they see themselves."""

    email = serializers.EmailField(max_length=254)
    name = NameField(required=False, allow_blank=True)
    organizations = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ("id", "username", "email", "name", "is_staff", "organizations")
        read_only_fields = ("username", "is_staff")

    @extend_schema_field(MembershipSerializer(many=True))
    def get_organizations(self, user: User) -> Any:
        """The first one is used when a request names none."""
        memberships = Membership.objects.filter(user=user, organization__deleted_at=None).order_by("pk")
        return MembershipSerializer(memberships.select_related("organization"), many=True).data

    def validate_email(self, value: str) -> str:
        if called("email", value).exclude(pk=cast("User", self.instance).pk).exists():
            raise serializers.ValidationError("Somebody uses this e-mail already.", code="unique")
        return value

    def update(self, user: User, values: dict[str, Any]) -> User:
        for name, value in values.items():
            setattr(user, name, value)
        with refusing_twins():
            user.save(update_fields=values.keys())
        return user


class RegisterSerializer(serializers.ModelSerializer):
    """A new person, and the organization that they will own."""

    email = serializers.EmailField(max_length=254)
    username = serializers.RegexField(
        r"^[\w.+-]+\Z", max_length=150, required=False, help_text="Made from the e-mail when left out."
    )
    password = serializers.CharField(**PASSWORD)
    name = NameField(required=False, allow_blank=True)
    organization = serializers.CharField(
        max_length=120,
        required=False,
        allow_blank=True,
        help_text="When left out: the person's name with “'s organization”.",
    )

    class Meta:
        model = User
        fields = ("email", "username", "password", "name", "organization")

    def validate_email(self, value: str) -> str:
        if called("email", value).exists():
            raise serializers.ValidationError("Somebody uses this e-mail already.", code="unique")
        return value

    def validate_username(self, value: str) -> str:
        if called("username", value).exists():
            raise serializers.ValidationError("Somebody is called so already.", code="unique")
        return value

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Answers the person, not yet saved, with the password and the organization's name."""
        password, organization = values.pop("password"), values.pop("organization", "")
        user = User(**values)
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}, code="weak_password") from error
        return {"user": user, "password": password, "organization": organization}


class LoginSerializer(serializers.Serializer):
    username = serializers.CharField(max_length=254, required=False, help_text="Or `email`; either takes both.")
    email = serializers.CharField(max_length=254, required=False)
    password = serializers.CharField(**PASSWORD)

    def validate(self, values: dict[str, str]) -> dict[str, str]:
        name = values.get("username") or values.get("email")
        if name is None:
            raise serializers.ValidationError({"username": "Send `username` or `email`."}, code="required")
        return {"username": name, "password": values["password"]}


class RefreshSerializer(serializers.Serializer):
    refresh_token = serializers.CharField()


class LogoutSerializer(serializers.Serializer):
    everywhere = serializers.BooleanField(default=False, help_text="End every session of this person, not only this.")


class PairSerializer(serializers.Serializer):
    """The answer to sign-in and refresh."""

    access_token = serializers.CharField(source="access")
    refresh_token = serializers.CharField(source="refresh")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    user = UserSerializer()


class VerifySerializer(serializers.Serializer):
    authenticated = serializers.BooleanField()
    user = UserSerializer()
    token_type = serializers.ChoiceField(choices=["access_token", "session"])
    expires = serializers.IntegerField(help_text="Epoch seconds.")
    issued_at = serializers.IntegerField(allow_null=True, help_text="Epoch seconds; null for a session cookie.")


class OrganizationSerializer(TenantSerializer):
    role = RoleField(read_only=True, help_text="The caller's role in it.")

    class Meta:
        model = Organization
        fields = ("id", "name", "role", "created_at")


class ClosedSerializer(serializers.Serializer):
    """What went with an organization."""

    organizations = serializers.IntegerField()
    members = serializers.IntegerField()


@contextmanager
def refusing_twins() -> Iterator[None]:
    """Two requests at the same time passed every check, and the database lets in only one: the other is refused."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise serializers.ValidationError("Somebody has this username or e-mail already.", code="unique") from error
