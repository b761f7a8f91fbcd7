"""Times drawn along a line: where a stretch of time begins and ends, in thousandths of the whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.api.routes.history import ChangeRow, LeaseRow, MemberRow
from bridge.api.routes.who import HeldIn, Holding

WHOLE = 1000
_LEAST = 4  # so that a moment can be seen


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the line. What is not `sure` is a time in which nobody watched."""

    x: int
    width: int
    sure: bool


@dataclass(frozen=True, slots=True)
class Line:
    """The whole line, and the moment on it that was asked about."""

    since: datetime
    until: datetime
    mark: datetime | None = None

    def held(self, one: Holding) -> tuple[Stretch, ...]:
        """The time in which somebody held an address."""
        ended = one.ended or self.until
        sure_until = one.ended_after or ended
        parts = [self._part(one.began, sure_until, sure=True)]
        if one.began_after:
            parts.append(self._part(one.began_after, one.began, sure=False))
        if one.ended_after:
            parts.append(self._part(one.ended_after, ended, sure=False))
        return tuple(parts)

    def row(self, one: LeaseRow | MemberRow | ChangeRow) -> tuple[Stretch, ...]:
        """The time of a row of history."""
        if isinstance(one, LeaseRow):
            return self.held(one)
        if isinstance(one, MemberRow):
            return (self._part(one.joined, one.left or self.until, sure=True),)
        return (self._part(one.at, one.at, sure=True),)

    @property
    def marked(self) -> int | None:
        """Where the moment that was asked about lies."""
        return None if self.mark is None else self._place(self.mark)

    def _part(self, began: datetime, ended: datetime, *, sure: bool) -> Stretch:
        left = min(self._place(began), WHOLE - _LEAST)
        return Stretch(left, max(self._place(ended) - left, _LEAST), sure)

    def _place(self, at: datetime) -> int:
        whole = (self.until - self.since) or timedelta(seconds=1)
        return round(WHOLE * min(max((at - self.since) / whole, 0.0), 1.0))


def of_rows(rows: Iterable[LeaseRow | MemberRow | ChangeRow], now: datetime) -> Line:
    """A line from the earliest of these until now."""
    return Line(min(map(_began, rows), default=now), now)


def of_answer(found: HeldIn, at: datetime, now: datetime) -> Line:
    """A line around a moment, with whoever held the address then, before and after."""
    everybody = [one for one in (found.previous, *found.holders, found.next) if one]
    return Line(min([at, *(one.began_after or one.began for one in everybody)]), max(at, now), at)


def _began(row: LeaseRow | MemberRow | ChangeRow) -> datetime:
    if isinstance(row, LeaseRow):
        return row.began_after or row.began
    return row.joined if isinstance(row, MemberRow) else row.at
