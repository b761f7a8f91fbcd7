"""From steps to one transaction: the commands, and what is known of the table once they are committed. Pure.

First every chain that changes is emptied, so that nothing refers to what goes; then things go; then new ones come; then the chains are
filled. All of it becomes visible to packets at one instant, or not at all. Elements are deleted and created strictly: a member that
should be there and is not, or is and should not be, refuses the whole transaction.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.nftables import fixtures, members
from adapters.nftables.canonical import canonical
from adapters.nftables.known import Known
from adapters.nftables.names import HOOK, MARKS, Flavour, Names
from adapters.nftables.rules import Lines, policy_rules
from adapters.nftables.scope import Scope
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Group, Policy, Ports, RuleList
from bridge.model.plan import Fence, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment

Json = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """A transaction in the making. `after` is what is known once it is committed; `chains` are written in it and worth reading back."""

    names: Names
    scope: Scope
    before: Known
    after: Known
    chains: set[str] = field(default_factory=set)
    _fixtures: bool = False  # to be made when everything else is known
    _flush: list[Json] = field(default_factory=list)
    _gone: list[Json] = field(default_factory=list)
    _new: list[Json] = field(default_factory=list)
    _rules: list[Json] = field(default_factory=list)

    @classmethod
    def of(cls, names: Names, scope: Scope, known: Known) -> "Draft":
        """An empty transaction on the table as it is known."""
        after = replace(
            known,
            objects=dict(known.objects),
            sets=dict(known.sets),
            skewed=set(known.skewed),
            counters=dict(known.counters),
            chains=set(known.chains),
            marked=set(known.marked),
            fences=dict(known.fences),
        )
        return cls(names, scope, known, after)

    def commands(self) -> list[Json]:
        """What to commit."""
        if self._fixtures:
            self._fixtures = False
            self._fill_fixtures()
        return [*self._flush, *self._gone, *self._new, *self._rules]

    # ---- the table itself

    def hold(self) -> None:
        """Have the kernel refuse everything unless the fence stands as it was read: emptying a chain that is gone fails."""
        self._flush[:0] = [self._one("flush", "chain", name) for name in sorted(self.before.fences)]

    def take(self, fence: Fence) -> None:
        """Put up this fence in place of what stands; the table with it where there is none."""
        if not self.before.stands:
            self._found()
        name = self.names.fence(fence.epoch, fence.installation)
        self._gone += [self._one("delete", "chain", old) for old in sorted(self.before.fences)]
        self._new.append(self._one("create", "chain", name))
        self.after.fences = {name: FenceState(fence.epoch, fence.installation)}

    def _found(self) -> None:
        self._flush.insert(0, {"create": {"table": {"family": "inet", "name": self.names.table}}})
        self._new.append(self._one("create", "set", MARKS, type="ipv6_addr"))
        self._mark(MARKS)
        self.after.stands = self.after.ours = True
        self._fixtures = True

    # ---- objects

    def change(self, steps: Sequence[Step]) -> None:
        """Bring these steps about."""
        for step in steps:
            after = canonical(step.after) if step.after is not None else None
            self._note(step.key, after)
            if step.key.kind is Kind.GROUP:
                self._group(step, after)
            elif step.key.kind is Kind.PORTS:
                self._ports(step.key, after)
        for key in sorted(self._lists(steps)):
            self._list(key, self.after.objects.get(key))
        policies = [step.key for step in steps if step.key.kind is Kind.POLICY]
        for key in policies:
            self._policy(key, self.after.objects.get(key))
        self._fixtures = self._fixtures or bool(policies) or not self.before.sound
        if any(step.key.kind is Kind.ATTACHMENT for step in steps):
            self._hook()

    def _note(self, key: ObjectKey, value: DeviceObject | None) -> None:
        if value is None:
            self.after.objects.pop(key, None)
        else:
            self.after.objects[key] = value

    def _group(self, step: Step, value: DeviceObject | None) -> None:
        key, had = step.key, self.before.shape(step.key)
        held = value.members if isinstance(value, Group) else frozenset()
        want = members.shape(held) if value is not None else frozenset[Flavour]()
        # What stands is what was made of a step before this one, which may hold members that overlap.
        old = members.canonical(step.before.members) if isinstance(step.before, Group) else frozenset[str]()
        skewed = key in self.before.skewed
        for flavour in sorted(had - want):
            self._gone.append(self._one("delete", "set", self.names.set_name(key, flavour)))
        for flavour in sorted(want - had):
            flags = {"flags": ["interval"]} if flavour.intervals else {}
            self._new.append(self._one("create", "set", self.names.set_name(key, flavour), type=flavour.type, **flags))
        wanted, standing = members.by_flavour(held), members.by_flavour(old)
        for flavour in sorted(want):
            if skewed and flavour in had:
                self._new.append(self._one("flush", "set", self.names.set_name(key, flavour)))
            was = standing.get(flavour, set()) if flavour in had and not skewed else set()
            will = wanted.get(flavour, set())
            self._elements("delete", self.names.set_name(key, flavour), was - will)
            self._elements("create", self.names.set_name(key, flavour), will - was)
        self.after.skewed.discard(key)
        self.after.sets[key] = want
        self._marked(self.names.name(key), there=value is not None)
        if value is None:
            del self.after.sets[key]

    def _ports(self, key: ObjectKey, value: DeviceObject | None) -> None:
        name, stands = self.names.name(key), key in self.before.objects
        self._marked(name, there=value is not None)
        if not isinstance(value, Ports):
            if stands:
                self._gone.append(self._one("delete", "set", name))
            return
        if stands:
            self._new.append(self._one("flush", "set", name))
        else:
            self._new.append(self._one("create", "set", name, type="inet_service", flags=["interval"]))
        self._new.append(self._one("add", "element", name, elem=members.port_elements(value.ports)))

    def _lists(self, steps: Iterable[Step]) -> set[ObjectKey]:
        """The lists to write: those of the steps, and those that name a group whose sets are others now."""
        found = {step.key for step in steps if step.key.kind is Kind.RULE_LIST}
        reshaped = {
            step.key
            for step in steps
            if step.key.kind is Kind.GROUP
            and step.key in self.before.sets
            and self.before.shape(step.key) != self.after.shape(step.key)
        }
        if reshaped:
            found.update(
                key
                for objects in (self.before.objects, self.after.objects)
                for key, value in objects.items()
                if isinstance(value, RuleList) and not reshaped.isdisjoint(value.references())
            )
        return found

    def _list(self, key: ObjectKey, value: DeviceObject | None) -> None:
        name = self.names.name(key)
        entries = value.entries if isinstance(value, RuleList) else ()
        self._chain(name, there=value is not None)
        had = self.before.counters.get(name, set())
        want = {self.names.counter(key, entry.name) for entry in entries}
        self._gone += [self._one("delete", "counter", one) for one in sorted(had - want)]
        self._new += [self._one("add", "counter", one) for one in sorted(want - had)]
        self.after.counters[name] = want
        lines = Lines(self.names, self.after.shape, self.scope.log_rate, self.scope.log_group)
        for entry in entries:
            self._fill(name, lines.rules(key, entry), entry.name)

    def _policy(self, key: ObjectKey, value: DeviceObject | None) -> None:
        name = self.names.name(key)
        self._chain(name, there=value is not None)
        if isinstance(value, Policy):
            self._fill(name, policy_rules(self.names, value.lists))

    def _fill_fixtures(self) -> None:
        made = fixtures.chains(self.names, self.after.tiers, self.scope.form)
        for name, rules in made.items():
            self._chain(name, there=True, mark=False)
            self._fill(name, rules)
        left = sorted((fixtures.NAMES - made.keys()) & self.before.chains)
        if left and not self.after.passing:
            for name in left:
                self._chain(name, there=False, mark=False)
            left = []
        self.after.sound = not left

    def _hook(self) -> None:
        """Our base chain is made anew: what it is hooked to cannot be changed."""
        attached = [tier for tier in Tier if self._is_attached(tier)]
        if HOOK in self.before.chains:
            self._flush.append(self._one("flush", "chain", HOOK))
            self._gone.append(self._one("delete", "chain", HOOK))
        self.after.chains.discard(HOOK)
        self._marked(HOOK, there=bool(attached))
        if attached:
            hooked = {"type": "filter", "hook": "forward", "prio": self.scope.priority, "policy": "accept"}
            self._new.append(self._one("create", "chain", HOOK, **hooked))
            self._fill(HOOK, fixtures.entry(self.names, attached))
            self.after.chains.add(HOOK)
            self.chains.add(HOOK)

    def _is_attached(self, tier: Tier) -> bool:
        wanted = attachment(tier)
        return self.after.objects.get(wanted.key) == wanted and wanted.policy in self.after.objects

    # ---- commands

    def _chain(self, name: str, *, there: bool, mark: bool = True) -> None:
        """A chain to fill, or to do away with."""
        stands = name in self.before.chains
        if stands:
            self._flush.append(self._one("flush", "chain", name))
        if there and not stands:
            self._new.append(self._one("create", "chain", name))
        elif stands and not there:
            self._gone.append(self._one("delete", "chain", name))
        (self.after.chains.add if there else self.after.chains.discard)(name)
        if there:
            self.chains.add(name)
        if mark:
            self._marked(name, there=there)

    def _fill(self, chain: str, made: Iterable[Any], comment: str = "") -> None:
        said = {"comment": comment} if comment else {}
        table = {"family": "inet", "table": self.names.table, "chain": chain}
        self._rules += [{"add": {"rule": {**table, **said, "expr": expr}}} for expr in made]

    def _elements(self, verb: str, name: str, listed: Iterable[str]) -> None:
        elem = members.elements(listed)
        if elem:
            self._new.append(self._one(verb, "element", name, elem=elem))

    def adopt(self, names: Iterable[str]) -> None:
        """Mark what stands there already."""
        for name in sorted(names):
            self._marked(name, there=True)

    def _marked(self, name: str, *, there: bool) -> None:
        if there and name not in self.before.marked:
            self._mark(name)
            self.after.marked.add(name)
        elif not there and name in self.before.marked:
            values = [value for value, _ in self.names.marks(name)]
            self._gone.append(self._one("delete", "element", MARKS, elem=values))
            self.after.marked.discard(name)

    def _mark(self, name: str) -> None:
        elem = [{"elem": {"val": value, "comment": comment}} for value, comment in self.names.marks(name)]
        self._new.append(self._one("add", "element", MARKS, elem=elem))

    def _one(self, verb: str, kind: str, name: str, **content: object) -> Json:
        return {verb: {kind: {"family": "inet", "table": self.names.table, "name": name, **content}}}


def outstanding(steps: Iterable[Step], known: Known) -> Iterator[Step]:
    """The steps whose end does not stand yet."""
    for step in steps:
        after = canonical(step.after) if step.after is not None else None
        if known.objects.get(step.key) != after:
            yield step
