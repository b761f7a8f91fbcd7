"""When a device keeps to the policy of an earlier time: windows in which no edit reaches it, though workloads come and go.

A freeze is a stretch of time, once or again and again, on clocks of a time zone; its edges are those of the windows of rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.model.policy import Validity
from bridge.policy.validity import next_change, resting

_MOST = 64  # windows that follow each other without a gap, looked through for an end
_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze window as the settings name it, and its times."""

    name: str
    times: Validity


@dataclass(frozen=True, slots=True)
class Frozen:
    """A device in a freeze now: by which windows, and until when no edit reaches it; None: no end is in sight."""

    names: tuple[str, ...]
    until: datetime | None

    @property
    def words(self) -> str:
        """As people are told; the same as long as the freeze is."""
        end = f"until {self.until.astimezone(UTC).strftime(_SHOWN)}" if self.until else "without an end in sight"
        return f"frozen {end} ({', '.join(self.names)})"


def frozen(freezes: Sequence[Freeze], at: datetime) -> Frozen | None:
    """The freeze that a moment lies in; None where it lies in none. Windows that meet are one freeze."""
    names = _around(freezes, at)
    if not names:
        return None
    end = at
    for _ in range(_MOST):
        found = next_change((one.times for one in freezes), end)
        if found is None:
            return Frozen(names, None)
        end = found
        if not _around(freezes, end):
            return Frozen(names, end)
    return Frozen(names, None)


def lasts(freezes: Sequence[Freeze], start: datetime, end: datetime) -> bool:
    """Whether every moment from one to the other lies in one freeze."""
    if end <= start:
        return bool(_around(freezes, end))
    found = frozen(freezes, start)
    return found is not None and (found.until is None or found.until > end)


def next_edge(freezes: Sequence[Freeze], after: datetime) -> datetime | None:
    """The first moment after this one at which a freeze may begin or end; None when none ever does."""
    return next_change((one.times for one in freezes), after)


def _around(freezes: Sequence[Freeze], at: datetime) -> tuple[str, ...]:
    return tuple(one.name for one in freezes if resting(one.times, at) is None)
