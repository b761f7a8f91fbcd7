"""Groups, their parts and sets of ports as entries of FortiOS's tables, and back. Pure.

A group is an address group and, where the device has IPv6, a twin of the same name among those of IPv6; both are always there, so that a
policy can name both whatever they hold. The parts of a large group are groups that it nests.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.fortigate import services
from adapters.fortigate.addresses import ADDRESS, ADDRESS6, FQDN, NOTHING, tables
from adapters.fortigate.names import Names
from adapters.fortigate.services import SERVICE
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Ports, Shard
from bridge.model.policy import PortRange

Json = dict[str, Any]

GROUP, GROUP6 = "firewall/addrgrp", "firewall/addrgrp6"
HOLDS: Mapping[str, str] = {GROUP: ADDRESS, GROUP6: ADDRESS6}
"""Which addresses the groups of a table hold."""

ODD = "255.255.255.255"

Place = tuple[str, str]
"""A table and the name of an entry in it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An address group as it stands. `comment` is as it is, `sound` False where it is more than a list of members."""

    comment: str
    members: frozenset[str]
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Forms:
    """Between our objects and entries, for one owner."""

    names: Names
    ipv6: bool

    @property
    def tables(self) -> tuple[str, ...]:
        """Where each group stands."""
        return (GROUP, GROUP6) if self.ipv6 else (GROUP,)

    def places(self, key: ObjectKey) -> list[Place]:
        """Every entry that an object of this key is; none for rules."""
        name = self.names.name(key)
        if key.kind is Kind.PORTS:
            return [(SERVICE, f"{name}_{word}") for word in services.PORTED.values()]
        return [(table, name) for table in self.tables] if key.kind in (Kind.GROUP, Kind.SHARD) else []

    def members(self, table: str, value: Group | Shard) -> frozenset[str]:
        """The names in the group of a table; the address of no host where there would be none."""
        own = HOLDS[table]
        words: list[str] = [one for one in value.members if own in tables(one, ipv6=self.ipv6)]
        parts: list[str] = []
        if isinstance(value, Group):
            words += [f"{FQDN}{name}" for name in value.fqdns]
            parts = [self.names.name(part) for part in value.references()]
        if not words and not parts:
            words = [NOTHING]
        return frozenset((*map(self.names.shared, words), *parts))

    def words(self, value: DeviceObject) -> Iterator[tuple[str, str]]:
        """The shared addresses that a group needs: table and word of each."""
        if not isinstance(value, Group | Shard):
            return
        for word in (*value.members, *(f"{FQDN}{name}" for name in getattr(value, "fqdns", ()))):
            yield from ((table, word) for table in tables(word, ipv6=self.ipv6))
        nothing = self.names.shared(NOTHING)
        yield from ((HOLDS[table], NOTHING) for table in self.tables if nothing in self.members(table, value))

    def body(self, place: Place, value: DeviceObject) -> Json:
        """All that we say of an entry but its name."""
        comment = {"comment": self.names.mark(str(value.key))}
        table, name = place
        if isinstance(value, Ports):
            return comment | services.port_body(name.rpartition("_")[2], value.ports)
        if not isinstance(value, Group | Shard):
            raise TypeError(f"{value!r} is no group")
        return comment | {"member": [{"name": one} for one in sorted(self.members(table, value))]}

    def group(
        self, key: ObjectKey, twins: Mapping[str, Standing], words: Mapping[str, Mapping[str, str]]
    ) -> Group | Shard:
        """A group as its twins show it; `words` are what our addresses of a table stand for, by name.

        What cannot be said in the model reads as one member more, the broadcast address, which nobody wants.
        """
        found = {table: self._content(key, one, words[HOLDS[table]]) for table, one in twins.items()}
        contents = list(found.values())
        members = frozenset[str]().union(*(one.members for one in contents))
        whole = all(one.sound for one in twins.values()) and all(one.sound for one in contents)
        alike = len({(one.fqdns, one.parts) for one in contents}) == 1
        if not (whole and alike):
            members |= {ODD}
        if key.kind is Kind.SHARD:
            return Shard(key, members | ({ODD} if contents[0].fqdns or contents[0].parts else frozenset()))
        return Group(key, members, contents[0].fqdns, contents[0].parts)

    def _content(self, key: ObjectKey, one: Standing, words: Mapping[str, str]) -> "_Content":
        members: set[str] = set()
        fqdns: set[str] = set()
        left: set[str] = set()
        for name in one.members:
            word = words.get(name, "")
            if word.startswith(FQDN):
                fqdns.add(word.removeprefix(FQDN))
            elif word and word != NOTHING:
                members.add(word)
            elif word != NOTHING:
                left.add(name)
        of = len(left) if key.kind is Kind.GROUP else 0
        parts = {self.names.name(key.shard(index, of)) for index in range(of)}
        return _Content(frozenset(members), frozenset(fqdns), of if left == parts else 0, left == parts)


@dataclass(frozen=True, slots=True)
class _Content:
    """What a group holds; `sound` False where something in it is not ours."""

    members: frozenset[str]
    fqdns: frozenset[str]
    parts: int
    sound: bool


def ports(key: ObjectKey, shown: Iterable[tuple[PortRange, ...]]) -> Ports:
    """A set of ports as its services show it; without ports, which nobody wants, where they differ."""
    found = set(shown)
    return Ports(key, found.pop() if len(found) == 1 else ())
