"""The lines of a device in the order in which it asks them, with what they are about; and which of them differ between two states."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, Objects, Policy, Ports, RuleEntry, RuleList, Shard
from bridge.model.policy import Tier
from bridge.model.tiers import policy_key
from bridge.policy import reach_spans
from bridge.policy.reach_spans import NAMES, Spans, less, merged

Outside = Mapping[str, tuple[str, ...]]
"""By cluster: every address outside it, in the families that its pods have."""


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a group: addresses one by one, and stretches of them."""

    points: frozenset[str] = frozenset()
    spans: Spans = ()

    @property
    def empty(self) -> bool:
        """Whether nobody is."""
        return not self.points and not self.spans


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line of a rule list where it stands: `tier` and `place` order all lines of a device. Each side is any of its groups."""

    key: ObjectKey
    entry: RuleEntry
    tier: int
    place: int
    sources: tuple[Members, ...]
    where: Spans
    what: Spans

    @property
    def permission(self) -> tuple[object, ...]:
        """What it does, in names: equal for lines that differ at most in what those names stand for."""
        one = self.entry
        return (self.key, one.action, one.sources, one.destinations, one.protocol, one.ports, one.icmp, one.number)


class Holding:
    """What a device holds, or is to hold, of lines and of the groups that they name. `names` are the places of names as destinations."""

    def __init__(self, objects: Objects, outside: Outside, names: Mapping[str, int]) -> None:
        self._objects = objects
        self._names = names
        self._outside = {cluster: reach_spans.spans(members) for cluster, members in outside.items()}
        self._members: dict[ObjectKey, Members] = {}
        self._where: dict[tuple[str, tuple[ObjectKey, ...]], Spans] = {}
        self.lines: tuple[Line, ...] = tuple(self._lines())

    def members(self, key: ObjectKey) -> Members:
        """Who is in a group; nobody in one that is not there."""
        if key not in self._members:
            self._members[key] = _split(members_of(self._objects, key))
        return self._members[key]

    def ports(self, key: ObjectKey | None) -> Ports | None:
        """The ports of that key."""
        found = self._objects.get(key) if key else None
        return found if isinstance(found, Ports) else None

    def destination(self, cluster: str, keys: tuple[ObjectKey, ...]) -> Spans:
        """Where a line goes: addresses, and names at their places. What takes in everything outside takes in what names stand for."""
        place = (cluster, keys)
        if place not in self._where:
            spans = merged(one for key in keys for one in reach_spans.spans(members_of(self._objects, key)))
            known = (group for group in map(self._objects.get, keys) if isinstance(group, Group))
            named = [self._names[name] for group in known for name in group.fqdns]
            if spans and self._names and cluster in self._outside and not less(self._outside[cluster], spans):
                named = list(self._names.values())
            self._where[place] = merged((*spans, *((one, one) for one in named)))
        return self._where[place]

    def _lines(self) -> Iterator[Line]:
        place = 0
        for number, tier in enumerate(Tier):
            policy = self._objects.get(policy_key(tier))
            for key in policy.lists if isinstance(policy, Policy) else ():
                listed = self._objects.get(key)
                for entry in listed.entries if isinstance(listed, RuleList) else ():
                    yield self._line(key, entry, number, place)
                    place += 1

    def _line(self, key: ObjectKey, entry: RuleEntry, tier: int, place: int) -> Line:
        sources = tuple(self.members(one) for one in entry.sources)
        where = self.destination(key.cluster, entry.destinations)
        return Line(key, entry, tier, place, sources, where, reach_spans.traffic(entry, self.ports(entry.ports)))


@dataclass(frozen=True, slots=True)
class Box:
    """Packets whose fate may differ: from these, to there, of that traffic."""

    sources: tuple[Members, ...]
    where: Spans
    what: Spans


def name_places(*states: Objects) -> dict[str, int]:
    """A place among the destinations for every name that any of these objects holds."""
    found = {
        name
        for objects in states
        for value in objects.values()
        if isinstance(value, Group) and value.fqdns
        for name in value.fqdns
    }
    return {name: NAMES + 2 * index for index, name in enumerate(sorted(found))}  # apart: no two make a stretch


def members_of(objects: Objects, key: ObjectKey) -> frozenset[str]:
    """The members of a group, its shards included."""
    group = objects.get(key)
    if not isinstance(group, Group):
        return frozenset()
    if not group.shards:
        return group.members
    parts = (objects.get(part) for part in group.references())
    return group.members.union(*(part.members for part in parts if isinstance(part, Shard)))


def boxes(before: Holding, after: Holding) -> Iterator[Box]:
    """A packet that is in none of these meets the same lines in the same order before and after."""
    kept = _kept(before.lines, after.lines)
    for line in before.lines:
        if line.place not in kept:
            yield Box(line.sources, line.where, line.what)
    changed = set(kept.values())
    for line in after.lines:
        if line.place not in changed:
            yield Box(line.sources, line.where, line.what)
    now = {line.place: line for line in after.lines}
    for line in before.lines:
        if line.place in kept:
            yield from _moved(line, now[kept[line.place]])


def _moved(line: Line, now: Line) -> Iterator[Box]:
    """Where a line that stays is about other packets than before."""
    if line.where == now.where and line.what == now.what and all(map(_same, line.sources, now.sources)):
        return
    where, what = merged((*line.where, *now.where)), merged((*line.what, *now.what))
    turned = tuple(one for pair in zip(line.sources, now.sources, strict=True) for one in _turned(*pair))
    if turned:
        yield Box(turned, where, what)
    sources = (*line.sources, *now.sources)
    if line.where != now.where:
        yield Box(sources, merged((*less(line.where, now.where), *less(now.where, line.where))), what)
    if line.what != now.what:
        yield Box(sources, where, merged((*less(line.what, now.what), *less(now.what, line.what))))


def _same(one: Members, other: Members) -> bool:
    return one is other or one == other


def _turned(one: Members, other: Members) -> Iterator[Members]:
    """Who is in just one of two."""
    if not _same(one, other):
        spans = merged((*less(one.spans, other.spans), *less(other.spans, one.spans)))
        found = Members(one.points ^ other.points, spans)
        if not found.empty:
            yield found


def _split(members: Iterable[str]) -> Members:
    wide = [one for one in members if "/" in one or "-" in one]
    points = frozenset(members) if not wide else frozenset(one for one in members if "/" not in one and "-" not in one)
    return Members(points, reach_spans.spans(wide))


def _kept(before: tuple[Line, ...], after: tuple[Line, ...]) -> dict[int, int]:
    """Lines that stand in both in the same order among each other: place before to place after. As many as there can be."""
    waiting: dict[tuple[object, ...], list[int]] = {}
    for line in reversed(after):
        waiting.setdefault((line.tier, *line.permission), []).append(line.place)
    pairs = []
    for line in before:
        places = waiting.get((line.tier, *line.permission))
        if places:
            pairs.append((line.place, places.pop()))
    return dict(_rising(pairs))


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs that rises on both sides; the first side rises already."""
    ends: list[int] = []
    at: list[int] = []
    previous: list[int] = []
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        previous.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        at[length : length + 1] = [index]
    found = []
    index = at[-1] if at else -1
    while index >= 0:
        found.append(pairs[index])
        index = previous[index]
    return found[::-1]
