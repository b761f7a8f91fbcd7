"""Addresses as seen: the evaluator, a second writing of the same, and what is compiled, for devices that see nodes and egresses."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group, RuleList
from bridge.model.observed import Namespace, Pod
from bridge.model.policy import (
    Action,
    AddressSource,
    DefaultAction,
    Defaults,
    ExternalService,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
    View,
)
from bridge.policy.compile import Compiled, compile_policy
from bridge.policy.evaluate import Crowds, Decision, Sight, evaluate
from bridge.policy.evaluate import Packet as Sent
from bridge.policy.select import service_selects
from tests.policy import device
from tests.policy.site import ALL_NODES, NODES, SEEN, SIGHTS, Site, decide, seen, shared, sites
from tests.policy.world import (
    ADDRESSES,
    ALL_EXTERNALS,
    EXTERNALS,
    NAMESPACES,
    OUTSIDE,
    SERVICES,
    STRANGER,
    Holder,
    Packet,
    World,
)

PACKETS = tuple(
    Packet(source, destination, Protocol.TCP, port)
    for source in (*ADDRESSES, *SEEN, STRANGER)
    for destination in OUTSIDE
    if (":" in source) == (":" in destination)
    for port in (80,)
)


class Scene:
    """The site as the evaluator asks for it."""

    def __init__(self, site: Site) -> None:
        pods = [
            _pod(f"p{number}", held, (address,), site.nodes[address])
            for number, (address, held) in enumerate(site.world.holders.items())
        ]
        self._crowds: dict[View, Crowds] = {}
        self._holders = {pod.addresses[0]: pod for pod in pods}
        self._pods = pods + [
            replace(_pod(f"l{number}", one.holder, (), one.node), host_network=one.on_host)
            for number, one in enumerate(site.lodgers)
        ]

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        pod = self._holders.get(address)
        return None if pod is None else (pod, _namespace(pod.namespace))

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        return service_selects(SERVICES[namespace, service], pod)

    def crowds(self, view: View) -> Crowds:
        if view not in self._crowds:
            self._crowds[view] = self._found(view)
        return self._crowds[view]

    def _found(self, view: View) -> Crowds:
        found: dict[str, tuple[tuple[Pod, Namespace | None], ...]] = {}
        for pod in self._pods:
            if view.source is AddressSource.NODE:
                places = NODES.get(pod.node, ())
            else:
                places = view.addresses if not view.namespaces or pod.namespace in view.namespaces else ()
            for place in places:
                found[place] = (*found.get(place, ()), (pod, _namespace(pod.namespace)))
        return found


def _pod(uid: str, held: Holder, addresses: tuple[str, ...], node: str) -> Pod:
    return Pod(
        uid, held.namespace, uid, "1", held.labels, {}, held.account, "", node, "Running", False, addresses, None, False, ()
    )  # fmt: skip


def _namespace(name: str) -> Namespace:
    return Namespace(name, name, "1", NAMESPACES[name], {}, deleting=False)


def _evaluated(scene: Scene, site: Site, packet: Packet, views: tuple[View, ...], *, accept: bool) -> Decision:
    sight = Sight(views, scene.crowds, accept)
    sent = Sent(packet.source, packet.destination, packet.protocol, packet.port)
    return evaluate(site.world.policy, site.world.defaults, scene, sent, sight=sight)


def _compiled(site: Site, views: tuple[View, ...], *, accept: bool, form: Form = Form.TIERED) -> Compiled:
    """What is in force: counted once, compiled twice, and what is withheld left out as on a new device."""
    target = replace(site.world.target(form=form), views=views, accept_shared=accept)
    first = compile_policy(site.world.policy, target)
    compiled = compile_policy(replace(site.world.policy, shared=shared(first.watched, site)), target)
    for key, value in compiled.objects.items():
        if isinstance(value, RuleList):
            kept = tuple(entry for entry in value.entries if not entry.withheld)
            compiled.objects[key] = replace(value, entries=kept)
    return compiled


def _holdings(compiled: Compiled, site: Site) -> Mapping[ObjectKey, DeviceObject]:
    as_seen = {key: one for key, one in compiled.groups.items() if one[0].view.source is not AddressSource.POD}
    for key in as_seen:
        del compiled.groups[key]
    objects = device.holdings(compiled, site.world)
    return objects | {key: Group(key, frozenset(seen(one, site))) for key, one in as_seen.items()}


@settings(max_examples=40)
@given(sites(), st.sampled_from(SIGHTS), st.booleans())
def test_two_writings_agree_on_what_is_seen(site: Site, views: tuple[View, ...], accept: bool) -> None:
    scene = Scene(site)
    for packet in PACKETS:
        found = _evaluated(scene, site, packet, views, accept=accept)
        assert found.verdict.value == decide(site, packet, views, accept=accept).value, packet


@settings(max_examples=40)
@given(sites(), st.sampled_from(SIGHTS), st.booleans())
def test_what_is_compiled_decides_by_what_is_seen(site: Site, views: tuple[View, ...], accept: bool) -> None:
    objects = _holdings(_compiled(site, views, accept=accept), site)
    assert not device.dangling(objects)
    for packet in PACKETS:
        assert device.decide(objects, packet).value == decide(site, packet, views, accept=accept).value, packet


@settings(max_examples=40)
@given(sites(), st.sampled_from(SIGHTS), st.booleans())
def test_flat_and_allow_only_devices_decide_alike(site: Site, views: tuple[View, ...], accept: bool) -> None:
    """Exactly; but for packets of a rule that has no form there, as everything but one port has none: those are let through by nobody."""
    scene = Scene(site)
    flat, allows = (_compiled(site, views, accept=accept, form=form) for form in (Form.FLAT, Form.ALLOW_ONLY))
    on_flat, on_allows = _holdings(flat, site), _holdings(allows, site)
    for packet in PACKETS:
        meant, decision = (
            decide(site, packet, views, accept=accept).value,
            _evaluated(scene, site, packet, views, accept=accept),
        )
        got = device.decide(on_flat, packet).value
        assert got == meant or (_refuses(flat, decision) and got != "Allow"), packet
        through = device.lets_through(on_allows, packet)
        assert through == (meant == "Allow") or (_refuses(allows, decision) and not through), packet


def _refuses(compiled: Compiled, decision: Decision) -> bool:
    """Whether the rule that decides, or one that passed it on, has no form on the device, or is withheld since another has none."""
    told = {ref: one.reason for ref, one in compiled.remarks.items()}
    asked = {told.get(ref) for ref in (decision.rule, *decision.passed) if ref is not None}
    return "Unsupported" in asked or ("Withheld" in asked and "Unsupported" in told.values())


def _on_one_node(*rules: Rule) -> Site:
    """A pod of each governed namespace on node a, and these rules."""
    services = {ref: ExternalService(ref, ("192.0.2.1",), (), (Traffic(Protocol.ANY),)) for ref in ALL_EXTERNALS}
    holders = {"10.0.0.1": Holder("shop", {"app": "pay"}), "10.0.0.2": Holder("bank", {"app": "pay"})}
    nothing = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
    return Site(World(holders, rules, services, nothing), dict.fromkeys(holders, "a"), ())


def _rule(namespace: str, action: Action, priority: int, *, accept: bool = True) -> Rule:
    ref, source = Ref("NamespaceEgressRule", namespace, "out"), Source(SourceKind.NAMESPACE, namespace)
    return Rule(ref, Tier.NAMESPACE, priority, action, source, EXTERNALS[namespace], log=False, accept_shared=accept)


def test_rules_of_two_namespaces_that_share_an_address_keep_their_order() -> None:
    site = _on_one_node(_rule("bank", Action.ALLOW, 2), _rule("shop", Action.DENY, 1))
    packet = Packet("10.9.0.1", "192.0.2.1", Protocol.TCP, 80)
    objects = _holdings(_compiled(site, (ALL_NODES,), accept=True), site)
    assert decide(site, packet, (ALL_NODES,), accept=True).value == "Deny"
    assert device.decide(objects, packet).value == "Deny"


def test_a_deny_of_another_namespace_that_is_over_broad_withholds_too() -> None:
    site = _on_one_node(_rule("bank", Action.ALLOW, 2), _rule("shop", Action.DENY, 1, accept=False))
    packet = Packet("10.9.0.1", "192.0.2.1", Protocol.TCP, 80)
    objects = _holdings(_compiled(site, (ALL_NODES,), accept=True), site)
    assert decide(site, packet, (ALL_NODES,), accept=True).value == "unmatched"
    assert device.decide(objects, packet).value == "unmatched"
