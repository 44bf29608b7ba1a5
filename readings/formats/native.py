"""The platform's own format: one measurement, a list of them, or `{"readings": [...], "seq": 7}`."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
from django.conf import settings

from devices.quantities import UnknownUnit, type_code, unit_code
from readings.formats.measurement import Decoded, Measurement, Refusal, Refused
from readings.formats.payload import parse
from readings.formats.times import instant
from readings.models import Origin, Reason

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,50}", re.ASCII)
_RESERVED = frozenset({"__proto__", "constructor", "prototype"})  # keys that break a browser's objects
_SWITCH = {"true": 1.0, "on": 1.0, "open": 1.0, "false": 0.0, "off": 0.0, "closed": 0.0}
_ORIGINS = {origin.label: origin for origin in (Origin.EDGE, Origin.FOG, Origin.COAP)}
_INT64 = 2**63


def decode(payload: bytes, topic: str = "") -> Decoded:
    """Raises Refused when nothing of the message can be taken; a bad item of several becomes a Refusal."""
    body = parse(payload)
    seq = None
    if isinstance(body, dict) and "readings" in body:
        seq = body.get("seq") if isinstance(body.get("seq"), int) else None
        body = body["readings"]
        if not isinstance(body, list):
            raise Refused(Reason.BAD_SHAPE, "`readings` is no list.")
    if isinstance(body, dict):
        seq = body.get("seq") if isinstance(body.get("seq"), int) else None
        return Decoded([measurement(body)], seq=seq)
    if not isinstance(body, list):
        raise Refused(Reason.BAD_SHAPE, "Send an object with `sensor` and `value`, or a list of them.")
    return _decode_list(body, seq)


def _decode_list(items: list[Any], seq: int | None) -> Decoded:
    if not items:
        raise Refused(Reason.EMPTY, "The list of readings is empty.")
    if len(items) > settings.INGEST_MAX_READINGS:
        raise Refused(Reason.TOO_MANY_READINGS, f"At most {settings.INGEST_MAX_READINGS} readings in one message.")
    decoded = Decoded(seq=seq)
    for position, item in enumerate(items):
        try:
            decoded.measurements.append(measurement(item, position))
        except Refused as refused:
            content = msgspec.json.encode(item)
            decoded.refusals.append(Refusal(refused.reason, refused.detail, position, content))
    return decoded


def measurement(content: Any, item: int | None = None) -> Measurement:
    """One measurement from its JSON object. Raises Refused."""
    if not isinstance(content, dict):
        raise Refused(Reason.BAD_SHAPE, "A reading is an object with `sensor` and `value`.")
    if "value" not in content:
        raise Refused(Reason.BAD_SHAPE, "A reading needs a `value`.")
    sensor = _name(_first(content, "sensor", "sensor_key", "sensor_id"), "sensor")
    kind = _name(_first(content, "sensor_type", "type"), "sensor_type")
    if not (sensor or kind):
        raise Refused(Reason.BAD_SHAPE, "A reading needs a `sensor` or a `sensor_type`.")
    value, is_switch = number(content["value"])
    time = _first(content, "time", "timestamp", "ts")
    return Measurement(
        sensor=sensor,
        type=type_code(kind) if kind else "",
        value=value,
        is_switch=is_switch,
        unit=unit_of(content.get("unit")),
        time=None if time is None else instant(time),
        is_anomaly=_flag(content.get("anomaly", False)),
        anomaly_details=_details(content.get("anomaly_details")),
        origin=_origin(content.get("origin")),
        reading_count=_count(content.get("reading_count")),
        item=item,
    )


def _first(content: dict[str, Any], *names: str) -> Any:
    return next((content[name] for name in names if content.get(name) is not None), None)


def _name(value: Any, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or value in _RESERVED:
        raise Refused(Reason.BAD_NAME, f"`{field}` takes 1 to 50 of the characters a-z, A-Z, 0-9, _ and -.")
    return value


def number(value: Any) -> tuple[float, bool]:
    """The value as a finite double, and whether it was given as a switch (true, off, open …)."""
    if isinstance(value, bool):
        return float(value), True
    if isinstance(value, str) and value.lower() in _SWITCH:
        return _SWITCH[value.lower()], True
    if not isinstance(value, int | float):
        raise Refused(Reason.NOT_A_NUMBER, f"{str(value)[:40]!r} is no number.")
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise Refused(Reason.NUMBER_OUT_OF_RANGE, "An integer must fit into 64 bits.")
    if not math.isfinite(value):
        raise Refused(Reason.NUMBER_OUT_OF_RANGE, "The value must be finite.")
    return float(value), False


def unit_of(name: Any) -> str:
    """The code of the unit that was named, or nothing when none was."""
    if name is None or name == "":
        return ""
    try:
        if isinstance(name, str) and len(name) <= 20:
            return unit_code(name)
    except UnknownUnit:
        pass  # the refusal below names it
    raise Refused(Reason.UNKNOWN_UNIT, f"{str(name)[:20]!r} is no unit that is known here.")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(Reason.BAD_SHAPE, "`anomaly` is true or false.")
    return value


def _details(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict | None):
        raise Refused(Reason.BAD_SHAPE, "`anomaly_details` is an object.")
    return value


def _origin(value: Any) -> Origin | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in _ORIGINS:
        raise Refused(Reason.BAD_SHAPE, "`origin` is edge, fog or coap.")
    return _ORIGINS[value]


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise Refused(Reason.BAD_SHAPE, "`reading_count` is a whole number from 0 on.")
    return value
