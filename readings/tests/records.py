"""Stored readings for tests, written as the corridor writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from devices.models import Device, Sensor, SensorType
from readings.models import Origin, Protocol, Reading
from readings.store import Row, write

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def record(
    sensor: Sensor, *values: float, start: datetime = NOON, every: timedelta = MINUTE, **fields: Any
) -> list[Reading]:
    """One reading a value, from `start` on; answers the stored rows in the order of time."""
    rows = [
        Row(
            sensor_id=sensor.pk,
            time=start + number * every,
            received_at=start + number * every,
            value=value,
            **{"origin": Origin.EDGE, "protocol": Protocol.MQTT, **fields},
        )
        for number, value in enumerate(values)
    ]
    return list(Reading.objects.filter(pk__in=write(rows).values()).order_by("time"))


def add_sensor(device: Device, key: str, type_code: str = "temperature", unit: str = "celsius") -> Sensor:
    return Sensor.objects.create(
        device=device, key=key, name=key, sensor_type=SensorType.objects.get(code=type_code), unit=unit
    )


def at(time: datetime) -> str:
    """A time as it is written into a URL."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
