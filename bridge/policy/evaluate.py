"""The reference: what policy means for one packet, written to be read in one sitting, straight from SEMANTICS 1, 2 and 4.

It is no part of the path to a device. Every compiled form, read back from a device, must decide each packet as this does; trace and
the tests ask it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol as Interface

from bridge.model import addresses
from bridge.model.observed import Namespace, Pod
from bridge.model.policy import (
    AS_POD,
    Action,
    AddressSource,
    DefaultAction,
    Defaults,
    ExternalService,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    UnknownAddresses,
    View,
)
from bridge.policy.compiled import ClusterPolicy
from bridge.policy.overlap import services_overlap
from bridge.policy.packet import Decision, Packet, Resolve, Verdict, carries, no_names, reaches, within
from bridge.policy.select import governed, selectable, selects
from bridge.policy.validity import in_force

__all__ = [
    "PODS",
    "Crowds",
    "Decision",
    "Packet",
    "Resolve",
    "Scene",
    "Sight",
    "Someone",
    "Verdict",
    "carries",
    "evaluate",
    "is_source",
    "no_names",
    "nobody",
    "reaches",
]


class Scene(Interface):
    """Who is where, at the moment that the packet is decided."""

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        """The pod that holds the address, and its namespace; None when nobody is known to, or two do."""
        ...

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        """Whether the pod stands behind that Service."""
        ...


Someone = tuple[Pod, Namespace | None]
Crowds = Mapping[str, tuple[Someone, ...]]
"""Everyone behind each address as a device sees it: all pods that may still send, whether or not a rule can be about them."""


def nobody(_view: View) -> Crowds:
    """Behind no address anybody stands."""
    return {}


@dataclass(frozen=True, slots=True)
class Sight:
    """How a device sees workloads (SEMANTICS 3), each view for other destinations, and who stands behind what it sees instead of pods.

    `accept_shared` says that the default Deny may meet addresses behind which others stand too.
    """

    views: tuple[View, ...] = (AS_POD,)
    behind: Callable[[View], Crowds] = nobody
    accept_shared: bool = False

    def towards(self, destination: str) -> View:
        """The view for a destination: the one that names it, else the one that names none."""
        naming = (view for view in self.views if within(view.destinations, destination))
        return next(naming, next((view for view in self.views if not view.destinations), AS_POD))


PODS = Sight()


def evaluate(
    policy: ClusterPolicy,
    defaults: Defaults,
    scene: Scene,
    packet: Packet,
    resolve: Resolve = no_names,
    sight: Sight = PODS,
) -> Decision:
    """Inside stays inside, only governed workloads are decided upon; then the tiers in order; then the default."""
    governance = policy.governance
    if within(governance.internal, packet.destination):
        return Decision(Verdict.UNMATCHED, why="the destination lies inside the cluster")
    view = sight.towards(packet.destination)
    if view.source is not AddressSource.POD:
        return _evaluate_as_seen(policy, defaults, scene, packet, resolve, sight, view)
    if not within(governance.pod_ranges, packet.source):
        return Decision(Verdict.UNMATCHED, why="the source lies outside the cluster's pod ranges")
    found = scene.holder(packet.source)
    if found is not None and not governed(found[1], governance):
        return Decision(Verdict.UNMATCHED, why=f"namespace {found[0].namespace} is not governed")
    rules = [rule for rule in in_force(policy.rules, policy.at) if is_source(rule, scene, packet.source)]
    return _first_match(rules, policy, packet, resolve, _default(defaults, known=found is not None))


def _first_match(
    rules: Iterable[Rule], policy: ClusterPolicy, packet: Packet, resolve: Resolve, default: Decision
) -> Decision:
    """Tier by tier, the first of the rules that is about the destination decides or passes on; `rules` are about the source."""
    passed: list[Ref] = []
    for tier in Tier:
        rule = next(_matching((one for one in rules if one.tier is tier), policy, packet, resolve), None)
        if rule is None:
            continue
        if rule.action is not Action.PASS:
            return Decision(Verdict(rule.action), rule.ref, tier, tuple(passed))
        passed.append(rule.ref)
    return replace(default, passed=tuple(passed))


def _matching(rules: Iterable[Rule], policy: ClusterPolicy, packet: Packet, resolve: Resolve) -> Iterator[Rule]:
    for rule in sorted(rules, key=lambda one: one.order):
        services = (policy.externals[ref] for ref in rule.destinations if ref in policy.externals)
        if any(reaches(one, packet, resolve) for one in services):
            yield rule


def is_source(rule: Rule, scene: Scene, address: str) -> bool:
    """Whether a packet from this address, which lies in the pod ranges and is not exempt, is one of the rule's."""
    source, found = rule.source, scene.holder(address)
    if source.whole_cluster:
        return True  # the pod ranges less the exempt, whoever holds the address
    if source.kind is SourceKind.PREFIXES:
        return within(source.prefixes, address)
    return found is not None and _is_selected(source, scene, found)


def _is_selected(source: Source, scene: Scene, someone: Someone) -> bool:
    pod, namespace = someone
    if not selectable(pod):
        return False
    if source.kind is SourceKind.SERVICE:
        return pod.namespace == source.namespace and scene.behind(source.namespace, source.service, pod)
    return selects(source, pod, namespace)


def _default(defaults: Defaults, *, known: bool) -> Decision:
    if known:
        denies, why = defaults.action is DefaultAction.DENY, "the default for governed workloads"
    else:
        denies, why = defaults.unknown_addresses is UnknownAddresses.DENY, "the default for addresses nobody holds"
    return Decision(Verdict.DENY if denies else Verdict.UNMATCHED, why=why)


def _evaluate_as_seen(
    policy: ClusterPolicy,
    defaults: Defaults,
    scene: Scene,
    packet: Packet,
    resolve: Resolve,
    sight: Sight,
    view: View,
) -> Decision:
    """The same where the device sees no pods: a packet may be anybody's who stands behind its source.

    A rule is about it when one of those is a member of the rule's source. What is over-broad is not in force, unless that is accepted,
    and an Allow is not in force below what would stop something and is not.
    """
    crowds = sight.behind(view)
    here = crowds.get(packet.source, ())
    part = replace(policy, externals=dict(_towards(policy, sight.views, view)))
    rules = [
        rule
        for rule in _standing_as_seen(part, scene, crowds)
        if any(_is_member(rule.source, policy, scene, one) for one in here)
    ]
    if not any(_is_member(_EVERYONE, policy, scene, one) for one in here):
        return Decision(
            Verdict.UNMATCHED, why=f"nobody who is governed is known behind the address, seen as {view.source}"
        )
    if not sight.accept_shared and _is_over_broad(_EVERYONE, policy, scene, crowds):
        default = Decision(
            Verdict.UNMATCHED, why="the default is not in force: others share addresses with governed workloads"
        )
    else:
        default = _default(defaults, known=True)
    return _first_match(rules, part, packet, resolve, default)


_EVERYONE = Source(SourceKind.CLUSTER)


def _towards(policy: ClusterPolicy, views: Iterable[View], view: View) -> Iterator[tuple[Ref, ExternalService]]:
    """The external services as far as they lie where this view is about."""
    others = [member for one in views if one != view for member in one.destinations]
    for ref, service in policy.externals.items():
        outside = addresses.subtract(service.addresses, policy.governance.internal)
        away = addresses.subtract(outside, view.destinations) if view.destinations else others
        yield ref, replace(service, addresses=addresses.subtract(outside, away))


def _standing_as_seen(policy: ClusterPolicy, scene: Scene, crowds: Crowds) -> list[Rule]:
    """The rules that count at the moment and are in force where the device sees these addresses."""
    standing: list[Rule] = []
    out: list[Rule] = []
    for rule in sorted(in_force(policy.rules, policy.at), key=lambda one: (one.tier.rank, one.order)):
        if not rule.accept_shared and _is_over_broad(rule.source, policy, scene, crowds):
            out.append(rule)
        elif rule.action is not Action.ALLOW or not any(_meet(one, rule, policy) for one in out):
            standing.append(rule)
    return standing


def _meet(out: Rule, allow: Rule, policy: ClusterPolicy) -> bool:
    """Whether a rule that is not in force could have stopped something that an Allow below it lets through; anybody may be anywhere."""
    pairs = ((policy.externals.get(a), policy.externals.get(b)) for a in out.destinations for b in allow.destinations)
    return out.action is not Action.ALLOW and any(a is None or b is None or services_overlap(a, b) for a, b in pairs)


def _is_over_broad(source: Source, policy: ClusterPolicy, scene: Scene, crowds: Crowds) -> bool:
    """Whether somebody who is not in the source stands behind an address that it is seen as."""
    return any(
        any(_is_member(source, policy, scene, one) for one in crowd)
        and not all(_is_in(source, policy, scene, one) for one in crowd)
        for crowd in crowds.values()
    )


def _is_member(source: Source, policy: ClusterPolicy, scene: Scene, someone: Someone) -> bool:
    """Whether a pod is in the source and holds an address of the pod ranges."""
    for address in someone[0].addresses:
        found = scene.holder(address) if within(policy.governance.pod_ranges, address) else None
        if found is not None and found[0].uid == someone[0].uid and _is_in(source, policy, scene, someone):
            return True
    return False


def _is_in(source: Source, policy: ClusterPolicy, scene: Scene, someone: Someone) -> bool:
    """Whether a rule of this source is about the pod, be it without an address yet."""
    pod, namespace = someone
    if not governed(namespace, policy.governance):
        return False
    if source.kind is SourceKind.PREFIXES:
        return selectable(pod) and any(within(source.prefixes, address) for address in pod.addresses)
    return _is_selected(source, scene, someone)
