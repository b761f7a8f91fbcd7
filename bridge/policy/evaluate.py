"""The reference: what policy means for one packet, written to be read in one sitting, straight from SEMANTICS 1, 2 and 4.

It is no part of the path to a device. Every compiled form, read back from a device, must decide each packet as this does; trace and
the tests ask it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol as Interface

from bridge.model import addresses
from bridge.model.observed import Namespace, Pod
from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    IcmpType,
    Protocol,
    Ref,
    Rule,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.compiled import ClusterPolicy
from bridge.policy.select import governed, selectable, selects
from bridge.policy.validity import in_force


class Verdict(StrEnum):
    """What becomes of a packet; one that nothing matches goes on to whatever the device's owner has behind our rules."""

    ALLOW = "Allow"
    DENY = "Deny"
    REJECT = "Reject"
    UNMATCHED = "unmatched"

    @property
    def stops(self) -> bool:
        """Whether the packet goes no further."""
        return self in (Verdict.DENY, Verdict.REJECT)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as the device sees it, with canonical addresses; `port` is 0 where the protocol has none.

    `icmp` is of ICMP and ICMPv6, type and code; `number` tells which protocol OTHER is.
    """

    source: str
    destination: str
    protocol: Protocol
    port: int = 0
    icmp: IcmpType | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the packet, by which rule (None: the default, or nothing of ours), and the rules that matched on the way."""

    verdict: Verdict
    rule: Ref | None = None
    tier: Tier | None = None
    passed: tuple[Ref, ...] = ()
    why: str = ""


class Scene(Interface):
    """Who is where, at the moment that the packet is decided."""

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        """The pod that holds the address, and its namespace; None when nobody is known to, or two do."""
        ...

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        """Whether the pod stands behind that Service."""
        ...


Resolve = Callable[[str, str], bool]
"""Whether a name stands for an address."""


def no_names(_name: str, _address: str) -> bool:
    """No name stands for any address."""
    return False


def evaluate(
    policy: ClusterPolicy, defaults: Defaults, scene: Scene, packet: Packet, resolve: Resolve = no_names
) -> Decision:
    """Inside stays inside, only governed workloads are decided upon; then the tiers in order; then the default."""
    governance = policy.governance
    if not _within(governance.pod_ranges, packet.source):
        return Decision(Verdict.UNMATCHED, why="the source lies outside the cluster's pod ranges")
    if _within(governance.internal, packet.destination):
        return Decision(Verdict.UNMATCHED, why="the destination lies inside the cluster")
    found = scene.holder(packet.source)
    if found is not None and not governed(found[1], governance):
        return Decision(Verdict.UNMATCHED, why=f"namespace {found[0].namespace} is not governed")
    passed: list[Ref] = []
    for tier in Tier:
        rule = next(_matching(policy, tier, scene, packet, resolve), None)
        if rule is None:
            continue
        if rule.action is not Action.PASS:
            return Decision(Verdict(rule.action), rule.ref, tier, tuple(passed))
        passed.append(rule.ref)
    return _default(defaults, known=found is not None, passed=tuple(passed))


def _matching(policy: ClusterPolicy, tier: Tier, scene: Scene, packet: Packet, resolve: Resolve) -> Iterator[Rule]:
    """The rules of the tier that count at the moment and match, in their order."""
    rules = in_force((one for one in policy.rules if one.tier is tier), policy.at)
    for rule in sorted(rules, key=lambda one: one.order):
        services = (policy.externals[ref] for ref in rule.destinations if ref in policy.externals)
        if is_source(rule, scene, packet.source) and any(reaches(one, packet, resolve) for one in services):
            yield rule


def is_source(rule: Rule, scene: Scene, address: str) -> bool:
    """Whether a packet from this address, which lies in the pod ranges and is not exempt, is one of the rule's."""
    source, found = rule.source, scene.holder(address)
    if source.whole_cluster:
        return True  # the pod ranges less the exempt, whoever holds the address
    if found is None or not selectable(found[0]):
        return False
    pod, namespace = found
    if source.kind is SourceKind.SERVICE:
        return pod.namespace == source.namespace and scene.behind(source.namespace, source.service, pod)
    return selects(source, pod, namespace)


def reaches(service: ExternalService, packet: Packet, resolve: Resolve = no_names) -> bool:
    """Whether the packet goes to this external service."""
    meant = _within(service.addresses, packet.destination) or any(
        resolve(name, packet.destination) for name in service.fqdns
    )
    return meant and any(carries(traffic, packet) for traffic in service.traffic)


def carries(traffic: Traffic, packet: Packet) -> bool:
    """Whether the packet is of this protocol and to one of these ports, or of one of these types."""
    if traffic.protocol is Protocol.ANY:
        return True
    if (traffic.protocol, traffic.number) != (packet.protocol, packet.number):
        return False
    if traffic.icmp:
        return any(_is_of(packet.icmp, one) for one in traffic.icmp)
    return not traffic.ports or any(ports.first <= packet.port <= ports.last for ports in traffic.ports)


def _is_of(message: IcmpType | None, meant: IcmpType) -> bool:
    return message is not None and message.type == meant.type and meant.code in (None, message.code)


def _default(defaults: Defaults, *, known: bool, passed: tuple[Ref, ...]) -> Decision:
    if known:
        denies, why = defaults.action is DefaultAction.DENY, "the default for governed workloads"
    else:
        denies, why = defaults.unknown_addresses is UnknownAddresses.DENY, "the default for addresses nobody holds"
    return Decision(Verdict.DENY if denies else Verdict.UNMATCHED, passed=passed, why=why)


def _within(members: tuple[str, ...], address: str) -> bool:
    return addresses.overlap(members, (address,))
