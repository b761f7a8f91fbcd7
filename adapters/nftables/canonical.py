"""An intent as the gateway will show it once it is applied. Pure and idempotent; what cannot be expressed is named."""

from dataclasses import replace

from adapters.nftables import ends, members
from adapters.nftables.names import ODD, key_problem, line_name
from bridge.model.canonical import check_line, check_number, check_ports, expressed, in_order, lines
from bridge.model.capabilities import Form
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
from bridge.model.policy import Action, PortRange
from bridge.model.ports import merged
from bridge.model.tiers import attachments


def normalize(intent: Intent, *, attach: bool, form: Form = Form.TIERED) -> Objects:
    """The objects as `read` would report them, attachments included where the settings ask for them.

    Unsupported names every object that cannot be expressed, each with the reason.
    """

    def express(value: DeviceObject) -> DeviceObject | None:
        gathered = whole(value, intent.objects)
        if gathered is None:
            return None
        made = canonical(gathered)
        _check_passes(gathered, form)
        return made

    objects = expressed(intent, express)
    return objects | attachments(objects) if attach else objects


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
        case Schedule():
            return ends.canonical(value)
        case RuleList():
            return replace(value, entries=lines(value.entries, _entry))
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
    check_ports(value.ports)
    return merged(value.ports)


def _entry(entry: RuleEntry) -> RuleEntry:
    check_line(entry, schedules=True)
    if entry.bandwidth:
        raise ValueError(f"line {entry.name}: nothing limits the rate here, so {entry.bandwidth} cannot")
    check_number(entry, range(256))
    return replace(in_order(entry), name=line_name(entry.name))
