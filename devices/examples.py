"""What the API description shows: one thermostat, its room and its keys."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

UUID = "5f0c2f6e-6a55-4d2c-9a4e-0d7c6b1f3a10"
CREATED_AT = "2026-03-01T08:00:00Z"


def _shown(title: str, answer: dict[str, object], /, **asked: object) -> list[OpenApiExample]:
    """An answer, and where there is one the body that brings it about."""
    shown = [OpenApiExample(title, answer, response_only=True)]
    return [*shown, OpenApiExample(f"{title}, as sent", asked, request_only=True)] if asked else shown


_PLACE = {"name": "Factory A - Production Floor", "location": "Building 1, Floor 2", "description": ""}
UNIT = _shown("A production floor", {"id": 1, **_PLACE, "created_at": CREATED_AT}, **_PLACE)
UNIT_STATISTICS = _shown(
    "A production floor",
    {
        "unit_id": 1,
        "unit_name": "Factory A - Production Floor",
        "total_sensors": 11,
        "active_sensors": 9,
        "inactive_sensors": 1,
        "maintenance_sensors": 1,
    },
)
SENSOR_TYPE = _shown(
    "Temperature",
    {
        "code": "temperature",
        "name": "Temperature",
        "kind": "number",
        "unit": "celsius",
        "unit_symbol": "°C",
        "minimum": -50.0,
        "maximum": 1000.0,
    },
)
DEVICE_TYPE = _shown(
    "Thermostat",
    {"code": "thermostat", "name": "Thermostat", "sensor_types": ["humidity", "pressure", "temperature"]},
)

_SENSOR_OF_DEVICE = {
    "id": 7,
    "key": "temperature",
    "name": "Temperature",
    "sensor_type": "temperature",
    "unit": "celsius",
    "unit_symbol": "°C",
    "status": "active",
}
SENSOR = _shown(
    "Temperature of a boiler",
    {
        **_SENSOR_OF_DEVICE,
        "device": UUID,
        "device_name": "Boiler thermostat",
        "minimum": None,
        "maximum": 95.0,
        "description": "",
        "created_at": CREATED_AT,
    },
    device=UUID,
    key="temperature",
    sensor_type="temperature",
    unit="°C",
    maximum=95.0,
)
_DESCRIBED = {
    "external_id": "boiler-thermostat",
    "name": "Boiler thermostat",
    "device_type": "thermostat",
    "unit": 1,
    "location": "Behind the press",
    "manufacturer": "Acme",
    "model": "T-800",
    "serial_number": "0042",
    "mac_address": "A4:CF:12:6B:2E:01",
    "firmware_version": "1.0.0",
    "reading_interval_seconds": 60,
}
DEVICE = _shown(
    "A thermostat",
    {
        "uuid": UUID,
        **_DESCRIBED,
        "unit_name": "Factory A - Production Floor",
        "mode": "active",
        "clock": "device",
        "status": "online",
        "last_seen_at": "2026-03-01T09:30:00.412000Z",
        "last_accepted_at": "2026-03-01T09:30:00.412000Z",
        "last_refused_at": None,
        "last_refused_reason": "",
        "last_maintenance_at": None,
        "sensors": [_SENSOR_OF_DEVICE],
        "created_at": CREATED_AT,
    },
    **_DESCRIBED,
)
NEW_DEVICE = [
    OpenApiExample(
        "A thermostat with one sensor",
        {**_DESCRIBED, "sensors": [{"key": "temperature", "sensor_type": "temperature", "unit": "°C"}]},
        request_only=True,
    ),
    OpenApiExample(
        "A thermostat with the usual sensors",
        {"name": "Boiler thermostat", "device_type": "thermostat", "unit": 1},
        request_only=True,
    ),
]
REMOVAL = _shown("A thermostat", {"deleted": UUID, "sensors": 3, "keys": 1})

_KEY = {
    "id": 5,
    "name": "flashed in March",
    "prefix": "dk_4h7t0q2m",
    "source": None,
    "username": UUID,
    "created_by": "adam",
    "created_at": CREATED_AT,
    "last_used_at": "2026-03-01T09:30:00.412000Z",
    "revoked_at": None,
}
KEY = _shown("A key in use", _KEY, name="flashed in March")
ISSUED_KEY = _shown(
    "A new key",
    {**_KEY, "last_used_at": None, "secret": "dk_4h7t0q2m_" + "…" * 3},
    name="flashed in March",
)
_SOURCE = {
    "name": "Older boards",
    "scheme": "typed_topic",
    "topic_filter": "sensors/+/+",
    "device": UUID,
    "is_enabled": True,
}
SOURCE = _shown(
    "Boards that publish sensors/{type}/{sensor_id}",
    {"id": 2, "uuid": "0b6f0a52-0c3e-4a55-8a53-2f5f3b0d9c11", **_SOURCE, "created_at": CREATED_AT},
    **_SOURCE,
)
