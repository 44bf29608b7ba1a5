"""Arithmetic of charts and statistics: many readings become few points, and no spike is lost.

Pure functions of (time, value) pairs in the order of time; times are whole milliseconds since 1970.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from operator import itemgetter

Point = tuple[int, float]

SECOND, DAY = 1000, 86_400_000
WIDTHS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(seconds * SECOND for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)),
    *(seconds * SECOND for seconds in (3600, 7200, 10_800, 21_600, 43_200)),
    *(days * DAY for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
)
ORDINARY = 1e150  # the square of a smaller value is finite
SHRINK = 2.0**-600  # a power of two: shrinking and growing again rounds nothing


@dataclass(slots=True)
class Columns:
    """A series as a chart draws it. `width` is that of a bucket in milliseconds, 0 where points are readings."""

    width: int = 0
    count: int = 0
    times: list[int] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie; the deviation is that of the whole population."""

    count: int
    low: float
    high: float
    mean: float
    deviation: float


def condense(rows: Iterable[Point], span: int, points: int) -> Columns:
    """At most `points` points of rows that lie within `span` milliseconds: the rows themselves, or buckets of them.

    Reads the rows once and never holds more than one bucket of them.
    """
    remaining = iter(rows)
    head = list(islice(remaining, points + 1))
    if len(head) > points:
        return fold(chain(head, remaining), width_for(span, points))
    values = [value for _, value in head]
    return Columns(0, len(head), [time for time, _ in head], values, values, values)


def width_for(span: int, points: int) -> int:
    """The smallest handy width with which `span` milliseconds, wherever they begin, touch at most `points` buckets."""
    return next(width for width in WIDTHS if (span - 1) // width + 2 <= points)


def fold(rows: Iterable[Point], width: int) -> Columns:
    """Buckets that begin at multiples of `width`, so that they stay where they are when the window moves."""
    columns = Columns(width)
    for bucket, group in groupby(rows, key=lambda row: row[0] // width):
        values = list(map(itemgetter(1), group))
        low, high = min(values), max(values)
        columns.count += len(values)
        columns.times.append(bucket * width)
        columns.low.append(low)
        columns.high.append(high)
        columns.mean.append(mean(values, low, high))
    return columns


def spread(values: Sequence[float]) -> Spread:
    """Count, range, mean and deviation of at least one finite value; none of them overflows."""
    low, high = min(values), max(values)
    middle = mean(values, low, high)
    scale = _scale(low, high)
    squares = math.fsum((value * scale - middle * scale) ** 2 for value in values)
    return Spread(len(values), low, high, middle, math.sqrt(squares / len(values)) / scale)


def mean(values: Sequence[float], low: float, high: float) -> float:
    """The mean, which lies between `low` and `high` whatever rounding does."""
    scale = _scale(low, high)
    total = math.fsum(values) if scale == 1 else math.fsum(value * scale for value in values)
    return min(max(total / len(values) / scale, low), high)


def _scale(low: float, high: float) -> float:
    return 1.0 if low > -ORDINARY and high < ORDINARY else SHRINK
