"""Deleting is stamped at once and purged here by the clock: room by room from the left, the row itself last."""

from __future__ import annotations

from django.db import transaction

from accounts.models import Organization
from devices.models import Device, Sensor
from readings.models import Reading, SensorState

BITE = 20_000  # readings removed in one transaction: short enough that ingest never waits for it
BITES_A_TICK = 20


def purge() -> bool:
    """Take some bites of what was deleted; whether work remains."""
    for _ in range(BITES_A_TICK):
        if not _bite():
            return False
    return True


def _bite() -> bool:
    """One transaction of work; False when nothing is left to do."""
    device = Device.objects.exclude(deleted_at=None).order_by("deleted_at").first()
    if device is not None:
        _purge_device(device)
        return True
    organization = Organization.objects.exclude(deleted_at=None).order_by("deleted_at").first()
    if organization is None:
        return False
    doomed = Device.objects.filter(organization=organization)
    if doomed.update(deleted_at=organization.deleted_at):
        return True
    organization.delete()
    return True


@transaction.atomic
def _purge_device(device: Device) -> None:
    """Readings carry no foreign key constraint, so they go first; everything else goes with the row."""
    sensors = list(Sensor.objects.filter(device=device).values_list("pk", flat=True))
    some = list(Reading.objects.filter(sensor__in=sensors).values_list("pk", flat=True).order_by()[:BITE])
    if some:
        for start in range(0, len(some), 5_000):
            Reading.objects.filter(sensor__in=sensors, pk__in=some[start : start + 5_000]).delete()
        return
    SensorState.objects.filter(pk__in=sensors).delete()
    device.delete()
