"""Who is calling, and what a caller may do: one actor, one table of access per endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import NotFound
from rest_framework.permissions import SAFE_METHODS, BasePermission

from accounts.models import Membership, Role, User

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.views import APIView

ORGANIZATION_HEADER = "X-Organization"
ORGANIZATION_SESSION_KEY = "organization"


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone at a door: a person in one organization, or a device that speaks for itself."""

    organization_id: int | None
    role: Role | None = None
    user_id: int | None = None
    device_id: int | None = None
    is_staff: bool = False

    is_authenticated: bool = field(default=True, init=False)  # Django and DRF ask this of whoever calls
    is_active: bool = field(default=True, init=False)
    is_anonymous: bool = field(default=False, init=False)

    def has_role(self, role: Role) -> bool:
        return self.role is not None and self.role >= role


def actor_for(user: User, organization_id: int | None = None) -> Actor:
    """The person as a member of the organization asked for, or of the first one they joined.

    Role and membership are read from the database at every call, never from a token.
    Raises NotFound when the person is no member of the organization asked for.
    """
    memberships = Membership.objects.filter(user=user, organization__deleted_at=None)
    if organization_id is not None:
        memberships = memberships.filter(organization=organization_id)
    membership = memberships.order_by("pk").first()
    if membership is None:
        if organization_id is not None:
            raise NotFound("You are no member of this organization.")
        return Actor(organization_id=None, user_id=user.pk, is_staff=user.is_staff)
    return Actor(
        organization_id=membership.organization_id,
        role=Role(membership.role),
        user_id=user.pk,
        is_staff=user.is_staff,
    )


def chosen_organization(request: HttpRequest | Request) -> int | None:
    """The organization that the caller names by header, or chose on the pages; None leaves it to us."""
    named = request.headers.get(ORGANIZATION_HEADER)
    if named is None:
        session = getattr(request, "session", None)
        return session.get(ORGANIZATION_SESSION_KEY) if session else None
    if not (named.isascii() and named.isdigit() and len(named) < 19):
        raise NotFound("You are no member of this organization.")
    return int(named)


def actor_of(request: Request) -> Actor | None:
    """Whoever sent this API request; None for an anonymous caller. Asked once, then kept with the request."""
    caller = request.user
    if not caller.is_authenticated:
        return None
    if isinstance(caller, Actor):
        return caller
    known: Actor | None = getattr(request, "_actor", None)
    if known is None:
        known = _member(request, caller)
        setattr(request, "_actor", known)  # noqa: B010  DRF's request has no place of its own for it
    return known


def _member(request: Request, person: User) -> Actor:
    """The caller in the organization that was chosen; a choice of the pages that no longer holds is forgotten."""
    try:
        return actor_for(person, chosen_organization(request))
    except NotFound:
        if ORGANIZATION_HEADER in request.headers:
            raise
        request.session.pop(ORGANIZATION_SESSION_KEY, None)
        return actor_for(person)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use an endpoint. The roles say from which one on; None closes the door to people.

    `device_reads` and `device_writes` let a device in with its own key; it sees only itself and deletes nothing.
    """

    read: Role | None = Role.VIEWER
    write: Role | None = Role.OPERATOR
    delete: Role | None = Role.ADMIN
    device_reads: bool = False
    device_writes: bool = False
    anyone: bool = False  # callers without an account, and people who are in no organization
    without_organization: bool = False

    def role_for(self, method: str) -> Role | None:
        if method in SAFE_METHODS:
            return self.read
        return self.delete if method == "DELETE" else self.write

    def allows(self, actor: Actor | None, method: str) -> bool:
        if self.anyone:
            return True
        if actor is None:
            return False
        if actor.device_id is not None:
            if method in SAFE_METHODS:
                return self.device_reads
            return self.device_writes and method != "DELETE"
        if self.without_organization:
            return True
        role = self.role_for(method)
        return role is not None and actor.has_role(role)


class HasAccess(BasePermission):
    """Closed by default: a view without an `access` table lets nobody in."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        access: Access | None = getattr(view, "access", None)
        return access is not None and access.allows(actor_of(request), request.method or "")

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return True  # another organization's object was never found: every queryset is `visible_to` the actor
