"""Topic filters that sources may own: none reaches where devices or the platform itself speak, and no two meet."""

from __future__ import annotations

import re
from itertools import zip_longest

from devices.models import Source

RESERVED = {"devices", "platform"}
LEVEL = re.compile(r"[\w.:@=-]+")  # no `%`: newer brokers fill in `%u` and `%c`; no `$`: the broker's own


class BadFilter(ValueError):
    """No source may have this topic filter; the text says why."""


def check(topic_filter: str, scheme: str) -> None:
    """Raises BadFilter."""
    levels = topic_filter.split("/")
    if levels[0] in RESERVED or not LEVEL.fullmatch(levels[0]):
        raise BadFilter("The first level must be a name of its own: no wildcard, not `devices`, `platform` or `$…`.")
    if not all(level == "+" or LEVEL.fullmatch(level) for level in levels):
        raise BadFilter("Between the slashes stand letters, digits and `_ . : @ = -`, or `+` alone; `#` is refused.")
    if scheme == Source.Scheme.TYPED_TOPIC and len(levels) < 3:
        raise BadFilter("It ends with the sensor type and the sensor, as `sensors/+/+` or `sensors/temperature/+` do.")
    if scheme == Source.Scheme.SHARED_TOPIC and "+" in levels:
        raise BadFilter("This scheme has one topic for all its sensors, without wildcards.")


def is_taken(topic_filter: str, but_for: int = 0) -> bool:
    """Whether a topic under this filter belongs to a source, of whatever organization, other than that of this id."""
    beginning = topic_filter.split("/")[0]
    others = Source.objects.filter(topic_filter__startswith=beginning).exclude(pk=but_for)
    return any(meet(topic_filter, other) for other in others.values_list("topic_filter", flat=True))


def meet(one: str, other: str) -> bool:
    """Whether some topic falls under both filters."""
    for mine, theirs in zip_longest(one.split("/"), other.split("/")):
        if "#" in (mine, theirs):
            return True
        if mine is None or theirs is None:
            return False
        if mine != theirs and "+" not in (mine, theirs):
            return False
    return True
