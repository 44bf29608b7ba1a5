"""The admin pages of people and organizations, through HTTP."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts import tokens
from accounts.models import Organization, RefreshToken, User
from accounts.tests.conftest import PASSWORD

PAGES = ("user", "organization", "membership", "refreshtoken")


@pytest.fixture
def staff(cast: SimpleNamespace, client: Client) -> Client:
    client.force_login(cast.sam)
    return client


@pytest.fixture
def clerk(cast: SimpleNamespace, client: Client) -> Client:
    """Staff that may change people, but is no superuser."""
    clerk = User.objects.create(username="clerk", email="clerk@example.org", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=("view_user", "change_user", "delete_user")))
    client.force_login(clerk)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_staff_sees_every_list_and_finds_in_it(cast: SimpleNamespace, staff: Client, page: str) -> None:
    tokens.issue(cast.alice)
    answer = staff.get(f"/admin/accounts/{page}/?q=alice")
    assert answer.status_code == 200
    assert (b"Acme" if page == "organization" else b"alice") in answer.content
    assert b"Globex" not in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_an_owner_of_an_organization_is_no_staff(cast: SimpleNamespace, client: Client, page: str) -> None:
    client.force_login(cast.alice)
    assert client.get(f"/admin/accounts/{page}/").status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_lists_cost_the_same_for_many(
    cast: SimpleNamespace, staff: Client, page: str, django_assert_max_num_queries
) -> None:
    for user in User.objects.all():
        for _ in range(3):
            tokens.issue(user)
    with django_assert_max_num_queries(10):
        assert staff.get(f"/admin/accounts/{page}/").status_code == 200


def test_forms_open(cast: SimpleNamespace, staff: Client) -> None:
    tokens.issue(cast.alice)
    membership, token = cast.alice.memberships.get(), RefreshToken.objects.get()
    for path in (
        f"user/{cast.alice.pk}/change/",
        f"user/{cast.alice.pk}/password/",
        "user/add/",
        f"organization/{cast.acme.pk}/change/",
        f"membership/{membership.pk}/change/",
        f"refreshtoken/{token.pk}/change/",
    ):
        assert staff.get(f"/admin/accounts/{path}").status_code == 200, path


def test_staff_adds_a_person(cast: SimpleNamespace, staff: Client) -> None:
    form = {"username": "bob", "email": "bob@example.org", "usable_password": "true"}
    answer = staff.post("/admin/accounts/user/add/", form | {"password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 302
    assert User.objects.get(username="bob").check_password(PASSWORD)


@pytest.mark.parametrize("field", ["username", "email"])
def test_nobody_is_added_twice_in_another_case(cast: SimpleNamespace, staff: Client, field: str) -> None:
    form = {"username": "bob", "email": "bob@example.org", "usable_password": "true"} | {
        field: getattr(cast.alice, field).upper()
    }
    answer = staff.post("/admin/accounts/user/add/", form | {"password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 200
    assert not User.objects.filter(username="bob").exists()


def test_a_new_password_by_staff_ends_every_session(cast: SimpleNamespace, staff: Client, bearer_of) -> None:
    api = bearer_of(tokens.issue(cast.alice).access)
    assert api.get("/api/v1/auth/me").status_code == 200
    form = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert staff.post(f"/admin/accounts/user/{cast.alice.pk}/password/", form).status_code == 302
    assert User.objects.get(pk=cast.alice.pk).check_password(PASSWORD)
    assert api.get("/api/v1/auth/me").status_code == 401


def test_staff_signs_people_out_everywhere(cast: SimpleNamespace, staff: Client, bearer_of, api_of) -> None:
    api, cookie, other = bearer_of(tokens.issue(cast.alice).access), api_of(cast.alice), api_of(cast.olga)
    form = {"action": "sign_out_everywhere", "_selected_action": [cast.alice.pk]}
    assert staff.post("/admin/accounts/user/", form).status_code == 302
    assert api.get("/api/v1/auth/me").status_code == 401
    assert cookie.get("/api/v1/auth/me").status_code == 401
    assert other.get("/api/v1/auth/me").status_code == 200


def test_staff_that_is_no_superuser_cannot_become_one(cast: SimpleNamespace, clerk: Client) -> None:
    assert clerk.get(f"/admin/accounts/user/{cast.sam.pk}/password/").status_code == 403
    assert clerk.post(f"/admin/accounts/user/{cast.sam.pk}/change/", {"username": "mine"}).status_code == 403
    assert clerk.post(f"/admin/accounts/user/{cast.sam.pk}/delete/", {"post": "yes"}).status_code == 403
    own = User.objects.get(username="clerk")
    form = {"username": "clerk", "email": "clerk@example.org", "is_active": "on", "is_superuser": "on"}
    assert clerk.post(f"/admin/accounts/user/{own.pk}/change/", form).status_code == 302
    own.refresh_from_db()
    assert not own.is_superuser
    assert own.user_permissions.count() == 3


def test_an_organization_is_only_stamped_never_deleted_in_one_go(cast: SimpleNamespace, staff: Client) -> None:
    assert staff.post(f"/admin/accounts/organization/{cast.acme.pk}/delete/", {"post": "yes"}).status_code == 403
    form = {"action": "close", "_selected_action": [cast.acme.pk]}
    assert staff.post("/admin/accounts/organization/", form).status_code == 302
    assert Organization.objects.get(pk=cast.acme.pk).deleted_at is not None
    assert Organization.objects.get(pk=cast.globex.pk).deleted_at is None


def test_refresh_tokens_are_looked_at_and_ended_but_never_written(cast: SimpleNamespace, staff: Client) -> None:
    pair = tokens.issue(cast.alice)
    tokens.rotate(str(pair.refresh))
    row = RefreshToken.objects.get(jti=pair.refresh["jti"])
    assert staff.get("/admin/accounts/refreshtoken/add/").status_code == 403
    assert staff.post(f"/admin/accounts/refreshtoken/{row.pk}/change/", {"revoked_at": ""}).status_code == 403
    staff.post("/admin/accounts/refreshtoken/", {"action": "revoke", "_selected_action": [row.pk]})
    assert not RefreshToken.objects.filter(revoked_at=None).exists()
