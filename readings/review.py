"""What people do with stored readings: validate, archive, remove. The counts of SensorState follow.

A reading goes pending -> validated -> archived, or straight to archived, and never back. `anomaly_count` holds the
anomalies that were not marked invalid, because invalid readings leave the statistics.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from readings.models import Reading, SensorState, Status
from readings.store import STATE_COUNTS, STATE_LATEST

FROM = {
    Status.VALIDATED: frozenset({Status.PENDING}),
    Status.ARCHIVED: frozenset({Status.PENDING, Status.VALIDATED}),
}


@dataclass(frozen=True, slots=True)
class Review:
    """What became of the readings that were named; those that had the status already are in neither list."""

    changed: int
    not_found: list[int]
    refused: list[int]  # their status does not lead there


def validate(ids: Collection[int], readings: QuerySet[Reading]) -> Review:
    """A person confirms these of the readings that they may see."""
    return _move(ids, readings, Status.VALIDATED)


def archive(ids: Collection[int], readings: QuerySet[Reading]) -> Review:
    """Put away; charts and statistics still show them."""
    return _move(ids, readings, Status.ARCHIVED)


def remove(ids: Collection[int], readings: QuerySet[Reading]) -> int:
    """Delete these of the readings that the caller may see; answers how many there were."""
    sensor_ids = _sensors_of(ids, readings)
    with transaction.atomic():
        states = _locked(sensor_ids)
        rows = list(readings.filter(pk__in=ids).only("pk", "sensor_id", "time", "status", "is_anomaly"))
        Reading.objects.filter(pk__in=[row.pk for row in rows]).delete()
        _count(states, [(row, Status(row.status), -1) for row in rows])
        _repair(states, rows)
        _keep(states)
    return len(rows)


def _move(ids: Collection[int], readings: QuerySet[Reading], target: Status) -> Review:
    sensor_ids = _sensors_of(ids, readings)
    with transaction.atomic():
        states = _locked(sensor_ids)
        rows = list(readings.filter(pk__in=ids).only("pk", "sensor_id", "status", "is_anomaly"))
        movable = [row for row in rows if row.status in FROM[target]]
        named = Reading.objects.filter(pk__in=[row.pk for row in movable], status__in=FROM[target])
        changed = named.update(status=target)
        _count(states, [(row, Status(row.status), -1) for row in movable])
        _count(states, [(row, target, 1) for row in movable])
        _keep(states)
    return Review(
        changed=changed,
        not_found=sorted(set(ids) - {row.pk for row in rows}),
        refused=sorted(row.pk for row in rows if row.status not in {*FROM[target], target}),
    )


def _sensors_of(ids: Collection[int], readings: QuerySet[Reading]) -> set[int]:
    return set(readings.filter(pk__in=ids).values_list("sensor_id", flat=True))


def _locked(sensor_ids: Collection[int]) -> list[SensorState]:
    """The states of these sensors, held until the transaction ends: everyone else who writes counts waits.

    First in its transaction, because MySQL reads from then on what was true at the first read.
    """
    return list(SensorState.objects.select_for_update().filter(pk__in=sensor_ids).order_by("pk"))


def _count(states: list[SensorState], changes: list[tuple[Reading, Status, int]]) -> None:
    """Add each reading to the counts of its sensor under a status, or take it away (-1)."""
    totals: dict[int, Counter[str]] = defaultdict(Counter)
    for reading, status, sign in changes:
        counts = {"count": sign, f"{status.label}_count": sign}
        if reading.is_anomaly and status != Status.INVALID:
            counts["anomaly_count"] = sign
        totals[reading.sensor_id].update(counts)
    for state in states:
        for name, difference in totals[state.pk].items():
            setattr(state, name, getattr(state, name) + difference)


def _repair(states: list[SensorState], removed: list[Reading]) -> None:
    """A sensor that lost its newest or its earliest reading takes the next one."""
    times: dict[int, set[datetime]] = defaultdict(set)
    for reading in removed:
        times[reading.sensor_id].add(reading.time)
    for state in states:
        left = Reading.objects.filter(sensor=state.pk).order_by("time")
        if state.time in times[state.pk] and (latest := left.last()):
            state.reading_id = latest.pk
            for name in STATE_LATEST[1:]:
                setattr(state, name, getattr(latest, name))
        if state.earliest_time in times[state.pk] and (earliest := left.first()):
            state.earliest_time = earliest.time


def _keep(states: list[SensorState]) -> None:
    """A sensor without readings has no state."""
    empty = [state.pk for state in states if state.count == 0]
    if empty:
        SensorState.objects.filter(pk__in=empty).delete()
    SensorState.objects.bulk_update(
        [state for state in states if state.count], (*STATE_COUNTS, *STATE_LATEST, "earliest_time")
    )
