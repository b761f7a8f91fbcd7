"""When rules begin and cease to count, and freezes begin and end, so that intake wakes itself: no event tells of the hour."""

from collections.abc import Iterable
from datetime import datetime

from bridge.model.policy import ALWAYS, Rule
from bridge.policy.freeze import Freeze
from bridge.policy.validity import next_change


class Timetable:
    """The next moment at which a rule may begin or cease to count, or a freeze begin or end. To ask costs little, however many."""

    def __init__(self) -> None:
        self._settled_at: datetime | None = None  # None: no rule has times of its own
        self._next: datetime | None = None

    def settle(self, rules: Iterable[Rule], at: datetime, freezes: Iterable[Freeze] = ()) -> None:
        """These rules were compiled as of this moment, for devices with these freezes."""
        times = {rule.validity for rule in rules if rule.validity is not ALWAYS} | {one.times for one in freezes}
        self._settled_at = at if times else None
        self._next = next_change(times, at)

    def due(self, now: datetime) -> bool:
        """Whether something else may count now: the moment has come, or the clock was set back behind what was compiled."""
        if self._settled_at is None:
            return False
        return now < self._settled_at or (self._next is not None and now >= self._next)

    def seconds_left(self, now: datetime, longest: float) -> float:
        """How long to wait, at most `longest`: clocks are set, and machines sleep."""
        if self._next is None:
            return longest
        return min(longest, max(0.001, (self._next - now).total_seconds()))
