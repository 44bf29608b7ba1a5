"""Deleting is stamped at once and purged here by the clock: room by room from the left, the row itself last."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from accounts.models import Organization
from devices import removal
from devices.models import Device, Sensor
from readings.models import Reading, SensorState

BITE = 20_000  # readings removed in one transaction: short enough that ingest never waits for it
BITES_A_TICK = 20


def purge() -> bool:
    """Take some bites of what was deleted; whether work remains."""
    return all(_bite() for _ in range(BITES_A_TICK))


def _bite() -> bool:
    """One transaction of work; False when nothing is left to do."""
    sensor = Sensor.with_deleted.filter(Q(device__deleted_at__isnull=False) | Q(deleted_at__isnull=False)).first()
    if sensor is not None:
        _purge_sensor(sensor)
        return True
    device = Device.objects.exclude(deleted_at=None).first()
    if device is not None:
        device.delete()
        return True
    organization = Organization.objects.exclude(deleted_at=None).first()
    if organization is not None:
        _purge_organization(organization)
    return organization is not None


@transaction.atomic
def _purge_sensor(sensor: Sensor) -> None:
    """Readings carry no foreign key constraint, so they go first; everything else goes with the row."""
    readings = Reading.objects.filter(sensor=sensor)
    last = readings.order_by("time").values_list("time", flat=True)[BITE : BITE + 1].first()
    if last is not None:
        readings.filter(time__lt=last).delete()
        return
    readings.delete()
    SensorState.objects.filter(sensor=sensor).delete()
    sensor.delete()


def _purge_organization(organization: Organization) -> None:
    """Its devices first, each as if it were deleted by itself, so that the broker lets nobody in any more."""
    device = Device.objects.active().filter(organization=organization).first()
    if device is not None:
        removal.remove(device)
    else:
        organization.delete()
