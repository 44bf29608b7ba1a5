"""How readings, ages and statuses are shown: always the same markup, on every page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboards.figures import age, figure
from dashboards.tiles import COLOURS
from devices.models import Sensor, SensorType

register = template.Library()

STALE_AFTER_INTERVALS = 3
STALE_AFTER_SECONDS = 300
WHOLE_UNITS = ("count", "boolean")
SWITCH_WORDS = {  # what 1 and 0 mean
    "locked": ("locked", "unlocked"),
    "contact": ("open", "closed"),
    "motion_detected": ("motion", "still"),
}

# a status is always colour (tone), icon and word
BADGES: dict[str, tuple[str, str]] = {
    "online": ("good", "check"),
    "offline": ("offline", "unplugged"),
    "registered": ("quiet", "circle"),
    "maintenance": ("attention", "wrench"),
    "disabled": ("quiet", "barred"),
    "stale": ("stale", "clock"),
    "anomaly": ("attention", "peak"),
    "info": ("info", "info"),
    "low": ("attention", "down"),
    "medium": ("attention", "warning"),
    "high": ("critical", "warning"),
    "critical": ("critical", "octagon"),
    "active": ("critical", "bell"),
    "acknowledged": ("attention", "eye"),
    "resolved": ("good", "check"),
    "live": ("good", "pulse"),
    "connecting": ("quiet", "circle"),
    "reconnecting": ("attention", "turning"),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    sprite = static("dashboards/icons.svg")
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', sprite, name)


@register.simple_tag
def badge(word: str, text: str = "") -> SafeString:
    """A status as colour, icon and word."""
    tone, picture = BADGES[word]
    return format_html(
        '<span class="badge tone-{}" data-word="{}">{}<span>{}</span></span>', tone, word, icon(picture), text or word
    )


@register.simple_tag
def badges() -> list[SafeString]:
    """Every badge there is, for scripts to take copies of."""
    return [badge(word) for word in BADGES]


@register.simple_tag
def ago(time: datetime | None, never: str = "never") -> SafeString:
    """How long ago, ticking on in the browser."""
    if not time:
        return format_html('<span class="age">{}</span>', never)
    text = age((timezone.now() - time).total_seconds())
    return format_html('<time class="age" datetime="{}" data-age>{}</time>', time.isoformat(), text)


@register.filter
def series(sensor: Sensor) -> str:
    """The class of a sensor's colour, which it keeps on every page."""
    return f"series-{sensor.pk % COLOURS}"


@register.filter
def stale_after(sensor: Sensor) -> int:
    """From how many seconds on its newest value counts as old."""
    return max(STALE_AFTER_SECONDS, STALE_AFTER_INTERVALS * sensor.device.reading_interval_seconds)


@register.inclusion_tag("dashboards/_reading.html")
def reading(sensor: Sensor, part: str = "") -> dict[str, Any]:
    """The newest value of a sensor with unit and age; `part` names it when it is to be read again by itself."""
    state = getattr(sensor, "reading_state", None)
    is_switch = sensor.sensor_type.kind == SensorType.Kind.BOOLEAN
    limit = stale_after(sensor)
    return {
        "sensor": sensor,
        "state": state,
        "part": part,
        "value": _value(state.value, sensor) if state else "–",
        "symbol": _symbol(sensor),
        "words": ",".join(_words(sensor)) if is_switch else "",
        "most_decimals": 0 if sensor.unit in WHOLE_UNITS else 3,
        "stale_after": limit,
        "is_stale": state is not None and (timezone.now() - state.time).total_seconds() > limit,
    }


def _value(value: float, sensor: Sensor) -> str:
    if sensor.sensor_type.kind == SensorType.Kind.BOOLEAN and value in (0, 1):
        return _words(sensor)[0 if value else 1]
    return figure(value, 0 if sensor.unit in WHOLE_UNITS else 3)


def _words(sensor: Sensor) -> tuple[str, str]:
    return SWITCH_WORDS.get(sensor.sensor_type.code, ("on", "off"))


def _symbol(sensor: Sensor) -> str:
    return sensor.unit_symbol or ""
