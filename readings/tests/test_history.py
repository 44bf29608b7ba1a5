"""Bucket arithmetic for any window and any value, and the search for the newest readings against plain sorting."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.permissions import actor_for
from devices.models import Sensor
from readings import history
from readings.buckets import WIDTHS, condense, fold, mean, spread, width_for
from readings.history import EPOCH, Place, Wanted
from readings.models import Reading, SensorState, Status
from readings.tests.records import MINUTE, NOON, add_sensor, record

DAY = 86_400_000


def rows_within(chance: random.Random, start: int, span: int, many: int) -> list[tuple[int, float]]:
    times = sorted(start + chance.randrange(span) for _ in range(many))
    return [(time, chance.gauss(20, 5)) for time in times]


@pytest.mark.parametrize("seed", range(20))
def test_a_window_never_touches_more_buckets_than_points_wherever_it_begins(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        span, points = int(10 ** chance.uniform(0, 11.49)), chance.randint(2, 5000)
        start = chance.randrange(10**12)
        width = width_for(span, points)
        first, last = start // width, (start + span - 1) // width
        assert last - first + 1 <= points


def test_a_handy_width_is_never_finer_than_it_must_be() -> None:
    assert width_for(DAY, 600) == 300_000
    assert width_for(365 * DAY, 600) == 86_400_000
    assert width_for(1, 2) == WIDTHS[0]


def test_ten_years_fit_into_two_points() -> None:
    assert width_for(3653 * DAY, 2) == 5000 * DAY


@pytest.mark.parametrize("seed", range(20))
def test_no_spike_is_lost_and_no_reading_is_counted_twice(seed: int) -> None:
    chance = random.Random(seed)
    span, points = chance.randint(1000, 10**9), chance.randint(2, 200)
    rows = rows_within(chance, chance.randrange(10**12), span, chance.randint(1, 3000))
    spike = chance.randrange(len(rows))
    rows[spike] = (rows[spike][0], 1e6)
    columns = condense(rows, span, points)
    assert len(columns.times) == len(columns.low) == len(columns.high) == len(columns.mean) <= points
    assert columns.count == len(rows)
    assert columns.times == sorted(columns.times)
    assert max(columns.high) == 1e6
    assert min(columns.low) == min(value for _, value in rows)
    assert all(low <= middle <= high for low, middle, high in zip(columns.low, columns.mean, columns.high, strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_each_bucket_holds_the_readings_of_its_time_and_no_others(seed: int) -> None:
    chance = random.Random(seed)
    rows = rows_within(chance, 10**12, 10_000, 500)
    columns = fold(rows, 100)
    for start, low, high, middle in zip(columns.times, columns.low, columns.high, columns.mean, strict=True):
        inside = [value for time, value in rows if start <= time < start + 100]
        assert (start % 100, low, high) == (0, min(inside), max(inside))
        assert middle == pytest.approx(sum(inside) / len(inside))


def test_few_readings_are_shown_as_they_are() -> None:
    columns = condense([(1, 5.0), (7, -3.0)], 10, 2)
    assert (columns.width, columns.times, columns.low, columns.high) == (0, [1, 7], [5.0, -3.0], [5.0, -3.0])


def test_nothing_at_all_is_an_empty_series() -> None:
    assert condense([], 1000, 10).times == []


@pytest.mark.parametrize("values", [[0.1] * 3, [1.7e308] * 5, [1.7e308, -1.7e308, 1e-300], [5e-324, 0.0], [21.3]])
def test_mean_and_deviation_are_finite_and_in_range_whatever_the_values(values: list[float]) -> None:
    result = spread(values)
    assert min(values) <= result.mean <= max(values)
    assert 0 <= result.deviation <= max(map(abs, values)) * 1.000001
    assert math.isfinite(result.deviation)


def test_the_deviation_is_that_of_the_whole_population() -> None:
    assert spread([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).deviation == 2.0
    assert spread([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).mean == 5.0


def test_a_mean_of_ordinary_values_is_not_smeared_by_rounding() -> None:
    assert mean([21.3, 21.3, 21.3], 21.3, 21.3) == 21.3


@pytest.fixture
def crowd(cast: SimpleNamespace) -> list[Sensor]:
    """Twelve sensors with readings of every kind, some interleaved, some silent for long, one without any."""
    chance = random.Random(7)
    sensors = [add_sensor(cast.boiler, f"s{number}") for number in range(12)]
    for number, sensor in enumerate(sensors[:-1]):
        for _ in range(4):
            record(
                sensor,
                *(round(chance.uniform(0, 9), 1) for _ in range(chance.randint(1, 6))),
                start=NOON + timedelta(seconds=chance.randrange(4000) + 1000 * (number % 3), microseconds=number),
                every=timedelta(seconds=chance.randint(1, 90)),
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
        after = chance.choice([None, Place(NOON + timedelta(seconds=chance.randrange(6000)), chance.randrange(100))])
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
