"""An intent as the device will show it once it is applied. Pure and idempotent; what the device cannot express is named."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from adapters.bigip.names import entry_name, key_problem
from adapters.bigip.schedules import known
from adapters.bigip.scope import Scope
from adapters.bigip.translate import PLACEHOLDER, ports_key_order
from bridge.model.addresses import canonical_member
from bridge.model.canonical import NO_SCHEDULES, check_line, check_ports, expressed, in_order, lines
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
)
from bridge.model.policy import PortRange, Protocol
from bridge.model.schedules import check_schedule
from bridge.model.tiers import attachments


def normalize(intent: Intent, scope: Scope) -> Objects:
    """The objects as `read` would report them, attachments included where the settings ask for them.

    Unsupported names every object that cannot be expressed, each with the reason.
    """

    def express(value: DeviceObject) -> DeviceObject:
        canonical = _canonical(value, scope)
        _check_limits(value, scope.bandwidth)
        return canonical

    objects = expressed(intent, express)
    return objects | attachments(objects, scope.slots) if scope.attach else objects


def _check_limits(value: DeviceObject, known: Collection[str]) -> None:
    """The limits of the rate that the settings let rules use, and no other."""
    for entry in value.entries if isinstance(value, RuleList) else ():
        if entry.bandwidth and entry.bandwidth not in known:
            raise ValueError(f"line {entry.name}: the settings of this device know no limit {entry.bandwidth}")


def _canonical(value: DeviceObject, scope: Scope) -> DeviceObject:
    problem = key_problem(value.key)
    if problem:
        raise ValueError(problem)
    match value:
        case Group():
            return _group(value, scope.fqdn)
        case Shard():
            return replace(value, members=_members(value.members))
        case Ports():
            return replace(value, ports=_ports(value))
        case Schedule():
            return _schedule(value, scope)
        case RuleList():
            return replace(value, entries=lines(value.entries, partial(_entry, schedules=scope.schedules)))
        case Policy():
            return replace(value, lists=tuple(dict.fromkeys(value.lists)))
        case Attachment():
            return value


def _group(value: Group, fqdn: bool) -> Group:
    if value.fqdns and not fqdn:
        named = ", ".join(sorted(value.fqdns))
        raise ValueError(f"the settings let this device resolve no names ({named}); state addresses, or fqdn: device")
    if any("*" in name for name in value.fqdns):
        raise ValueError("its firewall takes no names with a *")
    if value.shards and (value.members or value.fqdns):
        raise ValueError("a group holds members or shards, not both")
    names = frozenset(name.lower().rstrip(".") for name in value.fqdns)
    return replace(value, members=_members(value.members), fqdns=names)


def _members(members: frozenset[str]) -> frozenset[str]:
    canonical = frozenset(canonical_member(member) for member in members)
    if PLACEHOLDER in canonical:
        raise ValueError(f"{PLACEHOLDER} stands for an empty list on this device and cannot be a member")
    return canonical


def _ports(value: Ports) -> tuple[PortRange, ...]:
    if not value.ports:
        raise ValueError("an empty set of ports would match every port")
    check_ports(value.ports, lowest=1)
    return ports_key_order(value.ports)


def _schedule(value: Schedule, scope: Scope) -> Schedule:
    if not scope.schedules:
        raise ValueError(NO_SCHEDULES)
    check_schedule(value)
    return replace(value, until=known(value.until))


def _entry(entry: RuleEntry, *, schedules: bool) -> RuleEntry:
    check_line(entry, schedules=schedules)
    if any(255 in (one.type, one.code) for one in entry.icmp) or entry.number > 254:
        raise ValueError(f"line {entry.name}: {entry.traffic} would match too much, 255 stands for any on this device")
    if (entry.protocol is Protocol.OTHER) != (entry.number > 0):
        raise ValueError(f"line {entry.name}: a number is of a protocol without a name")
    return replace(in_order(entry), name=entry_name(entry.name))
