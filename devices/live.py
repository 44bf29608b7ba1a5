"""Whether devices are online, as sockets hear it."""

from __future__ import annotations

from accounts.live import Event, OrganizationConsumer, text_of
from devices.models import Device


class DeviceStatusConsumer(OrganizationConsumer):
    """`/ws/device-status`: a device that came online, or has gone silent."""

    kinds = frozenset({"device_status"})
    features = ("device_status",)
    greeting = "Connected to the device status stream"


def status_event(device: Device) -> Event:
    """The status of a device whose state was read with it, for whoever looks at its organization."""
    seen_at = device.state.last_seen_at
    item = {
        "device": str(device.uuid),
        "name": device.name,
        "status": device.status,
        "last_seen_at": text_of(seen_at) if seen_at else None,
    }
    return device.organization_id, "device_status", item
