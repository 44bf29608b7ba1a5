from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.permissions import Actor
from devices import keys
from devices.authentication import DeviceKeyAuthentication
from devices.models import Device


@pytest.fixture
def own_page(cast: SimpleNamespace) -> str:
    return f"/api/v1/devices/{cast.boiler.uuid}"


@pytest.fixture
def ask(own_page: str) -> Callable[..., int]:
    """The status that a caller gets with this `Authorization` header."""

    def ask(header: str, path: str = own_page) -> int:
        return APIClient().get(path, headers={"Authorization": header}).status_code

    return ask


def test_a_device_reads_itself_with_its_key(cast: SimpleNamespace, own_page: str) -> None:
    _, secret = keys.issue(cast.boiler)
    answer = APIClient().get(own_page, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["name"]) == (200, "boiler")


def test_the_request_knows_device_organization_and_key(cast: SimpleNamespace, rf: object) -> None:
    key, secret = keys.issue(cast.boiler)
    request = rf.get("/", headers={"Authorization": f"bearer  {secret}"})
    assert DeviceKeyAuthentication().authenticate(request) == (
        Actor(organization_id=cast.acme.pk, device_id=cast.boiler.pk),
        key,
    )


def test_a_device_sees_nothing_but_itself(cast: SimpleNamespace, ask: Callable[..., int]) -> None:
    sibling = Device.objects.create(organization=cast.acme, name="sibling", device_type=cast.boiler.device_type)
    _, secret = keys.issue(cast.boiler)
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    assert [device["name"] for device in client.get("/api/v1/devices").json()["results"]] == ["boiler"]
    assert client.get(f"/api/v1/devices/{sibling.uuid}").status_code == 404
    assert client.get(f"/api/v1/devices/{cast.theirs.uuid}").status_code == 404


@pytest.mark.parametrize("path", ["units", "sensors", "sources", "device-types", "sensor-types"])
def test_a_device_reads_no_other_endpoint(cast: SimpleNamespace, ask: Callable[..., int], path: str) -> None:
    _, secret = keys.issue(cast.boiler)
    assert ask(f"Bearer {secret}", f"/api/v1/{path}") == 403


def test_a_device_changes_nothing(cast: SimpleNamespace, own_page: str) -> None:
    key, secret = keys.issue(cast.boiler)
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    assert client.patch(own_page, {"name": "mine"}).status_code == 403
    assert client.delete(own_page).status_code == 403
    assert client.get(f"{own_page}/keys").status_code == 403
    assert client.post(f"{own_page}/keys", {}).status_code == 403
    assert client.delete(f"{own_page}/keys/{key.pk}").status_code == 403


@pytest.mark.parametrize(
    "header", ["Bearer dk_", "Bearer dk_guess", "Bearer dk_aaaaaaaa_" + "a" * 43, "Bearer dk_é", "Bearer  dk_ a b"]
)
def test_an_unknown_key_is_401_and_says_how_to_sign_in(own_page: str, header: str) -> None:
    answer = APIClient().get(own_page, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["errors"][0]["code"] == "authentication_failed"


def test_a_revoked_key_is_401(cast: SimpleNamespace, ask: Callable[..., int]) -> None:
    key, secret = keys.issue(cast.boiler)
    keys.revoke(key)
    assert ask(f"Bearer {secret}") == 401


def test_the_key_of_a_deleted_device_is_401(cast: SimpleNamespace, ask: Callable[..., int]) -> None:
    _, secret = keys.issue(cast.boiler)
    cast.boiler.deleted_at = timezone.now()
    cast.boiler.save()
    assert ask(f"Bearer {secret}") == 401


def test_the_key_of_a_deleted_organization_is_401(cast: SimpleNamespace, ask: Callable[..., int]) -> None:
    _, secret = keys.issue(cast.boiler)
    cast.acme.deleted_at = timezone.now()
    cast.acme.save()
    assert ask(f"Bearer {secret}") == 401


@pytest.mark.parametrize("name", ["key", "token", "access_token", "Authorization"])
def test_a_key_in_the_address_is_ignored(cast: SimpleNamespace, own_page: str, name: str) -> None:
    _, secret = keys.issue(cast.boiler)
    assert APIClient().get(own_page, {name: secret}).status_code == 401


@pytest.mark.parametrize("scheme", ["Token", "Basic", ""])
def test_another_scheme_is_no_key(cast: SimpleNamespace, ask: Callable[..., int], scheme: str) -> None:
    _, secret = keys.issue(cast.boiler)
    assert ask(f"{scheme} {secret}") == 401
