"""Sensors, keys and sources over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from devices import keys
from devices.broker import BrokerAway, CheckedAtConnect
from devices.models import Device, DeviceKey, Sensor, Source
from devices.tests.test_api import DEVICES, add_device, add_sensor, names, problems

Api = Callable[[User | None], APIClient]
SENSORS, SOURCES = "/api/v1/sensors", "/api/v1/sources"


# -- sensors ------------------------------------------------------------------------------------------------
def test_an_operator_makes_and_changes_a_sensor(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.olga)
    body = {"device": str(cast.boiler.uuid), "key": "inlet", "sensor_type": "temp", "unit": "°F", "maximum": 200}
    made = api.post(SENSORS, body)
    assert made.status_code == 201
    answer = made.json()
    assert (answer["sensor_type"], answer["unit"], answer["unit_symbol"]) == ("temperature", "fahrenheit", "°F")
    assert (answer["name"], answer["device_name"], answer["status"]) == ("Temperature", "boiler", "active")
    page = f"{SENSORS}/{answer['id']}"
    assert api_of(cast.vera).get(page).json() == answer
    changes = {"name": "Inlet", "status": "maintenance", "minimum": -4.5, "key": "inlet_2"}
    assert api.patch(page, changes).json() == answer | changes
    assert api.put(page, answer).json() == answer


def test_a_sensor_without_a_unit_has_that_of_its_type(cast: SimpleNamespace, api_of: Api) -> None:
    body = {"device": str(cast.boiler.uuid), "key": "p", "sensor_type": "pressure"}
    assert api_of(cast.olga).post(SENSORS, body).json()["unit"] == "pascal"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"unit": "lux"}, "unit"),
        ({"unit": "furlong"}, "unit"),
        ({"sensor_type": "nonsense"}, "sensor_type"),
        ({"sensor_type": 7}, "sensor_type"),
        ({"key": "a b"}, "key"),
        ({"key": "temperature"}, "key"),
        ({"key": "x" * 51}, "key"),
        ({"device": "nonsense"}, "device"),
        ({"status": "broken"}, "status"),
        ({"minimum": 5, "maximum": 5}, "maximum"),
        ({"minimum": "5"}, "minimum"),
        ({"minimum": True}, "minimum"),
        ({"maximum": "inf"}, "maximum"),
        ({"maximum": 10**400}, "maximum"),
        ({"description": "x" * 5001}, "description"),
    ],
)
def test_a_bad_sensor_is_refused(cast: SimpleNamespace, api_of: Api, change: Any, where: str) -> None:
    body = {"device": str(cast.boiler.uuid), "key": "inlet", "sensor_type": "temperature"} | change
    assert list(problems(api_of(cast.olga).post(SENSORS, body))) == [where]


@pytest.mark.parametrize("field", ["device", "sensor_type", "unit"])
def test_what_the_readings_of_a_sensor_were_stored_as_cannot_change(
    cast: SimpleNamespace, api_of: Api, field: str
) -> None:
    other = {"device": str(add_device(cast, "other").uuid), "sensor_type": "humidity", "unit": "kelvin"}
    page = f"{SENSORS}/{cast.temperature.pk}"
    assert problems(api_of(cast.alice).patch(page, {field: other[field]})) == {field: "fixed"}
    same = {"device": str(cast.boiler.uuid), "sensor_type": "temp", "unit": "°C"}
    assert api_of(cast.alice).patch(page, {field: same[field]}).status_code == 200


def test_a_device_has_room_for_so_many_sensors(cast: SimpleNamespace, api_of: Api, settings: Any) -> None:
    settings.SENSORS_PER_DEVICE = 2
    for key, status in (("one", 201), ("two", 400)):
        body = {"device": str(cast.boiler.uuid), "key": key, "sensor_type": "humidity"}
        assert api_of(cast.olga).post(SENSORS, body).status_code == status


def test_sensors_are_filtered(cast: SimpleNamespace, api_of: Api) -> None:
    add_sensor(cast.boiler, "old", status="inactive")
    elsewhere = add_device(cast, "elsewhere")
    add_sensor(elsewhere, "damp")
    api = api_of(cast.vera)
    for query, expected in {
        "": ["old", "boiler temperature", "damp"],
        f"device={elsewhere.uuid}": ["damp"],
        f"device={cast.theirs.uuid}": [],
        f"unit={cast.floor.pk}": ["old", "boiler temperature"],
        "status=inactive": ["old"],
        "sensor_type=temperature": ["boiler temperature"],
        "sensor_type=temp": ["boiler temperature"],
    }.items():
        assert names(api.get(f"{SENSORS}?{query}")) == expected, query
    assert problems(api.get(f"{SENSORS}?device=7")) == {"device": "invalid"}


def test_a_list_of_sensors_costs_the_same_however_long(
    cast: SimpleNamespace, api_of: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(8):
        add_sensor(add_device(cast, f"number {n}"), "humidity")
    api = api_of(cast.vera)
    with django_assert_num_queries(3 + 2):  # session, user, membership; count, sensors
        assert len(api.get(SENSORS).json()["results"]) == 9


def test_an_admin_deletes_a_sensor(cast: SimpleNamespace, api_of: Api) -> None:
    page = f"{SENSORS}/{cast.temperature.pk}"
    assert api_of(cast.olga).delete(page).status_code == 403
    assert api_of(cast.adam).delete(page).status_code == 204
    assert not Sensor.objects.filter(pk=cast.temperature.pk).exists()


def test_another_organizations_sensor_is_not_found(cast: SimpleNamespace, api_of: Api) -> None:
    page = f"{SENSORS}/{cast.temperature.pk}"
    for method in ("get", "put", "patch", "delete"):
        assert getattr(api_of(cast.mallory), method)(page, {"name": "mine"}).status_code == 404
    body = {"device": str(cast.boiler.uuid), "key": "spy", "sensor_type": "humidity"}
    assert problems(api_of(cast.mallory).post(SENSORS, body)) == {"device": "does_not_exist"}


# -- keys ---------------------------------------------------------------------------------------------------
def keys_of(device: Device) -> str:
    return f"{DEVICES}/{device.uuid}/keys"


def test_a_key_is_shown_once_and_then_listed_without_its_secret(cast: SimpleNamespace, api_of: Api) -> None:
    issued = api_of(cast.adam).post(keys_of(cast.boiler), {"name": "flashed in March"})
    assert (issued.status_code, issued["Cache-Control"]) == (201, "no-store")
    answer = issued.json()
    secret = answer.pop("secret")
    assert keys.find(secret).pk == answer["id"]
    assert (answer["username"], answer["created_by"]) == (str(cast.boiler.uuid), "adam")
    assert secret.startswith(answer["prefix"])
    listed = api_of(cast.olga).get(keys_of(cast.boiler))
    assert listed.json()["results"] == [answer]
    assert secret not in listed.content.decode()


def test_a_revoked_key_stays_in_the_list(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.adam)
    issued = api.post(keys_of(cast.boiler)).json()
    page = f"{keys_of(cast.boiler)}/{issued['id']}"
    assert api.delete(page).status_code == api.delete(page).status_code == 204
    assert keys.find(issued["secret"]) is None
    [listed] = api.get(keys_of(cast.boiler)).json()["results"]
    assert listed["revoked_at"].endswith("Z")
    assert api.get(page).status_code == api.patch(page, {"name": "x"}).status_code == 405


def test_who_may_do_what_with_keys(cast: SimpleNamespace, api_of: Api) -> None:
    key, _ = keys.issue(cast.boiler)
    page = f"{keys_of(cast.boiler)}/{key.pk}"
    assert api_of(None).get(keys_of(cast.boiler)).status_code == 401
    assert api_of(cast.vera).get(keys_of(cast.boiler)).status_code == 403
    assert api_of(cast.olga).get(keys_of(cast.boiler)).status_code == 200
    assert api_of(cast.olga).post(keys_of(cast.boiler), {}).status_code == 403
    assert api_of(cast.olga).delete(page).status_code == 403
    assert DeviceKey.objects.filter(revoked_at=None).count() == 1


def test_a_key_is_found_under_its_own_device_only(cast: SimpleNamespace, api_of: Api) -> None:
    key, secret = keys.issue(cast.boiler)
    other = add_device(cast, "other")
    assert api_of(cast.adam).delete(f"{keys_of(other)}/{key.pk}").status_code == 404
    assert api_of(cast.mallory).delete(f"{keys_of(cast.theirs)}/{key.pk}").status_code == 404
    assert api_of(cast.mallory).delete(f"{keys_of(cast.boiler)}/{key.pk}").status_code == 404
    assert api_of(cast.mallory).get(keys_of(cast.boiler)).status_code == 404
    assert api_of(cast.mallory).post(keys_of(cast.boiler), {}).status_code == 404
    assert keys.find(secret)
    assert DeviceKey.objects.count() == 1


def test_a_key_may_be_issued_for_a_source_of_the_device(cast: SimpleNamespace, api_of: Api) -> None:
    source = add_source(cast)
    issued = api_of(cast.adam).post(keys_of(cast.boiler), {"source": source.pk}).json()
    assert (issued["username"], issued["source"]) == (str(source.uuid), source.pk)
    other = add_device(cast, "other")
    assert problems(api_of(cast.adam).post(keys_of(other), {"source": source.pk})) == {"source": "invalid"}
    foreign = api_of(cast.mallory).post(keys_of(cast.theirs), {"source": source.pk})
    assert problems(foreign) == {"source": "does_not_exist"}


def test_a_list_of_keys_costs_the_same_however_long(
    cast: SimpleNamespace, api_of: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(4):
        keys.issue(cast.boiler, created_by=cast.adam)
    api = api_of(cast.adam)
    with django_assert_num_queries(3 + 3):  # session, user, membership; device, count, keys
        assert api.get(keys_of(cast.boiler)).json()["count"] == 4


def test_while_the_broker_is_away_no_key_is_issued(
    cast: SimpleNamespace, api_of: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BrokerAway

    monkeypatch.setattr(CheckedAtConnect, "allow", away)
    api = api_of(cast.adam)
    api.raise_request_exception = False  # a 503 is an answer here
    assert api.post(keys_of(cast.boiler), {}).status_code == 503
    assert not DeviceKey.objects.exists()


# -- sources ------------------------------------------------------------------------------------------------
def add_source(cast: SimpleNamespace, topic_filter: str = "sensors/+/kitchen", **fields: Any) -> Source:
    return Source.objects.create(
        **{
            "organization": cast.acme,
            "name": topic_filter,
            "scheme": Source.Scheme.TYPED_TOPIC,
            "topic_filter": topic_filter,
            "device": cast.boiler,
            **fields,
        }
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the broker is told of sources; test_broker.py asks a real one."""
    heard: list[str] = []
    monkeypatch.setattr(CheckedAtConnect, "update_roles", lambda _self: heard.append("roles"))
    monkeypatch.setattr(CheckedAtConnect, "forbid", lambda _self, username: heard.append(username))
    return heard


def test_a_source_is_made_changed_and_deleted_and_the_broker_follows(
    cast: SimpleNamespace, api_of: Api, told: list[str]
) -> None:
    api = api_of(cast.adam)
    body = {
        "name": "Older boards",
        "scheme": "typed_topic",
        "topic_filter": "sensors/+/+",
        "device": str(cast.boiler.uuid),
    }
    made = api.post(SOURCES, body)
    assert made.status_code == 201
    answer = made.json()
    assert answer == {**answer, **body, "is_enabled": True}
    page = f"{SOURCES}/{answer['id']}"
    assert api_of(cast.vera).get(page).json() == answer
    assert api.patch(page, {"is_enabled": False}).json() == answer | {"is_enabled": False}
    assert api.put(page, body).json()["name"] == "Older boards"
    assert api.delete(page).status_code == 204
    assert told == ["roles", "roles", "roles", "roles", answer["uuid"]]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"topic_filter": "devices/+/up/#"}, "topic_filter"),
        ({"topic_filter": "#"}, "topic_filter"),
        ({"topic_filter": "$SYS/x/y"}, "topic_filter"),
        ({"topic_filter": "sensor/data"}, "topic_filter"),
        ({"topic_filter": "x/" * 60 + "y"}, "topic_filter"),
        ({"scheme": "morse"}, "scheme"),
        ({"device": "nonsense"}, "device"),
    ],
)
def test_a_bad_source_is_refused(cast: SimpleNamespace, api_of: Api, told: list[str], change: Any, where: str) -> None:
    body = {"name": "x", "scheme": "typed_topic", "topic_filter": "sensors/+/+", "device": str(cast.boiler.uuid)}
    assert list(problems(api_of(cast.olga).post(SOURCES, body | change))) == [where]
    assert told == []


def test_a_change_of_one_field_is_judged_with_the_others(cast: SimpleNamespace, api_of: Api) -> None:
    source = add_source(cast)
    page = f"{SOURCES}/{source.pk}"
    assert problems(api_of(cast.olga).patch(page, {"scheme": "shared_topic"})) == {"topic_filter": "invalid"}
    assert api_of(cast.olga).patch(page, {"name": "kitchen"}).status_code == 200


@pytest.mark.parametrize("topic_filter", ["sensors/+/kitchen", "sensors/temperature/+", "sensors/+/+"])
def test_a_topic_of_another_source_is_not_free_and_nobody_is_named(
    cast: SimpleNamespace, api_of: Api, topic_filter: str
) -> None:
    add_source(cast)
    body = {"name": "x", "scheme": "typed_topic", "topic_filter": topic_filter, "device": str(cast.theirs.uuid)}
    refused = api_of(cast.mallory).post(SOURCES, body)
    assert problems(refused) == {"topic_filter": "unique"}
    assert all(word not in refused.content.decode().lower() for word in ("acme", "boiler", "kitchen"))


def test_another_organizations_sources_are_not_found(cast: SimpleNamespace, api_of: Api, told: list[str]) -> None:
    source = add_source(cast)
    for method in ("get", "put", "patch", "delete"):
        assert getattr(api_of(cast.mallory), method)(f"{SOURCES}/{source.pk}", {"name": "mine"}).status_code == 404
    assert names(api_of(cast.mallory).get(SOURCES)) == []
    body = {"name": "x", "scheme": "typed_topic", "topic_filter": "a/+/+", "device": str(cast.boiler.uuid)}
    assert problems(api_of(cast.mallory).post(SOURCES, body)) == {"device": "does_not_exist"}
    assert told == []


def test_roles_decide_who_writes_and_deletes_sources(cast: SimpleNamespace, api_of: Api) -> None:
    page = f"{SOURCES}/{add_source(cast).pk}"
    assert api_of(cast.vera).patch(page, {"name": "x"}).status_code == 403
    assert api_of(cast.olga).patch(page, {"name": "x"}).status_code == 200
    assert api_of(cast.olga).delete(page).status_code == 403


def test_while_the_broker_is_away_no_source_is_made(
    cast: SimpleNamespace, api_of: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise BrokerAway

    monkeypatch.setattr(CheckedAtConnect, "update_roles", away)
    api = api_of(cast.olga)
    api.raise_request_exception = False  # a 503 is an answer here
    body = {"name": "x", "scheme": "typed_topic", "topic_filter": "sensors/+/+", "device": str(cast.boiler.uuid)}
    assert api.post(SOURCES, body).status_code == 503
    assert not Source.objects.exists()


def test_a_list_of_sources_costs_the_same_however_long(
    cast: SimpleNamespace, api_of: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(5):
        add_source(cast, f"site{n}/+/+")
    api = api_of(cast.vera)
    with django_assert_num_queries(3 + 2):  # session, user, membership; count, sources
        assert len(api.get(SOURCES).json()["results"]) == 5
