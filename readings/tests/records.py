"""Stored readings for tests, written as the corridor writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.test import APIClient

from accounts.models import User
from devices.models import Device, Sensor, SensorType
from readings.models import Origin, Protocol, Reading
from readings.store import Row, write

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

ApiOf = Callable[[User | None], APIClient]

READING_FIELDS = {
    *("id", "timestamp", "sensor_type", "sensor_id", "sensor_key", "device", "value", "unit", "unit_symbol"),
    *("origin", "protocol", "status", "anomaly", "anomaly_details", "reading_count", "created_at"),
}


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


def values(answer: Any) -> list[float]:
    return [reading["value"] for reading in answer.json().get("results", answer.json().get("readings"))]


def of_device(device: Device, what: str = "") -> str:
    return f"/api/v1/devices/{device.uuid}/readings{what}"
