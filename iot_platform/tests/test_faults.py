"""A short fault run in each CI; `make faults` is the long one."""

from datetime import UTC, datetime

import pytest

from iot_platform.tests.faults import check, kill_worker

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.services
def test_a_worker_killed_under_load_loses_nothing_and_stores_nothing_twice(postgresql, redis, mosquitto):
    """The fixtures are asked for so that a machine without these servers skips; the run starts its own."""
    result = kill_worker(kills=3, rate=2_000, seed=7)
    assert (result.lost[:5], result.twice[:5], result.unexpected[:5]) == ([], [], [])
    assert result.rate > 1_900


def test_the_checker_notices_what_is_lost_twice_or_unexpected():
    a, b, c = (("d", AT, float(number)) for number in range(3))
    result = check(0, [a, b], 1, 0, [b, b, c])
    assert (result.lost, result.twice, result.unexpected) == ([a], [b], [c])
