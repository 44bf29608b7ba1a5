"""The first owner: by command, by settings, by registration, and only once."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from types import SimpleNamespace

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import tokens
from accounts.models import Membership, Organization, Role, User
from accounts.ownership import close_organizations, create_owner, free_username, random_password, register
from accounts.tests.conftest import PASSWORD


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_the_first_owner_runs_everything_and_owns_home(db: None) -> None:
    user, password = create_owner("ada@example.org")
    assert (user.username, user.is_staff, user.is_superuser) == ("ada", True, True)
    assert [(m.organization.name, m.role) for m in user.memberships.all()] == [("Home", Role.OWNER)]
    assert authenticate(username="ada", password=password) == user


def test_a_given_password_is_not_given_back(db: None) -> None:
    user, password = create_owner("ada@example.org", PASSWORD)
    assert password is None
    assert user.check_password(PASSWORD)


@pytest.mark.parametrize(("email", "password"), [("nonsense", None), ("ada@example.org", "admin"), ("", None)])
def test_a_bad_first_owner_is_refused_and_leaves_nothing(db: None, email: str, password: str | None) -> None:
    with pytest.raises(ValidationError):
        create_owner(email, password)
    assert not User.objects.exists()
    assert not Organization.objects.exists()


def test_random_passwords_differ_and_can_be_typed() -> None:
    passwords = {random_password() for _ in range(100)}
    assert len(passwords) == 100
    assert all(re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", password) for password in passwords)


@pytest.mark.parametrize(
    ("email", "username"),
    [
        ("bob@example.org", "bob"),
        ("Alice@elsewhere.org", "Alice2"),
        ('"a b"@example.org', "ab"),
        ("!!@example.org", "user"),
    ],
)
def test_a_username_is_made_from_the_e_mail(cast: SimpleNamespace, email: str, username: str) -> None:
    assert free_username(email) == username


def test_the_command_makes_one_owner_and_prints_the_login(db: None) -> None:
    found = re.search(r"Sign in as (\S+) with (\S+)", run("create_owner"))
    assert found
    assert authenticate(username=found[1], password=found[2]) == User.objects.get(email="admin@localhost")
    again = run("create_owner")
    assert "owner already" in again
    assert found[2] not in again
    assert User.objects.count() == 1


def test_the_command_takes_the_settings_and_keeps_the_password_to_itself(db: None, settings) -> None:
    settings.ADMIN_EMAIL, settings.ADMIN_PASSWORD = "grace@example.org", PASSWORD
    assert PASSWORD not in run("create_owner")
    assert authenticate(username="grace@example.org", password=PASSWORD)


def test_the_command_refuses_a_weak_password(db: None, settings) -> None:
    settings.ADMIN_PASSWORD = "admin"
    with pytest.raises(CommandError, match="too short"):
        run("create_owner")
    assert not User.objects.exists()


def test_the_command_makes_nothing_where_somebody_owns(cast: SimpleNamespace) -> None:
    before = User.objects.count()
    assert "owner already" in run("create_owner")
    assert User.objects.count() == before


def test_the_command_makes_an_owner_where_people_own_nothing(cast: SimpleNamespace) -> None:
    Membership.objects.all().delete()
    run("create_owner")
    assert Membership.objects.get().user.email == "admin@localhost"


def test_what_is_closed_already_is_not_counted_again(cast: SimpleNamespace) -> None:
    assert close_organizations([cast.acme, cast.globex]) == {"organizations": 2, "members": 5}
    closed_at = Organization.objects.get(pk=cast.acme.pk).deleted_at
    assert close_organizations([cast.acme, cast.globex]) == {"organizations": 0, "members": 0}
    assert Organization.objects.get(pk=cast.acme.pk).deleted_at == closed_at


@pytest.mark.parametrize("who", ["alice", "ALICE@example.org"])
def test_a_new_password_works_and_ends_every_session(cast: SimpleNamespace, with_password, api_of, who: str) -> None:
    with_password(cast.alice)
    pair, cookie = tokens.issue(cast.alice), api_of(cast.alice)
    found = re.search(r"Sign in as alice with (\S+)", run("password", who))
    assert found
    assert authenticate(username="alice", password=found[1]) == cast.alice
    assert authenticate(username="alice", password=PASSWORD) is None
    assert cookie.get("/api/v1/auth/me").status_code == 401
    for use in (tokens.bearer, tokens.rotate):
        with pytest.raises(tokens.TokenError):
            use(str(pair.access if use is tokens.bearer else pair.refresh))


def test_without_a_name_the_first_owner_gets_the_new_password(cast: SimpleNamespace) -> None:
    assert "Sign in as sam with" in run("password")


def test_a_new_password_for_nobody_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="nobody called bob"):
        run("password", "bob")
    with pytest.raises(CommandError, match="create_owner"):
        run("password")


@pytest.mark.django_db(transaction=True)
def test_of_four_who_come_first_at_the_same_time_one_runs_the_installation(on_disk: None, settings) -> None:
    settings.REGISTRATION_OPEN = True
    barrier = threading.Barrier(4)

    def come(number: int) -> None:
        user = User(email=f"person{number}@example.org")
        barrier.wait()
        register(user, PASSWORD)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come, range(4)))
    assert User.objects.count() == Organization.objects.count() == 4
    assert User.objects.filter(is_superuser=True).count() == 1
