"""The search for the newest readings against plain sorting; totals, history and charts over HTTP."""

from __future__ import annotations

import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.permissions import actor_for
from devices.models import Sensor
from readings import history
from readings.history import EPOCH, Place, Wanted
from readings.models import Reading, SensorState, Status
from readings.tests.records import MINUTE, NOON, READING_FIELDS, add_sensor, at, of_device, record, values


@pytest.fixture
def crowd(cast: SimpleNamespace) -> list[Sensor]:
    """Twelve sensors with readings of every kind, many at the same time, some silent for long, one without any."""
    chance = random.Random(7)
    sensors = [add_sensor(cast.boiler, f"s{number}") for number in range(12)]
    for number, sensor in enumerate(sensors[:-1]):
        for _ in range(4):
            record(
                sensor,
                *(round(chance.uniform(0, 9), 1) for _ in range(chance.randint(1, 6))),
                start=NOON + chance.randrange(40) * MINUTE + number % 3 * 20 * MINUTE,
                every=chance.randint(1, 3) * MINUTE,
                status=chance.choice(list(Status)),
                is_anomaly=chance.random() < 0.3,
            )
    record(cast.their_temperature, 1.0, 2.0, start=NOON + timedelta(hours=2))
    return sensors


def plainly_sorted(wanted: Wanted, after: Place | None, sensors: list[Sensor]) -> list[Reading]:
    rows = Reading.objects.filter(sensor__in=sensors).filter(wanted.readings())
    ordered = sorted(rows, key=lambda row: (row.time, row.pk), reverse=True)
    return [row for row in ordered if after is None or (row.time, row.pk) < after]


@pytest.mark.parametrize("seed", range(12))
def test_the_newest_are_the_same_as_after_sorting_everything(
    seed: int, cast: SimpleNamespace, crowd: list[Sensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(history, "SENSORS_PER_STATEMENT", chance.randint(1, 5))
    for _ in range(15):
        wanted = Wanted(
            status=chance.choice([history.COUNTED, (Status.INVALID,), (Status.PENDING, Status.ARCHIVED)]),
            anomalies_only=chance.random() < 0.3,
            start=chance.choice([None, NOON + timedelta(seconds=chance.randrange(4000))]),
            end=chance.choice([None, NOON + timedelta(seconds=chance.randrange(2000, 7000))]),
            min_value=chance.choice([None, 3.0]),
            max_value=chance.choice([None, 7.0]),
        )
        after = chance.choice([None, Place(NOON + chance.randrange(100) * MINUTE, chance.randrange(150))])
        limit = chance.randint(1, 40)
        found = history.newest(wanted.states(actor_for(cast.vera)), wanted.readings(after), limit)
        assert found == plainly_sorted(wanted, after, crowd)[:limit]


def test_the_newest_of_many_sensors_cost_three_statements(
    cast: SimpleNamespace, django_assert_num_queries: Any
) -> None:
    actor = actor_for(cast.vera)
    record(cast.temperature, 1.0, 2.0, 3.0, start=NOON + timedelta(hours=1))
    for number in range(history.SENSORS_PER_STATEMENT * 2):
        record(add_sensor(cast.boiler, f"s{number}"), *range(5))
    wanted = Wanted()
    for limit in 1, 3:
        with django_assert_num_queries(3):
            found = history.newest(wanted.states(actor), wanted.readings(), limit)
            assert [reading.sensor.device.name for reading in found] == ["boiler"] * limit


def test_sensors_without_anomalies_are_not_even_asked(cast: SimpleNamespace, django_assert_num_queries: Any) -> None:
    actor = actor_for(cast.vera)
    record(cast.temperature, 1.0)
    with django_assert_num_queries(1):
        assert history.newest(Wanted(anomalies_only=True).states(actor), Wanted().readings(), 5) == []


def test_a_chart_costs_one_statement_for_all_its_sensors(cast: SimpleNamespace, django_assert_num_queries: Any) -> None:
    sensors = [cast.temperature, add_sensor(cast.boiler, "second")]
    for sensor in sensors:
        record(sensor, *range(50))
    wanted = Wanted(start=NOON, end=NOON + 60 * MINUTE)
    with django_assert_num_queries(1):
        found = history.series(sensors, wanted, 10)
    assert [columns.count for columns in found.values()] == [50, 50]


def test_series_times_are_exact_milliseconds(cast: SimpleNamespace) -> None:
    record(cast.temperature, 1.0, start=NOON + timedelta(milliseconds=123))
    found = history.series([cast.temperature], Wanted(start=NOON, end=NOON + MINUTE), 10)
    assert found[cast.temperature.pk].times == [(NOON - EPOCH) // timedelta(milliseconds=1) + 123]


def test_totals_come_from_states_and_no_reading_is_scanned(
    cast: SimpleNamespace, django_assert_num_queries: Any
) -> None:
    record(cast.temperature, 20.0, 21.0)
    Reading.objects.all().delete()
    states = SensorState.objects.visible_to(actor_for(cast.vera))
    with django_assert_num_queries(3):
        answer = history.statistics(states)
    assert answer["total_readings"] == 2


def test_a_reading_that_arrives_between_the_two_statements_does_no_harm(cast: SimpleNamespace) -> None:
    record(cast.temperature, 20.0)
    states = SensorState.objects.visible_to(actor_for(cast.vera))
    totals = history.totals_by_type(states)
    record(cast.temperature, 25.0, start=timezone.now())
    assert history.latest_by_type(states, totals)["temperature"].value == 25.0


# -- over HTTP ------------------------------------------------------------------------------------------
def test_history_names_every_bound_that_it_applied(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 20.0, 21.0, 22.0, anomaly_details={"z": 4.2}, is_anomaly=True)
    answer = vera.get("/api/v1/sensors/history", {"sensor_type": "temp", "limit": 2, "anomalies_only": "true"}).json()
    assert [reading["value"] for reading in answer["readings"]] == [22.0, 21.0]
    assert answer["readings"][0].keys() == READING_FIELDS
    assert answer["readings"][0]["anomaly_details"] == {"z": 4.2}
    assert answer["total_count"] == 2
    assert answer["filters_applied"] == {
        "sensor_id": [],
        "sensor_type": "temp",
        "device": None,
        "status": ["pending", "validated", "archived"],
        "anomalies_only": True,
        "start": None,
        "end": None,
        "min_value": None,
        "max_value": None,
        "limit": 2,
    }


def test_history_answers_a_hundred_readings_unless_told_otherwise(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, *range(120))
    answer = vera.get("/api/v1/sensors/history").json()
    assert (answer["total_count"], answer["filters_applied"]["limit"]) == (100, 100)
    assert vera.get("/api/v1/sensors/history?limit=1001").status_code == 400


def test_a_sensor_is_named_by_its_id_or_its_key(cast: SimpleNamespace, vera: APIClient) -> None:
    other = add_sensor(cast.boiler, "attic")
    numbered = add_sensor(cast.boiler, str(other.pk))
    record(cast.temperature, 1.0)
    record(other, 2.0, start=NOON + MINUTE)
    record(numbered, 3.0, start=NOON + 2 * MINUTE)
    ask = "/api/v1/sensors/history?sensor_id="
    assert values(vera.get(f"{ask}{cast.temperature.pk}")) == [1.0]
    assert values(vera.get(f"{ask}attic")) == [2.0]
    assert values(vera.get(f"{ask}{other.pk}")) == [2.0]  # a number is an id, not the key that looks like it
    assert values(vera.get(f"{ask}attic&sensor_id=temperature")) == [2.0, 1.0]
    assert values(vera.get(f"{ask}nobody")) == values(vera.get(f"{ask}{'9' * 50}")) == []


def test_other_names_of_a_sensor_type_are_understood(cast: SimpleNamespace, vera: APIClient) -> None:
    record(add_sensor(cast.boiler, "lamp", "light", "lux"), 300.0)
    assert values(vera.get("/api/v1/sensors/history?sensor_type=luminosity")) == [300.0]
    assert values(vera.get("/api/v1/sensors/history?sensor_type=nonsense")) == []


def test_a_chart_of_few_readings_shows_them_as_they_are(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 20.0, 22.5)
    asked = {"sensor_id": cast.temperature.pk, "start": at(NOON), "end": at(NOON + 60 * MINUTE), "points": 600}
    answer = vera.get("/api/v1/sensors/history", asked).json()
    noon = int(NOON.timestamp() * 1000)
    assert answer["series"] == [
        {
            "sensor_id": cast.temperature.pk,
            "sensor_key": "temperature",
            "unit": "celsius",
            "unit_symbol": "°C",
            "resolution_seconds": 0,
            "times": [noon, noon + 60_000],
            "min": [20.0, 22.5],
            "max": [20.0, 22.5],
            "avg": [20.0, 22.5],
        }
    ]
    assert (answer["resolution_seconds"], answer["total_count"]) == (0, 2)
    assert answer["filters_applied"]["end"] == "2026-03-01T13:00:00.000Z"
    assert answer["filters_applied"]["points"] == 600


def test_a_chart_of_many_readings_keeps_its_spikes(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, *([20.0] * 500), -40.0, *([20.0] * 499), every=timedelta(seconds=10))
    quiet = add_sensor(cast.boiler, "quiet")
    record(quiet, 1.0)
    record(cast.temperature, 900.0, start=NOON + timedelta(seconds=5), status=Status.INVALID)
    ask = f"/api/v1/sensors/history?sensor_id={cast.temperature.pk}&sensor_id=quiet&points=50"
    answer = vera.get(f"{ask}&start={at(NOON)}&end={at(NOON + timedelta(seconds=10_000))}").json()
    series = {one["sensor_key"]: one for one in answer["series"]}
    long = series["temperature"]
    assert len(long["times"]) <= 50
    assert (min(long["min"]), max(long["max"])) == (-40.0, 20.0)
    assert all(time % 300_000 == 0 for time in long["times"])
    assert (long["resolution_seconds"], series["quiet"]["resolution_seconds"]) == (300, 0)
    assert (answer["resolution_seconds"], answer["total_count"]) == (300, 1001)


def test_a_chart_shows_the_last_day_by_default_and_says_so(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, start=timezone.now() - timedelta(hours=25))
    record(cast.temperature, 2.0, start=timezone.now() - timedelta(hours=1))
    answer = vera.get("/api/v1/sensors/history?points=100&sensor_id=temperature").json()
    assert answer["series"][0]["avg"] == [2.0]
    assert answer["filters_applied"]["start"] < answer["filters_applied"]["end"]


def test_a_chart_of_a_sensor_without_readings_is_an_empty_series(cast: SimpleNamespace, vera: APIClient) -> None:
    answer = vera.get("/api/v1/sensors/history?points=100&sensor_id=temperature").json()
    assert answer["series"][0]["times"] == []


def test_a_chart_takes_fifty_sensors_at_most(cast: SimpleNamespace, vera: APIClient) -> None:
    for number in range(50):
        add_sensor(cast.boiler, f"s{number}")
    assert vera.get("/api/v1/sensors/history?points=10").status_code == 400
    assert vera.get("/api/v1/sensors/history?points=10&sensor_id=s1").status_code == 200


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324])
def test_values_at_the_edge_of_doubles_do_not_break_a_chart(
    value: float, cast: SimpleNamespace, vera: APIClient
) -> None:
    record(cast.temperature, *([value] * 30), 1e308, start=timezone.now() - 60 * MINUTE)
    assert vera.get("/api/v1/sensors/history?points=2").status_code == 200
    assert vera.get(of_device(cast.boiler, "/stats")).json()["sensors"][0]["max"] == 1e308
