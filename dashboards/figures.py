"""How a number and an age are written on pages; `static/dashboards/figures.js` writes them the same way."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
HUGE, TINY = 1e9, 1e-3


def figure(value: float, most_decimals: int = 3) -> str:
    """A value in three or four digits that count: 0.123, 3.14, 21.4, 101 325, 1.20e12."""
    size = abs(value)
    if size == 0:
        text = "0"
    elif size >= HUGE or size < TINY:
        mantissa, _, exponent = f"{size:.2e}".partition("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        decimals = min(most_decimals, 3 if size < 1 else 2 if size < 10 else 1 if size < 1000 else 0)
        rounded = Decimal(size).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)  # as JavaScript rounds
        text = f"{rounded:,}".replace(",", NARROW_SPACE)
    return MINUS + text if value < 0 else text


def age(seconds: float) -> str:
    """How long ago something was, in its largest whole unit."""
    if seconds < 1:
        return "now"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds)} s ago"
