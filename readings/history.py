"""What charts and lists ask of readings. The present and the counts come from SensorState, never from a scan.

Every question names its sensors first, because readings are indexed by (sensor, time) and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import F, Max, Min, Prefetch, Q, QuerySet, Sum, prefetch_related_objects

from accounts.permissions import Actor
from devices.models import Sensor
from devices.quantities import type_code
from readings.buckets import Columns, Spread, condense, spread
from readings.models import Reading, SensorState, Status

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
COUNTED = (Status.PENDING, Status.VALIDATED, Status.ARCHIVED)  # `invalid` is shown only to whoever asks for it
SENSORS_PER_STATEMENT = 100
ROWS_PER_FETCH = 10_000


class Place(NamedTuple):
    """Where a list of readings goes on: behind this one."""

    time: datetime
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which readings somebody asks for; what is left open asks for all. `end` is the first instant outside."""

    sensor_id: tuple[str, ...] = ()  # ids or keys
    sensor_type: str | None = None
    device: UUID | None = None
    status: tuple[Status, ...] = COUNTED
    anomalies_only: bool = False
    start: datetime | None = None
    end: datetime | None = None
    min_value: float | None = None
    max_value: float | None = None

    @property
    def milliseconds(self) -> int:
        """Length of the window, which must not be open."""
        if self.start is None or self.end is None:
            raise ValueError("the window is open")
        return max((self.end - self.start) // MILLISECOND, 1)

    def sensors(self, actor: Actor) -> QuerySet[Sensor]:
        """The sensors that are meant, of those that the caller may see. A short number is an id, all else a key."""
        sensors = Sensor.objects.visible_to(actor).select_related("device", "sensor_type")
        if self.sensor_id:
            ids = {name for name in self.sensor_id if name.isascii() and name.isdigit() and len(name) < 10}
            sensors = sensors.filter(Q(pk__in=ids) | Q(key__in=set(self.sensor_id) - ids))
        if self.sensor_type is not None:
            sensors = sensors.filter(sensor_type__code=type_code(self.sensor_type))
        if self.device is not None:
            sensors = sensors.filter(device__uuid=self.device)
        return sensors

    def states(self, actor: Actor) -> QuerySet[SensorState]:
        """The state of each sensor that may hold such a reading."""
        states = SensorState.objects.filter(sensor__in=self.sensors(actor).values("pk"))
        if self.start is not None:
            states = states.filter(time__gte=self.start)
        if self.end is not None:
            states = states.filter(earliest_time__lt=self.end)
        if self.anomalies_only and Status.INVALID not in self.status:
            states = states.filter(anomaly_count__gt=0)
        if self.status != COUNTED:
            any_of_them = Q()
            for status in self.status:
                any_of_them |= Q((f"{status.label}_count__gt", 0))
            states = states.filter(any_of_them)
        return states

    def readings(self, after: Place | None = None) -> Q:
        """The condition on readings of these sensors; with a place, only those that come after it in a list."""
        condition = Q(status__in=self.status)
        if self.anomalies_only:
            condition &= Q(is_anomaly=True)
        bounds = {
            "time__gte": self.start,
            "time__lt": self.end,
            "value__gte": self.min_value,
            "value__lte": self.max_value,
        }
        condition &= Q(**{lookup: bound for lookup, bound in bounds.items() if bound is not None})
        if after is not None:
            condition &= Q(time__lte=after.time) & (Q(time__lt=after.time) | Q(pk__lt=after.id))
        return condition


def newest(states: QuerySet[SensorState], condition: Q, limit: int) -> list[Reading]:
    """The newest `limit` readings under a condition, newest first, each with its sensor, device and type.

    Asks the sensors in the order of their newest reading, so many at a time, and ends as soon as no other sensor
    can hold anything newer than what was found: usually after one statement, however many sensors there are.
    """
    found: list[Reading] = []
    known = list(states.order_by("-time").values_list("sensor_id", "time"))
    for start in range(0, len(known), SENSORS_PER_STATEMENT):
        some = known[start : start + SENSORS_PER_STATEMENT]
        if len(found) == limit:
            oldest = found[-1].time
            if some[0][1] < oldest:
                break
            condition &= Q(time__gte=oldest)
        found += _newest_of_each([sensor_id for sensor_id, _ in some], condition, limit)
        found = nlargest(limit, found, key=lambda reading: (reading.time, reading.pk))
    prefetch_related_objects(found, Prefetch("sensor", Sensor.objects.select_related("device", "sensor_type")))
    return found


def _newest_of_each(sensor_ids: list[int], condition: Q, limit: int) -> list[Reading]:
    """One short walk down the index for each sensor, all in one statement.

    `sensor_id IN (…) ORDER BY time` would read all readings of these sensors before it sorts them. The statement is
    glued from what the ORM compiles; values stay parameters.
    """
    one = Reading.objects.filter(sensor=0).filter(condition).order_by("-time")[:limit]
    sql, (_, *params) = one.query.sql_with_params()  # the sensor's place is the first
    values: list[Any]
    if connection.vendor == "postgresql":  # planned once; as many branches would take longer to plan than to run
        walk = sql.replace("%s", "asked.id", 1)
        walks = f"SELECT walk.* FROM unnest(%s::int[]) AS asked(id), LATERAL ({walk}) AS walk"  # noqa: S608
        values = [sensor_ids, *params]
    else:
        walks = " UNION ALL ".join([f"SELECT * FROM ({sql}) AS walk"] * len(sensor_ids))  # noqa: S608
        values = [value for sensor_id in sensor_ids for value in (sensor_id, *params)]
    newest_first = f"SELECT * FROM ({walks}) AS walks ORDER BY time DESC, id DESC LIMIT {limit:d}"  # noqa: S608
    return list(Reading.objects.raw(newest_first, values))


def series(sensors: list[Sensor], wanted: Wanted, points: int) -> dict[int, Columns]:
    """What a chart draws of each sensor between `start` and `end`, which must be given: at most `points` points."""
    span = wanted.milliseconds
    return {
        sensor_id: condense((((time - EPOCH) // MILLISECOND, value) for _, time, value in rows), span, points)
        for sensor_id, rows in groupby(_rows(sensors, wanted), key=itemgetter(0))
    }


def spreads(sensors: list[Sensor], wanted: Wanted) -> dict[int, Spread]:
    """Count, range, mean and deviation of each sensor that has readings in the window."""
    return {
        sensor_id: spread([value for _, _, value in rows])
        for sensor_id, rows in groupby(_rows(sensors, wanted), key=itemgetter(0))
    }


def _rows(sensors: list[Sensor], wanted: Wanted) -> Iterator[tuple[int, datetime, float]]:
    """Sensor, time and value in this order, a part at a time. Folded in Python: SQL that buckets differs by database
    and overflows on large doubles."""
    readings = Reading.objects.filter(sensor__in=[sensor.pk for sensor in sensors]).filter(wanted.readings())
    ordered = readings.order_by("sensor_id", "time").values_list("sensor_id", "time", "value")
    return ordered.iterator(chunk_size=ROWS_PER_FETCH)


@dataclass(frozen=True, slots=True)
class TypeTotals:
    """All that is known of the sensors of one type; readings that were marked invalid do not count."""

    code: str
    total: int
    anomalies: int
    earliest: datetime
    latest: datetime


def totals_by_type(states: QuerySet[SensorState]) -> list[TypeTotals]:
    rows = states.values(code=F("sensor__sensor_type__code")).annotate(
        total=Sum(F("count") - F("invalid_count")),
        anomalies=Sum("anomaly_count"),
        earliest=Min("earliest_time"),
        latest=Max("time"),
    )
    return [TypeTotals(**row) for row in rows.order_by("code")]


def latest_by_type(states: QuerySet[SensorState], totals: list[TypeTotals]) -> dict[str, SensorState]:
    """The sensor state with the newest reading of each type. A newer one may have come since the totals were read."""
    if not totals:
        return {}
    at_the_end = Q()
    for one in totals:
        at_the_end |= Q(sensor__sensor_type__code=one.code, time__gte=one.latest)
    found = states.filter(at_the_end).select_related("sensor__device", "sensor__sensor_type")
    return {state.sensor.sensor_type.code: state for state in found.order_by("time", "reading_id")}


def statistics(states: QuerySet[SensorState]) -> dict[str, Any]:
    """Totals, shares and ranges of these sensors, from their states alone."""
    totals = totals_by_type(states)
    latest = latest_by_type(states, totals)
    readings, anomalies = sum(one.total for one in totals), sum(one.anomalies for one in totals)
    return {
        "total_readings": readings,
        "anomalous_readings": anomalies,
        "anomaly_rate": round(100 * anomalies / readings, 2) if readings else 0.0,
        "sensor_types": [one.code for one in totals],
        "active_sensors": list(
            states.filter(sensor__status=Sensor.Status.ACTIVE).order_by("pk").values_list("pk", flat=True)
        ),
        "readings_by_type": {
            one.code: {"count": one.total, "anomalies": one.anomalies, "latest_value": latest[one.code].value}
            for one in totals
            if one.code in latest
        },
        "time_range": {
            "earliest": min((one.earliest for one in totals), default=None),
            "latest": max((one.latest for one in totals), default=None),
        },
    }
