"""Between the bridge's objects and those of a device in memory. Pure.

Parts of a group are no matter of this device, so a group holds all of its members. On an allow-only device entries have no order: they
stand, and are read, by name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bridge.lab.devices.memory.checks import NAME_LENGTH
from bridge.lab.devices.memory.contents import AddressSet, Body, Bundle, Entry, EntrySet, PortSet, Stored, Until
from bridge.model.addresses import canonical_member, sort_key
from bridge.model.canonical import check_line, check_number, check_ports, expressed, in_order, lines
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import (
    Attachment,
    DeviceObject,
    Group,
    Intent,
    Objects,
    Policy,
    Ports,
    RuleEntry,
    RuleList,
    Schedule,
    Shard,
    whole,
)
from bridge.model.policy import NUMBERS, Action, IcmpType, PortRange, Protocol
from bridge.model.ports import merged
from bridge.model.schedules import check_schedule
from bridge.model.tiers import attachments

_NUMBERED = {number: protocol for protocol, number in NUMBERS.items()}
_BODIES: dict[Kind, type[Body]] = {
    Kind.GROUP: AddressSet,
    Kind.PORTS: PortSet,
    Kind.SCHEDULE: Until,
    Kind.RULE_LIST: EntrySet,
    Kind.POLICY: Bundle,
}


@dataclass(frozen=True, slots=True)
class Translator:
    """For one owner on a device of one form."""

    owner: str
    form: Form

    # ---- names and marks

    def name(self, key: ObjectKey) -> str:
        """What the object is called."""
        full = f"{self.owner}_{key}"
        if len(full) <= NAME_LENGTH:
            return full
        return f"{full[: NAME_LENGTH - 17]}_{hashlib.sha256(full.encode()).hexdigest()[:16]}"

    def mark(self, key: ObjectKey) -> str:
        """What stands in its tag."""
        return f"fb:{self.owner}:{key}"

    def key(self, name: str, stored: Stored) -> ObjectKey | None:
        """The key of an object of ours: name, mark and kind agree. None for any other."""
        prefix = f"fb:{self.owner}:"
        if not stored.tag.startswith(prefix):
            return None
        try:
            key = ObjectKey.parse(stored.tag.removeprefix(prefix))
        except ValueError:
            return None
        return key if self.name(key) == name and isinstance(stored.body, _BODIES.get(key.kind, ())) else None

    def resembles(self, name: str, stored: Stored) -> str:
        """Why an object that is not ours could be taken for ours; empty when it could not."""
        if name.startswith(f"{self.owner}_"):
            return "has a name of ours and not our mark"
        return "has our mark and another name" if stored.tag.startswith(f"fb:{self.owner}:") else ""

    # ---- values in canonical form

    def normalize(self, intent: Intent, *, attach: bool) -> Objects:
        """The intent as it is read back. Unsupported names each object that the device cannot express."""

        def express(value: DeviceObject) -> DeviceObject | None:
            gathered = whole(value, intent.objects)
            return self.canonical(gathered) if gathered is not None else None

        found = expressed(intent, express)
        return found | attachments(found) if attach else found

    def canonical(self, value: DeviceObject) -> DeviceObject:
        """One object as it is read back. ValueError says why it cannot be expressed."""
        match value:
            case Group():
                if value.fqdns:
                    raise ValueError(f"the device takes no names ({', '.join(sorted(value.fqdns))})")
                return replace(value, members=frozenset(map(canonical_member, value.members)), shards=0)
            case Shard():
                raise ValueError("groups have no parts here")
            case Ports():
                return replace(value, ports=_ports(value.ports))
            case Schedule():
                check_schedule(value)
                return value
            case RuleList():
                return replace(value, entries=self._entries(value.entries))
            case Policy():
                return replace(value, lists=tuple(dict.fromkeys(value.lists)))
            case Attachment():
                return value

    def _entries(self, entries: tuple[RuleEntry, ...]) -> tuple[RuleEntry, ...]:
        made = lines(entries, self._entry)
        return made if self.form is Form.FLAT else tuple(sorted(made, key=lambda entry: entry.name))

    def _entry(self, entry: RuleEntry) -> RuleEntry:
        allows = self.form is Form.ALLOW_ONLY
        if entry.action is Action.PASS or (allows and entry.action is not Action.ALLOW):
            raise ValueError(f"line {entry.name}: the device has no {entry.action}")
        if entry.bandwidth:
            raise ValueError(f"line {entry.name}: nothing limits the rate here")
        if allows and entry.log:
            raise ValueError(f"line {entry.name}: the device logs nothing")
        check_line(entry, schedules=True)
        check_number(entry, range(256))
        return in_order(entry)

    # ---- there and back

    def body(self, value: DeviceObject) -> Body:
        """What the device holds for an object; of an attachment it holds none."""
        match self.canonical(value):
            case Group(members=members):
                return AddressSet(tuple(sorted(members, key=sort_key)))
            case Ports(ports=ports):
                return PortSet(tuple((span.first, span.last) for span in ports))
            case Schedule(until=until):
                return Until(int(until.timestamp()))
            case RuleList(entries=entries):
                return EntrySet(tuple(map(self._written, entries)))
            case Policy(lists=lists):
                return Bundle(tuple(map(self.name, lists)))
        raise TypeError(f"{value.key} is no object of the device")

    def _written(self, entry: RuleEntry) -> Entry:
        number = entry.number if entry.protocol is Protocol.OTHER else NUMBERS.get(entry.protocol)
        return Entry(
            entry.name,
            tuple(map(self.name, entry.sources)),
            tuple(map(self.name, entry.destinations)),
            number,
            self.name(entry.ports) if entry.ports else "",
            tuple((one.type, one.code) for one in entry.icmp),
            entry.action.lower(),
            entry.log,
            self.name(entry.schedule) if entry.schedule else "",
        )


def read(body: Body, key: ObjectKey, keys: Mapping[str, ObjectKey]) -> DeviceObject:
    """The bridge's object for what stands on the device; `keys` are those of our objects there, by name.

    What names something that is not ours reads as naming something that the bridge never wants.
    """
    match body:
        case AddressSet(addresses):
            return Group(key, frozenset(addresses))
        case PortSet(spans):
            return Ports(key, tuple(PortRange(first, last) for first, last in spans))
        case Until(second):
            return Schedule(key, datetime.fromtimestamp(second, UTC))
        case EntrySet(entries):
            return RuleList(key, tuple(_read(entry, keys) for entry in entries))
        case Bundle(members):
            return Policy(key, tuple(_key(name, keys) for name in members))


def _read(entry: Entry, keys: Mapping[str, ObjectKey]) -> RuleEntry:
    protocol = Protocol.ANY if entry.protocol is None else _NUMBERED.get(entry.protocol, Protocol.OTHER)
    return RuleEntry(
        entry.name,
        Action(entry.action.capitalize()),
        tuple(sorted(_key(name, keys) for name in entry.sources)),
        tuple(sorted(_key(name, keys) for name in entry.destinations)),
        protocol,
        _key(entry.ports, keys) if entry.ports else None,
        entry.log,
        icmp=tuple(IcmpType(kind, code) for kind, code in entry.icmp),
        number=entry.protocol if entry.protocol is not None and protocol is Protocol.OTHER else 0,
        schedule=_key(entry.until, keys) if entry.until else None,
    )


def _key(name: str, keys: Mapping[str, ObjectKey]) -> ObjectKey:
    return keys.get(name) or ObjectKey(Kind.GROUP, "?", Scope.BUILTIN, "", name)


def _ports(ports: tuple[PortRange, ...]) -> tuple[PortRange, ...]:
    if not ports:
        raise ValueError("an empty set of ports would match nothing where its line says every port")
    check_ports(ports)
    return merged(ports)
