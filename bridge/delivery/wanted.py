"""What one device should hold, kept in memory and moved forward by the changes that the state reports."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.delivery.admission import Admission
from bridge.delivery.feeding import Feeding
from bridge.delivery.group_view import Delta, GroupView
from bridge.delivery.holds import Holds, Place
from bridge.model.addresses import meet
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Objects, Policy, Ports, RuleList, Shard
from bridge.model.plan import Held, HoldKind
from bridge.policy.compile import policies
from bridge.policy.guard import GuardLimits
from bridge.policy.shard import shard_count
from bridge.policy.withhold import frozen, settle, stopped_with, stuck, with_withheld, without_new
from bridge.state.desired import DesiredRow, MemberRow, Work

Unproven = Callable[[Mapping[ObjectKey, frozenset[str]]], Mapping[ObjectKey, frozenset[str]]]


def _nobody(_asked: Mapping[ObjectKey, frozenset[str]]) -> Mapping[ObjectKey, frozenset[str]]:
    return {}


@dataclass(slots=True)
class Todo:
    """The objects to bring onto the device now, those to take off it, and the rows of the work list that this settles."""

    objects: set[ObjectKey] = field(default_factory=set)
    absent: set[ObjectKey] = field(default_factory=set)
    rows: dict[ObjectKey, DesiredRow] = field(default_factory=dict)


class Wanted:
    """The desired side of one device. `todo` collects until a cycle has brought it onto the device."""

    def __init__(
        self,
        limits: Limits,
        guard_limits: GuardLimits,
        holds: Holds | None = None,
        elapsed: Callable[[], float] = float,
    ) -> None:
        self._limits = limits
        self.holds = holds or Holds("")
        self._admission = Admission(self.holds, guard_limits, elapsed)
        self.fixed: dict[ObjectKey, DeviceObject] = {}
        self._edited: dict[ObjectKey, Group] = {}  # as written, where part of it is held
        self.views: dict[ObjectKey, GroupView] = {}
        self.held: dict[Place, Held] = {}
        self.frozen: frozenset[ObjectKey] = frozenset()
        self.todo = Todo()
        self._withheld = False
        self._stopping: frozenset[ObjectKey] = frozenset()  # what lines that stop something name
        self._outgrown: frozenset[ObjectKey] = frozenset()  # what must grow for their sake
        self._waiting: set[ObjectKey] = set()  # groups of which something is held back
        self._feeding = Feeding(limits)

    def load(
        self,
        work: Work,
        present: Objects,
        unproven: Unproven,
        refused: frozenset[ObjectKey],
        doubtful: Unproven = _nobody,
    ) -> None:
        """Start from a complete reading and from what the device holds.

        What the device holds of a group is the base that the guard compares with; `unproven` tells which removals no event proved, and
        `doubtful` which joins follow from such a removal elsewhere. A group that the device was not seen to have, or that was never
        recorded to stand there whole, is loaded for the first time.
        """
        before = self.fixed or present
        bodies = [row.body for row in work.rows if row.body is not None and not row.gone]
        self.fixed = {body.key: self._guarded(body, before.get(body.key)) for body in bodies}
        wanted: dict[ObjectKey, set[str]] = {r.key: set() for r in work.rows if r.body is None and not r.gone}
        for member in work.members:
            if member.member and member.group in wanted:
                wanted[member.group].add(member.address)
        base = {key: self.views[key] for key in wanted if key in self.views}
        new = {row.key for row in work.rows if not row.applied_generation}
        first = {key for key in wanted if key not in base and (key not in present or key in new)}
        self.views = {}
        deltas: dict[ObjectKey, Delta] = {}
        for key, addresses in wanted.items():
            view = self.views[key] = base.get(key) or self._view_on_device(key, present, len(addresses))
            waited = Delta()
            view.reopen(waited)
            there = set(view.members)
            deltas[key] = Delta(addresses - there, there - addresses, waited=waited.waited)
        gone = unproven({key: frozenset(delta.leaves) for key, delta in deltas.items() if delta.leaves})
        come = doubtful({key: frozenset(deltas[key].joins) for key in deltas.keys() - first if deltas[key].joins})
        for key, delta in deltas.items():
            delta.unproven, delta.doubtful = set(gone.get(key, ())), set(come.get(key, ()))
        self.held = {place: one for place, one in self.held.items() if place[0] in wanted or place[0] in self.fixed}
        self._edited = {key: body for key, body in self._edited.items() if key in self.fixed}
        self.todo = Todo(rows={row.key: row for row in work.rows})
        self._waiting = set()
        self._freeze(present, refused)
        self._admit(deltas, first)
        self._feeding.count(row for row in work.rows if row.key in self.views)
        self._push(refused)

    def take(
        self, work: Work, present: Objects, refused: frozenset[ObjectKey], proven: Sequence[MemberRow] = ()
    ) -> None:
        """Move forward by what changed since the last reading. `proven` are changes that were held back and are certain by now."""
        deltas: dict[ObjectKey, Delta] = {}
        first: set[ObjectKey] = set()
        for row in work.rows:
            self.todo.rows[row.key] = row
            if self._take_row(row):
                first.add(row.key)
        for member in (*proven, *work.members):
            view = self.views.get(member.group)
            if view is not None:
                delta = deltas.setdefault(member.group, Delta())
                view.delta(member.address, member=member.member, inferred=member.inferred, into=delta)
        again = self._withheld or any(row.key.kind is Kind.RULE_LIST for row in work.rows)
        if again:
            self._freeze(present, refused)
        doubts = any(delta.unproven or delta.doubtful for delta in deltas.values())
        self._reopen(deltas, self._waiting if again or doubts else self._waiting & deltas.keys())
        for key, delta in deltas.items():
            if delta.certain:
                self._touch(self.views[key], self.views[key].part(delta))
        self._admit(deltas, first)
        due = self._feeding.count(row for row in work.rows if row.key in self.views)
        edited = any(row.key.kind is Kind.RULE_LIST for row in work.rows) and any(v.pushed for v in self.views.values())
        if due or edited or any(self.views[key].pushed for key in refused & self.views.keys()):
            self._push(refused)

    def review(self) -> None:
        """Put everything that is held back up for decision again: a person has decided about some of it."""
        for key, body in list(self._edited.items()):
            self.fixed[key] = self._guarded(body, self.fixed[key])
            self.todo.objects.add(key)
        deltas: dict[ObjectKey, Delta] = {}
        self._reopen(deltas, self._waiting)
        self._admit(deltas, set())

    def doubts(self, kind: HoldKind, among: Collection[str] | None = None) -> dict[ObjectKey, frozenset[str]]:
        """Who waits because nothing proves the change; only those `among` some addresses, if any are given."""
        found = {key: one.members for (key, what), one in self.held.items() if what is kind}
        if among is not None:
            found = {key: members & frozenset(among) for key, members in found.items()}
        return {key: members for key, members in found.items() if members}

    def holding(self, key: ObjectKey) -> list[Held]:
        """What of one object is held back."""
        return [self.held[place] for kind in HoldKind if (place := (key, kind)) in self.held]

    def now(self, key: ObjectKey) -> DeviceObject | None:
        """What is desired of one object."""
        view = self.views.get(key.group)
        if view is not None:
            return next((one for one in view.everything() if one.key == key), None)
        if key.kind is Kind.POLICY:
            return next(policy for policy in policies(self._list_keys()) if policy.key == key)
        return self.fixed.get(key)

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

    def settled(
        self, objects: Objects, present: Objects, refused: frozenset[ObjectKey]
    ) -> dict[ObjectKey, DeviceObject]:
        """What may stand on the device of these objects: withheld Allows neither added nor widened, nothing that names what is missing."""
        if not refused and not self._withheld:
            return dict(objects)
        lists = with_withheld(self._lists(), refused)
        missing = frozenset(key for key in refused if key not in present)
        found: dict[ObjectKey, DeviceObject] = {}
        for key, value in objects.items():
            match value:
                case RuleList():
                    settled = settle(lists[key], present, self._outgrown)
                    found[key] = _without_missing(without_new(settled, present, refused), missing)
                case Policy():
                    found[key] = Policy(key, tuple(one for one in value.lists if one not in missing))
                case _:
                    found[key] = _not_widened(value, present) if key in self.frozen else value
        return found

    def _take_row(self, row: DesiredRow) -> bool:
        """Returns whether a group begins to exist with this row."""
        if row.gone:
            view = self.views.pop(row.key, None)
            self.fixed.pop(row.key, None)
            self._edited.pop(row.key, None)
            for kind in HoldKind:
                self.held.pop((row.key, kind), None)
            self._waiting.discard(row.key)
            if view is not None:
                self.todo.absent.update(one.key for one in view.everything())
            self.todo.absent.add(row.key)
            self.todo.objects.difference_update(self.todo.absent)
            return False
        self.todo.absent.discard(row.key)
        if row.body is not None:
            self.fixed[row.key] = self._guarded(row.body, self.fixed.get(row.key))
            self.todo.objects.add(row.key)
            return False
        if row.key in self.views:
            return False
        self.views[row.key] = GroupView(row.key, (), self._limits.shard_members)
        self.todo.objects.add(row.key)
        return True

    def _push(self, refused: frozenset[ObjectKey]) -> None:
        """Say which groups are pushed from now on; that becomes a step of the next plan, as every change.

        None of those that a Deny names: pushed entries may be lost or cut without a word, and then it would not stop them.
        """
        stopping = stopped_with(self._lists().values()) if self._limits.feeds else frozenset()
        for view in self._feeding.choose(self.views, refused | stopping):
            view.pushed = not view.pushed
            self._touch(view, {view.key})

    def _guarded(self, body: DeviceObject, before: DeviceObject | None) -> DeviceObject:
        """A destination that an edit widens to every address waits for a person; the rest of the edit goes on."""
        waited = self.held.pop((body.key, HoldKind.DESTINATION), None)
        self._edited.pop(body.key, None)
        if not isinstance(body, Group) or not isinstance(before, Group) or body.key.scope is Scope.BUILTIN:
            return body  # what we keep ourselves is no edit of anybody
        held = self._admission.edit(body, before, waited)
        if held is None:
            return body
        self.held[body.key, held.kind], self._edited[body.key] = held, body
        meanwhile = meet(before.members - body.members, held.members)  # what was there does not go with what waits
        return Group(body.key, (body.members - held.members) | meanwhile, body.fqdns)

    def _reopen(self, deltas: dict[ObjectKey, Delta], keys: Collection[ObjectKey]) -> None:
        """What was held back before counts as if it came up now, so that small pieces do not pass where the whole would not."""
        for key in self.views.keys() & keys:
            self.views[key].reopen(deltas.setdefault(key, Delta()))

    def _admit(self, deltas: dict[ObjectKey, Delta], first: set[ObjectKey]) -> None:
        """Let members in and go, but for those that are held or frozen."""
        stays = self._admission.stays(deltas, self.views, first, self.held)
        # A first load is no widening, and who is frozen out does not join.
        self._admission.note(deltas, stays, self.frozen | first)
        for key, delta in deltas.items():
            self._move(key, delta, [stays[place] for kind in HoldKind if (place := (key, kind)) in stays])

    def _move(self, key: ObjectKey, delta: Delta, held: list[Held]) -> None:
        view = self.views[key]
        view.waits = {one.kind: set(one.members) for one in held}
        wider = (delta.joins - view.held_joins) & delta.widening if key in self.frozen else set()
        if wider and key in self._stopping:
            self._outgrow(key)
        else:
            view.frozen_joins = wider
        joins, leaves = view.together(delta)
        self._touch(view, view.leave(leaves) | view.join(joins))
        for kind in HoldKind:
            self.held.pop((key, kind), None)
        self.held.update(((key, one.kind), one) for one in held)
        if view.waiting:
            self._waiting.add(key)
        else:
            self._waiting.discard(key)

    def _touch(self, view: GroupView, keys: set[ObjectKey]) -> None:
        gone = view.resize()
        if gone or (view.shards and view.key in keys):
            keys = {one.key for one in view.everything()}
            self.todo.absent |= gone
        self.todo.objects |= keys
        self.todo.absent -= keys
        self.todo.objects -= self.todo.absent

    def _freeze(self, present: Objects, refused: frozenset[ObjectKey]) -> None:
        before = self.frozen
        lists = {**with_withheld(self._lists(), refused), **stuck(present, refused)}
        self._withheld = any(entry.withheld for each in lists.values() for entry in each.entries)
        self.frozen = self._stopping = self._outgrown = frozenset()
        if self._withheld:
            self._stopping = stopped_with(lists.values())
            shared = frozen(lists, present) & self._stopping & self.fixed.keys()
            self._outgrown = frozenset(k for k in shared if _not_widened(self.fixed[k], present) != self.fixed[k])
            self.frozen = frozen(lists, present, self._outgrown)
        self.todo.objects |= (before - self.frozen) & self.fixed.keys()

    def _outgrow(self, key: ObjectKey) -> None:
        """Let a group grow that a Deny names too: who joins must be stopped, so the withheld lines that name it go."""
        self._outgrown |= {key}
        self.frozen -= {key}
        self.todo.objects |= {k for k, each in self._lists().items() if key in each.references()}

    def _view_on_device(self, key: ObjectKey, present: Objects, size: int) -> GroupView:
        """The group as the device holds it now, or an empty one of the right number of parts."""
        group = present.get(key)
        if not isinstance(group, Group):
            return GroupView(key, (), self._limits.shard_members, shard_count(size, 0, self._limits.shard_members))
        members = set(group.members)
        for part in group.references():
            shard = present.get(part)
            members |= shard.members if isinstance(shard, Shard) else set()
        return GroupView(key, members, self._limits.shard_members, group.shards, pushed=group.pushed)

    def _lists(self) -> dict[ObjectKey, RuleList]:
        return {key: value for key, value in self.fixed.items() if isinstance(value, RuleList)}

    def _list_keys(self) -> Iterator[ObjectKey]:
        return (key for key in self.fixed if key.kind is Kind.RULE_LIST)


def _without_missing(wanted: RuleList, missing: frozenset[ObjectKey]) -> RuleList:
    """The list without lines that name an object which the device refused and does not have."""
    kept = tuple(entry for entry in wanted.entries if not missing.intersection(entry.references()))
    return RuleList(wanted.key, kept)


def _not_widened(value: DeviceObject, present: Objects) -> DeviceObject:
    """A fixed object of a withheld line: it may lose, and nothing may join. Members of selected groups are kept out when they come up."""
    before = present.get(value.key)
    if isinstance(value, Group) and isinstance(before, Group) and not value.shards:
        return Group(value.key, meet(value.members, before.members), value.fqdns & before.fqdns)
    return before if isinstance(before, Ports) else value
