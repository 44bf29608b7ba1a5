"""The endpoints of people and their organizations, through HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.exceptions import ValidationError
from rest_framework.test import APIClient

from accounts import tokens
from accounts.models import Membership, Organization, RefreshToken, Role, User
from accounts.serializers import UserSerializer
from accounts.tests.conftest import PASSWORD

AUTH = "/api/v1/auth"
ORGANIZATIONS = "/api/v1/organizations"
ADA = {"email": "Ada.L@example.org", "password": PASSWORD}
ApiOf = Callable[[User | None], APIClient]


def codes(answer: Any) -> set[tuple[str | None, str]]:
    return {(error["attr"], error["code"]) for error in answer.json()["errors"]}


# -- register -----------------------------------------------------------------------------------------------
def test_the_first_person_of_an_installation_runs_it(db: None, api_of: ApiOf) -> None:
    answer = api_of(None).post(f"{AUTH}/register", ADA | {"name": "Ada Lovelace"})
    assert answer.status_code == 201
    user = User.objects.get()
    assert answer.json()["user"] == {
        "id": user.pk,
        "username": "Ada.L",
        "email": "Ada.L@example.org",
        "name": "Ada Lovelace",
        "is_staff": True,
        "organizations": [
            {"id": Organization.objects.get().pk, "name": "Ada Lovelace's organization", "role": "owner"}
        ],
    }
    assert user.is_superuser
    assert user.check_password(PASSWORD)


def test_registration_signs_in(db: None, api_of: ApiOf, bearer_of) -> None:
    answer = api_of(None).post(f"{AUTH}/register", ADA | {"username": "ada", "organization": "Engines"})
    me = bearer_of(answer.json()["access_token"]).get(f"{AUTH}/me").json()
    assert (me["username"], me["organizations"][0]["name"]) == ("ada", "Engines")


def test_a_closed_installation_refuses_strangers_without_looking_at_them(cast: SimpleNamespace, api_of: ApiOf) -> None:
    for body in (ADA, {}, {"email": "alice@example.org", "password": "x"}):
        answer = api_of(None).post(f"{AUTH}/register", body)
        assert answer.status_code == 403
        assert codes(answer) == {(None, "registration_closed")}
    assert not User.objects.filter(email__iexact=ADA["email"]).exists()


def test_in_an_open_installation_a_later_person_is_no_staff(cast: SimpleNamespace, api_of: ApiOf, settings) -> None:
    settings.REGISTRATION_OPEN = True
    body = ADA | {"is_staff": True, "is_superuser": True, "role": "owner", "organizations": [cast.acme.pk]}
    answer = api_of(None).post(f"{AUTH}/register", body)
    assert answer.status_code == 201
    user = User.objects.get(email=ADA["email"])
    assert not user.is_staff
    assert not user.is_superuser
    assert [m.organization.name for m in user.memberships.all()] == ["Ada.L's organization"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"email": "ALICE@example.org"}, ("email", "unique")),
        ({"email": "no e-mail"}, ("email", "invalid")),
        ({"email": None}, ("email", "null")),
        ({"username": "Alice"}, ("username", "unique")),
        ({"username": "bob@example.org"}, ("username", "invalid")),
        ({"username": "a b"}, ("username", "invalid")),
        ({"password": "short"}, ("password", "weak_password")),
        ({"password": "12345678901"}, ("password", "weak_password")),
        ({"password": "ada.l@example.org"}, ("password", "weak_password")),
        ({"password": "x" * 129}, ("password", "max_length")),
        ({"organization": "x" * 121}, ("organization", "max_length")),
        ({"name": "x" * 151}, ("name", "max_length")),
    ],
)
def test_a_bad_registration_names_what_is_bad(
    cast: SimpleNamespace, api_of: ApiOf, settings, changed: dict[str, Any], error: tuple[str, str]
) -> None:
    settings.REGISTRATION_OPEN = True
    before = User.objects.count(), Organization.objects.count()
    answer = api_of(None).post(f"{AUTH}/register", ADA | changed)
    assert answer.status_code == 400
    assert error in codes(answer)
    assert (User.objects.count(), Organization.objects.count()) == before


# -- login --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", [{"username": "alice"}, {"email": "Alice@example.org"}, {"username": "ALICE@EXAMPLE.org"}]
)
def test_login_answers_tokens_and_the_person(
    cast: SimpleNamespace, api_of: ApiOf, with_password, bearer_of, name: dict[str, str]
) -> None:
    with_password(cast.alice)
    answer = api_of(None).post(f"{AUTH}/login", name | {"password": PASSWORD})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
    assert body["user"]["organizations"] == [{"id": cast.acme.pk, "name": "Acme", "role": "owner"}]
    assert bearer_of(body["access_token"]).get(f"{AUTH}/me").json() == body["user"]
    assert User.objects.get(pk=cast.alice.pk).last_login is not None


@pytest.mark.parametrize("who", ["alice", "nobody", "inactive"])
def test_every_wrong_login_gets_the_same_answer(cast: SimpleNamespace, api_of: ApiOf, with_password, who: str) -> None:
    User.objects.create(username="inactive", email="inactive@example.org", is_active=False)
    with_password(User.objects.get(username="inactive"))
    answer = api_of(None).post(f"{AUTH}/login", {"username": who, "password": "wrong" if who == "alice" else PASSWORD})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["errors"] == [
        {"code": "authentication_failed", "detail": "Wrong username, e-mail or password.", "attr": None}
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": "x"},
        {"username": "alice"},
        {"username": "", "password": "x"},
        {"username": "a\u0001\u0000", "password": "x"},
        [],
    ],
)
def test_an_incomplete_login_is_400(db: None, api_of: ApiOf, body: Any) -> None:
    assert api_of(None).post(f"{AUTH}/login", body).status_code == 400


def test_an_old_token_does_not_hinder_a_login(cast: SimpleNamespace, with_password, bearer_of) -> None:
    with_password(cast.alice)
    answer = bearer_of("long gone").post(f"{AUTH}/login", {"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200


# -- refresh ------------------------------------------------------------------------------------------------
def test_refresh_answers_the_next_pair_once(cast: SimpleNamespace, api_of: ApiOf, bearer_of) -> None:
    body = {"refresh_token": str(tokens.issue(cast.alice).refresh)}
    answer = api_of(None).post(f"{AUTH}/refresh", body)
    assert answer.status_code == 200
    assert bearer_of(answer.json()["access_token"]).get(f"{AUTH}/me").status_code == 200
    again = api_of(None).post(f"{AUTH}/refresh", body)
    assert again.status_code == 401
    assert again["WWW-Authenticate"].startswith("Bearer")
    assert codes(again) == {(None, "token_not_valid")}
    stolen = api_of(None).post(f"{AUTH}/refresh", {"refresh_token": answer.json()["refresh_token"]})
    assert stolen.status_code == 401
    assert bearer_of(answer.json()["access_token"]).get(f"{AUTH}/me").status_code == 401


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": {}}])
def test_a_refresh_without_token_is_400(db: None, api_of: ApiOf, body: Any) -> None:
    assert api_of(None).post(f"{AUTH}/refresh", body).status_code == 400


# -- logout -------------------------------------------------------------------------------------------------
def test_logout_ends_this_sign_in_and_no_other(cast: SimpleNamespace, bearer_of, api_of: ApiOf) -> None:
    here, there = tokens.issue(cast.alice), tokens.issue(cast.alice)
    assert bearer_of(here.access).post(f"{AUTH}/logout").status_code == 204
    assert bearer_of(here.access).get(f"{AUTH}/me").status_code == 401
    assert api_of(None).post(f"{AUTH}/refresh", {"refresh_token": str(here.refresh)}).status_code == 401
    assert bearer_of(there.access).get(f"{AUTH}/me").status_code == 200


def test_logout_of_a_cookie_ends_it(cast: SimpleNamespace, api_of: ApiOf) -> None:
    api = api_of(cast.alice)
    assert api.post(f"{AUTH}/logout").status_code == 204
    assert api.get(f"{AUTH}/me").status_code == 401


def test_logout_everywhere_ends_all_of_this_person_only(cast: SimpleNamespace, bearer_of, api_of: ApiOf) -> None:
    here, there, cookie = tokens.issue(cast.alice), tokens.issue(cast.alice), api_of(cast.alice)
    other = tokens.issue(cast.olga)
    assert bearer_of(here.access).post(f"{AUTH}/logout", {"everywhere": True}).status_code == 204
    assert bearer_of(there.access).get(f"{AUTH}/me").status_code == 401
    assert api_of(None).post(f"{AUTH}/refresh", {"refresh_token": str(there.refresh)}).status_code == 401
    assert cookie.get(f"{AUTH}/me").status_code == 401
    assert bearer_of(other.access).get(f"{AUTH}/me").status_code == 200
    assert not RefreshToken.objects.filter(user=cast.alice, revoked_at=None).exists()


# -- verify and me ------------------------------------------------------------------------------------------
def test_verify_tells_who_and_until_when(cast: SimpleNamespace, bearer_of) -> None:
    body = bearer_of(tokens.issue(cast.alice).access).get(f"{AUTH}/verify").json()
    assert (body["authenticated"], body["token_type"], body["user"]["username"]) == (True, "access_token", "alice")
    assert isinstance(body["expires"], int)
    assert body["expires"] - body["issued_at"] == 1800
    assert abs(body["issued_at"] - time.time()) < 5


def test_verify_knows_a_cookie(cast: SimpleNamespace, api_of: ApiOf) -> None:
    body = api_of(cast.alice).get(f"{AUTH}/verify").json()
    assert (body["token_type"], body["issued_at"]) == ("session", None)
    assert body["expires"] > time.time() + 6 * 24 * 3600


@pytest.mark.parametrize("path", ["auth/verify", "auth/me", "auth/logout", "organizations"])
def test_a_stranger_is_nobody(db: None, api_of: ApiOf, path: str) -> None:
    method = "post" if path == "auth/logout" else "get"
    assert getattr(api_of(None), method)(f"/api/v1/{path}").status_code == 401


def test_who_belongs_nowhere_still_knows_themselves(cast: SimpleNamespace, api_of: ApiOf) -> None:
    assert api_of(cast.norma).get(f"{AUTH}/me").json()["organizations"] == []


def test_me_leaves_out_an_organization_that_is_deleted(cast: SimpleNamespace, api_of: ApiOf) -> None:
    api = api_of(cast.alice)
    assert len(api.get(f"{AUTH}/me").json()["organizations"]) == 1
    api.delete(f"{ORGANIZATIONS}/{cast.acme.pk}")
    assert api.get(f"{AUTH}/me").json()["organizations"] == []


def test_a_person_changes_name_and_e_mail_and_nothing_else(cast: SimpleNamespace, api_of: ApiOf) -> None:
    body = {
        "name": "Vera Rubin",
        "email": "rubin@example.org",
        "username": "root",
        "is_staff": True,
        "is_superuser": True,
        "token_version": 9,
        "organizations": [{"id": cast.globex.pk, "role": "owner"}],
    }
    answer = api_of(cast.vera).patch(f"{AUTH}/me", body)
    assert answer.status_code == 200
    vera = User.objects.get(pk=cast.vera.pk)
    assert (vera.get_full_name(), vera.email, vera.username) == ("Vera Rubin", "rubin@example.org", "vera")
    assert (vera.is_staff, vera.is_superuser, vera.token_version) == (False, False, 0)
    assert [(m.organization, m.role) for m in vera.memberships.all()] == [(cast.acme, Role.VIEWER)]


def test_a_change_does_not_bring_back_sessions_that_end_meanwhile(cast: SimpleNamespace, api_of: ApiOf) -> None:
    stale = User.objects.get(pk=cast.vera.pk)
    cast.vera.revoke_tokens()
    UserSerializer().update(stale, {"first_name": "Vera"})
    assert User.objects.get(pk=cast.vera.pk).token_version == 1


def test_put_replaces_me(cast: SimpleNamespace, api_of: ApiOf) -> None:
    api = api_of(cast.vera)
    assert api.put(f"{AUTH}/me", {"name": "Vera"}).status_code == 400
    assert api.put(f"{AUTH}/me", {"name": "Vera", "email": "VERA@example.org"}).status_code == 200


@pytest.mark.parametrize(
    "email", ["Alice@example.org", "alice@example.org", "", None, "nonsense", "x" * 250 + "@a.org"]
)
def test_an_e_mail_that_cannot_be_is_refused(cast: SimpleNamespace, api_of: ApiOf, email: Any) -> None:
    assert api_of(cast.vera).patch(f"{AUTH}/me", {"email": email}).status_code == 400
    assert User.objects.get(pk=cast.vera.pk).email == "vera@example.org"


def test_two_who_take_the_same_e_mail_at_once_are_kept_apart_by_the_database(
    cast: SimpleNamespace, monkeypatch
) -> None:
    with pytest.raises(ValidationError):  # as if the other had come between check and save
        UserSerializer().update(cast.vera, {"email": "ALICE@example.org"})
    assert User.objects.get(pk=cast.vera.pk).email == "vera@example.org"


# -- organizations ------------------------------------------------------------------------------------------
def test_people_see_their_organizations_with_their_role(cast: SimpleNamespace, api_of: ApiOf) -> None:
    Membership.objects.create(user=cast.vera, organization=cast.globex, role=Role.ADMIN)
    answer = api_of(cast.vera).get(ORGANIZATIONS).json()
    assert [(row["name"], row["role"]) for row in answer["results"]] == [("Acme", "viewer"), ("Globex", "admin")]
    assert answer["count"] == 2
    assert api_of(cast.norma).get(ORGANIZATIONS).json()["results"] == []
    assert api_of(cast.sam).get(ORGANIZATIONS).json()["results"] == []


@pytest.mark.parametrize(
    ("who", "read", "write", "delete"),
    [
        ("vera", 200, 403, 403),
        ("olga", 200, 403, 403),
        ("adam", 200, 200, 403),
        ("alice", 200, 200, 200),
        ("mallory", 404, 404, 404),
        ("norma", 404, 404, 404),
        ("sam", 404, 404, 404),
        (None, 401, 401, 401),
    ],
)
def test_the_role_decides(
    cast: SimpleNamespace, api_of: ApiOf, who: str | None, read: int, write: int, delete: int
) -> None:
    api, path = api_of(getattr(cast, who) if who else None), f"{ORGANIZATIONS}/{cast.acme.pk}"
    assert api.get(path).status_code == read
    assert api.patch(path, {"name": "Renamed"}).status_code == write
    assert api.put(path, {"name": "Renamed"}).status_code == write
    assert Organization.objects.get(pk=cast.acme.pk).name == ("Renamed" if write == 200 else "Acme")
    assert api.delete(path).status_code == delete
    assert (Organization.objects.get(pk=cast.acme.pk).deleted_at is not None) == (delete == 200)


def test_the_role_in_that_very_organization_counts(cast: SimpleNamespace, api_of: ApiOf) -> None:
    Membership.objects.create(user=cast.mallory, organization=cast.acme, role=Role.VIEWER)
    path = f"{ORGANIZATIONS}/{cast.acme.pk}"
    for headers in ({}, {"X-Organization": str(cast.globex.pk)}, {"X-Organization": str(cast.acme.pk)}):
        assert api_of(cast.mallory).patch(path, {"name": "Mine"}, headers=headers).status_code == 403
        assert api_of(cast.mallory).delete(path, headers=headers).status_code == 403


def test_an_organization_goes_at_once_and_tells_what_went(cast: SimpleNamespace, api_of: ApiOf) -> None:
    api = api_of(cast.alice)
    answer = api.delete(f"{ORGANIZATIONS}/{cast.acme.pk}")
    assert (answer.status_code, answer.json()) == (200, {"organizations": 1, "members": 4})
    assert api.get(f"{ORGANIZATIONS}/{cast.acme.pk}").status_code == 404
    assert api.delete(f"{ORGANIZATIONS}/{cast.acme.pk}").status_code == 404
    assert api_of(cast.vera).get(ORGANIZATIONS).json()["results"] == []
    assert api_of(cast.mallory).get(ORGANIZATIONS).json()["count"] == 1


@pytest.mark.parametrize("who", ["norma", "vera"])
def test_anybody_signed_in_may_found_an_organization(cast: SimpleNamespace, api_of: ApiOf, who: str) -> None:
    user = getattr(cast, who)
    answer = api_of(user).post(ORGANIZATIONS, {"name": "Second", "deleted_at": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["role"]) == (201, "owner")
    membership = Membership.objects.get(user=user, organization=answer.json()["id"])
    assert membership.role == Role.OWNER
    assert membership.organization.deleted_at is None


@pytest.mark.parametrize("name", ["", "   ", None, "x" * 121, [], "a\u0000b"])
def test_a_name_that_cannot_be_is_refused(cast: SimpleNamespace, api_of: ApiOf, name: Any) -> None:
    assert api_of(cast.alice).post(ORGANIZATIONS, {"name": name}).status_code == 400
    assert api_of(cast.alice).patch(f"{ORGANIZATIONS}/{cast.acme.pk}", {"name": name}).status_code == 400


@pytest.mark.parametrize("key", ["0", "-1", "abc", "9223372036854775808", "null", "1%20OR%201=1"])
def test_an_id_that_cannot_be_is_not_found(cast: SimpleNamespace, api_of: ApiOf, key: str) -> None:
    assert api_of(cast.alice).get(f"{ORGANIZATIONS}/{key}").status_code == 404


def test_the_list_costs_the_same_for_many(cast: SimpleNamespace, api_of: ApiOf, django_assert_num_queries) -> None:
    api = api_of(cast.alice)
    for number in range(20):
        api.post(ORGANIZATIONS, {"name": f"Number {number}"})
    with django_assert_num_queries(5):  # session, person, membership, count, rows
        assert len(api.get(ORGANIZATIONS).json()["results"]) == 21
    with django_assert_num_queries(4):  # session, person, membership of the actor, memberships
        api.get(f"{AUTH}/me")
