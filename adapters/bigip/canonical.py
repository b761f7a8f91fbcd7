"""An intent as the device will show it once it is applied. Pure and idempotent; what the device cannot express is named."""

from collections.abc import Collection
from dataclasses import replace

from adapters.bigip.names import entry_name, key_problem
from adapters.bigip.scope import Scope
from adapters.bigip.translate import PLACEHOLDER, ports_key_order
from bridge.errors import Unsupported
from bridge.model.addresses import canonical_member
from bridge.model.identity import ObjectKey
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
    Shard,
)
from bridge.model.policy import PortRange, Protocol
from bridge.model.tiers import attachment

_WITH_PORTS = frozenset({Protocol.TCP, Protocol.UDP, Protocol.SCTP})
_ICMP = frozenset({Protocol.ICMP, Protocol.ICMPV6})


def normalize(intent: Intent, scope: Scope) -> Objects:
    """The objects as `read` would report them, attachments included where the settings ask for them.

    Unsupported names every object that cannot be expressed, each with the reason.
    """
    objects: dict[ObjectKey, DeviceObject] = {}
    problems: dict[str, str] = {}
    for key, value in intent.objects.items():
        try:
            objects[key] = _canonical(value, scope.fqdn)
            _check_limits(value, scope.bandwidth)
        except ValueError as error:
            problems[str(key)] = str(error)
    if problems:
        raise Unsupported(intent.device, problems)
    if scope.attach:
        wanted = (attachment(tier) for tier in scope.slots)
        objects.update({one.key: one for one in wanted if one.policy in objects})
    return objects


def _check_limits(value: DeviceObject, known: Collection[str]) -> None:
    """The limits of the rate that the settings let rules use, and no other."""
    for entry in value.entries if isinstance(value, RuleList) else ():
        if entry.bandwidth and entry.bandwidth not in known:
            raise ValueError(f"line {entry.name}: the settings of this device know no limit {entry.bandwidth}")


def _canonical(value: DeviceObject, fqdn: bool) -> DeviceObject:
    problem = key_problem(value.key)
    if problem:
        raise ValueError(problem)
    match value:
        case Group():
            return _group(value, fqdn)
        case Shard():
            return replace(value, members=_members(value.members))
        case Ports():
            return replace(value, ports=_ports(value))
        case RuleList():
            return _rule_list(value)
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
    for port in value.ports:
        if not 1 <= port.first <= port.last <= 65535:
            raise ValueError(f"{port} is no range of ports from 1 to 65535")
    return ports_key_order(value.ports)


def _rule_list(value: RuleList) -> RuleList:
    entries = tuple(_entry(entry) for entry in value.entries)
    if len({entry.name for entry in entries}) != len(entries):
        raise ValueError("two lines have one name")
    return replace(value, entries=entries)


def _entry(entry: RuleEntry) -> RuleEntry:
    if not entry.sources or not entry.destinations:
        raise ValueError(f"line {entry.name}: without a source or a destination it would match any")
    if entry.ports and entry.protocol not in _WITH_PORTS:
        raise ValueError(f"line {entry.name}: {entry.protocol} has no ports")
    if entry.icmp and entry.protocol not in _ICMP:
        raise ValueError(f"line {entry.name}: {entry.protocol} has no types of ICMP")
    if any(255 in (one.type, one.code) for one in entry.icmp) or entry.number > 254:
        raise ValueError(f"line {entry.name}: {entry.traffic} would match too much, 255 stands for any on this device")
    if (entry.protocol is Protocol.OTHER) != (entry.number > 0):
        raise ValueError(f"line {entry.name}: a number is of a protocol without a name")
    return replace(
        entry,
        name=entry_name(entry.name),
        sources=tuple(sorted(set(entry.sources))),
        destinations=tuple(sorted(set(entry.destinations))),
        icmp=tuple(sorted(set(entry.icmp))),
    )
