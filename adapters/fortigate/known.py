"""What is known of the unit between calls. Never the truth: it refuses what does not meet what stands, and then all is read anew."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.fortigate.addresses import ADDRESS, ADDRESS6
from adapters.fortigate.canonical import UNUSED
from adapters.fortigate.feeds_pushed import Feeds
from adapters.fortigate.groups import HOLDS, Forms, Place, Standing, ports
from adapters.fortigate.names import Names
from adapters.fortigate.rows import Placed
from adapters.fortigate.schedules import SCHEDULE
from adapters.fortigate.services import SERVICE
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Foreign, Group, Objects
from bridge.model.policy import PortRange

SHARED = (ADDRESS, ADDRESS6, SERVICE, SCHEDULE)
"""The tables of shared entries: what several objects of ours may name, each called by what it is."""


@dataclass(slots=True)
class Known:
    """The tables as they were last read, moved forward by what was written since.

    `words` are the shared entries that are ours, by table and name, each with what it stands for, empty where that is not what its name
    says; `used` counts the groups that name an entry, `ruled` are those that policies name, `kept` those that others do. `strange` are
    entries under names of ours that do not carry our mark. `halves` are objects of which some entries are there and some are not: they
    do not count as there. `stale` is what stands there of a family that the settings no longer have, in the order in which it can go.
    `theirs` is what groups hold that only look like ours. `numbers` are those of all policies, in their order.
    """

    forms: Forms
    feeds: Feeds | None = None
    words: dict[str, dict[str, str]] = field(default_factory=lambda: {table: {} for table in SHARED})
    groups: dict[str, dict[str, Standing]] = field(default_factory=lambda: {table: {} for table in HOLDS})
    ports: dict[str, tuple[PortRange, ...]] = field(default_factory=dict)
    strange: set[Place] = field(default_factory=set)
    placed: list[Placed] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    anchor: int | None = None
    rules: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    keys: dict[str, ObjectKey] = field(default_factory=dict)
    used: Counter[Place] = field(default_factory=Counter)
    ruled: frozenset[Place] = frozenset()
    kept: set[Place] = field(default_factory=set)
    halves: set[ObjectKey] = field(default_factory=set)
    theirs: dict[Place, frozenset[str]] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    policy_names: dict[str, int] = field(default_factory=dict)
    stale: list[Place] = field(default_factory=list)

    @property
    def names(self) -> Names:
        """The owner's."""
        return self.forms.names

    def settle(self, key: ObjectKey) -> None:
        """Make the object of this key out of its entries; nothing where it is not there, or not ours."""
        spots = self.forms.places(key)
        ours = not any(spot in self.strange for spot in spots)
        there = [self.standing(spot) for spot in spots] if ours else []
        self.halves.discard(key)
        if any(there) and not all(there):
            self.halves.add(key)
        value = self._value(key) if there and all(there) else None
        if self.feeds is not None:
            value = self.feeds.over(key, value)
            self.keys.update({name: key for name in (self.feeds.name(key),) if key in self.feeds})
        if value is None:
            self.objects.pop(key, None)
            self.keys.pop(self.names.name(key), None)
        else:
            self.objects[key] = value
            self.keys[self.names.name(key)] = key

    def standing(self, place: Place) -> bool:
        """Whether an entry of ours stands there."""
        table, name = place
        if table in HOLDS:
            return name in self.groups[table]
        return name in self.ports or name in self.words[table]

    def use(self, table: str, before: Iterable[str], after: Iterable[str]) -> None:
        """Take note of the names that an entry names now, and of those that it did."""
        for name in before:
            self.used[table, name] -= 1
        for name in after:
            self.used[table, name] += 1

    def is_used(self, place: Place) -> bool:
        """Whether something of ours names the entry."""
        return self.used[place] > 0 or place in self.ruled

    def unused(self) -> dict[Place, str]:
        """Shared entries of ours that nothing of ours names, each with its word."""
        return {
            (table, name): word
            for table, held in self.words.items()
            for name, word in held.items()
            if not self.is_used((table, name)) and (table, name) not in self.kept
        }

    def snapshot(self) -> Objects:
        """All that is ours, and what an interrupted change left behind."""
        found = {**self.objects, **self.rules}
        left = [
            *self.unused(),
            *self.stale,
            *(spot for key in self.halves for spot in self.forms.places(key) if self.standing(spot)),
        ]
        if left:
            found[UNUSED] = Group(UNUSED, fqdns=frozenset(f"{table} {name}" for table, name in left))
        return found

    def one(self, key: ObjectKey) -> DeviceObject | None:
        """One object of ours."""
        return self.rules.get(key) or self.objects.get(key)

    def _value(self, key: ObjectKey) -> DeviceObject:
        if key.kind is Kind.PORTS:
            return ports(key, (self.ports[name] for _, name in self.forms.places(key)))
        twins = {table: self.groups[table][name] for table, name in self.forms.places(key)}
        return self.forms.group(key, twins, self.words)
