"""The one shape that every wire format decodes into."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from readings.models import Origin, Reason


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """A value as somebody sent it, valid by itself: names are well formed, the value is finite, the time has a zone.

    `sensor` is the key on the wire and may be empty when only a type is named; `unit` and `type` are canonical
    codes or empty. `is_switch`: the sender said true, false, on, off, open or closed, and `value` is 1 or 0.
    """

    sensor: str
    type: str
    value: float
    unit: str = ""
    time: datetime | None = None
    is_switch: bool = False
    is_anomaly: bool = False
    anomaly_details: dict[str, Any] | None = None
    origin: Origin | None = None
    reading_count: int | None = None
    item: int | None = None  # its place in a batch


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message, or one item of it, was not taken."""

    reason: Reason
    detail: str
    item: int | None = None
    content: bytes | None = None  # the item as it came, when it was one of several


class Refused(ValueError):
    """Raised while decoding; becomes a Refusal."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Decoded:
    """What was in a message. `seq` is the sender's own number of the message, named in the acknowledgement."""

    measurements: list[Measurement] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    seq: int | None = None
