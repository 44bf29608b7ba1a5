"""Validate, archive and remove, in the database and over HTTP, and the counts of sensors that must follow."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.permissions import actor_for
from devices.models import Sensor
from readings import review
from readings.models import Reading, SensorState, Status
from readings.tests.records import MINUTE, NOON, ApiOf, add_sensor, record

EVERYTHING = Reading.objects.all


def counts_of(sensor: Sensor) -> dict[str, int]:
    state = SensorState.objects.get(pk=sensor.pk)
    return {name: getattr(state, name) for name in review.STATE_COUNTS}


def counted(sensor: Sensor) -> dict[str, int]:
    """The counts as a scan of the readings gives them."""
    rows = list(Reading.objects.filter(sensor=sensor))
    return {
        "count": len(rows),
        "anomaly_count": sum(row.is_anomaly and row.status != Status.INVALID for row in rows),
        **{f"{status.label}_count": sum(row.status == status for row in rows) for status in Status},
    }


@pytest.fixture
def mixed(cast: SimpleNamespace) -> list[Reading]:
    """One reading in each status and three pending ones, two of them anomalies."""
    second = add_sensor(cast.boiler, "second")
    return [
        *record(cast.temperature, 1.0, status=Status.PENDING, is_anomaly=True),
        *record(cast.temperature, 2.0, start=NOON + MINUTE, status=Status.VALIDATED),
        *record(cast.temperature, 3.0, start=NOON + 2 * MINUTE, status=Status.ARCHIVED),
        *record(cast.temperature, 4.0, start=NOON + 3 * MINUTE, status=Status.INVALID),
        *record(second, 5.0, 6.0, is_anomaly=True),
    ]


def statuses(readings: list[Reading]) -> list[int]:
    stored = Reading.objects.in_bulk([reading.pk for reading in readings])
    return [stored[reading.pk].status for reading in readings]


def test_only_pending_readings_are_validated_and_counts_follow(cast: SimpleNamespace, mixed: list[Reading]) -> None:
    outcome = review.validate([reading.pk for reading in mixed], EVERYTHING())
    assert outcome == review.Review(changed=3, not_found=[], refused=[mixed[2].pk, mixed[3].pk])
    assert statuses(mixed) == [
        Status.VALIDATED,
        Status.VALIDATED,
        Status.ARCHIVED,
        Status.INVALID,
        *[Status.VALIDATED] * 2,
    ]
    for sensor in Sensor.objects.filter(device=cast.boiler):
        assert counts_of(sensor) == counted(sensor)


def test_pending_and_validated_readings_are_archived_but_invalid_ones_stay_masked(
    cast: SimpleNamespace, mixed: list[Reading]
) -> None:
    outcome = review.archive([reading.pk for reading in mixed], EVERYTHING())
    assert outcome == review.Review(changed=4, not_found=[], refused=[mixed[3].pk])
    assert counts_of(cast.temperature) == counted(cast.temperature)


def test_a_repeated_review_changes_nothing_and_refuses_nothing(cast: SimpleNamespace, mixed: list[Reading]) -> None:
    review.validate([mixed[0].pk], EVERYTHING())
    before = counts_of(cast.temperature)
    assert review.validate([mixed[0].pk, mixed[0].pk], EVERYTHING()) == review.Review(0, [], [])
    assert counts_of(cast.temperature) == before


def test_another_organizations_readings_are_not_found_and_not_changed(cast: SimpleNamespace) -> None:
    theirs = record(cast.their_temperature, 9.0)[0]
    ours = record(cast.temperature, 8.0)[0]
    visible = Reading.objects.visible_to(actor_for(cast.olga))
    assert review.archive([theirs.pk, ours.pk], visible) == review.Review(1, [theirs.pk], [])
    assert statuses([theirs]) == [Status.PENDING]
    assert review.remove([theirs.pk], visible) == 0
    assert Reading.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("many", [1, 40])
def test_a_bulk_review_costs_the_same_statements_whatever_its_size(
    many: int, cast: SimpleNamespace, django_assert_num_queries: Any
) -> None:
    ids = [row.pk for number in range(many) for row in record(add_sensor(cast.boiler, f"s{number}"), 1.0, 2.0)]
    with django_assert_num_queries(7):  # sensors, savepoint, states, rows, rows changed, states changed, release
        assert review.validate(ids, EVERYTHING()).changed == 2 * many


def test_removing_the_newest_reading_brings_back_the_one_before(cast: SimpleNamespace) -> None:
    rows = record(cast.temperature, 1.0, 2.0, 3.0)
    assert review.remove([rows[2].pk], EVERYTHING()) == 1
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert (state.reading_id, state.value, state.time, state.earliest_time) == (rows[1].pk, 2.0, rows[1].time, NOON)
    assert counts_of(cast.temperature) == counted(cast.temperature)


def test_removing_the_earliest_reading_moves_the_range(cast: SimpleNamespace) -> None:
    rows = record(cast.temperature, 1.0, 2.0, 3.0)
    review.remove([rows[0].pk], EVERYTHING())
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert (state.reading_id, state.earliest_time) == (rows[2].pk, rows[1].time)


def test_removing_from_the_middle_leaves_newest_and_earliest_alone(cast: SimpleNamespace) -> None:
    rows = record(cast.temperature, 1.0, 2.0, 3.0)
    review.remove([rows[1].pk], EVERYTHING())
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert (state.reading_id, state.earliest_time, state.count) == (rows[2].pk, rows[0].time, 2)


def test_a_sensor_that_lost_its_last_reading_has_no_state(cast: SimpleNamespace) -> None:
    rows = record(cast.temperature, 1.0)
    review.remove([rows[0].pk], EVERYTHING())
    assert not SensorState.objects.filter(pk=cast.temperature.pk).exists()
    assert record(cast.temperature, 5.0)
    assert SensorState.objects.get(pk=cast.temperature.pk).count == 1


def test_removing_readings_of_every_status_keeps_every_count_right(cast: SimpleNamespace, mixed: list[Reading]) -> None:
    for reading in mixed[:3]:
        review.remove([reading.pk], EVERYTHING())
        assert counts_of(cast.temperature) == counted(cast.temperature)


def test_an_anomaly_that_is_invalid_was_taken_from_the_counts_already(cast: SimpleNamespace) -> None:
    invalid = record(cast.temperature, 1.0, is_anomaly=True, status=Status.INVALID)[0]
    record(cast.temperature, 2.0, start=NOON + MINUTE)
    SensorState.objects.update(anomaly_count=0)
    review.remove([invalid.pk], EVERYTHING())
    assert counts_of(cast.temperature) == counted(cast.temperature)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one writer in at a time")
def test_counts_stay_right_when_everybody_works_on_the_same_readings(cast: SimpleNamespace) -> None:
    ids = [reading.pk for reading in record(cast.temperature, *range(200), is_anomaly=True)]

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(10):
            some = chance.sample(ids, 60)
            chance.choice([review.validate, review.archive])(some, EVERYTHING())
            review.remove(some[:2], EVERYTHING())
            record(cast.temperature, 1.0, 2.0, start=NOON + timedelta(days=seed + 1, minutes=2 * turn))
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert counts_of(cast.temperature) == counted(cast.temperature)
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert state.reading_id == Reading.objects.order_by("time").last().pk
    assert state.earliest_time == Reading.objects.order_by("time").first().time


# -- over HTTP -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["put", "post"])
def test_an_operator_validates_and_archives(method: str, cast: SimpleNamespace, api_of: ApiOf) -> None:
    reading = record(cast.temperature, 21.5)[0]
    ask = getattr(api_of(cast.olga), method)
    assert ask(f"/api/v1/readings/{reading.pk}/validate").json()["status"] == "validated"
    assert ask(f"/api/v1/readings/{reading.pk}/validate").json()["status"] == "validated"
    assert ask(f"/api/v1/readings/{reading.pk}/archive").json()["status"] == "archived"
    assert ask(f"/api/v1/readings/{reading.pk}/validate").status_code == 409
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert (state.pending_count, state.validated_count, state.archived_count) == (0, 0, 1)


def test_an_invalid_reading_cannot_be_validated_or_archived(cast: SimpleNamespace, api_of: ApiOf) -> None:
    reading = record(cast.temperature, 21.5, status=Status.INVALID)[0]
    for step in ("validate", "archive"):
        answer = api_of(cast.olga).put(f"/api/v1/readings/{reading.pk}/{step}")
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["code"] == "conflict"


@pytest.mark.parametrize("step", ["validate", "archive"])
def test_readings_are_reviewed_in_bulk(step: str, cast: SimpleNamespace, api_of: ApiOf) -> None:
    ours = [reading.pk for reading in record(cast.temperature, 1.0, 2.0)]
    theirs = record(cast.their_temperature, 3.0)[0].pk
    answer = api_of(cast.olga).post(f"/api/v1/readings/{step}", {"ids": [*ours, theirs]})
    assert answer.json() == {"changed": 2, "not_found": [theirs], "refused": []}
    assert Reading.objects.get(pk=theirs).status == Status.PENDING


@pytest.mark.parametrize(
    "body", [{}, {"ids": []}, {"ids": ["x"]}, {"ids": [0]}, {"ids": [2**63]}, {"ids": [1] * 1001}, []]
)
def test_a_bulk_review_without_sane_ids_is_refused(body: Any, cast: SimpleNamespace, api_of: ApiOf) -> None:
    assert api_of(cast.olga).post("/api/v1/readings/validate", body).status_code == 400


def test_review_and_removal_need_their_role(cast: SimpleNamespace, api_of: ApiOf, as_boiler: APIClient) -> None:
    reading = record(cast.temperature, 21.5)[0]
    url = f"/api/v1/readings/{reading.pk}"
    for client, expected in ((api_of(cast.vera), 403), (as_boiler, 403), (api_of(cast.mallory), 404)):
        assert client.post(f"{url}/validate").status_code == expected
        assert client.put(f"{url}/archive").status_code == expected
        assert client.delete(url).status_code == expected
    for client in (api_of(cast.vera), as_boiler):
        assert client.post("/api/v1/readings/validate", {"ids": [reading.pk]}).status_code == 403
    assert api_of(cast.olga).delete(url).status_code == 403
    assert as_boiler.post("/api/v1/readings/archive", {"ids": [reading.pk]}).status_code == 403
    assert Reading.objects.get(pk=reading.pk).status == Status.PENDING


def test_an_admin_deletes_a_reading_and_the_counts_follow(cast: SimpleNamespace, api_of: ApiOf) -> None:
    first, second = record(cast.temperature, 1.0, 2.0)
    adam = api_of(cast.adam)
    assert adam.delete(f"/api/v1/readings/{second.pk}").status_code == 204
    assert adam.get(f"/api/v1/readings/{second.pk}").status_code == 404
    answer = adam.get("/api/v1/sensors/latest").json()
    assert (answer["total_readings"], answer["temperature"]["id"]) == (1, first.pk)
