"""The one normaliser of times: whatever a sender writes becomes UTC with microseconds, or is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from readings.formats.measurement import Refused
from readings.models import Reason

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?(?:([Zz])|([+-]\d\d):?(\d\d)?)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000  # as seconds that were the year 5138


def instant(value: Any) -> datetime:
    """ISO 8601 with an offset or Z, epoch seconds or epoch milliseconds. A time without a zone is refused."""
    try:
        if isinstance(value, str):
            return _from_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_epoch(value)
    except (ValueError, OverflowError):
        pass  # falls through to the one refusal below, which names the value
    raise Refused(
        Reason.BAD_TIME, f"{str(value)[:40]!r} is no time. Send ISO 8601 with an offset or Z, or epoch seconds."
    )


def _from_text(text: str) -> datetime:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, clock, fraction, zulu, hours, minutes = match.groups()
    offset = "+00:00" if zulu else f"{hours}:{minutes or '00'}"
    if len(clock) == 5:
        clock += ":00"
    parsed = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")
    return parsed.astimezone(UTC)


def _from_epoch(number: float) -> datetime:
    if number < 0:
        raise ValueError(number)
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    return _EPOCH + timedelta(seconds=seconds)
