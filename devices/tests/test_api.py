"""Units, device types and devices over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from devices import keys
from devices.broker import BrokerAway, CheckedAtConnect
from devices.models import Device, DeviceKey, DeviceState, Sensor, SensorType, Source, Unit

Api = Callable[[User | None], APIClient]
UNITS, DEVICES = "/api/v1/units", "/api/v1/devices"


def problems(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    return {error["attr"]: error["code"] for error in response.json()["errors"]}


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()["results"]]


def add_device(cast: SimpleNamespace, name: str, **fields: Any) -> Device:
    return Device.objects.create(organization=cast.acme, name=name, device_type=cast.boiler.device_type, **fields)


def add_sensor(device: Device, key: str, **fields: Any) -> Sensor:
    return Sensor.objects.create(
        device=device, key=key, name=key, sensor_type=SensorType.objects.get(code="humidity"), **fields
    )


# -- units --------------------------------------------------------------------------------------------------
def test_an_operator_makes_reads_and_changes_a_unit(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.olga)
    made = api.post(UNITS, {"name": "Hall", "location": "Building 1"})
    assert made.status_code == 201
    page = f"{UNITS}/{made.json()['id']}"
    assert api.get(page).json() == made.json()
    assert made.json()["created_at"].endswith("Z")
    assert api.patch(page, {"description": "cold"}).json() == made.json() | {"description": "cold"}
    assert api.put(page, {"name": "Yard", "location": "Outside"}).json()["name"] == "Yard"
    assert Unit.objects.get(name="Yard").organization == cast.acme


def test_a_viewer_only_reads_units(cast: SimpleNamespace, api_of: Api) -> None:
    api, page = api_of(cast.vera), f"{UNITS}/{cast.floor.pk}"
    assert names(api.get(UNITS)) == ["boiler room"]
    assert api.post(UNITS, {"name": "Hall", "location": "x"}).status_code == 403
    assert api.patch(page, {"name": "x"}).status_code == 403
    assert api_of(cast.olga).delete(page).status_code == 403


def test_the_devices_of_a_deleted_unit_stay(cast: SimpleNamespace, api_of: Api) -> None:
    assert api_of(cast.adam).delete(f"{UNITS}/{cast.floor.pk}").status_code == 204
    cast.boiler.refresh_from_db()
    assert cast.boiler.unit is None


@pytest.mark.parametrize("body", [{}, {"name": "", "location": "x"}, {"name": "x" * 256, "location": "x"}])
def test_a_unit_without_a_proper_name_and_place_is_refused(cast: SimpleNamespace, api_of: Api, body: Any) -> None:
    assert "name" in problems(api_of(cast.olga).post(UNITS, body))


def test_the_organization_of_a_unit_cannot_be_chosen(cast: SimpleNamespace, api_of: Api) -> None:
    body = {"name": "Hall", "location": "x", "organization": cast.globex.pk, "organization_id": cast.globex.pk}
    made = api_of(cast.olga).post(UNITS, body)
    assert Unit.objects.get(pk=made.json()["id"]).organization == cast.acme
    api_of(cast.olga).patch(f"{UNITS}/{cast.floor.pk}", body)
    cast.floor.refresh_from_db()
    assert cast.floor.organization == cast.acme


def test_the_statistics_of_a_unit_count_its_sensors_by_status(
    cast: SimpleNamespace, api_of: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    add_sensor(cast.boiler, "humidity")
    add_sensor(cast.boiler, "old", status="inactive")
    add_sensor(add_device(cast, "press", unit=cast.floor), "oil", status="maintenance")
    add_sensor(add_device(cast, "elsewhere"), "humidity")
    gone = add_device(cast, "gone", unit=cast.floor, deleted_at=datetime.now(UTC))
    add_sensor(gone, "humidity")
    assert api_of(cast.vera).get(f"{UNITS}/{cast.floor.pk}/statistics").json() == {
        "unit_id": cast.floor.pk,
        "unit_name": "boiler room",
        "total_sensors": 4,
        "active_sensors": 2,
        "inactive_sensors": 1,
        "maintenance_sensors": 1,
    }


@pytest.mark.parametrize("identity", ["0", "-1", str(2**63), str(10**40), "null", "1 OR 1=1", "%00"])
def test_an_id_that_cannot_be_is_not_found(cast: SimpleNamespace, api_of: Api, identity: str) -> None:
    for page in (f"{UNITS}/{identity}", f"{UNITS}/{identity}/statistics", f"{DEVICES}/{identity}"):
        assert api_of(cast.alice).get(page).status_code == 404
    assert api_of(cast.alice).get(f"{DEVICES}/{identity}/keys").status_code == 404


# -- catalogue ----------------------------------------------------------------------------------------------
def test_everyone_reads_the_catalogue_and_nobody_changes_it(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.vera)
    assert api.get("/api/v1/device-types/thermostat").json() == {
        "code": "thermostat",
        "name": "Thermostat",
        "sensor_types": ["humidity", "pressure", "temperature"],
    }
    assert api.get("/api/v1/sensor-types/temperature").json() == {
        "code": "temperature",
        "name": "Temperature",
        "kind": "number",
        "unit": "celsius",
        "unit_symbol": "°C",
        "minimum": -50.0,
        "maximum": 1000.0,
    }
    for path in ("device-types", "sensor-types"):
        assert api_of(cast.alice).post(f"/api/v1/{path}", {"code": "x", "name": "x"}).status_code == 405
        assert api_of(None).get(f"/api/v1/{path}").status_code == 401
        assert api_of(cast.norma).get(f"/api/v1/{path}").status_code == 403


def test_the_catalogue_is_listed_with_few_queries(
    cast: SimpleNamespace, api_of: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = api_of(cast.vera)
    with django_assert_num_queries(3 + 3):  # session, user, membership; count, rows, their sensor types
        assert len(api.get("/api/v1/device-types").json()["results"]) == 7


# -- devices ------------------------------------------------------------------------------------------------
def test_a_new_device_gets_the_sensors_that_its_type_usually_has(cast: SimpleNamespace, api_of: Api) -> None:
    made = api_of(cast.olga).post(DEVICES, {"name": "Hall", "device_type": "thermostat", "unit": cast.floor.pk})
    assert made.status_code == 201
    answer = made.json()
    assert answer == api_of(cast.vera).get(f"{DEVICES}/{answer['uuid']}").json()
    assert (answer["status"], answer["mode"], answer["unit_name"]) == ("registered", "active", "boiler room")
    assert (answer["last_seen_at"], answer["external_id"]) == (None, None)
    assert [(sensor["key"], sensor["unit"], sensor["unit_symbol"]) for sensor in answer["sensors"]] == [
        ("humidity", "percentage", "%"),
        ("pressure", "pascal", "Pa"),
        ("temperature", "celsius", "°C"),
    ]
    assert Device.objects.get(uuid=answer["uuid"]).organization == cast.acme


def test_a_new_device_may_name_its_own_sensors(cast: SimpleNamespace, api_of: Api) -> None:
    sensors = [
        {"key": "t1", "sensor_type": "temp", "unit": "°F", "name": "Inlet"},
        {"key": "lux", "sensor_type": "luminosity"},
    ]
    made = api_of(cast.olga).post(DEVICES, {"name": "Hall", "device_type": "generic", "sensors": sensors})
    assert [(s["key"], s["sensor_type"], s["unit"], s["name"]) for s in made.json()["sensors"]] == [
        ("lux", "light", "lux", "Light"),
        ("t1", "temperature", "fahrenheit", "Inlet"),
    ]
    bare = api_of(cast.olga).post(DEVICES, {"name": "Bare", "device_type": "thermostat", "sensors": []})
    assert bare.json()["sensors"] == []


@pytest.mark.parametrize(
    ("sensors", "where"),
    [
        ([{"key": "a", "sensor_type": "nonsense"}], "sensors.0.sensor_type"),
        ([{"key": "a", "sensor_type": "temperature", "unit": "lux"}], "sensors.0.unit"),
        ([{"key": "a", "sensor_type": "temperature", "unit": "furlong"}], "sensors.0.unit"),
        ([{"key": "a b", "sensor_type": "temperature"}], "sensors.0.key"),
        ([{"sensor_type": "temperature"}], "sensors.0.key"),
        ([{"key": "a", "sensor_type": "temperature"}] * 2, "sensors"),
        ([{"key": f"k{n}", "sensor_type": "temperature"} for n in range(201)], "sensors"),
        ("temperature", "sensors"),
    ],
)
def test_a_device_with_a_bad_sensor_is_not_made_at_all(
    cast: SimpleNamespace, api_of: Api, sensors: Any, where: str
) -> None:
    made = api_of(cast.olga).post(DEVICES, {"name": "Hall", "device_type": "generic", "sensors": sensors})
    assert any(attr.startswith(where) for attr in problems(made))
    assert not Device.objects.filter(name="Hall").exists()


def test_a_device_is_replaced_and_changed(cast: SimpleNamespace, api_of: Api) -> None:
    api, page = api_of(cast.olga), f"{DEVICES}/{cast.boiler.uuid}"
    before = api.get(page).json()
    changed = api.patch(page, {"external_id": "b-1", "unit": None, "mode": "maintenance", "sensors": []}).json()
    assert changed == before | {
        "external_id": "b-1",
        "unit": None,
        "unit_name": None,
        "mode": "maintenance",
        "status": "maintenance",
    }
    assert api.put(page, before).json() == before  # an answer is a body, too
    serviced = api.patch(page, {"last_maintenance_at": "2026-03-01T12:00:00+02:00"}).json()
    assert serviced["last_maintenance_at"] == "2026-03-01T10:00:00Z"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"device_type": "toaster"}, "device_type"),
        ({"mac_address": "nonsense"}, "mac_address"),
        ({"reading_interval_seconds": 0}, "reading_interval_seconds"),
        ({"mode": "offline"}, "mode"),
        ({"clock": "sundial"}, "clock"),
        ({"unit": 2**70}, "unit"),
        ({"last_maintenance_at": "2026-03-01T12:00:00"}, "last_maintenance_at"),
        ({"last_maintenance_at": "yesterday"}, "last_maintenance_at"),
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
    ],
)
def test_a_bad_change_of_a_device_is_refused(cast: SimpleNamespace, api_of: Api, body: Any, where: str) -> None:
    assert list(problems(api_of(cast.olga).patch(f"{DEVICES}/{cast.boiler.uuid}", body))) == [where]


def test_what_the_platform_knows_of_a_device_cannot_be_written(cast: SimpleNamespace, api_of: Api) -> None:
    body = {
        "uuid": str(uuid.uuid4()),
        "organization": cast.globex.pk,
        "status": "online",
        "last_seen_at": "2026-03-01T12:00:00Z",
        "created_at": "2020-01-01T00:00:00Z",
        "deleted_at": "2020-01-01T00:00:00Z",
    }
    answer = api_of(cast.alice).patch(f"{DEVICES}/{cast.boiler.uuid}", body)
    assert answer.status_code == 200
    kept = Device.objects.values().get(pk=cast.boiler.pk)
    cast.boiler.refresh_from_db()
    assert (kept["uuid"], kept["organization_id"], kept["deleted_at"]) == (cast.boiler.uuid, cast.acme.pk, None)
    assert answer.json()["status"] == "registered"


def test_an_external_id_is_unique_in_its_organization(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.olga)
    add_device(cast, "first", external_id="d-1")
    add_device(cast, "second", external_id=None)
    assert problems(api.post(DEVICES, {"name": "x", "device_type": "generic", "external_id": "d-1"})) == {
        "external_id": "unique"
    }
    assert problems(api.patch(f"{DEVICES}/{cast.boiler.uuid}", {"external_id": "d-1"})) == {"external_id": "unique"}
    assert api.patch(f"{DEVICES}/{cast.boiler.uuid}", {"external_id": ""}).json()["external_id"] is None
    theirs = api_of(cast.mallory).patch(f"{DEVICES}/{cast.theirs.uuid}", {"external_id": "d-1"})
    assert theirs.json()["external_id"] == "d-1"


def test_devices_are_filtered(cast: SimpleNamespace, api_of: Api) -> None:
    add_device(cast, "press", external_id="serial-7", mode="maintenance")
    lock = add_device(cast, "lock", location="Gate 7")
    DeviceState.objects.create(device=lock, status="online", last_seen_at=datetime.now(UTC))
    api = api_of(cast.vera)
    for query, expected in {
        f"unit={cast.floor.pk}": ["boiler"],
        f"unit={cast.their_floor.pk}": [],
        "device_type=thermostat": ["boiler", "lock", "press"],
        "device_type=camera": [],
        "status=online": ["lock"],
        "status=registered": ["boiler"],
        "status=maintenance": ["press"],
        "status=offline": [],
        "search=7": ["lock", "press"],
        "search=GATE&status=online": ["lock"],
        "limit=1": ["boiler"],
        "limit=1&page=2": ["lock"],
    }.items():
        assert names(api.get(f"{DEVICES}?{query}")) == expected, query
    assert problems(api.get(f"{DEVICES}?status=nonsense")) == {"status": "invalid_choice"}
    assert problems(api.get(f"{DEVICES}?unit=x")) == {"unit": "invalid"}


def test_a_list_of_devices_costs_the_same_however_long(
    cast: SimpleNamespace, api_of: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(5):
        device = add_device(cast, f"number {n}", unit=cast.floor)
        add_sensor(device, "humidity")
        DeviceState.objects.create(device=device)
    api = api_of(cast.vera)
    with django_assert_num_queries(3 + 4):  # session, user, membership; count, devices, sensors, their types
        assert len(api.get(DEVICES).json()["results"]) == 6


def test_a_deleted_device_is_gone_from_every_door_and_says_what_went(cast: SimpleNamespace, api_of: Api) -> None:
    Device.objects.filter(pk=cast.boiler.pk).update(external_id="b-1")
    keys.issue(cast.boiler)
    _, secret = keys.issue(cast.boiler)
    keys.revoke(keys.issue(cast.boiler)[0])
    api, page = api_of(cast.adam), f"{DEVICES}/{cast.boiler.uuid}"
    gone = api.delete(page)
    assert (gone.status_code, gone.json()) == (200, {"deleted": str(cast.boiler.uuid), "sensors": 1, "keys": 2})
    assert api.get(page).status_code == api.delete(page).status_code == api.get(f"{page}/keys").status_code == 404
    assert names(api.get(DEVICES)) == names(api.get("/api/v1/sensors")) == []
    assert APIClient().get(page, headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert keys.broker_passwords() == {}
    assert DeviceKey.objects.filter(revoked_at=None).count() == 0
    again = api.post(DEVICES, {"name": "new", "device_type": "generic", "external_id": "b-1"})
    assert again.status_code == 201


def test_deleting_a_device_signs_it_and_its_sources_out_at_the_broker(
    cast: SimpleNamespace, api_of: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden: list[str] = []
    monkeypatch.setattr(CheckedAtConnect, "forbid", lambda _self, username: forbidden.append(username))
    source = Source.objects.create(
        organization=cast.acme, name="x", scheme="shared_topic", topic_filter="sensor/data", device=cast.boiler
    )
    keys.issue(cast.boiler)
    keys.issue(cast.boiler, source=source)
    api_of(cast.adam).delete(f"{DEVICES}/{cast.boiler.uuid}")
    assert sorted(forbidden) == sorted([str(cast.boiler.uuid), str(source.uuid)])


@pytest.mark.parametrize("step", ["forbid", "update_roles"])
def test_while_the_broker_is_away_no_device_is_deleted(
    cast: SimpleNamespace, api_of: Api, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def away(*_: object) -> None:
        raise BrokerAway

    _, secret = keys.issue(cast.boiler)
    monkeypatch.setattr(CheckedAtConnect, step, away)
    api = api_of(cast.adam)
    api.raise_request_exception = False  # a 503 is an answer here
    answer = api.delete(f"{DEVICES}/{cast.boiler.uuid}")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["errors"][0]["code"] == "broker_away"
    cast.boiler.refresh_from_db()
    assert cast.boiler.deleted_at is None
    assert keys.find(secret)


def test_roles_decide_who_writes_and_deletes_devices(cast: SimpleNamespace, api_of: Api) -> None:
    page, body = f"{DEVICES}/{cast.boiler.uuid}", {"name": "x", "device_type": "generic"}
    assert api_of(None).get(page).status_code == 401
    assert api_of(cast.norma).get(page).status_code == 403
    assert api_of(cast.vera).get(page).status_code == 200
    for method in ("post", "put", "patch", "delete"):
        target = DEVICES if method == "post" else page
        assert getattr(api_of(cast.vera), method)(target, body).status_code == 403
    assert api_of(cast.olga).delete(page).status_code == 403
    assert api_of(cast.olga).post(DEVICES, body).status_code == 201


def test_another_organizations_devices_are_not_found(cast: SimpleNamespace, api_of: Api) -> None:
    page, unit_page = f"{DEVICES}/{cast.boiler.uuid}", f"{UNITS}/{cast.floor.pk}"
    unknown = api_of(cast.mallory).get(f"{DEVICES}/{uuid.uuid4()}").content
    for method in ("get", "put", "patch", "delete"):
        for target in (page, unit_page):
            answer = getattr(api_of(cast.mallory), method)(target, {"name": "mine"})
            assert (answer.status_code, answer.content) == (404, unknown)
    assert api_of(cast.mallory).get(f"{unit_page}/statistics").status_code == 404
    assert names(api_of(cast.mallory).get(DEVICES)) == ["theirs"]
    assert names(api_of(cast.mallory).get(UNITS)) == ["theirs room"]
    moved = api_of(cast.mallory).patch(f"{DEVICES}/{cast.theirs.uuid}", {"unit": cast.floor.pk})
    assert problems(moved) == {"unit": "does_not_exist"}
