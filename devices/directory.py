"""Who is who on the wire: devices by UUID, their sensors by key, sources by topic; a few queries for a whole batch."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from paho.mqtt.client import topic_matches_sub

from devices.models import Device, Sensor, SensorType, Source


@dataclass(frozen=True, slots=True)
class SensorEntry:
    """What the corridor must know of a sensor. The range is the sensor's own, else its type's."""

    id: int
    key: str
    type_id: int
    type_code: str
    unit: str
    is_boolean: bool
    is_inactive: bool
    minimum: float | None
    maximum: float | None


@dataclass(slots=True)
class DeviceEntry:
    """A device at the door, with its sensors."""

    id: int
    uuid: str
    organization_id: int
    unit_id: int | None
    is_disabled: bool
    ignores_clock: bool
    sensors: dict[str, SensorEntry] = field(default_factory=dict)

    def only_of_type(self, type_code: str) -> SensorEntry | None:
        """Its one sensor of this type; None when it has none or several."""
        matching = [sensor for sensor in self.sensors.values() if sensor.type_code == type_code]
        return matching[0] if len(matching) == 1 else None


class TooManySensors(Exception):
    """The device has as many sensors as it may have."""


class Directory:
    """Looks addresses up, and may remember what it found for a moment.

    An HTTP request makes a directory of its own and sees what is true now; the Listener keeps one, so a change
    reaches it within `max_age_seconds`. An address that is not found is asked for again each time.
    """

    def __init__(self, max_age_seconds: float = 0) -> None:
        self._max_age = max_age_seconds
        self._devices: dict[str, tuple[float, DeviceEntry]] = {}
        self._sources: tuple[float, list[Source]] | None = None

    def devices(self, uuids: Collection[str]) -> dict[str, DeviceEntry]:
        """The active devices among these UUIDs (as text)."""
        oldest = time.monotonic() - self._max_age
        known = {uuid: hit[1] for uuid in uuids if (hit := self._devices.get(uuid)) and hit[0] > oldest}
        missing = {uuid for uuid in uuids if uuid not in known and _is_uuid(uuid)}
        if missing:
            known |= self._load(missing)
        return known

    def _load(self, uuids: set[str]) -> dict[str, DeviceEntry]:
        devices = Device.objects.active().filter(uuid__in=uuids, organization__deleted_at=None)
        entries = {
            device.pk: DeviceEntry(
                id=device.pk,
                uuid=str(device.uuid),
                organization_id=device.organization_id,
                unit_id=device.unit_id,
                is_disabled=device.mode == Device.Mode.DISABLED,
                ignores_clock=device.clock == Device.Clock.ARRIVAL,
            )
            for device in devices
        }
        for sensor in _with_type(Sensor.objects.filter(device__in=entries)):
            entries[sensor.device_id].sensors[sensor.key] = _entry(sensor)
        loaded = {entry.uuid: entry for entry in entries.values()}
        if self._max_age:
            now = time.monotonic()
            if len(self._devices) > 200_000:
                self._devices.clear()
            self._devices.update((uuid, (now, entry)) for uuid, entry in loaded.items())
        return loaded

    def discover(self, device: DeviceEntry, key: str, type_code: str, unit: str) -> SensorEntry | None:
        """Makes the sensor that a device has begun to send, if its type is known here; None if it is not.

        A device may so be plugged in and read without a form to fill in. Raises TooManySensors.
        """
        sensor_type = SensorType.objects.filter(code=type_code).first()
        if sensor_type is None:
            return None
        if len(device.sensors) >= settings.SENSORS_PER_DEVICE:
            raise TooManySensors
        sensor, _ = Sensor.objects.get_or_create(
            device_id=device.id,
            key=key,
            defaults={
                "sensor_type": sensor_type,
                "name": key.replace("_", " ").replace("-", " ").capitalize(),
                "unit": sensor_type.unit or unit,
            },
        )
        device.sensors[key] = _entry(_with_type(Sensor.objects.filter(pk=sensor.pk)).get())
        return device.sensors[key]

    def source(self, topic: str) -> Source | None:
        """The enabled source whose topic filter this topic falls under."""
        now = time.monotonic()
        if self._sources is None or now - self._sources[0] >= self._max_age:
            self._sources = (now, list(_enabled_sources().select_related("device")))
        return next((source for source in self._sources[1] if topic_matches_sub(source.topic_filter, topic)), None)


def topic_filters() -> Iterable[str]:
    """What the Listener subscribes to beside the devices' own topics."""
    return _enabled_sources().values_list("topic_filter", flat=True)


def _enabled_sources() -> QuerySet[Source]:
    return Source.objects.filter(is_enabled=True, device__deleted_at=None, organization__deleted_at=None)


def _with_type(sensors: QuerySet[Sensor]) -> QuerySet[Sensor]:
    return sensors.select_related("sensor_type")


def _entry(sensor: Sensor) -> SensorEntry:
    kind = sensor.sensor_type
    return SensorEntry(
        id=sensor.pk,
        key=sensor.key,
        type_id=kind.pk,
        type_code=kind.code,
        unit=sensor.unit or kind.unit,
        is_boolean=kind.kind == SensorType.Kind.BOOLEAN,
        is_inactive=sensor.status == Sensor.Status.INACTIVE,
        minimum=kind.minimum if sensor.minimum is None else sensor.minimum,
        maximum=kind.maximum if sensor.maximum is None else sensor.maximum,
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
