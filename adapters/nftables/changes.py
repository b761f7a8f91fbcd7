"""From steps to transactions: the commands, and what is known of the table once they are committed. Pure.

In the one that decides every chain that changes is emptied first, so that nothing refers to what goes; then things go; then new ones
come; then the chains are filled. Elements are deleted and created strictly: a member that should be there and is not, or is and should
not be, refuses the whole transaction.

A packet takes the rules of the instant at which it came, and looks into each set as that is when the packet gets there; and a set of
intervals shows its new content a little after the rules of its transaction. So rules and the sets that they look into must not change
together, or a packet on its way meets the old rules with the new members, or the other way round:

* When chains are written, each set whose members change is written anew, and the chains that look into it with it. Intervals are made
  in a transaction before, beside what they replace, where nothing looks into them yet.
* When members alone change and what a group covers goes from its intervals to single addresses, those come in a transaction before; the
  other way round they go in one after. Neither says anything new: the group covers them at both ends.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from adapters.nftables import ends, fixtures, members
from adapters.nftables.canonical import canonical
from adapters.nftables.known import Known
from adapters.nftables.names import HOOK, MARKS, Flavour, Names
from adapters.nftables.rules import Lines, policy_rules
from adapters.nftables.scope import Scope
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Group, Policy, Ports, RuleList, Schedule
from bridge.model.plan import Fence, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment

Json = dict[str, Any]
Sorted = Mapping[Flavour, set[str]]


@dataclass(slots=True)
class Draft:
    """Transactions in the making. `after` is what is known once they are committed; `chains` are written and worth reading back."""

    names: Names
    scope: Scope
    before: Known
    after: Known
    chains: set[str] = field(default_factory=set)
    _fixtures: bool = False  # to be made when everything else is known
    _held: bool = False
    _writing: bool = False  # chains are written
    _apart: bool = False  # `_early` is a transaction of its own
    _anew: set[ObjectKey] = field(default_factory=set)  # groups and ports whose sets are replaced
    _early: list[Json] = field(default_factory=list)
    _late: list[Json] = field(default_factory=list)
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
            strays=set(known.strays),
            turned=set(known.turned),
            counters=dict(known.counters),
            chains=set(known.chains),
            marked=set(known.marked),
            fences=dict(known.fences),
        )
        return cls(names, scope, known, after)

    def commands(self) -> list[Json]:
        """Everything, for a single transaction."""
        return [one for commands in self.transactions() for one in commands]

    def transactions(self) -> list[list[Json]]:
        """What to commit, one after the other. A run of nft lies between two of them: longer than a packet is on its way."""
        if self._fixtures:
            self._fixtures = False
            self._fill_fixtures()
        main = [*self._flush, *self._gone, *self._new, *self._rules]
        cut = [self._early, main] if self._apart else [[*self._early, *main]]
        fences = [self.before.fences, *([self.after.fences] * len(cut))] if self._held else []
        made = [one for one in (*cut, self._late) if one] or [[]]
        return [
            [*(self._one("flush", "chain", name) for name in sorted(fence)), *one]
            for fence, one in zip_longest(fences[: len(made)], made, fillvalue=())
        ]

    # ---- the table itself

    def hold(self) -> None:
        """Have the kernel refuse everything unless the fence stands as it was read: emptying a chain that is gone fails."""
        self._held = True

    def take(self, fence: Fence) -> None:
        """Put up this fence in place of what stands; the table with it where there is none."""
        if not self.before.stands:
            self._found()
        name = self.names.fence(fence.epoch, fence.installation)
        self._early += [self._one("delete", "chain", old) for old in sorted(self.before.fences)]
        self._early.append(self._one("create", "chain", name))
        self.after.fences = {name: FenceState(fence.epoch, fence.installation)}

    def _found(self) -> None:
        self._early.append({"create": {"table": {"family": "inet", "name": self.names.table}}})
        self._early.append(self._one("create", "set", MARKS, type="ipv6_addr"))
        self._mark(MARKS, self._early)
        self.after.stands = self.after.ours = True
        self._fixtures = True

    # ---- objects

    def change(self, steps: Sequence[Step]) -> None:
        """Bring these steps about."""
        self._early += [self._one("delete", "set", name) for name in sorted(self.after.strays)]
        self.after.strays.clear()
        for step in steps:
            self._note(step.key, canonical(step.after) if step.after is not None else None)
        self._writing = self._writes_chains(steps)
        for step in steps:
            after = self.after.objects.get(step.key)
            if step.key.kind is Kind.GROUP:
                self._group(step, after)
            elif step.key.kind is Kind.PORTS:
                self._ports(step.key, after)
            elif step.key.kind is Kind.SCHEDULE:
                self._schedule(step.key, after)
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

    def _writes_chains(self, steps: Sequence[Step]) -> bool:
        """Whether any rule is written: lists and policies that change, and lists that name what has another set now.

        Ports have one when anything changes beside them; alone they change in place.
        """
        return not self.before.sound or any(
            step.key.kind in (Kind.RULE_LIST, Kind.POLICY)
            or self._is_bent(step.key)
            or (step.key.kind is Kind.PORTS and step.key in self.before.objects and len(steps) > 1)
            or (
                step.key in self.before.sets
                and sorted(one.plain for one in self.before.shape(step.key)) != sorted(self._kinds(step.key))
            )
            for step in steps
        )

    def _is_bent(self, key: ObjectKey) -> bool:
        """Whether it is a schedule that stands with another end than it is to have."""
        was, will = self.before.until(key), self.after.until(key)
        return was is not None and will is not None and was != will

    def _kinds(self, key: ObjectKey) -> frozenset[Flavour]:
        """What kinds of sets a group is to have."""
        value = self.after.objects.get(key)
        return members.shape(value.members) if isinstance(value, Group) else frozenset()

    def _group(self, step: Step, value: DeviceObject | None) -> None:
        key, had, stand = step.key, self.before.shape(step.key), set[Flavour]()
        held = value.members if isinstance(value, Group) else frozenset()
        # What stands is what was made of a step before this one, which may hold members that overlap.
        old = members.canonical(step.before.members) if isinstance(step.before, Group) else frozenset[str]()
        will, was = members.by_flavour(held), members.by_flavour(old)
        self._marked(self.names.name(key), there=value is not None, early=True)
        for kind in sorted(self._kinds(key)):
            flavour = next((one for one in sorted(had) if one.plain is kind), None)
            if flavour is None:
                stand.add(self._made(key, kind, will.get(kind, set())))
            elif self._writing and (key in self.before.skewed or will.get(kind) != was.get(kind)):
                stand.add(self._replaced(key, flavour, will.get(kind, set())))
            elif key in self.before.skewed:
                stand.add(flavour)
                self._new.append(self._one("flush", "set", self.names.set_name(key, flavour)))
                self._elements(self._new, "create", self.names.set_name(key, flavour), will.get(kind, set()))
            else:
                stand.add(flavour)
                self._moved(key, flavour, was, will)
        self._gone += [self._one("delete", "set", self.names.set_name(key, one)) for one in sorted(had - stand)]
        self.after.skewed.discard(key)
        self.after.sets[key] = frozenset(stand)
        if value is None:
            del self.after.sets[key]

    def _made(self, key: ObjectKey, flavour: Flavour, listed: Iterable[str]) -> Flavour:
        """A set that no rule looks into yet."""
        flags = {"flags": ["interval"]} if flavour.intervals else {}
        self._early.append(self._one("create", "set", self.names.set_name(key, flavour), type=flavour.type, **flags))
        self._elements(self._early, "create", self.names.set_name(key, flavour), listed)
        self._apart |= flavour.intervals and self._writing
        return flavour

    def _replaced(self, key: ObjectKey, flavour: Flavour, listed: Iterable[str]) -> Flavour:
        """A set written anew, with the chains that look into it. A hash shows its content with the rules of its transaction."""
        self._anew.add(key)
        if flavour.intervals and flavour.twin not in self.before.shape(key):
            return self._made(key, flavour.twin, listed)
        flags = {"flags": ["interval"]} if flavour.intervals else {}
        name = self.names.set_name(key, flavour)
        self._gone.append(self._one("delete", "set", name))
        self._new.append(self._one("create", "set", name, type=flavour.type, **flags))
        self._elements(self._new, "create", name, listed)
        return flavour

    def _moved(self, key: ObjectKey, flavour: Flavour, was: Sorted, will: Sorted) -> None:
        """Members that come and go, in place."""
        name, kind = self.names.set_name(key, flavour), flavour.plain
        go = was.get(kind, set()) - will.get(kind, set())
        come = will.get(kind, set()) - was.get(kind, set())
        first, last = set[str](), set[str]()
        if not flavour.intervals:
            nets = Flavour.NETS4 if flavour.family == "ip" else Flavour.NETS6
            first = members.within(come, was.get(nets, set()) - will.get(nets, set()))
            last = members.within(go, will.get(nets, set()) - was.get(nets, set()))
        self._apart |= bool(first)
        self._elements(self._early, "create", name, first)
        self._elements(self._new, "delete", name, go - last)
        self._elements(self._new, "create", name, come - first)
        self._elements(self._late, "delete", name, last)

    def _ports(self, key: ObjectKey, value: DeviceObject | None) -> None:
        stands = key in self.before.objects
        self._marked(self.names.name(key), there=value is not None, early=True)
        name, into = self.names.ports_name(key, turned=key in self.before.turned), self._early
        if stands and isinstance(value, Ports) and not self._writing:
            self._new.append(self._one("flush", "set", name))
            into = self._new
        elif stands:
            self._gone.append(self._one("delete", "set", name))
            self.after.turned.discard(key)
        if isinstance(value, Ports):
            if into is self._early:
                name = self._made_ports(key, replacing=stands)
            into.append(self._one("add", "element", name, elem=members.port_elements(value.ports)))

    def _made_ports(self, key: ObjectKey, *, replacing: bool) -> str:
        """The name of a set of ports that no rule looks into yet."""
        if replacing:
            self._anew.add(key)
            self.after.turned |= {key} - self.before.turned
        name = self.names.ports_name(key, turned=key in self.after.turned)
        self._early.append(self._one("create", "set", name, type="inet_service", flags=["interval"]))
        self._apart |= self._writing
        return name

    def _schedule(self, key: ObjectKey, value: DeviceObject | None) -> None:
        """It never changes; but where somebody else changed it, the lines that name it are written anew with it."""
        name = self.names.name(key)
        self._chain(name, there=value is not None)
        if isinstance(value, Schedule):
            self._fill(name, ends.rules(value))

    def _lists(self, steps: Iterable[Step]) -> set[ObjectKey]:
        """The lists to write: those of the steps, and those that name a group whose sets are others now."""
        found = {step.key for step in steps if step.key.kind is Kind.RULE_LIST}
        reshaped = {
            step.key
            for step in steps
            if step.key in self._anew
            or self._is_bent(step.key)
            or (step.key in self.before.sets and self.before.shape(step.key) != self.after.shape(step.key))
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
        lines = Lines(
            self.names, self.after.shape, self.after.until, self.scope.log_rate, self.scope.log_group, self.after.turned
        )
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

    def _elements(self, into: list[Json], verb: str, name: str, listed: Iterable[str]) -> None:
        elem = members.elements(listed)
        if elem:
            into.append(self._one(verb, "element", name, elem=elem))

    def adopt(self, names: Iterable[str]) -> None:
        """Mark what stands there already."""
        for name in sorted(names):
            self._marked(name, there=True)

    def _marked(self, name: str, *, there: bool, early: bool = False) -> None:
        if there and name not in self.before.marked:
            self._mark(name, self._early if early else self._new)
            self.after.marked.add(name)
        elif not there and name in self.before.marked:
            values = [value for value, _ in self.names.marks(name)]
            self._gone.append(self._one("delete", "element", MARKS, elem=values))
            self.after.marked.discard(name)

    def _mark(self, name: str, into: list[Json]) -> None:
        elem = [{"elem": {"val": value, "comment": comment}} for value, comment in self.names.marks(name)]
        into.append(self._one("add", "element", MARKS, elem=elem))

    def _one(self, verb: str, kind: str, name: str, **content: object) -> Json:
        return {verb: {kind: {"family": "inet", "table": self.names.table, "name": name, **content}}}


def outstanding(steps: Iterable[Step], known: Known) -> Iterator[Step]:
    """The steps whose end does not stand yet."""
    for step in steps:
        after = canonical(step.after) if step.after is not None else None
        if known.objects.get(step.key) != after:
            yield step
