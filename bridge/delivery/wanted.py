"""What one device should hold, kept in memory and moved forward by the changes that the state reports."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.delivery.group_view import Delta, GroupView
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Objects, RuleList, Shard
from bridge.model.plan import Held
from bridge.policy.compile import policies
from bridge.policy.guard import GroupChange, GuardLimits, guard
from bridge.policy.shard import shard_count
from bridge.policy.withhold import frozen_groups, settle, with_withheld
from bridge.state.desired import DesiredRow, Work

Unproven = Callable[[Mapping[ObjectKey, frozenset[str]]], Mapping[ObjectKey, frozenset[str]]]


@dataclass(slots=True)
class Todo:
    """The objects to bring onto the device now, those to take off it, and the rows of the work list that this settles."""

    objects: set[ObjectKey] = field(default_factory=set)
    absent: set[ObjectKey] = field(default_factory=set)
    rows: dict[ObjectKey, DesiredRow] = field(default_factory=dict)


class Wanted:
    """The desired side of one device. `todo` collects until a cycle has brought it onto the device."""

    def __init__(self, limits: Limits, guard_limits: GuardLimits) -> None:
        self._limits = limits
        self._guard = guard_limits
        self.fixed: dict[ObjectKey, DeviceObject] = {}
        self.views: dict[ObjectKey, GroupView] = {}
        self.held: dict[ObjectKey, Held] = {}
        self.frozen: frozenset[ObjectKey] = frozenset()
        self.todo = Todo()

    def load(self, work: Work, present: Objects, unproven: Unproven) -> None:
        """Start from a complete reading and from what the device holds.

        What the device holds of a group is the base that the guard compares with; `unproven` tells which removals no event proved.
        """
        before = self.fixed or present
        self.held.clear()
        bodies = [row.body for row in work.rows if row.body is not None and not row.gone]
        self.fixed = {body.key: self._guarded(body, before.get(body.key)) for body in bodies}
        wanted: dict[ObjectKey, set[str]] = {r.key: set() for r in work.rows if r.body is None and not r.gone}
        for member in work.members:
            if member.member and member.group in wanted:
                wanted[member.group].add(member.address)
        base = {key: self.views[key] for key in wanted if key in self.views}
        first = {key for key in wanted if key not in base and key not in present}
        self.views = {}
        for key, addresses in wanted.items():
            view = self.views[key] = base.get(key) or self._view_on_device(key, present, len(addresses))
            view.held_joins.clear()
            view.held_leaves.clear()
        leaving = {key: frozenset(set(self.views[key].members) - wanted[key]) for key in wanted}
        doubtful = unproven({key: gone for key, gone in leaving.items() if gone})
        deltas = {
            key: Delta(wanted[key] - set(self.views[key].members), set(leaving[key]), set(doubtful.get(key, ())))
            for key in wanted
        }
        self.todo = Todo(rows={row.key: row for row in work.rows})
        self._freeze()
        self._admit(deltas, first)

    def take(self, work: Work) -> None:
        """Move forward by what changed since the last reading."""
        deltas: dict[ObjectKey, Delta] = {}
        first: set[ObjectKey] = set()
        for row in work.rows:
            self.todo.rows[row.key] = row
            if self._take_row(row):
                first.add(row.key)
        for member in work.members:
            view = self.views.get(member.group)
            if view is not None:
                delta = deltas.setdefault(member.group, Delta())
                view.delta(member.address, member=member.member, inferred=member.inferred, into=delta)
        if any(row.key.kind is Kind.RULE_LIST for row in work.rows):
            self._freeze()
        self._admit(deltas, first)

    def everything(self) -> dict[ObjectKey, DeviceObject]:
        """All that the device should hold."""
        objects = dict(self.fixed)
        for view in self.views.values():
            objects.update((one.key, one) for one in view.everything())
        objects.update((policy.key, policy) for policy in policies(self._list_keys()))
        return objects

    def part(self, todo: Todo) -> dict[ObjectKey, DeviceObject]:
        """Those objects of a todo that should exist."""
        objects: dict[ObjectKey, DeviceObject] = {}
        for key in todo.objects:
            view = self.views.get(key.group)
            if view is not None:
                objects.update((one.key, one) for one in view.objects([key]))
            elif key in self.fixed:
                objects[key] = self.fixed[key]
        if any(key.kind is Kind.RULE_LIST for key in (*todo.objects, *todo.absent)):
            objects.update((policy.key, policy) for policy in policies(self._list_keys()))
        return objects

    def settle_withheld(
        self, objects: dict[ObjectKey, DeviceObject], present: Objects, refused: Iterable[ObjectKey]
    ) -> dict[ObjectKey, DeviceObject]:
        """Replace the rule lists among `objects` by what may stand on the device: withheld Allows neither added nor widened."""
        out = frozenset(refused)
        if not out and not self.frozen:
            return objects
        lists = with_withheld(self._lists(), out)
        for key, wanted in lists.items():
            if key in objects or (out and wanted != self.fixed[key]):
                objects[key] = _without_missing(settle(wanted, present), out, present)
        return objects

    def _take_row(self, row: DesiredRow) -> bool:
        """Returns whether a group begins to exist with this row."""
        if row.gone:
            view = self.views.pop(row.key, None)
            self.fixed.pop(row.key, None)
            if view is not None:
                self.todo.absent.update(one.key for one in view.everything())
            self.todo.absent.add(row.key)
            self.todo.objects.difference_update(self.todo.absent)
            return False
        self.todo.absent.discard(row.key)
        if row.body is not None:
            self.held.pop(row.key, None)
            self.fixed[row.key] = self._guarded(row.body, self.fixed.get(row.key))
            self.todo.objects.add(row.key)
            return False
        if row.key in self.views:
            return False
        self.views[row.key] = GroupView(row.key, (), self._limits.shard_members)
        self.todo.objects.add(row.key)
        return True

    def _guarded(self, body: DeviceObject, before: DeviceObject | None) -> DeviceObject:
        """A destination that an edit widens to every address waits for a person; the rest of the edit goes on."""
        if not isinstance(body, Group) or not isinstance(before, Group):
            return body
        change = GroupChange(body.key, len(before.members), body.members - before.members, frozenset())
        for held in guard([change], len(before.members), self._guard):
            self.held[body.key] = held
            return Group(body.key, body.members - held.members, body.fqdns)
        return body

    def _admit(self, deltas: Mapping[ObjectKey, Delta], first: set[ObjectKey]) -> None:
        """Let members in and go, but for those that are held or frozen. An address that joins elsewhere has left for certain."""
        moved = {address for delta in deltas.values() for address in delta.joins}
        changes = [
            GroupChange(key, len(self.views[key]), frozenset(d.joins), frozenset(d.unproven - moved), key in first)
            for key, d in deltas.items()
        ]
        doubtful = any(change.unproven for change in changes)
        total = sum(len(view) for view in self.views.values()) if doubtful else 0
        held: dict[ObjectKey, set[str]] = {}
        for one in guard(changes, total, self._guard):
            self.held[one.key] = one
            held.setdefault(one.key, set()).update(one.members)
        for key, delta in deltas.items():
            self._move(key, delta, held.get(key, set()))
        self._release(moved)

    def _move(self, key: ObjectKey, delta: Delta, held: set[str]) -> None:
        view = self.views[key]
        view.held_joins |= delta.joins & held
        view.held_leaves |= delta.leaves & held
        joins = delta.joins - held
        if key in self.frozen:
            view.held_joins |= joins
            joins = set()
        self._touch(view, view.leave(delta.leaves - held) | view.join(joins))

    def _release(self, moved: set[str]) -> None:
        """A held removal whose address now belongs to another group is proven, and goes before anything else."""
        for key in [key for key, view in self.views.items() if view.held_leaves]:
            view = self.views[key]
            proven = {address for address in view.held_leaves if address in moved}
            if proven:
                view.held_leaves -= proven
                self._touch(view, view.leave(proven))
            if not view.held_leaves and not view.held_joins:
                self.held.pop(key, None)

    def _touch(self, view: GroupView, keys: set[ObjectKey]) -> None:
        gone = view.resize()
        if gone or (view.shards and view.key in keys):
            keys = {one.key for one in view.everything()}
            self.todo.absent |= gone
        self.todo.objects |= keys
        self.todo.absent -= keys
        self.todo.objects -= self.todo.absent

    def _freeze(self) -> None:
        frozen = frozen_groups(self._lists().values())
        for key in self.frozen - frozen:
            view = self.views.get(key)
            if view is not None and key not in self.held:
                joins, view.held_joins = view.held_joins, set()
                self._touch(view, view.join(joins))
        self.frozen = frozen

    def _view_on_device(self, key: ObjectKey, present: Objects, size: int) -> GroupView:
        """The group as the device holds it now, or an empty one of the right number of parts."""
        group = present.get(key)
        if not isinstance(group, Group):
            return GroupView(key, (), self._limits.shard_members, shard_count(size, 0, self._limits.shard_members))
        members = set(group.members)
        for part in group.references():
            shard = present.get(part)
            members |= shard.members if isinstance(shard, Shard) else set()
        return GroupView(key, members, self._limits.shard_members, group.shards)

    def _lists(self) -> dict[ObjectKey, RuleList]:
        return {key: value for key, value in self.fixed.items() if isinstance(value, RuleList)}

    def _list_keys(self) -> Iterator[ObjectKey]:
        return (key for key in self.fixed if key.kind is Kind.RULE_LIST)


def _without_missing(wanted: RuleList, refused: frozenset[ObjectKey], present: Objects) -> RuleList:
    """The list without lines that name an object which the device refused and does not have."""
    missing = {key for key in refused if key not in present}
    kept = tuple(entry for entry in wanted.entries if not missing.intersection(entry.references()))
    return RuleList(wanted.key, kept)
