"""What may be asked of readings, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rest_framework.test import APIClient

from readings.tests.records import of_device, record, values


@pytest.mark.parametrize("path", ["readings", "sensors/history", "devices/{}/readings", "devices/{}/readings/stats"])
@pytest.mark.parametrize(
    "query",
    [
        "start=2026-03-01T12:00:00",
        "start=2026-03-01",
        "end=yesterday",
        "start=0001-01-01T00:00:00Z",
        "end=9999-12-31T23:59:59Z",
        "start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z",
        "start=2026-03-01T00:00:00Z&end=2026-03-01T00:00:00Z",
        "min_value=nan",
        "max_value=1e400",
        "min_value=low",
        "status=wrong",
        "anomalies_only=perhaps",
        f"sensor_id={'x' * 51}",
        "&".join(f"sensor_id={number}" for number in range(51)),
        "end=" + "9" * 5000,
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    path: str, query: str, cast: SimpleNamespace, vera: APIClient
) -> None:
    answer = vera.get(f"/api/v1/{path.format(cast.boiler.uuid)}?{query}")
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"


@pytest.mark.parametrize("query", ["points=1", "points=5001", "points=many", "limit=0", "limit=-1", "device=7"])
def test_a_chart_with_impossible_bounds_is_refused(query: str, vera: APIClient) -> None:
    assert vera.get(f"/api/v1/sensors/history?{query}").status_code == 400


def test_a_window_of_a_hundred_years_is_refused_where_it_would_be_folded(
    cast: SimpleNamespace, vera: APIClient
) -> None:
    century = "start=1950-01-01T00:00:00Z&end=2050-01-01T00:00:00Z"
    assert vera.get(f"/api/v1/sensors/history?points=5000&{century}").status_code == 400
    assert vera.get(f"{of_device(cast.boiler, '/stats')}?{century}").status_code == 400
    assert vera.get(f"/api/v1/readings?{century}").status_code == 200


@pytest.mark.parametrize(
    "start", ["2026-03-01T13:01:00+01:00", "2026-03-01T13:01:00%2B01:00", "1772366460", "1772366460000"]
)
def test_a_time_may_be_given_in_any_zone_or_as_epoch(start: str, cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, 2.0, 3.0)
    assert values(vera.get(f"/api/v1/readings?start={start}")) == [3.0, 2.0]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=garbage",
        "cursor=1_2_3",
        "cursor=-1_5",
        f"cursor={'9' * 18}_1",
        f"cursor=1_{'9' * 19}",
        "page=0",
        "page=2",
    ],
)
def test_a_cursor_of_ones_own_making_and_page_numbers_are_refused(query: str, vera: APIClient) -> None:
    assert vera.get(f"/api/v1/readings?{query}").status_code == 400


@pytest.mark.parametrize("limit", ["0", "501", "1000000000", "x"])
def test_a_page_has_one_to_five_hundred_readings(limit: str, vera: APIClient) -> None:
    assert vera.get(f"/api/v1/readings?limit={limit}").status_code == 400
