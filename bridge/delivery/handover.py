"""Addresses that change hands on a device: seen in the plans that move them, told once the old permission is seen gone.

An address changes hands where it leaves one group and joins another. It begins when the new holder's change was recorded, and ends when the
device is seen without the address in the groups that it left.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.handover import Handed
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Objects, RuleList, Shard
from bridge.model.plan import Plan, Step
from bridge.model.policy import Action
from bridge.state.desired import DesiredRow

_NOBODY: frozenset[str] = frozenset()
_DENIES = (Action.DENY, Action.REJECT)
_OF_MEMBERS = (Kind.GROUP, Kind.SHARD)


@dataclass(slots=True)
class _Move:
    """An address on its way from some groups to others."""

    left: set[ObjectKey] = field(default_factory=set)
    joined: set[ObjectKey] = field(default_factory=set)
    both: bool = False


class HandoverWatch:
    """The moves of one device that are not seen to the end yet. A plan that breaks off is followed into the next."""

    def __init__(self) -> None:
        self._moves: dict[str, _Move] = {}
        self._denying: dict[ObjectKey, tuple[RuleList, frozenset[ObjectKey]]] = {}

    def sends(self, made: Plan, objects: Objects) -> None:
        """A plan goes out to a device that holds these objects."""
        left, joined = _changed(made.steps)
        moving = {
            address
            for old, gone in left.items()
            for new, come in joined.items()
            if old != new
            for address in gone & come
        }
        for address in moving:
            move = self._moves.setdefault(address, _Move())
            move.left |= {key for key, gone in left.items() if address in gone}
            move.joined |= {key for key, come in joined.items() if address in come}
        if len(made.phases) > 1 and moving:
            self._look_for_both(moving, made, frozenset(self._denied(made.steps, objects)))

    def seen(
        self, rows: Mapping[ObjectKey, DesiredRow], aside: Collection[ObjectKey], now: datetime
    ) -> Iterator[Handed]:
        """The plan is through. `rows` are what it was about, `aside` groups of which something may stand as before."""
        for address, move in list(self._moves.items()):
            if not move.left.isdisjoint(aside):
                continue
            del self._moves[address]
            begun = [
                row.waiting_since or row.changed_at for key in move.joined if (row := rows.get(key)) and _pending(row)
            ]
            if begun:
                yield Handed(max(0.0, (now - min(begun)).total_seconds()), move.both)

    def _look_for_both(self, moving: Collection[str], made: Plan, denied: frozenset[ObjectKey]) -> None:
        """Whether, one step after another, somebody comes to his new groups before he left the old ones. Groups that only stop have
        nothing to give."""
        come: dict[str, int] = {}
        gone: dict[str, int] = {}
        for number, step in enumerate(made.steps):
            if step.key.kind not in _OF_MEMBERS or step.key.group in denied:
                continue
            before, after = _members(step.before), _members(step.after)
            for address in moving:
                move = self._moves[address]
                if step.key.group in move.joined and address in after and address not in before:
                    come.setdefault(address, number)
                if step.key.group in move.left and address in before and address not in after:
                    gone[address] = number
        for address, number in come.items():
            self._moves[address].both |= number < gone.get(address, number)

    def _denied(self, steps: Iterable[Step], objects: Objects) -> Iterator[ObjectKey]:
        """Groups by which something is stopped, before or after."""
        lists = [one for one in objects.values() if isinstance(one, RuleList)]
        for each in (*lists, *(step.after for step in steps)):
            if isinstance(each, RuleList):
                known = self._denying.get(each.key)
                if known is None or known[0] is not each:
                    known = self._denying[each.key] = (each, _stopped(each))
                yield from known[1]


def _changed(steps: Iterable[Step]) -> tuple[dict[ObjectKey, frozenset[str]], dict[ObjectKey, frozenset[str]]]:
    """Who leaves and who joins each group, from the beginning of the plan to its end."""
    first: dict[ObjectKey, Step] = {}
    last: dict[ObjectKey, Step] = {}
    for step in steps:
        if step.key.kind in _OF_MEMBERS:
            first.setdefault(step.key, step)
            last[step.key] = step
    before: dict[ObjectKey, frozenset[str]] = {}
    after: dict[ObjectKey, frozenset[str]] = {}
    for key, step in first.items():
        before[key.group] = before.get(key.group, _NOBODY) | _members(step.before)
        after[key.group] = after.get(key.group, _NOBODY) | _members(last[key].after)
    left = {key: gone for key, one in before.items() if (gone := one - after[key])}
    joined = {key: come for key, one in after.items() if (come := one - before[key])}
    return left, joined


def _members(value: DeviceObject | None) -> frozenset[str]:
    return value.members if isinstance(value, Group | Shard) else _NOBODY


def _stopped(each: RuleList) -> frozenset[ObjectKey]:
    return frozenset(key for entry in each.entries if entry.action in _DENIES for key in entry.sources)


def _pending(row: DesiredRow) -> bool:
    return row.applied_generation < row.generation
