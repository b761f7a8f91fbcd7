"""Between the bridge's objects and a Palisade's records. Pure, and the only module with words of both.

A record is called `<owner>:<key>` and its note is `fb:<owner>:<key>`: it is ours when both agree, and nobody's business otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.model.addresses import canonical_member
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import (
    Attachment,
    DeviceObject,
    Foreign,
    Group,
    Policy,
    Ports,
    RuleEntry,
    RuleList,
    Schedule,
    Shard,
)
from bridge.model.policy import Action, PortRange, Protocol, Tier
from bridge.model.tiers import attachment, policy_key
from palisade.wire import Addresses, Body, Chain, Document, Line, Record, Rules, Services

_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_TAKEN = (*_WITH_PORTS, Protocol.ICMP, Protocol.ICMPV6, Protocol.ANY)


@dataclass(frozen=True, slots=True)
class Terms:
    """The names of one owner."""

    owner: str

    def name(self, key: ObjectKey) -> str:
        """What a record is called."""
        return f"{self.owner}:{key}"

    def note(self, key: ObjectKey) -> str:
        """The mark by which we know it again."""
        return f"fb:{self.owner}:{key}"

    def record(self, value: DeviceObject) -> Record:
        """An object as it is written."""
        return Record(self.note(value.key), self._body(value))

    def is_ours(self, name: str, record: Record) -> bool:
        """Whether name and mark agree."""
        return name.startswith(f"{self.owner}:") and record.note == f"fb:{name}"

    def objects(self, held: Document, *, attached: bool) -> Iterator[DeviceObject | Foreign]:
        """All that is ours, with the places that we hold where that is our business; and what could be mistaken for ours."""
        for name, record in held.records.items():
            try:
                if self.is_ours(name, record):
                    yield self._object(ObjectKey.parse(name.partition(":")[2]), record.body)
                    continue
                why = "its name or its note is like ours, and not both"
            except ValueError:
                why = "cannot be read"
            if name.startswith(f"{self.owner}:") or record.note.startswith(f"fb:{self.owner}:"):
                yield Foreign(name, why)
        for tier in Tier:
            if attached and held.places.get(tier) == self.name(policy_key(tier)):
                yield attachment(tier)

    def _body(self, value: DeviceObject) -> Body:
        match value:
            case Group():
                return Addresses(tuple(sorted(value.members)), tuple(map(self.name, value.references())))
            case Shard():
                return Addresses(tuple(sorted(value.members)))
            case Ports():
                return Services(tuple((span.first, span.last) for span in value.ports))
            case RuleList():
                return Rules(tuple(map(self._line, value.entries)))
            case Policy():
                return Chain(tuple(map(self.name, value.lists)))
            case Attachment() | Schedule():
                raise TypeError(f"{value.key} is no record")

    def _line(self, entry: RuleEntry) -> Line:
        return Line(
            entry.name,
            entry.action.lower(),
            tuple(map(self.name, entry.sources)),
            tuple(map(self.name, entry.destinations)),
            "" if entry.protocol is Protocol.ANY else entry.protocol.value,
            self.name(entry.ports) if entry.ports else "",
            entry.log,
        )

    def _object(self, key: ObjectKey, body: Body) -> DeviceObject:
        """ValueError where a record is not what its key says, or names what is not ours."""
        match (key.kind, body):
            case (Kind.GROUP, Addresses()):
                return Group(key, frozenset(body.items), shards=len(body.sets))
            case (Kind.SHARD, Addresses(sets=())):
                return Shard(key, frozenset(body.items))
            case (Kind.PORTS, Services()):
                return Ports(key, tuple(PortRange(*span) for span in body.spans))
            case (Kind.RULE_LIST, Rules()):
                return RuleList(key, tuple(map(self._entry, body.lines)))
            case (Kind.POLICY, Chain()):
                return Policy(key, tuple(map(self._key, body.lists)))
        raise ValueError(f"{key} is none of ours")

    def _entry(self, line: Line) -> RuleEntry:
        return RuleEntry(
            line.name,
            Action(line.action.capitalize()),
            tuple(map(self._key, line.sources)),
            tuple(map(self._key, line.destinations)),
            Protocol(line.protocol) if line.protocol else Protocol.ANY,
            self._key(line.services) if line.services else None,
            line.log,
        )

    def _key(self, name: str) -> ObjectKey:
        owner, _, text = name.partition(":")
        if owner != self.owner:
            raise ValueError(f"{name} is not ours")
        return ObjectKey.parse(text)


def canonical(value: DeviceObject) -> DeviceObject:
    """As a read will show it. ValueError, with the reason, for what a Palisade cannot express: it is never cut to size."""
    match value:
        case Group(fqdns=names) if names:
            raise ValueError("a Palisade takes no names")
        case Group() | Shard():
            return replace(value, members=frozenset(map(canonical_member, value.members)))
        case Ports(ports=()):
            raise ValueError("no ports: it would match every one")
        case Ports():
            return replace(value, ports=tuple(sorted(set(value.ports))))
        case Schedule():
            raise ValueError("a Palisade ends nothing by itself")
        case RuleList():
            return replace(value, entries=tuple(map(_canonical_entry, value.entries)))
    return value


def _canonical_entry(entry: RuleEntry) -> RuleEntry:
    if not entry.sources or not entry.destinations:
        raise ValueError(f"line {entry.name} has a side without any group: it would match everyone")
    if entry.protocol not in _TAKEN or entry.icmp or entry.bandwidth or entry.schedule or entry.action is Action.PASS:
        raise ValueError(f"line {entry.name} asks for what a Palisade does not know")
    if entry.ports and entry.protocol not in _WITH_PORTS:
        raise ValueError(f"line {entry.name} has ports without a protocol that has any")
    sides = (tuple(sorted(set(side))) for side in (entry.sources, entry.destinations))
    sources, destinations = sides
    return replace(entry, sources=sources, destinations=destinations)
