"""Live flows against what a device holds: who may have some that are stopped now, and which line stops one.

Only what is certain counts. What a name stands for nobody knows here, so a flow that a line by name may let through is not stopped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from bridge.model.flows import Flow
from bridge.model.intent import Group, Objects, Shard
from bridge.model.policy import Action, Tier
from bridge.model.tiers import policy_key
from bridge.policy import reach_spans
from bridge.policy.reach import Turn, difference
from bridge.policy.reach_lines import Holding, Line, name_places
from bridge.policy.reach_spans import NAMES, Spans, meet, merged

_TAKEN = (Turn.LOSES, Turn.STOPPED)
_STOPS = (Action.DENY, Action.REJECT)


def in_force(objects: Objects, attached: Mapping[Tier, bool]) -> Objects:
    """What of these objects counts for packets: without the policies that no enforced slot leads to."""
    out = [policy_key(tier) for tier, reachable in attached.items() if not reachable]
    return {key: value for key, value in objects.items() if key not in out}


def senders(before: Objects, now: Objects, known: Callable[[], Iterable[str]] = tuple) -> tuple[str, ...]:
    """The addresses from which something is stopped now that was not before, in order.

    Whom a prefix stands for is told by the groups that name him, and by `known`, which is asked only then.
    """
    shifts = [shift for shift in difference(before, now, {}).shifts if shift.turn in _TAKEN]
    found = {source for shift in shifts for source in shift.sources}
    rest = merged(span for shift in shifts for span in reach_spans.spans(shift.rest))
    if rest:
        found.update(address for address in (*_named((before, now)), *known()) if _within(rest, address))
    return tuple(sorted(found, key=reach_spans.point))


class Court:
    """The lines of a device as one flow after another meets them; it decides as the device does (SEMANTICS 4)."""

    def __init__(self, objects: Objects) -> None:
        self._lines = Holding(objects, {}, name_places(objects)).lines

    def stopped(self, flows: Iterable[Flow]) -> Iterator[tuple[Flow, Line]]:
        """Those that would be denied or rejected if they began now, each with the line that does so."""
        near: dict[str, list[Line]] = {}
        for flow in flows:
            if flow.source not in near:
                near[flow.source] = [line for line in self._lines if _sends(line, flow.source)]
            line = _stops(near[flow.source], flow)
            if line is not None:
                yield flow, line


def _stops(lines: Iterable[Line], flow: Flow) -> Line | None:
    """The line that stops the flow, the first match of each tier counting; None where another one decides, or none, or a name might."""
    destination = reach_spans.point(flow.destination)
    what = reach_spans.packet(flow.protocol, flow.port)
    passed = -1
    for line in lines:
        if line.tier == passed or not meet(line.what, ((what, what),)):
            continue
        if not meet(line.where, ((destination, destination),)):
            if line.entry.action not in _STOPS and _by_name(line):
                return None
        elif line.entry.action is Action.PASS:
            passed = line.tier
        else:
            return line if line.entry.action in _STOPS else None
    return None


def _by_name(line: Line) -> bool:
    return bool(line.where) and line.where[-1][1] >= NAMES


def _sends(line: Line, source: str) -> bool:
    return any(source in one.points or _within(one.spans, source) for one in line.sources)


def _within(spans: Spans, address: str) -> bool:
    place = reach_spans.point(address)
    return bool(meet(spans, ((place, place),)))


def _named(states: Iterable[Objects]) -> Iterator[str]:
    """Every single address that some group or part of one names."""
    for objects in states:
        for value in objects.values():
            if isinstance(value, Group | Shard):
                yield from (member for member in value.members if "/" not in member and "-" not in member)
