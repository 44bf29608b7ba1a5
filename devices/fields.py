"""Fields of the API that take less than their bases, or more: numbers, times, units and sensor types."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, cast

from rest_framework import serializers

from devices.models import SensorType
from devices.quantities import UnknownUnit, type_code, unit_code

LARGEST = sys.float_info.max


class NumberField(serializers.FloatField):
    """A number that JSON writes as a number: no text, no true, nothing beyond all bounds."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float) or not -LARGEST <= data <= LARGEST:
            self.fail("invalid")
        return float(data)


class ZonedTimeField(serializers.DateTimeField):
    """A time that says its zone: without one nobody knows which moment is meant."""

    default_error_messages = {"naive": "Add the time zone: `Z`, or an offset like `+01:00`."}

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("naive")
        return super().enforce_timezone(value)


class UnitField(serializers.CharField):
    """A unit of measurement, however it is spelled: `°C`, `C` and `celsius` are stored as `celsius`."""

    default_error_messages = {"unknown": "Nobody has heard of the unit `{name}`."}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        try:
            return unit_code(name) if name else ""
        except UnknownUnit:
            self.fail("unknown", name=name)


class SensorTypeField(serializers.SlugRelatedField):
    """A sensor type by its code or another name of it: `luminosity` is `light`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="code", queryset=SensorType.objects.all(), **options)

    def to_internal_value(self, data: Any) -> SensorType:
        return cast("SensorType", super().to_internal_value(type_code(data) if isinstance(data, str) else data))
