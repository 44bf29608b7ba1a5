"""The older scheme `sensors/{type}/{sensor_id}`: the topic names the type and the sensor."""

from __future__ import annotations

from typing import Any

from readings.formats.measurement import Decoded, Refused
from readings.formats.native import measurement
from readings.formats.payload import parse
from readings.models import Reason


def decode(payload: bytes, topic: str) -> Decoded:
    """The body may repeat type and sensor; it may not contradict the topic."""
    body = parse(payload)
    if not isinstance(body, dict):
        raise Refused(Reason.BAD_SHAPE, "A message under sensors/ is one JSON object.")
    levels = topic.split("/")
    if len(levels) != 3:
        raise Refused(Reason.UNKNOWN_TOPIC, "The topic is sensors/{type}/{sensor_id}.")
    _, kind, sensor = levels
    return Decoded([measurement(_merged(body, {"type": kind, "sensor_id": sensor}))])


def _merged(body: dict[str, Any], named: dict[str, str]) -> dict[str, Any]:
    for field, value in named.items():
        if body.get(field, value) != value:
            raise Refused(Reason.BAD_SHAPE, f"`{field}` in the body contradicts the topic.")
    return body | named
