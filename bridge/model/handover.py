"""Addresses that change hands on a device, and how long the old permission stood: figures whose memory does not grow with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, log

_LEAST = 0.001  # seconds; nothing shorter is told apart
_GROWTH = 1.1  # of one bucket to the next: a quantile is right to a tenth
_WIDTH = log(_GROWTH)


@dataclass(frozen=True, slots=True)
class Handed:
    """One address: for how long, after its new holder had it, the device still let it do what the one before could.

    `both`: on the way the device may have let it do what the old holder could and what the new one can at the same moment.
    """

    seconds: float
    both: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Hand-overs that took about as long: how many, the longest of them, and of how many both permissions may have stood at once."""

    count: int
    worst: float
    both: int = 0


Buckets = Mapping[int, Bucket]


@dataclass(frozen=True, slots=True)
class Handovers:
    """What a device took for the hand-overs of some time, in seconds; None where there was none."""

    count: int = 0
    p50: float | None = None
    p99: float | None = None
    worst: float | None = None
    both: int = 0


def buckets(handed: Iterable[Handed]) -> dict[int, Bucket]:
    """These by how long they took."""
    found: dict[int, Bucket] = {}
    for one in handed:
        place = bucket_of(one.seconds)
        before = found.get(place, Bucket(0, 0.0))
        found[place] = Bucket(before.count + 1, max(before.worst, one.seconds), before.both + one.both)
    return found


def bucket_of(seconds: float) -> int:
    """The bucket of a duration."""
    return max(0, ceil(log(max(seconds, _LEAST) / _LEAST) / _WIDTH - 1e-9))


def figures(found: Buckets) -> Handovers:
    """Count, quantiles and the worst. A quantile is the longest of its bucket: at most a tenth too long, never too short."""
    count = sum(one.count for one in found.values())
    if not count:
        return Handovers()
    worst = max(one.worst for one in found.values())
    both = sum(one.both for one in found.values())
    return Handovers(count, _quantile(found, count, 0.5), _quantile(found, count, 0.99), worst, both)


def _quantile(found: Buckets, count: int, part: float) -> float:
    left = ceil(count * part)
    for place in sorted(found):
        left -= found[place].count
        if left <= 0:
            return found[place].worst
    raise AssertionError("more than there are")
