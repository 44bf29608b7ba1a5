"""The older scheme with one topic for all: `{"sensor_type": "temperature", "value": 22.5, "unit": "°C"}`."""

from __future__ import annotations

from readings.formats.measurement import Decoded, Refused
from readings.formats.native import measurement
from readings.formats.payload import parse
from readings.models import Reason


def decode(payload: bytes, topic: str) -> Decoded:
    """One object; the type is the sensor when no sensor is named."""
    body = parse(payload)
    if not isinstance(body, dict):
        raise Refused(Reason.BAD_SHAPE, "A message on a shared topic is one JSON object.")
    return Decoded([measurement(body)])
