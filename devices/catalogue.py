"""The sensor types and device types that every installation has from the start."""

from __future__ import annotations

from typing import Any

from devices.models import DeviceType, SensorType
from devices.quantities import DEVICE_TYPES, QUANTITIES


def fill(**_: Any) -> None:
    """Add what is missing; what staff have changed stays as they left it."""
    known = set(SensorType.objects.values_list("code", flat=True))
    SensorType.objects.bulk_create(
        [
            SensorType(
                code=code,
                name=quantity.name,
                kind=SensorType.Kind.BOOLEAN if quantity.is_boolean else SensorType.Kind.NUMBER,
                unit=quantity.unit,
                minimum=quantity.minimum,
                maximum=quantity.maximum,
            )
            for code, quantity in QUANTITIES.items()
            if code not in known
        ]
    )
    for code, (name, sensor_types) in DEVICE_TYPES.items():
        device_type, is_new = DeviceType.objects.get_or_create(code=code, defaults={"name": name})
        if is_new:
            device_type.sensor_types.set(SensorType.objects.filter(code__in=sensor_types))
