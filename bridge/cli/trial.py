"""What is built where a device is tried: a small site, and one more for each thing that a kind of device may claim to express."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bridge.model.capabilities import Capabilities
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Policy, Ports, RuleEntry, RuleList
from bridge.model.policy import Action, IcmpType, PortRange, Protocol, Tier
from bridge.model.schedules import schedule_after
from bridge.model.tiers import policy_key

Site = dict[ObjectKey, DeviceObject]

_CLUSTER, _NAMESPACE = "canary", "trial"
MEMBERS, OTHER = ("192.0.2.10", "192.0.2.11"), "192.0.2.12"
_V6 = "2001:db8::10"
_THERE = "198.51.100.0/24"


def _key(kind: Kind, name: str = "", scope: Scope = Scope.SERVICE) -> ObjectKey:
    return ObjectKey(kind, _CLUSTER, scope, _NAMESPACE, name)


GROUP, EMPTY, PLACE = (
    _key(Kind.GROUP, "workload"),
    _key(Kind.GROUP, "nobody"),
    _key(Kind.GROUP, "there", Scope.EXTERNAL),
)
_PORTS, _LIST = _key(Kind.PORTS, "there.tcp", Scope.EXTERNAL), _key(Kind.RULE_LIST)
HALVES = tuple(Group(_key(Kind.GROUP, f"half-{number}"), frozenset({"192.0.2.40"})) for number in (1, 2))
IMPOSSIBLE = tuple(
    Ports(_key(Kind.PORTS, f"{name}.tcp", Scope.EXTERNAL), (PortRange(port, port),))
    for name, port in (("fair", 8443), ("unfair", 70_000))
)
"""Two sets of ports of which no device can take the last: a port is a number of sixteen bits."""
FLOW = Flow(MEMBERS[0], "198.51.100.1", Protocol.TCP, 40000, 443)


def site_of(*more: RuleEntry, members: frozenset[str] = frozenset(MEMBERS)) -> Site:
    """Two workloads and nobody may reach a place by one port; lines of which some may stand before that."""
    ports = Ports(_PORTS, (PortRange(443, 443), PortRange(8000, 8010)))
    entries = (*more, _line("pay", GROUP), _line("none", EMPTY))
    values: tuple[DeviceObject, ...] = (
        Group(GROUP, members),
        Group(EMPTY),
        Group(PLACE, frozenset({_THERE, "203.0.113.5-203.0.113.9"})),
        ports,
        RuleList(_LIST, entries),
        Policy(policy_key(Tier.SERVICE), (_LIST,)),
    )
    return {value.key: value for value in values}


def several() -> Site:
    """The site with several more groups: enough for one change of many writes."""
    groups = (Group(_key(Kind.GROUP, f"more-{number}"), frozenset({f"192.0.2.{number}"})) for number in range(20, 30))
    return site_of() | {group.key: group for group in groups}


def many(size: int) -> tuple[Group, ...]:
    """A group of so many members, and what it becomes: one less, another one more, one for another, and a prefix for a part of it."""
    key = _key(Kind.GROUP, "many")
    first = frozenset(f"203.0.113.{2 * number}" for number in range(10, 10 + size))
    less = first - {"203.0.113.20"}
    more = less | {"192.0.2.50"}
    other = more - {"203.0.113.22"} | {"192.0.2.51"}
    wider = other - {"203.0.113.24"} | {"203.0.113.24/31"}
    return tuple(Group(key, members) for members in (first, less, more, other, wider))


def _line(
    name: str, source: ObjectKey, action: Action = Action.ALLOW, protocol: Protocol = Protocol.TCP, *, log: bool = False
) -> RuleEntry:
    named = _PORTS if protocol is Protocol.TCP else None
    return RuleEntry(name, action, (source,), (PLACE,), protocol, named, log)


def _icmp(_can: Capabilities) -> Site:
    return site_of(RuleEntry("echo", Action.ALLOW, (GROUP,), (PLACE,), Protocol.ICMP, icmp=(IcmpType(8),)))


def _other(_can: Capabilities) -> Site:
    return site_of(RuleEntry("tunnel", Action.ALLOW, (GROUP,), (PLACE,), Protocol.OTHER, number=47))


def _sctp(_can: Capabilities) -> Site:
    return site_of(RuleEntry("signals", Action.ALLOW, (GROUP,), (PLACE,), Protocol.SCTP, _PORTS))


def _named(name: str) -> Callable[[Capabilities], Site]:
    def made(_can: Capabilities) -> Site:
        group = Group(_key(Kind.GROUP, "named", Scope.EXTERNAL), fqdns=frozenset({name}))
        line = RuleEntry("by-name", Action.ALLOW, (GROUP,), (group.key,), Protocol.TCP, _PORTS)
        return site_of(line) | {group.key: group}

    return made


def _limited(can: Capabilities) -> Site:
    line = RuleEntry("slow", Action.ALLOW, (GROUP,), (PLACE,), Protocol.TCP, _PORTS, bandwidth=can.bandwidth[0])
    return site_of(line)


def _ending(_can: Capabilities) -> Site:
    schedule = schedule_after(_CLUSTER, datetime.now(UTC) + timedelta(days=1))
    line = replace(_line("until", GROUP), schedule=schedule.key)
    return site_of(line) | {schedule.key: schedule}


FEATURES: Mapping[str, Callable[[Capabilities], Site]] = {
    "deny": lambda _can: site_of(_line("deny", GROUP, Action.DENY)),
    "reject": lambda _can: site_of(_line("reject", GROUP, Action.REJECT)),
    "log": lambda _can: site_of(_line("log", GROUP, log=True)),
    "ipv6": lambda _can: site_of(members=frozenset({*MEMBERS, _V6})),
    "icmp_types": _icmp,
    "protocols": _other,
    "sctp_ports": _sctp,
    "fqdn": _named("service.example.com"),
    "wildcards": _named("*.example.com"),
    "bandwidth": _limited,
    "schedules": _ending,
}
"""By the name of the capability, what is built to try it."""
