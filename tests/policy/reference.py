"""What policy means for one packet, written for clarity and from the text of the semantics alone."""

from collections.abc import Callable
from enum import StrEnum
from functools import cache

from bridge.model.addresses import overlap
from bridge.model.policy import (
    Action,
    DefaultAction,
    ExternalService,
    Protocol,
    Rule,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from tests.policy.world import GOVERNANCE, GOVERNED, NAMESPACES, SERVICES, Packet, World

Resolve = Callable[[str, str], bool]
"""Whether a name stands for an address."""


class Decision(StrEnum):
    """What becomes of a packet; unmatched goes on to whatever the device's owner has behind our rules."""

    ALLOW = "Allow"
    DENY = "Deny"
    REJECT = "Reject"
    UNMATCHED = "unmatched"

    @property
    def stopped(self) -> bool:
        return self in (Decision.DENY, Decision.REJECT)


def nothing(name: str, address: str) -> bool:
    """No name stands for any address."""
    return False


def anything(name: str, address: str) -> bool:
    """Every name stands for every address."""
    return True


def decide(world: World, packet: Packet, resolve: Resolve = nothing) -> Decision:
    """Inside stays inside, and only sources of the cluster are governed; then the tiers; then the default."""
    if not _within(GOVERNANCE.pod_ranges, packet.source) or _within(GOVERNANCE.internal, packet.destination):
        return Decision.UNMATCHED
    holder = world.holders.get(packet.source)
    if holder and holder.namespace not in GOVERNED:
        return Decision.UNMATCHED
    for tier in (Tier.CLUSTER, Tier.NAMESPACE, Tier.SERVICE):
        action = _decide_in(tier, world, packet, resolve)
        if action and action is not Action.PASS:
            return Decision(action)
    return _default(world, known=holder is not None)


def _decide_in(tier: Tier, world: World, packet: Packet, resolve: Resolve) -> Action | None:
    """The first rule of the tier that matches."""
    first = {Action.DENY: 0, Action.REJECT: 0, Action.PASS: 1, Action.ALLOW: 2}
    rules = [rule for rule in world.rules if rule.tier is tier]
    for rule in sorted(rules, key=lambda r: (r.priority, first[r.action], r.ref.namespace, r.ref.name)):
        if _from(rule, world, packet.source) and any(
            reaches(world.externals[ref], packet, resolve) for ref in rule.destinations
        ):
            return rule.action
    return None


def _from(rule: Rule, world: World, address: str) -> bool:
    source, holder = rule.source, world.holders.get(address)
    labels = (*source.pods.requirements, *source.namespaces.requirements)
    if source.kind is SourceKind.CLUSTER and not labels and not source.service_accounts:
        return True  # the pod ranges, whoever holds them
    if holder is None or holder.namespace not in GOVERNED:
        return False
    accounts = [tuple(account.split("/")) for account in source.service_accounts]
    runs_as = not accounts or (holder.namespace, holder.account) in accounts
    if source.kind is SourceKind.CLUSTER:
        matches = source.pods.matches(holder.labels) and source.namespaces.matches(NAMESPACES[holder.namespace])
        return runs_as and matches
    if holder.namespace != source.namespace or not runs_as:
        return False
    if source.kind is SourceKind.NAMESPACE:
        return source.pods.matches(holder.labels)
    selector = SERVICES[source.namespace, source.service]
    return bool(selector) and selector.items() <= holder.labels.items()


def reaches(service: ExternalService, packet: Packet, resolve: Resolve = nothing) -> bool:
    """Whether a packet goes there."""
    meant = _within(service.addresses, packet.destination) or any(
        resolve(name, packet.destination) for name in service.fqdns
    )
    return meant and any(_carries(traffic, packet) for traffic in service.traffic)


def _carries(traffic: Traffic, packet: Packet) -> bool:
    if traffic.protocol is Protocol.ANY:
        return True
    if traffic.protocol is not packet.protocol:
        return False
    if traffic.protocol is Protocol.OTHER:
        return traffic.number == packet.number
    if packet.icmp is not None and traffic.icmp:
        return (packet.icmp.type, packet.icmp.code) in [
            (each.type, packet.icmp.code if each.code is None else each.code) for each in traffic.icmp
        ]
    return not traffic.ports or any(ports.first <= packet.port <= ports.last for ports in traffic.ports)


def _default(world: World, *, known: bool) -> Decision:
    denies = (
        world.defaults.action is DefaultAction.DENY
        if known
        else world.defaults.unknown_addresses is UnknownAddresses.DENY
    )
    return Decision.DENY if denies else Decision.UNMATCHED


@cache
def _within(prefixes: tuple[str, ...], address: str) -> bool:
    return overlap(prefixes, (address,))
