"""The way from one state of a device to another in single writes, on which no packet is allowed that neither end allows (SEMANTICS 6).

Groups and ports first go to what both ends would bear: what only allows shrinks to what both hold, what only denies grows to what either
holds. Then new lines go in before the old ones, from the first tier to the last, and the old ones out, from the last to the first: the
first match of any packet is always the first match of the new lines or of the old. Then groups and ports go to their end.

That holds where what Pass lets on stays as it is, and where a group either allows or denies. Elsewhere the lines that could open are
suspended meanwhile: for a changed group or set of ports in both roles the Allows that name it, for a changed Pass every Allow and Pass of
its cluster. So it is for a line on the device that could not be read: it may be anything, and cannot be written again, so it stays until
all else that stops is there. Safety before availability; a device with transactions comes here only with more steps than fit into one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.model.addresses import meet
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import CREATION_ORDER, DeviceObject, Group, Objects, Policy, Ports, RuleEntry, RuleList, Shard
from bridge.model.plan import Op, Step
from bridge.model.policy import Action, PortRange
from bridge.policy.remainder import EXEMPT, KNOWN
from bridge.policy.shard import spread

_RANK = {kind: rank for rank, kind in enumerate(CREATION_ORDER)}
_TIERS = (Scope.CLUSTER, Scope.NAMESPACE, Scope.SERVICE, Scope.DEFAULT)
_DENIES = (Action.DENY, Action.REJECT)
_LIVE = (Kind.POLICY, Kind.ATTACHMENT)  # these take effect when they are created


def position(step: Step) -> tuple[int, int, str]:
    """Creations and updates from the referred to the referring, then deletions the other way round."""
    if step.op is Op.DELETE:
        return (1, -_RANK[step.key.kind], str(step.key))
    return (0, _RANK[step.key.kind], str(step.key))


class Transition:
    """What a device has and the steps to what it should hold, cut into phases. What is `refused` cannot even be suspended."""

    def __init__(self, have: Objects, steps: Iterable[Step], refused: frozenset[ObjectKey] = frozenset()) -> None:
        self._steps = list(steps)
        self._refused = refused
        self._have = have
        self._want = dict(have)
        for step in self._steps:
            if step.after is None:
                self._want.pop(step.key, None)
            else:
                self._want[step.key] = step.after
        self._now: dict[ObjectKey, DeviceObject] = dict(have)
        self._touched = {step.key for step in self._steps} | {step.key.group for step in self._steps}
        self._suspended_in = frozenset(self._clusters_with_a_changed_pass())
        self._roles()

    def phases(self) -> Iterator[list[Step]]:
        """The phases in order; each step starts from what the one before left."""
        lists = [key for key in self._have.keys() | self._want.keys() if key.kind is Kind.RULE_LIST]
        lists = [key for key in lists if key not in self._refused and (self._is_changed(key) or self._suspended(key))]
        lists = [
            key for key in lists if not _is_odd_list(self._want.get(key))
        ]  # not to be put right now, so not to be written
        rising = sorted((key for key in lists if key in self._have), key=_tier)
        halfway = self._halfway()
        yield self._go(
            {**self._built(halfway), **{k: self._without(self._want[k]) for k in lists if k not in self._have}}
        )
        odd = [key for key in rising if _is_odd_list(self._have[key])]
        if odd:
            yield from self._odd_out(odd, [key for key in rising if key not in odd])
        else:
            yield self._go({key: self._without(self._have[key]) for key in rising})
        yield self._go(halfway)
        yield [step for tier in _TIERS for step in self._go(self._both(tier, rising))]
        yield [step for tier in reversed(_TIERS) for step in self._go(self._new(tier, rising))]
        # What stood in a part halfway need not be what the part is to hold, though the part itself may not change.
        ends = {key: self._want[key] for key in {*self._touched, *halfway} if key in self._want}
        ends = {key: value for key, value in ends.items() if key.kind is not Kind.ATTACHMENT}
        yield self._go({key: value for key, value in ends.items() if key.kind is not Kind.RULE_LIST})
        yield self._go({key: self._want[key] for key in lists if key in self._want})
        yield [step for step in self._steps if step.key.kind is Kind.ATTACHMENT and step.op is not Op.DELETE]
        yield [replace(step, before=self._now[step.key]) for step in self._steps if step.op is Op.DELETE]

    def _go(self, to: Objects) -> list[Step]:
        """The steps from here to these values, in an order that leaves no reference open."""
        steps = []
        for key, value in to.items():
            before = self._now.get(key)
            if before != value:
                steps.append(Step(Op.CREATE if before is None else Op.UPDATE, key, before, value))
            self._now[key] = value
        return sorted(steps, key=lambda step: (*position(step)[:2], *_tier(step.key)))

    # ---- what may stand on the way

    def _clusters_with_a_changed_pass(self) -> Iterator[str]:
        """Clusters in which a Pass is not the same throughout: its line, its list, or what it names."""
        for key, entry in self._lines():
            if _passes(entry) and (self._is_changed(key) or self._touched.intersection(entry.references())):
                yield key.cluster

    def _roles(self) -> None:
        """Which groups and ports a line denies with, and which a line that opens names too."""
        self._denying: set[ObjectKey] = set()
        opening: set[ObjectKey] = set()
        for key, entry in self._lines():
            if entry.action in _DENIES:
                self._denying.update(entry.references())
            elif key.cluster not in self._suspended_in and entry.action is Action.ALLOW:
                opening.update(entry.references())
        split = {key for key in self._touched if key.kind is Kind.PORTS and self._apart(key)}
        self._troubled = self._touched & opening & (self._denying | split)

    def _lines(self) -> Iterator[tuple[ObjectKey, RuleEntry]]:
        for objects in (self._have, self._want):
            for key, value in objects.items():
                if isinstance(value, RuleList):
                    yield from ((key, entry) for entry in value.entries)

    def _apart(self, key: ObjectKey) -> bool:
        """Whether two sets of ports have nothing in common: an empty set might mean every port."""
        before, after = self._have.get(key), self._want.get(key)
        return isinstance(before, Ports) and isinstance(after, Ports) and not _common(before, after)

    def _is_changed(self, key: ObjectKey) -> bool:
        return self._have.get(key) != self._want.get(key)

    def _suspended(self, key: ObjectKey) -> bool:
        """Whether some line of the list must not stand on the way."""
        return any(
            self._without(objects[key]) != objects[key] for objects in (self._have, self._want) if key in objects
        )

    def _without(self, value: DeviceObject) -> RuleList:
        """A list without the lines that are suspended."""
        if not isinstance(value, RuleList):
            raise TypeError(f"{value!r} has no lines")
        return replace(value, entries=tuple(e for e in value.entries if not self._is_suspended(value.key, e)))

    def _odd_out(self, odd: list[ObjectKey], others: list[ObjectKey]) -> Iterator[list[Step]]:
        """Lines that could not be read go when nothing is open any more that they may have stopped, and all that stops is there.

        The default turns after all tiers, as ever: what it lets on may be stopped by a line that only comes.
        """
        for tier in reversed(_TIERS):
            yield self._go({key: self._without(self._have[key]) for key in others if key.scope is tier})
        for tier in _TIERS[:-1]:
            yield self._go(self._both(tier, others))
        for tier in reversed(_TIERS[:-1]):
            yield self._go(
                {key: self._without(self._have[key]) for key in odd if key.scope is tier and key not in self._want}
            )
            yield self._go({key: self._merged(key) for key in odd if key.scope is tier and key in self._want})

    def _is_suspended(self, key: ObjectKey, entry: RuleEntry) -> bool:
        if key.cluster in self._suspended_in and (entry.action is Action.ALLOW or _passes(entry)):
            return True
        return entry.action is Action.ALLOW and not self._troubled.isdisjoint(entry.references())

    # ---- groups and ports

    def _halfway(self) -> dict[ObjectKey, DeviceObject]:
        """Every changed group and set of ports, in its new shape, with what both ends would bear."""
        found: dict[ObjectKey, DeviceObject] = {}
        for key in sorted(self._touched):
            before, after = self._have.get(key), self._want.get(key)
            if isinstance(before, Group) and isinstance(after, Group):
                found.update((one.key, one) for one in self._group_between(before, after))
            elif isinstance(before, Ports) and isinstance(after, Ports):
                found[key] = self._ports_between(before, after)
        return found

    def _group_between(self, before: Group, after: Group) -> Iterator[DeviceObject]:
        was, will = _members(before, self._have), _members(after, self._want)
        if before.key in self._denying:
            members, fqdns = was | will, before.fqdns | after.fqdns
        else:
            members, fqdns = meet(will, was), before.fqdns & after.fqdns
        for one in spread(after.key, members, after.shards):
            yield replace(one, fqdns=fqdns, pushed=after.pushed) if isinstance(one, Group) else one

    def _ports_between(self, before: Ports, after: Ports) -> Ports:
        if before.key in self._denying:
            return replace(after, ports=tuple(sorted({*before.ports, *after.ports})))
        return replace(after, ports=_common(before, after) or after.ports)

    def _built(self, halfway: Objects) -> dict[ObjectKey, DeviceObject]:
        """What is new and takes effect only when something refers to it."""
        new = [step for step in self._steps if step.op is Op.CREATE and step.key.kind not in (*_LIVE, Kind.RULE_LIST)]
        created = {step.key: self._want[step.key] for step in new}
        return {**created, **{key: value for key, value in halfway.items() if key not in self._have}}

    # ---- lines

    def _both(self, tier: Scope, lists: Iterable[ObjectKey]) -> dict[ObjectKey, DeviceObject]:
        """New lines before the old ones; in a policy, lists of both."""
        found: dict[ObjectKey, DeviceObject] = {
            key: self._merged(key) for key in lists if key.scope is tier and key in self._want
        }
        before, after = (objects.get(_policy(tier)) for objects in (self._have, self._want))
        if isinstance(after, Policy):
            old = before.lists if isinstance(before, Policy) else ()
            merged = sorted({*old, *after.lists}, key=lambda key: (key.scope is Scope.DEFAULT, key))
            found[after.key] = replace(after, lists=tuple(merged))
        return found

    def _new(self, tier: Scope, lists: Iterable[ObjectKey]) -> dict[ObjectKey, DeviceObject]:
        """The old lines gone."""
        found: dict[ObjectKey, DeviceObject] = {
            key: self._without(self._want[key]) for key in lists if key.scope is tier and key in self._want
        }
        policy = self._want.get(_policy(tier))
        return {**found, policy.key: policy} if policy else found

    def _merged(self, key: ObjectKey) -> RuleList:
        old, new = self._without(self._have[key]), self._without(self._want[key])
        staying = frozenset(new.entries)
        left = [entry for entry in old.entries if entry not in staying]
        # Two lines of one name cannot stand in one list, and no line of ours is called like this.
        renamed = (replace(entry, name=f"was_{number}") for number, entry in enumerate(left))
        return replace(new, entries=(*new.entries, *renamed))


def _tier(key: ObjectKey) -> tuple[int, ObjectKey]:
    return (_TIERS.index(key.scope) if key.scope in _TIERS else 0, key)


def _policy(tier: Scope) -> ObjectKey:
    return ObjectKey(Kind.POLICY, "", tier)


def _is_odd(entry: RuleEntry) -> bool:
    """Whether a line was not read as any that the bridge writes: adapters tell of such without a source."""
    return not entry.sources or not entry.destinations


def _is_odd_list(value: DeviceObject | None) -> bool:
    return isinstance(value, RuleList) and any(map(_is_odd, value.entries))


def _passes(entry: RuleEntry) -> bool:
    """Whether a line is a Pass that somebody wrote, or may be one. Our own stand first and let on what is matched nowhere else."""
    if _is_odd(entry):
        return True
    return entry.action is Action.PASS and not all(_is_our_own(key) for key in entry.sources)


def _is_our_own(key: ObjectKey) -> bool:
    """Whether a group is of those that our own lines let on; a whole cluster is a group of ours too, by which people write."""
    return key.scope is Scope.BUILTIN and key.name.partition("-.")[0] in (EXEMPT, KNOWN)


def _members(group: Group, objects: Objects) -> frozenset[str]:
    parts = (objects.get(key) for key in group.references())
    return group.members.union(*(part.members for part in parts if isinstance(part, Shard)))


def _common(one: Ports, other: Ports) -> tuple[PortRange, ...]:
    """The ports in both."""
    pairs = ((max(a.first, b.first), min(a.last, b.last)) for a in one.ports for b in other.ports)
    return tuple(sorted({PortRange(first, last) for first, last in pairs if first <= last}))
