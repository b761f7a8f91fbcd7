"""The picture of changes and lag over time, as measures of a drawing: the template draws them, nothing is decided there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log10

from bridge.report.changes import Bucket, Picture
from bridge.report.words import span

WIDTH, HEIGHT = 500.0, 120.0  # of one chart, in the units of the drawing
LEFT, RIGHT, TOP, BOTTOM = 52.0, 18.0, 10.0, 22.0  # room for what stands beside the axes
_MOST_TICKS = 6
_STEPS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    172800,
    604800,
    1209600,
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, and what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    told: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of an axis and its words."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: bars over time, with marks where they have a second value, and both axes."""

    bars: tuple[Bar, ...]
    marks: tuple[Bar, ...]
    times: tuple[Tick, ...]
    values: tuple[Tick, ...]


def changes_chart(picture: Picture) -> Chart:
    """How many changes in each stretch of time; those with drift are marked."""
    most = max((one.changes + one.drift for one in picture.buckets), default=0)
    top = nice(most)
    bars = []
    for bucket in picture.buckets:
        count = bucket.changes + bucket.drift
        height = _room() * count / top
        drift = f", {bucket.drift} by somebody else" if bucket.drift else ""
        told = f"{_when(bucket, picture)}: {bucket.changes} changes{drift}"
        bars.append(_bar(bucket, picture, height, told, marked=bucket.drift > 0))
    values = tuple(Tick(_height(value / top), f"{value:g}") for value in (0, top / 2, top) if value == int(value))
    return Chart(tuple(bars), (), _times(picture), values)


def lag_chart(picture: Picture) -> Chart:
    """How long changes took from cluster to device, on a scale of powers of ten: the longest as a bar, the median as a mark."""
    lags = [one for one in picture.buckets if one.lag_max is not None and one.lag_median is not None]
    low, high = _decades(lags)
    bars, marks = [], []
    for bucket in lags:
        longest, middle = bucket.lag_max or 0.0, bucket.lag_median or 0.0
        told = f"{_when(bucket, picture)}: median {span(middle)}, longest {span(longest)}"
        bars.append(_bar(bucket, picture, _room() * _share(longest, low, high), told))
        place = _bar(bucket, picture, _room() * _share(middle, low, high), told)
        marks.append(Bar(place.x, place.y - 1, place.width, 2, told))
    values = tuple(Tick(_height((power - low) / (high - low)), span(10.0**power)) for power in range(low, high + 1))
    return Chart(tuple(bars), tuple(marks), _times(picture), values)


def nice(most: float) -> float:
    """The least of 1, 2, 5, 10, 20, 50, … that is not below; at least 2, so that half of it is a whole number."""
    scale = 1
    while True:
        for step in (2, 4, 10):
            if step * scale >= most:
                return float(step * scale)
        scale *= 10


def _decades(lags: Sequence[Bucket]) -> tuple[int, int]:
    """The powers of ten around all lags, from 10 ms to 1 s at least."""
    longest = max((one.lag_max or 0.0 for one in lags), default=0.0)
    high = 0
    while 10.0**high < longest:
        high += 1
    return -2, high


def _share(value: float, low: int, high: int) -> float:
    return min(max((log10(max(value, 1e-9)) - low) / (high - low), 0.02), 1.0)


def _room() -> float:
    return HEIGHT - TOP - BOTTOM


def _height(share: float) -> float:
    return round(TOP + _room() * (1 - share), 1)


def _bar(bucket: Bucket, picture: Picture, height: float, told: str, *, marked: bool = False) -> Bar:
    left = _x(bucket.at, picture)
    right = _x(bucket.at + timedelta(seconds=picture.width), picture)
    drawn = max(round(height, 1), 1.0)
    wide = max(round(min(right, WIDTH - RIGHT) - left - 1, 1), 1.0)
    return Bar(left, round(HEIGHT - BOTTOM - drawn, 1), wide, drawn, told, marked)


def _x(moment: datetime, picture: Picture) -> float:
    whole = max((picture.until - picture.since).total_seconds(), picture.width)
    share = (moment - picture.since).total_seconds() / whole
    return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)


def _times(picture: Picture) -> tuple[Tick, ...]:
    """Round times along the axis."""
    whole = max((picture.until - picture.since).total_seconds(), picture.width)
    step = next((one for one in _STEPS if whole / one <= _MOST_TICKS), _STEPS[-1])
    first = picture.since.timestamp() // step * step + step
    moments = []
    while first <= picture.until.timestamp():
        moments.append(datetime.fromtimestamp(first, picture.since.tzinfo))
        first += step
    form = "%b %d" if step >= 86400 else "%H:%M" if step >= 60 else "%H:%M:%S"
    return tuple(Tick(_x(moment, picture), f"{moment:{form}}") for moment in moments)


def _when(bucket: Bucket, picture: Picture) -> str:
    return f"{bucket.at:%b %d %H:%M:%S}, {span(picture.width)}"
