"""An intent as it will be read back once it is applied. Pure and idempotent; what cannot be expressed is named."""

from dataclasses import replace

from adapters.aws.scope import FAMILIES, Scope, family
from bridge.errors import Unsupported
from bridge.model.addresses import canonical_member, networks
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
from bridge.model.policy import NUMBERS, Action, PortRange, Protocol, Tier
from bridge.model.ports import merged
from bridge.model.tiers import attachment

_WITH_PORTS, _WITH_TYPES = (Protocol.TCP, Protocol.UDP, Protocol.SCTP), (Protocol.ICMP, Protocol.ICMPV6)


def normalize(intent: Intent, scope: Scope) -> Objects:
    """The objects as `read` would report them, attachments included where the settings ask for them.

    Unsupported names every object that cannot be expressed, each with the reason.
    """
    found: dict[ObjectKey, DeviceObject] = {}
    problems: dict[str, str] = {}
    for key, value in intent.objects.items():
        try:
            found[key] = canonical(value, scope)
        except ValueError as error:
            problems[str(key)] = str(error)
    if problems:
        raise Unsupported(intent.device, problems)
    if scope.attach:
        found.update({one.key: one for one in map(attachment, Tier) if one.policy in found})
    return found


def canonical(value: DeviceObject, scope: Scope) -> DeviceObject:
    """One object as it is read back. ValueError says why it cannot be expressed."""
    match value:
        case Group():
            if value.fqdns:
                raise ValueError(f"prefix lists hold no names ({', '.join(sorted(value.fqdns))})")
            return replace(value, members=_members(value.members, scope), pushed=False)
        case Shard():
            return replace(value, members=_members(value.members, scope))
        case Ports():
            return replace(value, ports=_ports(value.ports))
        case RuleList():
            entries = tuple(sorted(map(_entry, value.entries), key=lambda entry: entry.name))
            if len({entry.name for entry in entries}) != len(entries):
                raise ValueError("two lines have one name")
            return replace(value, entries=entries)
        case Policy():
            return replace(value, lists=tuple(dict.fromkeys(value.lists)))
        case Attachment():
            return value


def _members(members: frozenset[str], scope: Scope) -> frozenset[str]:
    """Addresses and prefixes: a range is several."""
    found: set[str] = set()
    for one in members:
        if "-" in one:
            found.update(canonical_member(str(net)) for net in networks((one,)))
        else:
            found.add(canonical_member(one))
    for version in FAMILIES:
        count = sum(family(one) == version for one in found)
        if count > scope.entries:
            raise ValueError(f"{count} prefixes of {version}, and a prefix list holds {scope.entries}")
    return frozenset(found)


def _ports(ports: tuple[PortRange, ...]) -> tuple[PortRange, ...]:
    if not ports:
        raise ValueError("an empty set of ports would match nothing where its line says every port")
    for port in ports:
        if not 0 <= port.first <= port.last <= 65535:
            raise ValueError(f"{port} is no range of ports from 0 to 65535")
    return merged(ports)


def _entry(entry: RuleEntry) -> RuleEntry:
    problem = _problem(entry)
    if problem:
        raise ValueError(f"line {entry.name}: {problem}")
    return replace(
        entry,
        sources=tuple(sorted(set(entry.sources))),
        destinations=tuple(sorted(set(entry.destinations))),
        icmp=tuple(sorted(set(entry.icmp), key=str)),
    )


def _problem(entry: RuleEntry) -> str:
    if entry.action is not Action.ALLOW:
        return f"security groups have no {entry.action}"
    if entry.log or entry.bandwidth:
        return "nothing limits the rate here" if entry.bandwidth else "security groups log nothing"
    if not entry.sources or not entry.destinations:
        return "without a source or a destination it would match any"
    if (entry.ports and entry.protocol not in _WITH_PORTS) or (entry.icmp and entry.protocol not in _WITH_TYPES):
        return f"{entry.protocol} has no {'ports' if entry.ports else 'types'}"
    named = entry.number in NUMBERS.values() if entry.protocol is Protocol.OTHER else entry.number != 0
    if named or not 0 <= entry.number <= 255:
        return f"{entry.protocol} does not go with number {entry.number}"
    return ""
