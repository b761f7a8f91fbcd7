"""Addresses that change hands on a device: seen in the plans that move them, told once the old permission is seen gone.

An address changes hands where it leaves one group and joins another. It begins when the new holder's change was recorded, and ends when the
device is seen without the address in the groups that it left. Where that was before, there is no window, and nothing to tell.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.model.handover import Handed
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Objects, RuleList, Shard
from bridge.model.plan import Plan, Step
from bridge.model.policy import Action
from bridge.state.desired import DesiredRow

_REMEMBERED = timedelta(minutes=10)
_MOST = 20_000  # addresses
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
        self._leaving: set[str] = set()
        self._coming: dict[str, set[ObjectKey]] = {}
        self._gone: dict[str, datetime] = {}  # when those were seen gone who joined nothing then, the oldest first

    def sends(self, made: Plan, objects: Objects) -> None:
        """A plan goes out to a device that holds these objects."""
        left, joined = _changed(made.steps)
        if not left and not self._gone:
            return
        out, into = _by_address(left), _by_address(joined)
        moving = out.keys() & into.keys()
        for address in moving:
            move = self._moves.setdefault(address, _Move())
            move.left |= out[address]
            move.joined |= into[address]
        self._leaving |= out.keys() - moving
        for address in into.keys() - moving:
            self._coming.setdefault(address, set()).update(into[address])
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
            begun = _begun(move.joined, rows)
            if begun is not None:
                yield Handed(max(0.0, (now - begun).total_seconds()), move.both)
        yield from self._met(rows)
        self._note_gone(now)

    def _met(self, rows: Mapping[ObjectKey, DesiredRow]) -> Iterator[Handed]:
        """Those who come to an address that an earlier plan took from its old holder, when the new one had it already."""
        for address, keys in self._coming.items():
            gone = self._gone.pop(address, None)
            begun = _begun(keys, rows) if gone is not None else None
            if gone is not None and begun is not None and begun < gone:
                yield Handed((gone - begun).total_seconds())
        self._coming.clear()

    def _note_gone(self, now: datetime) -> None:
        for address in self._leaving:
            self._gone.pop(address, None)
            self._gone[address] = now
        self._leaving.clear()
        for address, gone in list(self._gone.items()):
            if now - gone <= _REMEMBERED and len(self._gone) <= _MOST:
                break
            del self._gone[address]

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


def _by_address(groups: Mapping[ObjectKey, frozenset[str]]) -> dict[str, set[ObjectKey]]:
    found: dict[str, set[ObjectKey]] = {}
    for key, addresses in groups.items():
        for address in addresses:
            found.setdefault(address, set()).add(key)
    return found


def _begun(joined: Iterable[ObjectKey], rows: Mapping[ObjectKey, DesiredRow]) -> datetime | None:
    """When the new holder's change was recorded; None where nothing of that kind waits: it was set right, and changed no hands."""
    times = (row.waiting_since or row.changed_at for key in joined if (row := rows.get(key)) and _pending(row))
    return min(times, default=None)


def _members(value: DeviceObject | None) -> frozenset[str]:
    return value.members if isinstance(value, Group | Shard) else _NOBODY


def _stopped(each: RuleList) -> frozenset[ObjectKey]:
    return frozenset(key for entry in each.entries if entry.action in _DENIES for key in entry.sources)


def _pending(row: DesiredRow) -> bool:
    return row.applied_generation < row.generation
