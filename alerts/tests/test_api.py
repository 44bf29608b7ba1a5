from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.live import publisher
from accounts.models import User
from alerts.live import describe
from alerts.models import Alert, Channel, Delivery, Rule, RuleState
from alerts.resolution import ALERTS
from alerts.serializers import AlertSerializer
from alerts.tests.conftest import NOON, alert_of, channel_to, delivery_to
from devices.models import Device, DeviceType, Sensor, SensorType, Unit

Api = Callable[[User | None], APIClient]
RULES, ALERTS_URL, CHANNELS, DELIVERIES = (
    f"/api/v1/{name}" for name in ("alert-rules", "alerts", "notification-channels", "deliveries")
)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would go to the sockets."""
    heard: list[Any] = []
    monkeypatch.setattr(publisher, "offer", heard.extend)
    return heard


@pytest.fixture
def alert(cast: SimpleNamespace, hot: Rule) -> Alert:
    return alert_of(cast.temperature, rule=hot)


def problems(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    return {error["attr"]: error["detail"] for error in response.json()["errors"]}


# -- rules --------------------------------------------------------------------------------------------------
def test_an_operator_makes_changes_and_lists_rules(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.olga)
    made = api.post(RULES, {"name": "Hot", "sensor": cast.temperature.pk, "operator": "gt", "threshold": 80})
    assert made.status_code == 201
    answer = made.json()
    assert (answer["severity"], answer["is_enabled"], answer["threshold"]) == ("medium", True, 80.0)
    assert answer["created_at"].endswith("Z")

    changed = api.patch(f"{RULES}/{answer['id']}", {"severity": "critical", "threshold": 75.5, "is_enabled": False})
    assert changed.json() == answer | {"severity": "critical", "threshold": 75.5, "is_enabled": False}
    assert Rule.objects.get().severity == 5
    listed = api.get(RULES).json()
    assert (listed["count"], listed["results"]) == (1, [changed.json()])


def test_a_rule_may_watch_a_type_of_sensor_on_a_device_and_in_a_unit(cast: SimpleNamespace, api_of: Api) -> None:
    body = {"name": "Hot", "sensor_type": "temperature", "device": str(cast.boiler.uuid), "unit": cast.floor.pk}
    answer = api_of(cast.olga).post(RULES, body | {"operator": "gte", "threshold": 80, "severity": "low"})
    assert answer.status_code == 201
    assert {name: answer.json()[name] for name in body} == body
    assert answer.json()["sensor"] is None


def test_a_rule_that_could_never_watch_anything_is_refused(cast: SimpleNamespace, api_of: Api) -> None:
    api = api_of(cast.olga)
    attic = Unit.objects.create(organization=cast.acme, name="Attic", location="Top")
    fan = Device.objects.create(
        organization=cast.acme, name="fan", device_type=DeviceType.objects.get(code="thermostat")
    )
    rule = {"name": "Hot", "operator": "gt", "threshold": 80}
    watching = rule | {"sensor": cast.temperature.pk}
    assert "sensor" in problems(api.post(RULES, rule))
    assert "sensor" in problems(api.post(RULES, rule | {"device": str(cast.boiler.uuid)}))
    assert "sensor_type" in problems(api.post(RULES, watching | {"sensor_type": "humidity"}))
    assert "device" in problems(api.post(RULES, watching | {"device": str(fan.uuid)}))
    assert "unit" in problems(api.post(RULES, watching | {"unit": attic.pk}))
    assert "unit" in problems(
        api.post(RULES, rule | {"sensor_type": "temperature", "device": str(fan.uuid), "unit": cast.floor.pk})
    )
    made = api.post(RULES, watching).json()
    assert "unit" in problems(api.patch(f"{RULES}/{made['id']}", {"unit": attic.pk}))
    assert "sensor" in problems(api.patch(f"{RULES}/{made['id']}", {"sensor": None}))
    assert Rule.objects.count() == 1


@pytest.mark.parametrize("threshold", [True, "80", "1_000", "٨٠", " 5 ", "NaN", "Infinity", None, [], {}, "", 10**400])
def test_a_threshold_is_a_finite_number(cast: SimpleNamespace, api_of: Api, threshold: Any) -> None:
    body = {"name": "Hot", "sensor": cast.temperature.pk, "operator": "gt", "threshold": threshold}
    assert "threshold" in problems(api_of(cast.olga).post(RULES, body))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_know_is_refused(cast: SimpleNamespace, api_of: Api, number: str) -> None:
    body = f'{{"name": "Hot", "sensor": {cast.temperature.pk}, "operator": "gt", "threshold": {number}}}'
    assert api_of(cast.olga).post(RULES, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("operator", "above"),
        ("severity", "panic"),
        ("severity", 4),
        ("severity", "HIGH"),
        ("device", "no uuid"),
        ("device", str(uuid.uuid4())),
        ("sensor_type", "smell"),
        ("sensor", 2**63),
        ("unit", "1 OR 1=1"),
        ("name", ""),
    ],
)
def test_a_field_of_a_rule_that_means_nothing_is_named(
    cast: SimpleNamespace, api_of: Api, field: str, value: Any
) -> None:
    body = {"name": "Hot", "sensor": cast.temperature.pk, "operator": "gt", "threshold": 80}
    assert list(problems(api_of(cast.olga).post(RULES, body | {field: value}))) == [field]


def test_what_belongs_to_another_organization_is_unknown_in_a_rule(cast: SimpleNamespace, api_of: Api) -> None:
    body = {"name": "Hot", "sensor_type": "temperature", "operator": "gt", "threshold": 80}
    foreign = {
        "sensor": cast.their_temperature.pk,
        "device": str(cast.theirs.uuid),
        "unit": cast.their_floor.pk,
    }
    for field, value in foreign.items():
        refused = api_of(cast.olga).post(RULES, body | {field: value})
        assert list(problems(refused)) == [field]
    ignored = api_of(cast.olga).post(RULES, body | {"organization": cast.globex.pk})
    assert Rule.objects.get(pk=ignored.json()["id"]).organization == cast.acme


def test_a_rule_is_read_by_viewers_written_by_operators_and_deleted_by_admins(
    cast: SimpleNamespace, api_of: Api, hot: Rule
) -> None:
    url = f"{RULES}/{hot.pk}"
    body = {"name": "Hot", "sensor": cast.temperature.pk, "operator": "gt", "threshold": 80}
    assert [api_of(user).get(url).status_code for user in (None, cast.norma, cast.vera)] == [401, 403, 200]
    assert [api_of(user).get(url).status_code for user in (cast.mallory, cast.alice)] == [404, 200]
    assert api_of(cast.vera).post(RULES, body).status_code == 403
    assert api_of(cast.vera).patch(url, {"threshold": 1}).status_code == 403
    assert api_of(cast.olga).delete(url).status_code == 403
    assert api_of(cast.mallory).delete(url).status_code == 404
    assert api_of(cast.adam).delete(url).status_code == 204


def test_a_rule_and_its_alerts_vanish_with_their_device(cast: SimpleNamespace, api_of: Api, alert: Alert) -> None:
    everywhere = Rule.objects.create(
        organization=cast.acme, name="All", sensor_type=cast.temperature.sensor_type, operator="gt", threshold=80
    )
    delivery_to(channel_to("https://a.example.org/", cast.acme), alert)
    Device.objects.filter(pk=cast.boiler.pk).update(deleted_at=timezone.now())
    api = api_of(cast.alice)
    assert [rule["id"] for rule in api.get(RULES).json()["results"]] == [everywhere.pk]
    assert api.get(ALERTS_URL).json()["count"] == api.get(DELIVERIES).json()["count"] == 0
    assert api.post(f"{ALERTS_URL}/{alert.pk}/resolve").status_code == 404


def test_the_alerts_of_a_deleted_rule_are_kept(cast: SimpleNamespace, api_of: Api, alert: Alert) -> None:
    RuleState.objects.create(rule=alert.rule, sensor=alert.sensor, alert=alert, judged_at=NOON)
    api = api_of(cast.adam)
    assert api.delete(f"{RULES}/{alert.rule_id}").status_code == 204
    kept = api.get(f"{ALERTS_URL}/{alert.pk}").json()
    assert (kept["rule"], kept["rule_name"], kept["status"]) == (None, None, "active")


# -- alerts -------------------------------------------------------------------------------------------------
def test_an_alert_says_the_same_everywhere(cast: SimpleNamespace, api_of: Api, alert: Alert) -> None:
    shown = api_of(cast.vera).get(f"{ALERTS_URL}/{alert.pk}").json()
    assert shown == describe(ALERTS.get())
    assert shown.keys() == AlertSerializer().fields.keys()  # what the documentation names
    expected = {
        "rule_name": "Too hot",
        "device": str(cast.boiler.uuid),
        "sensor_key": "temperature",
        "unit_symbol": "°C",
        "severity": "high",
        "status": "active",
        "time": "2026-03-01T12:00:00Z",
        "acknowledged_by": None,
    }
    assert shown.items() >= expected.items()


def test_a_list_of_alerts_costs_the_same_however_long_it_is(
    cast: SimpleNamespace, api_of: Api, alert: Alert, django_assert_num_queries: Any
) -> None:
    for _ in range(20):
        alert_of(cast.temperature, rule=alert.rule, acknowledged_by=cast.olga, resolved_by=cast.adam)
    api = api_of(cast.vera)
    with django_assert_num_queries(5):  # session, person, membership, count, rows
        assert api.get(ALERTS_URL).json()["count"] == 21


def test_alerts_are_found_by_what_they_are_about(cast: SimpleNamespace, api_of: Api, alert: Alert) -> None:
    humidity = Sensor.objects.create(
        device=cast.boiler, key="humidity", name="Damp", sensor_type=SensorType.objects.get(code="humidity")
    )
    other = alert_of(humidity, severity=1, status="resolved")
    api = api_of(cast.vera)

    def found(**query: Any) -> list[int]:
        return [row["id"] for row in api.get(ALERTS_URL, query).json()["results"]]

    assert found() == [other.pk, alert.pk]
    assert found(status="active") == found(severity="high") == found(rule=alert.rule_id) == [alert.pk]
    assert found(sensor=humidity.pk) == found(severity="info") == [other.pk]
    assert found(status=["active", "resolved"], device=str(cast.boiler.uuid)) == [other.pk, alert.pk]
    assert found(device=str(cast.theirs.uuid)) == found(sensor=cast.their_temperature.pk) == []
    for query in ({"status": "loud"}, {"severity": "4"}, {"device": "x"}, {"rule": "x"}):
        assert list(problems(api.get(ALERTS_URL, query))) == list(query)


def test_an_alert_is_acknowledged_once_by_the_first_who_asks(
    cast: SimpleNamespace, api_of: Api, alert: Alert, published: list[Any]
) -> None:
    url = f"{ALERTS_URL}/{alert.pk}/acknowledge"
    first = api_of(cast.olga).post(url)
    assert first.status_code == 200
    assert (first.json()["status"], first.json()["acknowledged_by"]) == ("acknowledged", "olga")
    assert api_of(cast.adam).post(url).json() == first.json()
    assert published == [(cast.acme.pk, "alert", first.json() | {"event": "acknowledged"})]
    assert not Delivery.objects.exists()


def test_an_alert_is_resolved_once_and_the_channels_hear_of_it(
    cast: SimpleNamespace, api_of: Api, alert: Alert, published: list[Any]
) -> None:
    channel_to("https://a.example.org/", cast.acme)
    url = f"{ALERTS_URL}/{alert.pk}"
    first = api_of(cast.olga).post(f"{url}/resolve")
    assert (first.json()["status"], first.json()["resolved_by"]) == ("resolved", "olga")
    assert api_of(cast.adam).post(f"{url}/resolve").json() == first.json()
    assert api_of(cast.adam).post(f"{url}/acknowledge").json() == first.json()
    assert published == [(cast.acme.pk, "alert", first.json() | {"event": "resolved"})]
    assert Delivery.objects.get().event == "resolved"


def test_viewers_read_alerts_and_operators_answer_them(
    cast: SimpleNamespace, api_of: Api, alert: Alert, published: list[Any]
) -> None:
    for action in ("acknowledge", "resolve"):
        url = f"{ALERTS_URL}/{alert.pk}/{action}"
        for user, status in ((None, 401), (cast.norma, 403), (cast.vera, 403), (cast.mallory, 404)):
            assert api_of(user).post(url).status_code == status
        assert api_of(cast.alice).get(url).status_code == 405
    alert.refresh_from_db()
    assert (alert.status, published) == ("active", [])
    assert api_of(cast.mallory).get(f"{ALERTS_URL}/{alert.pk}").status_code == 404


def test_nobody_writes_an_alert_by_hand(cast: SimpleNamespace, api_of: Api, alert: Alert) -> None:
    api = api_of(cast.alice)
    assert api.post(ALERTS_URL, {"message": "x"}).status_code == 405
    for method in (api.put, api.patch, api.delete):
        assert method(f"{ALERTS_URL}/{alert.pk}", {"message": "x"}).status_code == 405


@pytest.mark.parametrize("pk", ["0", "-1", "x", str(2**63), "1%20OR%201=1"])
def test_an_id_that_is_none_is_not_found(cast: SimpleNamespace, api_of: Api, alert: Alert, pk: str) -> None:
    assert api_of(cast.alice).get(f"{ALERTS_URL}/{pk}").status_code == 404
    assert api_of(cast.alice).post(f"{ALERTS_URL}/{pk}/resolve").status_code == 404


# -- channels and deliveries --------------------------------------------------------------------------------
def test_an_admin_adds_a_channel(cast: SimpleNamespace, api_of: Api) -> None:
    body = {"name": "On-call", "url": "https://93.184.216.34/alerts", "minimum_severity": "high"}
    answer = api_of(cast.adam).post(CHANNELS, body)
    assert answer.status_code == 201
    assert answer.json().items() >= (body | {"kind": "webhook", "is_enabled": True}).items()
    channel = Channel.objects.get()
    assert (channel.organization, channel.minimum_severity) == (cast.acme, 4)


@pytest.mark.parametrize("url", ["http://93.184.216.34/", "https://127.0.0.1/", "https://2130706433/", "file:///x"])
def test_a_channel_to_a_forbidden_address_is_not_saved(cast: SimpleNamespace, api_of: Api, url: str) -> None:
    api = api_of(cast.adam)
    assert list(problems(api.post(CHANNELS, {"name": "x", "url": url}))) == ["url"]
    channel = channel_to("https://93.184.216.34/", cast.acme)
    assert list(problems(api.patch(f"{CHANNELS}/{channel.pk}", {"url": url}))) == ["url"]


def test_the_refusal_of_an_address_names_the_setting(cast: SimpleNamespace, api_of: Api, settings: Any) -> None:
    body = {"name": "x", "url": "http://192.168.1.5:8123/hook"}
    assert "WEBHOOK_ALLOWED" in problems(api_of(cast.adam).post(CHANNELS, body))["url"]
    settings.WEBHOOK_ALLOWED = ["192.168.1.5:8123"]
    assert api_of(cast.adam).post(CHANNELS, body).status_code == 201


def test_channels_are_read_by_operators_and_changed_by_admins(cast: SimpleNamespace, api_of: Api) -> None:
    channel = channel_to("https://93.184.216.34/", cast.acme)
    url = f"{CHANNELS}/{channel.pk}"
    for user, status in ((None, 401), (cast.vera, 403), (cast.olga, 200), (cast.mallory, 404)):
        assert api_of(user).get(url).status_code == status
    for user, status in ((cast.olga, 403), (cast.mallory, 404), (cast.adam, 200)):
        assert api_of(user).patch(url, {"name": "Night"}).status_code == status
    for user, status in ((cast.olga, 403), (cast.mallory, 404), (cast.adam, 204)):
        assert api_of(user).delete(url).status_code == status


def test_operators_see_how_the_messages_went(
    cast: SimpleNamespace, api_of: Api, alert: Alert, django_assert_num_queries: Any
) -> None:
    channel = channel_to("https://93.184.216.34/", cast.acme)
    dead = delivery_to(channel, alert, status="dead", attempts=5, error="The receiver answered 500.")
    sent = delivery_to(channel, alert_of(cast.temperature), status="sent", response_status=204)
    delivery_to(channel_to("https://93.184.216.34/", cast.globex), alert_of(cast.their_temperature))
    api = api_of(cast.olga)

    with django_assert_num_queries(5):
        assert [row["id"] for row in api.get(DELIVERIES).json()["results"]] == [sent.pk, dead.pk]
    [row] = api.get(DELIVERIES, {"status": "dead"}).json()["results"]
    assert row.items() >= {"channel_name": "On-call", "event": "opened", "attempts": 5, "uuid": str(dead.uuid)}.items()
    assert row["error"] == "The receiver answered 500."
    assert [row["id"] for row in api.get(DELIVERIES, {"alert": alert.pk}).json()["results"]] == [dead.pk]
    assert api_of(cast.vera).get(DELIVERIES).status_code == 403
    assert api_of(cast.alice).post(DELIVERIES, {}).status_code in (403, 405)
    assert api_of(cast.alice).delete(f"{DELIVERIES}/{dead.pk}").status_code == 404
