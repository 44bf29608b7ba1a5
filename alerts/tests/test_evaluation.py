from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from alerts.evaluation import Observation, evaluate, sentence, step
from alerts.models import Alert, Delivery, Rule, RuleState, Severity
from alerts.resolution import resolve
from alerts.tests.conftest import NOON, channel_to, observed
from devices.models import Device, DeviceType, Sensor, SensorType, Unit

OPENED, RESOLVED = Delivery.Event.OPENED, Delivery.Event.RESOLVED


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("gt", False, False, True),
        ("gte", False, True, True),
        ("lt", True, False, False),
        ("lte", True, True, False),
        ("eq", False, True, False),
        ("ne", True, False, True),
    ],
)
def test_a_step_opens_resolves_or_changes_nothing(operator: str, below: bool, equal: bool, above: bool) -> None:
    rule = Rule(operator=operator, threshold=80.0)
    for value, breaks in ((79.9, below), (80.0, equal), (80.1, above)):
        assert step(rule, False, value) == (OPENED if breaks else None)
        assert step(rule, True, value) == (None if breaks else RESOLVED)


def test_a_value_beyond_the_threshold_opens_an_alert_that_says_what_happened(cast: SimpleNamespace, hot: Rule) -> None:
    events = evaluate(observed(cast.temperature, 79.0, 82.4, 85.0))

    alert = Alert.objects.get()
    assert alert.message == "Boiler temperature 82.4 °C is above 80 °C"
    assert (alert.value, alert.threshold, alert.time) == (82.4, 80.0, NOON + timedelta(minutes=1))
    assert (alert.status, alert.severity, alert.device, alert.rule) == ("active", Severity.HIGH, cast.boiler, hot)
    [(organization, kind, item)] = events
    assert (organization, kind) == (cast.acme.pk, "alert")
    assert (item["id"], item["event"], item["device"]) == (alert.pk, "opened", str(cast.boiler.uuid))
    assert (item["severity"], item["unit_symbol"], item["time"]) == ("high", "°C", "2026-03-01T12:01:00Z")


def test_an_open_alert_stays_one_while_the_value_stays_bad(cast: SimpleNamespace, hot: Rule) -> None:
    evaluate(observed(cast.temperature, 82.0))
    assert evaluate(observed(cast.temperature, 83.0, 84.0, start=NOON + timedelta(hours=1))) == []
    assert Alert.objects.count() == 1


def test_an_alert_is_resolved_by_nobody_when_the_value_goes_back(cast: SimpleNamespace, hot: Rule) -> None:
    evaluate(observed(cast.temperature, 82.0))
    Alert.objects.update(status="acknowledged", acknowledged_at=NOON, acknowledged_by=cast.olga)

    [(_, _, item)] = evaluate(observed(cast.temperature, 80.0, start=NOON + timedelta(minutes=1)))

    alert = Alert.objects.get()
    assert (alert.status, alert.resolved_by, RuleState.objects.get().alert) == ("resolved", None, None)
    assert alert.resolved_at is not None
    assert (item["event"], item["status"], item["resolved_by"]) == ("resolved", "resolved", None)
    assert item["acknowledged_by"] == "olga"


def test_every_turn_within_one_batch_counts_in_the_order_of_time(cast: SimpleNamespace, hot: Rule) -> None:
    batch = observed(cast.temperature, 90.0, 70.0, 91.0, 92.0, 71.0, 93.0)

    events = evaluate(batch[::-1])

    assert [item["event"] for *_, item in events] == ["opened", "resolved", "opened", "resolved", "opened"]
    alerts = Alert.objects.order_by("time")
    assert [(alert.value, alert.status) for alert in alerts] == [
        (90.0, "resolved"),
        (91.0, "resolved"),
        (93.0, "active"),
    ]
    assert RuleState.objects.get().alert == alerts[2]


def test_a_value_older_than_one_that_was_judged_changes_nothing(cast: SimpleNamespace, hot: Rule) -> None:
    evaluate(observed(cast.temperature, 70.0, 71.0))
    assert evaluate(observed(cast.temperature, 95.0, start=NOON + timedelta(seconds=30))) == []
    assert evaluate(observed(cast.temperature, 95.0, start=NOON + timedelta(minutes=1))) == []
    assert not Alert.objects.exists()
    assert RuleState.objects.get().judged_at == NOON + timedelta(minutes=1)


def test_what_a_person_resolved_opens_again_only_after_a_good_value(cast: SimpleNamespace, hot: Rule) -> None:
    evaluate(observed(cast.temperature, 90.0))
    resolve(Alert.objects.get(), cast.olga.pk)

    assert evaluate(observed(cast.temperature, 91.0, start=NOON + timedelta(hours=1))) == []
    assert evaluate(observed(cast.temperature, 70.0, start=NOON + timedelta(hours=2))) == []  # all know already
    assert Alert.objects.get().resolved_by == cast.olga

    [(_, _, item)] = evaluate(observed(cast.temperature, 92.0, start=NOON + timedelta(hours=3)))
    assert item["event"] == "opened"
    assert Alert.objects.count() == 2


@pytest.fixture
def elsewhere(cast: SimpleNamespace) -> Sensor:
    """Another thermometer of Acme, on another device in another unit."""
    unit = Unit.objects.create(organization=cast.acme, name="Attic", location="Top")
    device = Device.objects.create(
        organization=cast.acme, unit=unit, name="fan", device_type=DeviceType.objects.get(code="thermostat")
    )
    return Sensor.objects.create(
        device=device, key="temperature", name="fan", sensor_type=cast.temperature.sensor_type, unit="celsius"
    )


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (lambda cast: {"sensor": cast.temperature}, {"boiler"}),
        (lambda cast: {"sensor_type": cast.temperature.sensor_type}, {"boiler", "fan"}),
        (lambda cast: {"sensor_type": cast.temperature.sensor_type, "device": cast.boiler}, {"boiler"}),
        (lambda cast: {"sensor_type": cast.temperature.sensor_type, "unit": cast.floor}, {"boiler"}),
        (lambda cast: {"sensor_type": SensorType.objects.get(code="humidity")}, set()),
        (lambda cast: {"sensor": cast.temperature, "is_enabled": False}, set()),
        (lambda cast: {"sensor": cast.temperature, "organization": cast.globex}, set()),
        (lambda cast: {"sensor_type": cast.temperature.sensor_type, "organization": cast.globex}, {"theirs"}),
    ],
)
def test_a_rule_watches_what_it_names_in_its_own_organization(
    cast: SimpleNamespace, elsewhere: Sensor, scope: Any, found: set[str]
) -> None:
    fields = {"organization": cast.acme, "name": "Hot", "operator": "gt", "threshold": 80} | scope(cast)
    Rule.objects.create(**fields)

    evaluate([one for sensor in (cast.temperature, elsewhere, cast.their_temperature) for one in observed(sensor, 99)])

    assert {alert.device.name for alert in Alert.objects.all()} == found


def test_two_rules_at_one_sensor_each_open_their_alert(cast: SimpleNamespace, hot: Rule) -> None:
    Rule.objects.create(
        organization=cast.acme, name="Hotter", sensor_type=cast.temperature.sensor_type, operator="gt", threshold=90
    )
    evaluate(observed(cast.temperature, 85.0, 95.0))
    assert sorted(Alert.objects.values_list("rule__name", "value")) == [("Hotter", 95.0), ("Too hot", 85.0)]


def test_a_disabled_rule_leaves_its_open_alert_to_people(cast: SimpleNamespace, hot: Rule) -> None:
    evaluate(observed(cast.temperature, 85.0))
    Rule.objects.update(is_enabled=False)
    evaluate(observed(cast.temperature, 60.0, start=NOON + timedelta(hours=1)))
    assert Alert.objects.get().status == "active"


def test_each_channel_that_wants_to_hear_gets_a_message_for_opening_and_one_for_the_end(
    cast: SimpleNamespace, hot: Rule
) -> None:
    everything = channel_to("https://a.example.org/", cast.acme, minimum_severity=Severity.HIGH)
    channel_to("https://b.example.org/", cast.acme, minimum_severity=Severity.CRITICAL)
    channel_to("https://c.example.org/", cast.acme, is_enabled=False)
    channel_to("https://d.example.org/", cast.globex)

    evaluate(observed(cast.temperature, 90.0, 91.0))
    assert list(Delivery.objects.values_list("channel", "event", "status")) == [(everything.pk, "opened", "pending")]
    evaluate(observed(cast.temperature, 70.0, start=NOON + timedelta(hours=1)))
    assert list(Delivery.objects.order_by("pk").values_list("channel", "event")) == [
        (everything.pk, "opened"),
        (everything.pk, "resolved"),
    ]


def test_a_batch_of_two_organizations_tells_each_its_own(cast: SimpleNamespace, hot: Rule) -> None:
    kind = cast.temperature.sensor_type
    Rule.objects.create(organization=cast.globex, name="Hot", sensor_type=kind, operator="gt", threshold=80)
    channel_to("https://a.example.org/", cast.acme)
    channel_to("https://d.example.org/", cast.globex)

    events = evaluate([*observed(cast.temperature, 90.0), *observed(cast.their_temperature, 95.0)])

    assert {(organization, item["value"]) for organization, _, item in events} == {
        (cast.acme.pk, 90.0),
        (cast.globex.pk, 95.0),
    }
    assert sorted(Delivery.objects.values_list("channel__organization__name", "alert__value")) == [
        ("Acme", 90.0),
        ("Globex", 95.0),
    ]


def test_alert_state_and_messages_go_with_the_transaction_that_made_them(cast: SimpleNamespace, hot: Rule) -> None:
    channel_to("https://a.example.org/", cast.acme)
    with transaction.atomic():
        evaluate(observed(cast.temperature, 90.0))
        transaction.set_rollback(True)
    assert [model.objects.count() for model in (Alert, RuleState, Delivery)] == [0, 0, 0]


def test_values_that_no_rule_watches_cost_one_statement(cast: SimpleNamespace, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert evaluate(observed(cast.temperature, 1.0, 2.0)) == []


def test_nothing_observed_costs_no_more_than_that(cast: SimpleNamespace, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(1):
        assert evaluate([]) == []


def statements(batch: list[Observation]) -> int:
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        evaluate(batch)
    return sum(not query["sql"].startswith(("SAVEPOINT", "RELEASE")) for query in captured.captured_queries)


@pytest.mark.database
def test_a_batch_costs_as_many_statements_whether_it_is_small_or_large(cast: SimpleNamespace) -> None:
    kind = cast.temperature.sensor_type
    Rule.objects.create(organization=cast.acme, name="Hot", sensor_type=kind, operator="gt", threshold=80)
    channel_to("https://a.example.org/", cast.acme)
    count = 40 if connection.vendor == "sqlite" else 400  # Django cuts a statement at 999 values on SQLite
    many = Sensor.objects.bulk_create(
        Sensor(device=cast.boiler, key=f"t{n}", name=f"t{n}", sensor_type=kind, unit="celsius") for n in range(count)
    )

    def cost(sensors: list[Sensor], hour: int, *values: float) -> int:
        for sensor in sensors:
            acknowledging = User.objects.create(username=f"{sensor.pk} {hour}", email=f"{sensor.pk}.{hour}@example.org")
            sensor.alerts.open().update(status="acknowledged", acknowledged_by=acknowledging)
        start = NOON + timedelta(hours=hour)
        return statements([one for sensor in sensors for one in observed(sensor, *values, start=start)])

    for hour, values, most in ((0, [70.0], 5), (1, [71.0, 72.0], 3), (2, [90.0], 7), (3, [60.0, 99.0], 10)):
        assert cost([cast.temperature], hour, *values) == cost(many, hour, *values) <= most
    assert Alert.objects.count() == 2 * (count + 1)


def test_a_message_writes_numbers_as_people_do() -> None:
    sensor = Sensor(name="door", unit="")
    assert sentence(Rule(operator="eq", threshold=1.0), sensor, 1.0) == "Door 1 is equal to 1"
    air = Sensor(name="Air pressure", unit="pascal")
    rule = Rule(operator="gte", threshold=101300.5)
    assert sentence(rule, air, 101325.3984375) == "Air pressure 101325.4 Pa is at least 101300.5 Pa"
    assert "12345678901 Pa" in sentence(rule, air, 12345678901.0)
