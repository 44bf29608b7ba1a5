"""JSON from strangers: parsed once, bounded, and free of what a database or a browser trips over."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from readings.formats.measurement import Refused
from readings.models import Reason

MAX_DEPTH = 8
MAX_KEYS = 64

_decode = msgspec.json.Decoder().decode


def parse(payload: bytes) -> Any:
    """The JSON value of a payload.

    Refuses anything but UTF-8 JSON as RFC 8259 has it: no NaN, no BOM, no object with more than 64 keys or with
    the same key twice, nothing nested deeper than 8, no NUL and no lone surrogate in any text.
    """
    if not payload:
        raise Refused(Reason.EMPTY, "The message has no content.")
    try:
        value = _decode(payload)
    except RecursionError:
        raise Refused(Reason.TOO_DEEP, f"Nested more than {MAX_DEPTH} levels deep.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _why_not_json(payload, error) from None
    colons = _check(value, 0)
    # Only the raw text still shows a key that was given twice: then it holds more colons than what it decoded to.
    if b"\\" in payload or payload.count(b":") != colons:
        _refuse_duplicate_keys(payload)
    return value


def _why_not_json(payload: bytes, error: Exception) -> Refused:
    try:
        payload.decode()
    except UnicodeDecodeError as broken:
        return Refused(Reason.NOT_UTF8, f"Byte {broken.start} is no UTF-8.")
    if "surrogate" in str(error):
        return Refused(Reason.BAD_TEXT, "Half of a surrogate pair.")
    if "out of range" in str(error):
        return Refused(Reason.NUMBER_OUT_OF_RANGE, str(error)[:200])
    return Refused(Reason.BAD_JSON, str(error)[:200])


def _check(value: Any, depth: int) -> int:
    """Refuse what is too deep, too wide or unprintable; answers the colons that its JSON text must have."""
    if isinstance(value, str):
        return _check_text(value)
    if not isinstance(value, dict | list):
        return 0
    if depth == MAX_DEPTH:
        raise Refused(Reason.TOO_DEEP, f"Nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, list):
        return sum(_check(item, depth + 1) for item in value if not isinstance(item, float))
    if len(value) > MAX_KEYS:
        raise Refused(Reason.TOO_MANY_KEYS, f"An object has more than {MAX_KEYS} keys.")
    return sum(_check_text(key) + 1 + _check(item, depth + 1) for key, item in value.items())


def _check_text(text: str) -> int:
    if "\0" in text:
        raise Refused(Reason.BAD_TEXT, "Text with a NUL character.")
    return text.count(":")


def _refuse_duplicate_keys(payload: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            raise Refused(Reason.DUPLICATE_KEY, "An object has the same key twice.")
        return content

    json.loads(payload, object_pairs_hook=unique)
