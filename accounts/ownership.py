"""How an organization gets its owner, how an installation gets its first one, and how an organization ends."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from itertools import count

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import APIException

from accounts.authentication import called
from accounts.models import Membership, Organization, Role, User

FIRST_ORGANIZATION = "Home"
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look like another


class RegistrationClosed(APIException):
    status_code = 403
    default_code = "registration_closed"
    default_detail = "This installation takes no new registrations. Ask an owner to let you in."


def check_registration() -> None:
    """Strangers may register when the installation says so, or when nobody is there to let them in."""
    if User.objects.exists() and not settings.REGISTRATION_OPEN:
        raise RegistrationClosed


@transaction.atomic
def register(user: User, password: str, organization: str = "") -> Organization:
    """Save a new person, with an organization of their own. The first one runs the installation as well."""
    if not User.objects.exists():
        one_at_a_time()  # of two who come at the same time, one is the first
    check_registration()
    user.is_staff = user.is_superuser = not User.objects.exists()
    user.username = user.username or free_username(user.email)
    user.set_password(password)
    user.save()
    own_name = f"{user.get_full_name() or user.username}'s organization"
    return found_organization(user, organization or own_name[:120])


def found_organization(user: User, name: str) -> Organization:
    """A new organization, owned by this person."""
    with transaction.atomic():
        organization = Organization.objects.create(name=name)
        Membership.objects.create(user=user, organization=organization, role=Role.OWNER)
    return organization


def close_organizations(organizations: Iterable[Organization]) -> dict[str, int]:
    """Let organizations vanish at once from every door, and count what goes; the clock purges them later."""
    keys = [organization.pk for organization in organizations]
    with transaction.atomic():
        members = Membership.objects.filter(organization__in=keys, organization__deleted_at=None).count()
        closed = Organization.objects.active().filter(pk__in=keys).update(deleted_at=timezone.now())
    return {"organizations": closed, "members": members}


@transaction.atomic
def create_owner(email: str, password: str | None = None) -> tuple[User, str | None]:
    """The first owner, who runs the installation; also answers the random password if none was given.

    Raises ValidationError for a bad e-mail, one that is taken, or a weak password.
    """
    user = User(username=free_username(email), email=email, is_staff=True, is_superuser=True)
    chosen = random_password() if password is None else password
    validate_password(chosen, user)
    user.set_password(chosen)
    user.full_clean()
    user.save()
    found_organization(user, FIRST_ORGANIZATION)
    return user, chosen if password is None else None


def has_owner() -> bool:
    return Membership.objects.filter(role=Role.OWNER, organization__deleted_at=None, user__is_active=True).exists()


def first_owner() -> User | None:
    """Whom `manage.py password` means when nobody is named."""
    return User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()


def free_username(email: str) -> str:
    """A username made from an e-mail: what stands before the @, with a number when somebody else is called so."""
    stem = re.sub(r"[^\w.+-]", "", email.partition("@")[0])[:140] or "user"
    names = (stem if number == 1 else f"{stem}{number}" for number in count(1))
    return next(name for name in names if not called("username", name).exists())


def random_password() -> str:
    """Four groups of five, about 99 bits, to be read and typed once."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))


def one_at_a_time() -> None:
    """Whoever else comes here waits for the end of this transaction: one row that there always is, is locked."""
    ContentType.objects.select_for_update().get(app_label="accounts", model="user")
