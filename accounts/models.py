"""People, their organizations and their roles in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from accounts.permissions import Actor


class Role(models.IntegerChoices):
    """What a member may do; each role may do all that the ones before it may."""

    VIEWER = 1, "viewer"
    OPERATOR = 2, "operator"
    ADMIN = 3, "admin"
    OWNER = 4, "owner"


class User(AbstractUser):
    """A person. Signs in by username or e-mail; `is_staff` runs the platform itself."""

    email = models.EmailField(unique=True)
    token_version = models.PositiveIntegerField(
        default=0, help_text="Raised at logout from everywhere and at a new password: every older token stops working."
    )

    _password: str | None  # Django's: a new password that is not saved yet

    class Meta:
        constraints = (
            models.UniqueConstraint(Lower("email"), name="user_email_any_case"),
            models.UniqueConstraint(Lower("username"), name="user_username_any_case"),
        )

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new password ends every session, whoever sets it."""
        has_new_password = self._password is not None  # not so when Django only hashes the same one afresh
        super().save(*args, **kwargs)
        if has_new_password:
            self.revoke_tokens()

    def revoke_tokens(self) -> None:
        """Sign out everywhere: every token and every session cookie given out so far stops working."""
        type(self).objects.filter(pk=self.pk).update(token_version=models.F("token_version") + 1)
        self.refresh_tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["token_version"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What Django compares with the session cookie at each request."""
        key = f"{self.password}{self.token_version}"
        return salted_hmac("accounts.User.session", key, secret=secret, algorithm="sha256").hexdigest()


class TenantQuerySet(models.QuerySet):
    """Rows of organizations. `visible_to` is the one place that separates one organization from another."""

    organization_path: ClassVar[str] = "organization"
    device_path: ClassVar[str | None] = None  # where a device that asks for itself is found

    def visible_to(self, actor: Actor) -> Self:
        """The rows that this caller may see: those of its organization, and for a device only its own."""
        if actor.device_id is not None:
            return self.filter(**{self.device_path: actor.device_id}) if self.device_path else self.none()
        return self.filter(
            **{self.organization_path: actor.organization_id, f"{self.organization_path}__deleted_at": None}
        )


class OrganizationQuerySet(models.QuerySet):
    def active(self) -> Self:
        return self.filter(deleted_at=None)

    def visible_to(self, actor: Actor) -> Self:
        """Every organization that this person is a member of; for a device, the one it belongs to."""
        if actor.user_id is None:
            return self.active().filter(pk=actor.organization_id)
        return self.active().filter(memberships__user=actor.user_id)


class Organization(models.Model):
    """Owns devices and all that comes from them. Nothing is shared between two organizations."""

    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    members = models.ManyToManyField(User, through="Membership", related_name="organizations")

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in an organization."""

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("organization", "user")
        constraints = (models.UniqueConstraint("user", "organization", name="membership_once"),)

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()} of {self.organization}"


class RefreshToken(models.Model):
    """One refresh token that was given out. Using it twice ends the whole family: one of the two was stolen."""

    user = models.ForeignKey(User, models.CASCADE, related_name="refresh_tokens")
    family = models.UUIDField(db_index=True)
    jti = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-expires_at",)

    def __str__(self) -> str:
        return f"refresh token of {self.user}"
