"""A device that goes: stamped now, so that it vanishes from every door at once; the clock removes what it left."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from devices import keys
from devices.broker import accounts
from devices.models import Device


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes with a device."""

    deleted: str
    sensors: int
    keys: int


@transaction.atomic
def remove(device: Device) -> Removal:
    """Delete a device. Its external id is free again at once. Raises BrokerAway, and then nothing has changed."""
    working = keys.revoke_all(device)
    device.deleted_at, device.external_id = timezone.now(), None
    device.save(update_fields=["deleted_at", "external_id"])
    accounts().update_roles()  # its sources go too
    return Removal(deleted=str(device.uuid), sensors=device.sensors.count(), keys=working)
