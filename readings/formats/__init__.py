"""Wire formats. Each is a module with `decode(message) -> Decoded`: bytes in, measurements or named refusals out."""

from collections.abc import Callable

from readings.formats import native, shared_topic, typed_topic
from readings.formats.measurement import Decoded, Measurement, Refusal, Refused

Decode = Callable[[bytes, str], Decoded]

FORMATS: dict[str, Decode] = {
    "native": native.decode,
    "typed_topic": typed_topic.decode,
    "shared_topic": shared_topic.decode,
}

__all__ = ["FORMATS", "Decode", "Decoded", "Measurement", "Refusal", "Refused"]
