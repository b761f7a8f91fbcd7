"""Who gains and who loses which destinations between two states of one device: exact, and with effort that grows with the change.

Only packets that some changed line is about can fare otherwise. They are cut by sender into classes that meet the same lines, and for
each class by destination into stretches that do; what is left, traffic, is decided as the device decides it: tier by tier, first match.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from bridge.model.intent import Objects
from bridge.model.policy import Action
from bridge.policy import reach_spans
from bridge.policy.reach_lines import Box, Holding, Line, Members, Outside, boxes, name_places
from bridge.policy.reach_sources import Class, Sets, classes
from bridge.policy.reach_spans import Spans, family, less, meet, merged, touch

Progress = Callable[[int, int], None]
"""How many classes of senders are done, of how many."""


class Fate(StrEnum):
    """What becomes of a packet. One that is left goes on to whatever the device's owner has behind our rules."""

    ALLOWED = "allowed"
    STOPPED = "stopped"
    LEFT = "left"


class Turn(StrEnum):
    """What a change of fate means for the sender."""

    GAINS = "gains"  # allowed now, and not before
    LOSES = "loses"  # allowed before, and not now
    STOPPED = "stopped"  # left to others before, stopped by us now
    RELEASED = "released"  # stopped by us before, left to others now


@dataclass(frozen=True, slots=True)
class Shift:
    """Packets that fare otherwise after the change, and the lines that decide them (None: nothing of ours).

    Senders are `sources`, addresses as the device sees them, and everybody in the prefixes of `rest` who is not among the
    difference's `told`. Destinations are `where` and, by name, `names`.
    """

    turn: Turn
    before: Line | None
    after: Line | None
    sources: tuple[str, ...]
    rest: tuple[str, ...]
    where: tuple[str, ...]
    names: tuple[str, ...]
    traffic: tuple[str, ...]
    what: Spans = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """All that fares otherwise; `told` are the addresses that were looked at one by one."""

    shifts: tuple[Shift, ...] = ()
    told: frozenset[str] = frozenset()


def difference(before: Objects, after: Objects, outside: Outside, progress: Progress | None = None) -> Difference:
    """What of reachability differs between two states of a device, its policies attached in both."""
    names = name_places(before, after)
    held, wanted = Holding(before, outside, names), Holding(after, outside, names)
    changed = [box for box in boxes(held, wanted) if box.where and box.what]
    if not changed:
        return Difference()
    return _Comparison(held.lines, wanted.lines, changed, {place: name for name, place in names.items()}).run(progress)


_Pattern = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # lines before, lines after, boxes: by their place
_Found = tuple[Turn, Line | None, Line | None, Spans]  # with the traffic


class _Comparison:
    """The lines that matter to the changed boxes, by the sets of senders that they name."""

    def __init__(
        self, before: Sequence[Line], after: Sequence[Line], changed: Sequence[Box], names: Mapping[int, str]
    ) -> None:
        self._names = names
        self._boxes = changed
        where = merged(one for box in changed for one in box.where)
        what = merged(one for box in changed for one in box.what)
        self._before = _concerned(before, where, what)
        self._after = _concerned(after, where, what)
        self._sets: list[Members] = []
        known: dict[Members, int] = {}
        self._of_boxes = self._index((box.sources for box in changed), known)
        interesting = len(self._sets)
        self._of_before = self._index((line.sources for line in self._before), known)
        self._of_after = self._index((line.sources for line in self._after), known)
        self._classes = classes(self._sets, range(interesting))
        self._decided: dict[_Pattern, list[_Found]] = {}

    def _index(self, sides: Iterable[Sequence[Members]], known: dict[Members, int]) -> Mapping[int, list[int]]:
        """For each set, what has it among its senders."""
        found: dict[int, list[int]] = {}
        for index, side in enumerate(sides):
            for one in side:
                place = known.setdefault(one, len(self._sets))
                if place == len(self._sets):
                    self._sets.append(one)
                found.setdefault(place, []).append(index)
        return found

    def run(self, progress: Progress | None) -> Difference:
        """Decide every class, those that meet the same lines once."""
        patterns: dict[tuple[_Pattern, int], list[Class]] = {}
        for one in self._classes.found:
            patterns.setdefault((self._pattern(one.sets), one.family), []).append(one)
        outcomes: dict[tuple[_Found, Spans], list[Class]] = {}
        for done, ((pattern, of), alike) in enumerate(patterns.items()):
            if progress:
                progress(done, len(patterns))
            for outcome in self._outcome(pattern, of):
                outcomes.setdefault(outcome, []).extend(alike)
        shifts = [self._shift(found, where, senders) for (found, where), senders in outcomes.items()]
        return Difference(tuple(sorted(shifts, key=_order)), self._classes.told)

    def _pattern(self, sets: Sets) -> _Pattern:
        sides = (self._of_before, self._of_after, self._of_boxes)
        before, after, changed = (tuple(sorted({i for one in sets for i in side.get(one, ())})) for side in sides)
        return before, after, changed

    def _outcome(self, pattern: _Pattern, of: int) -> Iterator[tuple[_Found, Spans]]:
        """What fares otherwise for senders of one family who meet these lines, each with its destinations."""
        found: dict[_Found, list[tuple[int, int]]] = {}
        for first, last, active in self._stretches(pattern):
            if family(first) in (of, 0) and active[2]:
                if active not in self._decided:
                    self._decided[active] = list(self._decide(active))
                for one in self._decided[active]:
                    found.setdefault(one, []).append((first, last))
        for one, places in found.items():
            yield one, merged(places)

    def _stretches(self, pattern: _Pattern) -> Iterator[tuple[int, int, _Pattern]]:
        """The destinations cut wherever a line or box of the pattern begins or ends, within the boxes."""
        before, after, changed = pattern
        within = merged(one for index in changed for one in self._boxes[index].where)
        edges: dict[int, list[tuple[int, int, bool]]] = {}
        sides = (
            [(index, self._before[index].where) for index in before],
            [(index, self._after[index].where) for index in after],
            [(index, self._boxes[index].where) for index in changed],
        )
        for side, found in enumerate(sides):
            for index, where in found:
                for first, last in meet(where, within):
                    edges.setdefault(first, []).append((side, index, True))
                    edges.setdefault(last + 1, []).append((side, index, False))
        active: tuple[set[int], set[int], set[int]] = (set(), set(), set())
        places = sorted(edges)
        for place, following in pairwise(places):
            for side, index, begins in edges[place]:
                (active[side].add if begins else active[side].discard)(index)
            if active[2]:
                one, two, three = (tuple(sorted(indexes)) for indexes in active)
                yield place, following - 1, (one, two, three)

    def _decide(self, active: _Pattern) -> Iterator[_Found]:
        """What of the boxes' traffic fares otherwise by these lines."""
        before, after, changed = active
        what = merged(one for index in changed for one in self._boxes[index].what)
        was = decide([self._before[index] for index in before], what)
        becomes = decide([self._after[index] for index in after], what)
        found: dict[tuple[Turn, Line | None, Line | None], list[tuple[int, int]]] = {}
        for there, by in was:
            for here, now in becomes:
                turn = turned(fate(by), fate(now))
                shared = meet(there, here) if turn else ()
                if turn and shared:
                    found.setdefault((turn, by, now), []).extend(shared)
        for (turn, by, now), spans in found.items():
            yield turn, by, now, merged(spans)

    def _shift(self, found: _Found, where: Spans, senders: Sequence[Class]) -> Shift:
        turn, before, after, what = found
        return Shift(
            turn,
            before,
            after,
            tuple(sorted((point for one in senders for point in one.points), key=reach_spans.point)),
            reach_spans.members(merged(span for one in senders for span in one.rest)),
            reach_spans.members(where),
            tuple(self._names[first] for first, _ in where if family(first) == 0),
            reach_spans.traffic_texts(what),
            what,
        )


def decide(lines: Iterable[Line], what: Spans) -> list[tuple[Spans, Line | None]]:
    """What of this traffic which of these lines decides: each tier's first match, Pass to the next tier; None for what no line does."""
    found: list[tuple[Spans, Line | None]] = []
    onward: Spans = ()
    left, tier = what, 0
    for line in lines:
        if line.tier != tier:
            left, onward, tier = merged((*left, *onward)), (), line.tier
        hit = meet(left, line.what)
        if not hit:
            continue
        left = less(left, hit)
        if line.entry.action is Action.PASS:
            onward = merged((*onward, *hit))
        else:
            found.append((hit, line))
    left = merged((*left, *onward))
    return [*found, (left, None)] if left else found


def fate(line: Line | None) -> Fate:
    """What the deciding line does."""
    if line is None:
        return Fate.LEFT
    return Fate.ALLOWED if line.entry.action is Action.ALLOW else Fate.STOPPED


def turned(was: Fate, becomes: Fate) -> Turn | None:
    """What it means to fare so after having fared otherwise; None for no change."""
    if was is becomes:
        return None
    if becomes is Fate.ALLOWED:
        return Turn.GAINS
    if was is Fate.ALLOWED:
        return Turn.LOSES
    return Turn.STOPPED if becomes is Fate.STOPPED else Turn.RELEASED


def _concerned(lines: Sequence[Line], where: Spans, what: Spans) -> tuple[Line, ...]:
    """The lines that some packet of a changed box may meet; looked at once for each destination and each traffic."""
    near: dict[Spans, bool] = {}
    like: dict[Spans, bool] = {}
    found = []
    for line in lines:
        if line.where not in near:
            near[line.where] = touch(line.where, where)
        if near[line.where]:
            if line.what not in like:
                like[line.what] = touch(line.what, what)
            if like[line.what]:
                found.append(line)
    return tuple(found)


def _order(
    shift: Shift,
) -> tuple[int, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    rank = list(Turn).index(shift.turn)
    return (rank, shift.sources[:1], shift.rest, shift.where, shift.names, shift.traffic)
