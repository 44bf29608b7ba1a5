"""Bucket arithmetic for any window and any value."""

from __future__ import annotations

import math
import random

import pytest

from readings.buckets import WIDTHS, condense, fold, mean, spread, width_for

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
