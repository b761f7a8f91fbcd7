"""An intent as the gateway will show it once it is applied. Pure and idempotent; what cannot be expressed is named."""

from dataclasses import replace

from adapters.nftables import members
from adapters.nftables.names import ODD, key_problem, line_name
from adapters.nftables.rules import WITH_PORTS, WITH_TYPES, icmp_types
from bridge.errors import Unsupported
from bridge.model.capabilities import Form
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
    whole,
)
from bridge.model.policy import NUMBERS, Action, PortRange, Protocol, Tier
from bridge.model.ports import merged
from bridge.model.tiers import attachment


def normalize(intent: Intent, *, attach: bool, form: Form = Form.TIERED) -> Objects:
    """The objects as `read` would report them, attachments included where the settings ask for them.

    Unsupported names every object that cannot be expressed, each with the reason.
    """
    objects: dict[ObjectKey, DeviceObject] = {}
    problems: dict[str, str] = {}
    for key, value in intent.objects.items():
        try:
            gathered = whole(value, intent.objects)
            if gathered is not None:
                objects[key] = canonical(gathered)
                _check_passes(gathered, form)
        except ValueError as error:
            problems[str(key)] = str(error)
    if problems:
        raise Unsupported(intent.device, problems)
    if attach:
        objects.update({one.key: one for one in map(attachment, Tier) if one.policy in objects})
    return objects


def _check_passes(value: DeviceObject, form: Form) -> None:
    passes = [entry.name for entry in getattr(value, "entries", ()) if entry.action is Action.PASS]
    if passes and form is Form.FLAT:
        raise ValueError(f"line {passes[0]}: a flat gateway has no Pass, for no tier follows")


def canonical(value: DeviceObject) -> DeviceObject:
    """One object as `read` would report it. ValueError says why it cannot be expressed."""
    problem = key_problem(value.key)
    if problem:
        raise ValueError(problem)
    match value:
        case Group():
            return _group(value)
        case Shard():
            raise ValueError("this device takes members one by one; groups have no parts here")
        case Ports():
            return replace(value, ports=_ports(value))
        case RuleList():
            return _rule_list(value)
        case Policy():
            # On the way from a policy that was tampered with, what was odd in it is no list to jump to.
            return replace(value, lists=tuple(dict.fromkeys(one for one in value.lists if one.cluster != ODD)))
        case Attachment():
            return value


def _group(value: Group) -> Group:
    if value.fqdns:
        raise ValueError(f"names mean nothing to the kernel ({', '.join(sorted(value.fqdns))}); state addresses")
    if value.shards:
        raise ValueError("this device takes members one by one; groups have no parts here")
    return replace(value, members=members.canonical(value.members))


def _ports(value: Ports) -> tuple[PortRange, ...]:
    if not value.ports:
        raise ValueError("an empty set of ports would match nothing where its line says every port")
    for port in value.ports:
        if not 0 <= port.first <= port.last <= 65535:
            raise ValueError(f"{port} is no range of ports from 0 to 65535")
    return merged(value.ports)


def _rule_list(value: RuleList) -> RuleList:
    entries = tuple(_entry(entry) for entry in value.entries)
    if len({entry.name for entry in entries}) != len(entries):
        raise ValueError("two lines have one name")
    return replace(value, entries=entries)


def _entry(entry: RuleEntry) -> RuleEntry:
    if not entry.sources or not entry.destinations:
        raise ValueError(f"line {entry.name}: without a source or a destination it would match any")
    if entry.ports and entry.protocol not in WITH_PORTS:
        raise ValueError(f"line {entry.name}: {entry.protocol} has no ports")
    if entry.icmp and entry.protocol not in WITH_TYPES:
        raise ValueError(f"line {entry.name}: {entry.protocol} has no types")
    if entry.bandwidth:
        raise ValueError(f"line {entry.name}: nothing limits the rate here, so {entry.bandwidth} cannot")
    named = entry.number in NUMBERS.values() if entry.protocol is Protocol.OTHER else entry.number != 0
    if named or not 0 <= entry.number <= 255:
        raise ValueError(f"line {entry.name}: {entry.protocol} does not go with number {entry.number}")
    return replace(
        entry,
        icmp=icmp_types(entry.icmp),
        name=line_name(entry.name),
        sources=tuple(sorted(set(entry.sources))),
        destinations=tuple(sorted(set(entry.destinations))),
    )
