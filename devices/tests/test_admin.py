"""The admin pages of devices and what belongs to them, through HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client

from accounts.models import User
from devices import keys
from devices.broker import BrokerAway, CheckedAtConnect
from devices.models import BrokerLink, Device, DeviceKey, DeviceState, Source
from devices.tests.test_api import add_device, add_sensor

PAGES = (
    "unit",
    "sensortype",
    "devicetype",
    "device",
    "devicestate",
    "sensor",
    "source",
    "devicekey",
    "brokerlink",
)


@pytest.fixture
def staff(cast: SimpleNamespace, client: Client) -> Client:
    client.force_login(cast.sam)
    return client


@pytest.fixture
def world(cast: SimpleNamespace) -> SimpleNamespace:
    """One of everything, so that no list is empty."""
    DeviceState.objects.create(device=cast.boiler, status="online", last_seen_at=datetime.now(UTC))
    keys.issue(cast.boiler)
    add_source(cast, "sensors/+/+")
    BrokerLink.objects.create(name="listener")
    return cast


def add_source(cast: SimpleNamespace, topic_filter: str) -> Source:
    return Source.objects.create(
        organization=cast.acme, name="boards", scheme="typed_topic", topic_filter=topic_filter, device=cast.boiler
    )


def act(client: Client, page: str, action: str, *ids: int) -> list[str]:
    """Run an action of a list; the messages that staff then see."""
    answer = client.post(f"/admin/devices/{page}/", {"action": action, "_selected_action": ids})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def secret_in(message: str) -> str:
    [secret] = re.findall(r"dk_\S+", message)
    return secret


def broker_away(*_: object, **__: object) -> None:
    raise BrokerAway


@pytest.mark.parametrize("page", PAGES)
def test_staff_sees_every_list_and_searches_it(world: SimpleNamespace, staff: Client, page: str) -> None:
    assert staff.get(f"/admin/devices/{page}/").status_code == 200
    assert staff.get(f"/admin/devices/{page}/?q=boiler").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_an_owner_of_an_organization_is_no_staff(world: SimpleNamespace, client: Client, page: str) -> None:
    client.force_login(world.alice)
    assert client.get(f"/admin/devices/{page}/").status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_lists_cost_the_same_for_many(
    world: SimpleNamespace, staff: Client, page: str, django_assert_max_num_queries: Any
) -> None:
    for n in range(12):
        device = add_device(world, f"number {n}", unit=world.floor)
        DeviceState.objects.create(device=device)
        add_sensor(device, "humidity")
        keys.issue(device, created_by=world.sam)
        add_source(world, f"site{n}/+/+")
    with django_assert_max_num_queries(9):
        assert staff.get(f"/admin/devices/{page}/").status_code == 200


def test_forms_open_and_show_status_and_sensors(world: SimpleNamespace, staff: Client) -> None:
    page = staff.get(f"/admin/devices/device/{world.boiler.pk}/change/").content.decode()
    assert "online" in page
    assert "boiler temperature" in page
    source = Source.objects.get()
    for path in (
        f"unit/{world.floor.pk}",
        f"sensor/{world.temperature.pk}",
        f"source/{source.pk}",
        f"sensortype/{world.temperature.sensor_type_id}",
        f"devicetype/{world.boiler.device_type_id}",
    ):
        assert staff.get(f"/admin/devices/{path}/change/").status_code == 200
    for path in ("unit", "device", "sensor", "source", "sensortype", "devicetype"):
        assert staff.get(f"/admin/devices/{path}/add/").status_code == 200


@pytest.mark.parametrize("page", ["devicestate", "devicekey", "brokerlink"])
def test_what_the_platform_writes_itself_is_only_looked_at(world: SimpleNamespace, staff: Client, page: str) -> None:
    model = {"devicestate": DeviceState, "devicekey": DeviceKey, "brokerlink": BrokerLink}[page]
    row = model.objects.get()
    assert staff.get(f"/admin/devices/{page}/{row.pk}/change/").status_code == 200
    assert staff.get(f"/admin/devices/{page}/add/").status_code == 403
    assert staff.post(f"/admin/devices/{page}/{row.pk}/change/", {"name": "x"}).status_code == 403
    assert staff.post(f"/admin/devices/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_issued_key_is_shown_once(cast: SimpleNamespace, staff: Client) -> None:
    [message] = act(staff, "device", "issue_key", cast.boiler.pk)
    key = keys.find(secret_in(message))
    assert (key.device, key.created_by) == (cast.boiler, cast.sam)
    page = f"/admin/devices/devicekey/{key.pk}/change/"
    assert secret_in(message) in staff.get(page).content.decode()
    assert secret_in(message) not in staff.get(page).content.decode()


def test_a_key_of_a_source_is_issued_from_its_list(cast: SimpleNamespace, staff: Client) -> None:
    source = add_source(cast, "sensors/+/+")
    [message] = act(staff, "source", "issue_key", source.pk)
    assert keys.find(secret_in(message)).username == str(source.uuid)


def test_staff_without_the_right_issues_no_key(cast: SimpleNamespace, client: Client) -> None:
    clerk = User.objects.create(username="clerk", email="clerk@example.org", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=("view_device", "change_device")))
    client.force_login(clerk)
    act(client, "device", "issue_key", cast.boiler.pk)
    assert not DeviceKey.objects.exists()


def test_a_key_is_revoked_from_the_list(cast: SimpleNamespace, staff: Client) -> None:
    key, secret = keys.issue(cast.boiler)
    assert act(staff, "devicekey", "revoke", key.pk) == ["1 revoked."]
    assert keys.find(secret) is None


@pytest.mark.parametrize(
    ("page", "action", "broken"),
    [("device", "issue_key", "allow"), ("device", "delete_devices", "forbid"), ("devicekey", "revoke", "forbid")],
)
def test_a_broker_that_is_away_is_said_so(
    cast: SimpleNamespace, staff: Client, monkeypatch: pytest.MonkeyPatch, page: str, action: str, broken: str
) -> None:
    key, _ = keys.issue(cast.boiler)
    monkeypatch.setattr(CheckedAtConnect, broken, broker_away)
    [message] = act(staff, page, action, key.pk if page == "devicekey" else cast.boiler.pk)
    assert "broker" in message


def test_a_device_is_deleted_by_the_action_alone(cast: SimpleNamespace, staff: Client) -> None:
    assert staff.post(f"/admin/devices/device/{cast.boiler.pk}/delete/", {"post": "yes"}).status_code == 403
    assert act(staff, "device", "delete_devices", cast.boiler.pk) == ["1 deleted, with 1 sensors."]
    cast.boiler.refresh_from_db()
    assert cast.boiler.deleted_at
    assert staff.get(f"/admin/devices/device/{cast.boiler.pk}/change/").status_code == 302


def source_form(cast: SimpleNamespace, **fields: Any) -> dict[str, Any]:
    return {
        "organization": cast.acme.pk,
        "name": "boards",
        "scheme": "typed_topic",
        "topic_filter": "sensors/+/+",
        "device": cast.boiler.pk,
        "is_enabled": "on",
        **fields,
    }


def test_a_source_is_made_and_the_broker_follows(
    cast: SimpleNamespace, staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(CheckedAtConnect, "update_roles", lambda _self: told.append("roles"))
    assert staff.post("/admin/devices/source/add/", source_form(cast)).status_code == 302
    source = Source.objects.get()
    assert staff.post(f"/admin/devices/source/{source.pk}/delete/", {"post": "yes"}).status_code == 302
    assert told == ["roles", "roles"]


@pytest.mark.parametrize(
    "change", [{"topic_filter": "devices/+/up/#"}, {"topic_filter": "taken/x/y"}, {"topic_filter": ""}]
)
def test_a_bad_source_is_refused(cast: SimpleNamespace, staff: Client, change: dict[str, Any]) -> None:
    add_source(cast, "taken/+/+")
    assert staff.post("/admin/devices/source/add/", source_form(cast, **change)).status_code == 200
    assert Source.objects.count() == 1


def test_nothing_leads_to_another_organization(cast: SimpleNamespace, staff: Client) -> None:
    crossed = source_form(cast, device=cast.theirs.pk)
    assert staff.post("/admin/devices/source/add/", crossed).status_code == 200
    form = {
        "name": "boiler",
        "device_type": cast.boiler.device_type_id,
        "unit": cast.their_floor.pk,
        "reading_interval_seconds": 60,
        "mode": "active",
        "clock": "device",
        "sensors-TOTAL_FORMS": 0,
        "sensors-INITIAL_FORMS": 0,
    }
    page = f"/admin/devices/device/{cast.boiler.pk}/change/"
    assert b"belongs to another organization" in staff.post(page, form).content
    assert staff.post(page, form | {"unit": cast.floor.pk, "location": "cellar"}).status_code == 302
    assert Device.objects.get(pk=cast.boiler.pk).location == "cellar"
    assert not Source.objects.exists()
