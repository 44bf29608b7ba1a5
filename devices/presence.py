"""Who is there: a device is online while its messages come, and offline after it has been silent for too long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, IntegerField, QuerySet, Value
from django.db.models.functions import Cast

from accounts.live import Event
from devices.live import status_event
from devices.models import Device, DeviceState

SILENCE = timedelta(minutes=5)  # at least; a device that sends less often may be silent for three of its intervals
BITE = 500  # devices marked in one transaction

Status = DeviceState.Status


def seen(seen_at: Mapping[int, datetime], accepted: Collection[int], refused: Mapping[int, str]) -> list[Event]:
    """Note that devices were heard: when (by id), whose readings were taken, and why others' were not (reason codes).

    Runs inside the caller's transaction, with the same few statements however many devices there are. Returns the
    events of those that came online.
    """
    states = _locked(sorted(seen_at))
    arrived = [state.pk for state in states if state.status != Status.ONLINE]
    for state in states:
        _note(state, seen_at[state.pk], state.pk in accepted, refused.get(state.pk, ""))
    _write(states)
    return _events(arrived)


def silent(now: datetime) -> list[Event]:
    """Mark every device offline that has been silent for too long; the events that tell of it."""
    events: list[Event] = []
    while marked := _mark_silent(now):
        events += _events(marked)
    return events


def _note(state: DeviceState, at: datetime, is_accepted: bool, reason: str) -> None:
    """Messages of two doors may be noted in another order than they came in: no time moves back."""
    if state.status != Status.ONLINE:
        state.status, state.status_since = Status.ONLINE, at
    state.last_seen_at = _later(at, state.last_seen_at)
    if is_accepted:
        state.last_accepted_at = _later(at, state.last_accepted_at)
    if reason and at == _later(at, state.last_refused_at):
        state.last_refused_at, state.last_refused_reason = at, reason


def _later(at: datetime, before: datetime | None) -> datetime:
    return at if before is None else max(at, before)


def _locked(ids: list[int]) -> list[DeviceState]:
    """The states of these devices, locked in the order of their ids, so that two writers never wait for each other.

    A device that was never heard before gets its state here.
    """
    locked = DeviceState.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    states = list(locked)
    if len(states) < len(ids):
        new = sorted(set(ids) - {state.pk for state in states})
        DeviceState.objects.bulk_create((DeviceState(device_id=pk) for pk in new), ignore_conflicts=True)
        states = list(locked.all())
    return states


def _write(states: list[DeviceState]) -> None:
    """All in one statement: every row exists and is locked, so that the insert is an update of each."""
    names_the_key = connection.features.supports_update_conflicts_with_target
    DeviceState.objects.bulk_create(
        states,
        update_conflicts=True,
        unique_fields=["device"] if names_the_key else None,
        update_fields=[
            "status",
            "status_since",
            "last_seen_at",
            "last_accepted_at",
            "last_refused_at",
            "last_refused_reason",
        ],
    )


def _overdue(now: datetime) -> QuerySet[DeviceState]:
    """Silent for three intervals; the cast is for SQLite, which multiplies no other integers with durations."""
    interval = Cast("device__reading_interval_seconds", IntegerField())
    patience = ExpressionWrapper(interval * Value(timedelta(seconds=3)), DurationField())
    heard_since = ExpressionWrapper(Value(now) - patience, DateTimeField())
    online = DeviceState.objects.filter(status=Status.ONLINE, last_seen_at__lt=now - SILENCE)
    return online.filter(last_seen_at__lt=heard_since)


@transaction.atomic
def _mark_silent(now: datetime) -> list[int]:
    """One bite; empty when nothing is left. A device that is heard meanwhile stays online."""
    ids = list(_overdue(now).order_by("pk").values_list("pk", flat=True)[:BITE])
    still = DeviceState.objects.filter(pk__in=ids, status=Status.ONLINE, last_seen_at__lt=now - SILENCE)
    marked = list(still.select_for_update().order_by("pk").values_list("pk", flat=True))
    DeviceState.objects.filter(pk__in=marked).update(status=Status.OFFLINE, status_since=now)
    return marked


def _events(ids: Iterable[int]) -> list[Event]:
    """Of those whose status shows it: a person may have set another one."""
    ids = list(ids)
    if not ids:
        return []
    devices = Device.objects.active().filter(pk__in=ids, mode=Device.Mode.ACTIVE).select_related("state")
    return [status_event(device) for device in devices.order_by("pk")]
