"""The corridor: what is stored, what is refused, what follows."""

import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Alert, Rule
from devices.models import Device, DeviceState, Sensor
from readings import store
from readings.ingest import Message, Outcome, ingest, now
from readings.models import Origin, Protocol, Reading, Reason, Rejection, SensorState, Status

pytestmark = pytest.mark.django_db


def message(device: Device, *readings: object, at: datetime | None = None, **fields: object) -> Message:
    payload = json.dumps(readings[0] if len(readings) == 1 else list(readings)).encode()
    return Message(str(device.uuid), payload, at or now(), Protocol.MQTT, "devices/x/up/readings", **fields)


def send(device: Device, *readings: object, **fields: object) -> Outcome:
    return ingest([message(device, *readings)], **fields)[0]


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def codes(outcome: Outcome) -> list[str]:
    return [refusal.reason for refusal in outcome.refusals]


def test_a_reading_is_stored_with_all_that_was_sent(cast: SimpleNamespace):
    when = now() - timedelta(minutes=1)
    sent = {
        "sensor": "temperature",
        "value": 21.5,
        "time": text(when),
        "origin": "fog",
        "anomaly": True,
        "anomaly_details": {"z": 4.2},
        "reading_count": 12,
    }
    assert send(cast.boiler, sent).accepted == 1
    reading = Reading.objects.get()
    assert (reading.sensor, reading.time, reading.value) == (cast.temperature, when, 21.5)
    assert (reading.origin, reading.protocol, reading.status) == (Origin.FOG, Protocol.MQTT, Status.PENDING)
    assert reading.is_anomaly and reading.anomaly_details == {"z": 4.2}
    assert reading.reading_count == 12
    assert reading.received_at > when


def test_the_same_message_a_hundred_times_is_one_row(cast: SimpleNamespace):
    sent = message(cast.boiler, {"sensor": "temperature", "value": 21.5, "time": text(now())})
    outcomes = ingest([sent] * 60) + [outcome for _ in range(40) for outcome in ingest([sent])]
    assert Reading.objects.count() == 1
    assert sum(outcome.accepted for outcome in outcomes) == 1
    assert sum(outcome.duplicates for outcome in outcomes) == 99
    assert SensorState.objects.get().count == 1


def test_another_value_at_the_same_time_is_a_conflict_and_the_first_is_kept(cast: SimpleNamespace):
    when = text(now())
    send(cast.boiler, {"sensor": "temperature", "value": 1, "time": when})
    outcome = send(cast.boiler, {"sensor": "temperature", "value": 2, "time": when})
    assert codes(outcome) == [Reason.CONFLICT]
    assert Reading.objects.get().value == 1
    assert Rejection.objects.get().reason == Reason.CONFLICT


def test_untimed_readings_of_one_message_lie_a_microsecond_apart_in_their_order(cast: SimpleNamespace):
    arrived = now()
    readings = [{"sensor": "temperature", "value": value} for value in (1, 2, 3)]
    ingest([message(cast.boiler, *readings, at=arrived)])
    stored = Reading.objects.order_by("time").values_list("value", "time")
    assert list(stored) == [(value, arrived + timedelta(microseconds=place)) for place, value in enumerate((1, 2, 3))]


def test_good_items_are_stored_and_each_bad_one_becomes_a_rejection(cast: SimpleNamespace):
    outcome = send(
        cast.boiler,
        {"sensor": "temperature", "value": 1},
        {"sensor": "temperature", "value": "12"},
        {"sensor": "what-is-this", "value": 3},
        {"sensor": "temperature", "value": 4, "unit": "lux"},
    )
    assert outcome.accepted == 1
    kept = Rejection.objects.order_by("item").values_list("item", "reason", "device", "organization")
    reasons = {1: Reason.NOT_A_NUMBER, 2: Reason.UNKNOWN_SENSOR, 3: Reason.UNIT_MISMATCH}
    assert list(kept) == [(item, reason, cast.boiler.pk, cast.acme.pk) for item, reason in reasons.items()]


def test_a_value_in_another_unit_is_converted(cast: SimpleNamespace):
    send(cast.boiler, {"sensor": "temperature", "value": 68, "unit": "°F"})
    assert Reading.objects.get().value == 20


def test_a_switch_word_is_no_number_for_a_sensor_of_numbers(cast: SimpleNamespace):
    assert codes(send(cast.boiler, {"sensor": "temperature", "value": True})) == [Reason.NOT_A_NUMBER]


def test_a_sensor_of_a_known_type_is_discovered(cast: SimpleNamespace):
    assert send(cast.boiler, {"sensor": "door", "sensor_type": "locked", "value": "closed"}).accepted == 1
    sensor = Sensor.objects.get(key="door")
    assert (sensor.device, sensor.sensor_type.code) == (cast.boiler, "locked")
    assert Reading.objects.get().value == 0


def test_a_device_may_not_have_endless_sensors(cast: SimpleNamespace, settings):
    settings.SENSORS_PER_DEVICE = 2
    sent = [{"sensor": f"t{n}", "sensor_type": "temperature", "value": n} for n in range(3)]
    outcome = send(cast.boiler, *sent)
    assert outcome.accepted == 1
    assert codes(outcome) == [Reason.TOO_MANY_SENSORS] * 2


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (timedelta(minutes=-6), Reason.CLOCK_AHEAD),
        (timedelta(days=-365 * 50), Reason.CLOCK_AHEAD),
        (timedelta(days=366), Reason.TOO_OLD),
    ],
)
def test_a_time_outside_the_window_is_refused(cast: SimpleNamespace, age: timedelta, reason: Reason):
    outcome = send(cast.boiler, {"sensor": "temperature", "value": 1, "time": text(now() - age)})
    assert codes(outcome) == [reason]
    assert not Reading.objects.exists()


def test_history_may_be_of_any_age_and_wakes_nobody(cast: SimpleNamespace):
    Rule.objects.create(
        organization=cast.acme, name="hot", sensor=cast.temperature, operator=Rule.Operator.ABOVE, threshold=10
    )
    send(cast.boiler, {"sensor": "temperature", "value": 99, "time": "1999-01-01T00:00:00Z"}, history=True)
    assert Reading.objects.get().time.year == 1999
    assert not Alert.objects.exists()
    assert not DeviceState.objects.filter(status=DeviceState.Status.ONLINE).exists()


def test_a_device_without_a_clock_is_timed_by_arrival(cast: SimpleNamespace):
    Device.objects.filter(pk=cast.boiler.pk).update(clock=Device.Clock.ARRIVAL)
    send(cast.boiler, {"sensor": "temperature", "value": 1, "time": "1970-01-01T00:00:05Z"})
    assert abs(Reading.objects.get().time - now()) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda cast: Device.objects.filter(pk=cast.boiler.pk).update(mode="disabled"), Reason.DEVICE_DISABLED),
        (lambda cast: Device.objects.filter(pk=cast.boiler.pk).update(deleted_at=now()), Reason.UNKNOWN_DEVICE),
        (lambda cast: Sensor.objects.filter(pk=cast.temperature.pk).update(status="inactive"), Reason.SENSOR_INACTIVE),
    ],
)
def test_who_may_not_speak_is_refused(cast: SimpleNamespace, change, reason: Reason):
    change(cast)
    assert codes(send(cast.boiler, {"sensor": "temperature", "value": 1})) == [reason]
    assert Rejection.objects.get().reason == reason


def test_another_devices_sensor_cannot_be_written(cast: SimpleNamespace):
    Sensor.objects.filter(pk=cast.their_temperature.pk).update(key="theirs")
    outcome = send(cast.boiler, {"sensor": "theirs", "value": 1})
    assert codes(outcome) == [Reason.UNKNOWN_SENSOR]


def test_the_implausible_is_marked_and_stored(cast: SimpleNamespace):
    send(cast.boiler, {"sensor": "temperature", "value": 5000})
    reading = Reading.objects.get()
    assert reading.is_anomaly
    assert reading.anomaly_details == {"reason": "out_of_range", "minimum": -50, "maximum": 1000}


def test_the_state_holds_the_newest_value_and_the_counts(cast: SimpleNamespace):
    start = now() - timedelta(hours=1)
    for minutes, value in ((2, 20), (3, 5000), (1, 10)):
        sent = {"sensor": "temperature", "value": value, "time": text(start + timedelta(minutes=minutes))}
        send(cast.boiler, sent)
    state = SensorState.objects.get(sensor=cast.temperature)
    assert (state.value, state.time) == (5000, start + timedelta(minutes=3))
    assert state.earliest_time == start + timedelta(minutes=1)
    assert (state.count, state.anomaly_count, state.pending_count) == (3, 1, 3)
    assert state.reading_id == Reading.objects.get(value=5000).pk


def test_a_device_that_speaks_is_seen_even_if_it_is_refused(cast: SimpleNamespace):
    send(cast.boiler, {"sensor": "temperature", "value": "x"})
    state = DeviceState.objects.get(device=cast.boiler)
    assert state.status == DeviceState.Status.ONLINE
    assert state.last_refused_reason == Reason.NOT_A_NUMBER


def test_a_broken_rule_opens_its_alert_with_the_reading(cast: SimpleNamespace):
    Rule.objects.create(
        organization=cast.acme, name="hot", sensor=cast.temperature, operator=Rule.Operator.ABOVE, threshold=80
    )
    send(cast.boiler, {"sensor": "temperature", "value": 82.4})
    alert = Alert.objects.get()
    assert (alert.device, alert.value, alert.status) == (cast.boiler, 82.4, Alert.Status.ACTIVE)


def test_one_row_that_the_database_refuses_does_not_take_the_others_with_it(cast: SimpleNamespace, monkeypatch):
    """The database is made to refuse a value, as it would a row that no check of ours has foreseen."""
    insert = store._insert_readings

    def refusing(rows: list[store.Row]) -> dict[store.Key, int]:
        if any(row.value == 666 for row in rows):
            raise DataError("value 666 is refused")
        return insert(rows)

    monkeypatch.setattr(store, "_insert_readings", refusing)
    outcomes = ingest([message(cast.boiler, {"sensor": "temperature", "value": value}) for value in (1, 2, 666, 4, 5)])
    assert sorted(Reading.objects.values_list("value", flat=True)) == [1, 2, 4, 5]
    assert [outcome.accepted for outcome in outcomes] == [1, 1, 0, 1, 1]
    assert Rejection.objects.get().reason == Reason.NOT_STORABLE
    assert SensorState.objects.get().count == 4


def test_a_batch_costs_the_same_statements_whatever_its_size(cast: SimpleNamespace):
    def statements(messages: list[Message]) -> int:
        with CaptureQueriesContext(connection) as captured:
            ingest(messages)
        return len(captured)

    base = now() - timedelta(hours=2)
    batch = [
        message(cast.boiler, {"sensor": "temperature", "value": n, "time": text(base + timedelta(seconds=n))})
        for n in range(500)
    ]
    statements(batch[:1])  # the first one ever also makes the device's state
    assert statements(batch[1:2]) == statements(batch[2:])


def test_readings_of_many_sensors_share_the_statements(cast: SimpleNamespace):
    readings = [{"sensor": f"t{n}", "sensor_type": "temperature", "value": n} for n in range(50)]
    send(cast.boiler, *readings)
    with CaptureQueriesContext(connection) as many:
        send(cast.boiler, *readings)
    with CaptureQueriesContext(connection) as one:
        send(cast.boiler, readings[0])
    assert len(many) == len(one)


def test_unknown_devices_and_topics_leave_a_rejection(cast: SimpleNamespace):
    stranger = Message("no-such-device", b'{"sensor":"t","value":1}', now(), Protocol.MQTT, "devices/x/up/readings")
    nowhere = Message(str(cast.boiler.uuid), b"{}", now(), Protocol.MQTT, "devices/x/up/other", format="")
    ingest([stranger, nowhere])
    reasons = Rejection.objects.order_by("reason").values_list("reason", "organization")
    assert list(reasons) == [(Reason.UNKNOWN_DEVICE, None), (Reason.UNKNOWN_TOPIC, cast.acme.pk)]


def test_a_value_that_no_double_holds_in_the_sensors_unit_is_refused(cast: SimpleNamespace):
    sent = {"sensor": "p", "sensor_type": "pressure", "value": 1.7e308, "unit": "bar"}
    assert codes(send(cast.boiler, sent)) == [Reason.NUMBER_OUT_OF_RANGE]
    assert not Reading.objects.exists()


def test_a_message_with_many_bad_items_is_kept_once(cast: SimpleNamespace):
    old = [{"sensor": "temperature", "value": n, "time": "1999-01-01T00:00:00Z"} for n in range(200)]
    assert len(codes(send(cast.boiler, *old))) == 200
    kept = [len(payload) for payload in Rejection.objects.order_by("item").values_list("payload", flat=True)]
    assert kept[0] > 1000
    assert kept[1:] == [0] * 199


def test_rows_reach_the_database_in_one_order_whatever_order_they_came_in(cast: SimpleNamespace, monkeypatch):
    """Two writers that insert the same keys in different orders dead-lock on PostgreSQL."""
    seen: list[list[store.Key]] = []
    insert = store._insert_readings
    monkeypatch.setattr(store, "_insert_readings", lambda rows: seen.append([row.key for row in rows]) or insert(rows))
    base = now() - timedelta(hours=1)
    readings = [{"sensor": "temperature", "value": n, "time": text(base - timedelta(seconds=n))} for n in range(20)]
    send(cast.boiler, *readings)
    assert seen[0] == sorted(seen[0])
    assert len(seen[0]) == 20
