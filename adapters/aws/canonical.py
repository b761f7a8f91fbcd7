"""An intent as it will be read back once it is applied. Pure and idempotent; what cannot be expressed is named."""

from dataclasses import replace

from adapters.aws.scope import FAMILIES, Scope, family
from bridge.model.addresses import canonical_member, networks
from bridge.model.canonical import NO_SCHEDULES, check_line, check_number, check_ports, expressed, in_order, lines
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
from bridge.model.policy import Action, PortRange
from bridge.model.ports import merged
from bridge.model.tiers import attachments


def normalize(intent: Intent, scope: Scope) -> Objects:
    """The objects as `read` would report them, attachments included where the settings ask for them.

    Unsupported names every object that cannot be expressed, each with the reason.
    """
    found = expressed(intent, lambda value: canonical(value, scope))
    return found | attachments(found) if scope.attach else found


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
        case Schedule():
            raise ValueError(NO_SCHEDULES)
        case RuleList():
            entries = lines(value.entries, _entry)
            return replace(value, entries=tuple(sorted(entries, key=lambda entry: entry.name)))
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
    check_ports(ports)
    return merged(ports)


def _entry(entry: RuleEntry) -> RuleEntry:
    if entry.action is not Action.ALLOW:
        raise ValueError(f"line {entry.name}: security groups have no {entry.action}")
    if entry.bandwidth:
        raise ValueError(f"line {entry.name}: nothing limits the rate here")
    if entry.log:
        raise ValueError(f"line {entry.name}: security groups log nothing")
    check_line(entry)
    check_number(entry, range(256))
    return replace(in_order(entry), icmp=tuple(sorted(set(entry.icmp), key=str)))
