"""An intent as the unit will show it once it is applied. Pure and idempotent; what cannot be expressed is named."""

from dataclasses import replace

from adapters.fortigate.addresses import FQDN, NOWHERE
from adapters.fortigate.groups import ODD
from adapters.fortigate.names import COMMENT_LENGTH, Names, line_name
from adapters.fortigate.scope import Scope
from bridge.model.addresses import canonical_member
from bridge.model.canonical import NO_SCHEDULES, check_line, check_number, check_ports, expressed, in_order, lines
from bridge.model.identity import Kind, ObjectKey
from bridge.model.identity import Scope as KeyScope
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
from bridge.model.schedules import check_schedule, until_of
from bridge.model.tiers import attachments

RULES = (Kind.RULE_LIST, Kind.POLICY, Kind.ATTACHMENT)
_NOBODY = frozenset({*NOWHERE, ODD})
UNUSED = ObjectKey(Kind.GROUP, "", KeyScope.BUILTIN, "", "unused")
"""What an interrupted change left behind, as a group that nobody wants: the next plan takes it away."""


def normalize(intent: Intent, scope: Scope, names: Names) -> Objects:
    """The objects as `read` would report them; rules only where the bridge keeps them, attachments where the settings ask for them.

    What a schedule is stands in the lines that name it: on the unit it is a shared entry, as addresses are, and no object of its own.
    Unsupported names every object that cannot be expressed, each with the reason.
    """

    def express(value: DeviceObject) -> DeviceObject | None:
        canonical = _canonical(value, scope, names)
        if isinstance(value, Schedule):
            return None
        return canonical if scope.policies or value.key.kind not in RULES else None

    objects = expressed(intent, express)
    return objects | attachments(objects) if scope.policies and scope.attach else objects


def _canonical(value: DeviceObject, scope: Scope, names: Names) -> DeviceObject:
    problem = names.key_problem(value.key)
    if problem:
        raise ValueError(problem)
    match value:
        case Group():
            return _group(value, scope, names)
        case Shard():
            return replace(value, members=_members(value.members, scope))
        case Ports():
            return replace(value, ports=_ports(value))
        case Schedule():
            return _schedule(value, scope)
        case RuleList():
            return replace(value, entries=lines(value.entries, lambda entry: _entry(entry, scope)))
        case Policy():
            return replace(value, lists=tuple(dict.fromkeys(value.lists)))
        case Attachment():
            return value


def _group(value: Group, scope: Scope, names: Names) -> Group:
    if value.shards and value.members:
        raise ValueError("a group holds members or shards, not both")
    starred = [name for name in sorted(value.fqdns) if "*" in name]
    if starred and not scope.wildcards:
        raise ValueError(
            f"{starred[0]}: a FortiGate learns such names only from DNS answers that pass it; see wildcards"
        )
    long = [name for name in sorted(value.fqdns) if len(names.mark(f"{FQDN}{name}")) > COMMENT_LENGTH]
    if long:
        raise ValueError(f"{long[0]}: too long for the comment that says whose its address on the device is")
    if value.pushed:
        return _feed(value, scope)
    members = _members(value.members, scope)
    if value.fqdns and len(members) + len(value.fqdns) > scope.group_members:
        raise ValueError(_TOO_MANY.format(scope.group_members))
    return replace(value, members=members)


_TOO_MANY = "more members than the {} that one group takes on this device"


def _feed(value: Group, scope: Scope) -> Group:
    if scope.feeds is None or not scope.feeds.most:
        raise ValueError("feeds are not in the settings of this device, or its version takes none")
    if value.fqdns or value.shards:
        raise ValueError("a feed holds addresses, in one piece")
    if len(value.members) > scope.feeds.entries:
        raise ValueError(f"more members than the {scope.feeds.entries} that the settings have for feeds")
    return replace(value, members=_hosts(value.members, scope)[0])


def _hosts(members: frozenset[str], scope: Scope) -> tuple[frozenset[str], int]:
    """Members in canonical form, and how many of them are of IPv6."""
    canonical = frozenset(map(canonical_member, members))
    if not _NOBODY.isdisjoint(canonical):
        raise ValueError("0.0.0.0, :: and 255.255.255.255 are no hosts and cannot be members on this device")
    six = sum(":" in member for member in canonical)
    if six and not scope.ipv6:
        raise ValueError("the settings of this device say that it has no IPv6")
    return canonical, six


def _members(members: frozenset[str], scope: Scope) -> frozenset[str]:
    canonical, six = _hosts(members, scope)
    if max(six, len(canonical) - six) > scope.group_members:
        raise ValueError(_TOO_MANY.format(scope.group_members))
    return canonical


def _ports(value: Ports) -> tuple[PortRange, ...]:
    if not value.ports:
        raise ValueError("an empty set of ports would match every port")
    check_ports(value.ports)
    return merged(value.ports)


def _schedule(value: Schedule, scope: Scope) -> Schedule:
    if scope.zone is None:
        raise ValueError(NO_SCHEDULES)
    check_schedule(value)
    if until_of(value.key) != value.until:
        raise ValueError("its name tells another end")
    return value


def _entry(entry: RuleEntry, scope: Scope) -> RuleEntry:
    check_line(entry, schedules=scope.zone is not None)
    if entry.schedule is not None:
        until_of(entry.schedule)
    if entry.action is Action.PASS:
        raise ValueError(f"line {entry.name}: a FortiGate has no Pass, for no tier follows")
    if entry.bandwidth:
        raise ValueError(f"line {entry.name}: nothing limits the rate here, so {entry.bandwidth} cannot")
    check_number(entry, range(1, 255))
    return replace(in_order(entry), name=line_name(entry.name))
