"""Real packets through a gateway that this adapter runs: each attempt goes exactly as the evaluator says."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.nftables import NftablesAdapter, factory
from bridge.model.intent import EVERYTHING, Intent
from bridge.model.plan import Fence
from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    IcmpType,
    PortRange,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.compile import Target, compile_policy
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict, evaluate
from tests.adapters.nftables.machine import kernel, nft
from tests.adapters.nftables.rig import TABLE, config
from tests.packets.network import Attempt, Fate, Network, inside, network
from tests.policy.device import holdings
from tests.policy.test_evaluate import Scene
from tests.policy.world import ADDRESSES, OUTSIDE, Holder, World, worlds

pytestmark = [kernel, pytest.mark.timeout(120)]

FENCE = Fence(1, "packets")
PODS = tuple("abcdef")
_KINDS = ((Protocol.TCP, 80), (Protocol.TCP, 443), (Protocol.UDP, 53), (Protocol.ICMP, 0))
_EXPECTED = {
    Verdict.ALLOW: Fate.THROUGH,
    Verdict.UNMATCHED: Fate.THROUGH,
    Verdict.DENY: Fate.DROPPED,
    Verdict.REJECT: Fate.REJECTED,
}
ATTEMPTS = tuple(
    Attempt(source, to, Protocol.ICMPV6 if protocol is Protocol.ICMP and ":" in to else protocol, port)
    for source in ADDRESSES
    for to in OUTSIDE
    if (":" in source) == (":" in to)
    for protocol, port in _KINDS
)


@dataclass
class Gateway:
    """A network, and the adapter that runs its gateway."""

    network: Network
    adapter: NftablesAdapter

    def enforce(self, world: World) -> None:
        """Bring the policy of this world onto the gateway."""
        target = Target("edge", self.adapter.capabilities, world.defaults)
        objects = holdings(compile_policy(world.policy, target), world)
        want = self.adapter.normalize(Intent("edge", objects))
        have = self.adapter.read(EVERYTHING).objects
        steps = diff(have, Intent("edge", want))
        self.adapter.apply(plan("edge", steps, have, self.adapter.capabilities, self.adapter.limits), FENCE)
        assert self.adapter.read(EVERYTHING).objects == want

    def check(self, world: World) -> None:
        """Every attempt goes as the evaluator says."""
        fates = self.network.try_all(ATTEMPTS, lambda one: expected(world, one))
        wrong = {one: (fate, expected(world, one)) for one, fate in fates.items() if fate is not expected(world, one)}
        assert not wrong


def verdict(world: World, one: Attempt) -> Verdict:
    """What the evaluator says of it."""
    types = {Protocol.ICMP: IcmpType(8, 0), Protocol.ICMPV6: IcmpType(128, 0)}
    packet = Packet(one.source, one.destination, one.protocol, one.port, types.get(one.protocol))
    return evaluate(world.policy, world.defaults, Scene(world), packet).verdict


def expected(world: World, one: Attempt) -> Fate:
    """What its sender sees of that."""
    return _EXPECTED[verdict(world, one)]


@pytest.fixture(scope="module")
def wires() -> Iterator[Network]:
    with network(PODS, OUTSIDE) as made:
        for address, pod in zip(ADDRESSES, PODS, strict=True):
            made.place(address, pod)
        yield made


@pytest.fixture
def gateway(wires: Network) -> Iterator[Gateway]:
    adapter = factory.open(config(wires.gateway))
    yield Gateway(wires, adapter)
    adapter.close()
    nft(wires.gateway, "flush", "ruleset")


# ---- a world written by hand

_DB = Ref("ExternalService", "shop", "db")
_MAIL = Ref("ClusterExternalService", "", "mail")
_PAY, _CART = Holder("shop", {"app": "pay"}), Holder("shop", {"app": "cart"})


def _rule(name: str, tier: Tier, action: Action, source: Source, *to: Ref, priority: int = 1) -> Rule:
    kind = {Tier.CLUSTER: "ClusterEgressRule", Tier.NAMESPACE: "NamespaceEgressRule"}.get(tier, "ServiceEgressRule")
    return Rule(Ref(kind, source.namespace, name), tier, priority, action, source, to, log=True)


SHOP, PAY = Source(SourceKind.NAMESPACE, "shop"), Source(SourceKind.SERVICE, "shop", "pay")
EVERYONE = Source(SourceKind.CLUSTER)
WORLD = World(
    holders={
        "10.0.0.1": _PAY,
        "10.0.0.2": _CART,
        "10.0.0.3": Holder("free", {"app": "pay"}),
        "10.0.0.4": Holder("bank", {"app": "pay"}),
        "fd00::1": _PAY,
    },
    rules=(
        _rule("no-mail", Tier.CLUSTER, Action.REJECT, EVERYONE, _MAIL),
        _rule("onward", Tier.NAMESPACE, Action.PASS, SHOP, _DB),
        _rule("pay", Tier.SERVICE, Action.ALLOW, PAY, _DB),
    ),
    externals={
        _DB: ExternalService(
            _DB,
            ("192.0.2.1", "2001:db8::/32"),
            (),
            (
                Traffic(Protocol.TCP, (PortRange(443, 443),)),
                Traffic(Protocol.ICMP, icmp=(IcmpType(8),)),
                Traffic(Protocol.ICMPV6, icmp=(IcmpType(128, 0),)),
            ),
        ),
        _MAIL: ExternalService(_MAIL, ("198.51.100.9",), (), (Traffic(Protocol.ANY),)),
    },
    defaults=Defaults(DefaultAction.DENY, UnknownAddresses.DENY),
)
_THROUGH = {
    ("10.0.0.1", "192.0.2.1", 443),
    ("10.0.0.1", "192.0.2.1", 0),
    ("fd00::1", "2001:db8::1", 443),
    ("fd00::1", "2001:db8::1", 0),
}


def test_a_written_policy_is_what_packets_meet(gateway: Gateway) -> None:
    """Stated by hand, so that neither evaluator nor compiler can be wrong together with the other."""
    gateway.enforce(WORLD)
    for one, fate in gateway.network.try_all(ATTEMPTS, lambda each: expected(WORLD, each)).items():
        if one.source == "10.0.0.3" or (one.source, one.destination, one.port) in _THROUGH:
            assert fate is Fate.THROUGH, one  # the namespace "free" is not governed
        elif one.destination == "198.51.100.9":
            assert fate is Fate.REJECTED, one
        else:
            assert fate is Fate.DROPPED, one
        assert fate is expected(WORLD, one), one
    assert '"packets": 0' not in nft(
        gateway.network.gateway, "-j", "list", "counter", "inet", TABLE, "rules/east/service/shop/pay_db_tcp"
    )


def test_without_a_policy_everything_goes(gateway: Gateway) -> None:
    """So that what is dropped elsewhere is dropped by policy."""
    gateway.enforce(replace(WORLD, rules=(), defaults=Defaults(DefaultAction.NONE, UnknownAddresses.PASS)))
    assert set(gateway.network.try_all(ATTEMPTS, lambda _: Fate.THROUGH).values()) == {Fate.THROUGH}


def test_any_policy_is_what_packets_meet(gateway: Gateway) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(worlds())
    def check(world: World) -> None:
        gateway.enforce(world)
        gateway.check(world)

    check()


# ---- while things move

_DNS = Ref("ExternalService", "shop", "dns")
_MOVED = replace(WORLD, holders={**WORLD.holders, "10.0.0.1": _CART, "10.0.0.2": _PAY, "10.0.0.5": _PAY})


def test_each_attempt_goes_as_policy_says_while_pods_move(gateway: Gateway) -> None:
    """An address goes from pod to pod and from one workload to another."""
    for world, pods in ((WORLD, "abcdef"), (_MOVED, "bacdef"), (WORLD, "cdabef"), (_MOVED, "abcdef")):
        gateway.enforce(world)
        for address, pod in zip(ADDRESSES, pods, strict=True):
            gateway.network.place(address, pod)
        gateway.check(world)


def test_no_packet_is_lost_or_let_through_while_policy_is_replaced(gateway: Gateway) -> None:
    """Streams over rewritten lists, groups that get and lose sets, pods that come and go: a change is there at once and whole."""
    dns = ExternalService(_DNS, ("192.0.2.5",), (), (Traffic(Protocol.UDP, (PortRange(53, 53),)),))
    allow = _rule("dns", Tier.SERVICE, Action.ALLOW, PAY, _DNS)
    one = replace(WORLD, rules=(*WORLD.rules, allow), externals={**WORLD.externals, _DNS: dns})
    other = replace(
        one,
        holders={"10.0.0.1": _PAY, "10.0.0.3": Holder("free", {}), "10.0.0.5": Holder("bank", {"app": "pay"})},
        rules=(_rule("first", Tier.SERVICE, Action.DENY, PAY, _MAIL, priority=0), replace(allow, priority=2)),
        externals={**one.externals, _DNS: replace(dns, addresses=("192.0.2.4/30", "2001:db8::5"))},
    )
    gateway.enforce(one)
    wires = gateway.network
    with (
        wires.stream("10.0.0.1", "192.0.2.5") as allowed,
        wires.stream("10.0.0.3", "192.0.2.5") as ungoverned,
        wires.stream("10.0.0.2", "192.0.2.5") as unpaid,
        wires.stream("10.0.0.1", "192.0.2.2") as elsewhere,
    ):
        for world in (other, one) * 6:
            gateway.enforce(world)
    for stream in (allowed, ungoverned, unpaid, elsewhere):
        assert stream.sent > 100
    assert (allowed.lost, ungoverned.lost) == (0, 0)
    assert (unpaid.answered, elsewhere.answered) == (set(), set())


# ---- flows


def _connected(wires: Network, source: str, destination: str) -> socket.socket:
    def connect() -> socket.socket:
        one = socket.create_connection((destination, 443), timeout=2, source_address=(source, 0))
        one.settimeout(1.0)
        return one

    return inside(wires.at(source), connect)


def _answers(one: socket.socket) -> bool:
    one.sendall(b"hello")
    try:
        return one.recv(64) == b"hello"
    except TimeoutError:
        return False


def test_what_is_revoked_ends_for_open_flows_too(gateway: Gateway) -> None:
    gateway.enforce(WORLD)
    with _connected(gateway.network, "10.0.0.1", "192.0.2.1") as flow:
        assert _answers(flow)
        gateway.enforce(replace(WORLD, holders={**WORLD.holders, "10.0.0.1": _CART}))
        assert not _answers(flow)


def test_answers_of_a_flow_that_others_opened_get_out(gateway: Gateway) -> None:
    """Whoever may open a flow to a pod gets its answers, though the pod itself may open none."""
    wires = gateway.network
    gateway.enforce(WORLD)

    def listening() -> socket.socket:
        return socket.create_server(("10.0.0.2", 8080))

    def connect() -> socket.socket:
        return socket.create_connection(("10.0.0.2", 8080), timeout=2, source_address=("192.0.2.2", 0))

    with inside(wires.at("10.0.0.2"), listening) as server, inside(wires.outside, connect) as client:
        served, _ = server.accept()
        with served:
            served.sendall(b"hello")
            client.settimeout(2)
            assert client.recv(64) == b"hello"
    assert wires.attempt(Attempt("10.0.0.2", "192.0.2.2", Protocol.TCP, 443)) is Fate.DROPPED


def test_the_site_may_still_drop_what_we_allow(gateway: Gateway) -> None:
    """Allow is our decision only: a later base chain of somebody else's has its say, and what we drop stays dropped."""
    gateway.enforce(WORLD)
    script = "table inet site { chain forward { type filter hook forward priority 10 ; policy accept ; %s ; } ; }"
    one = Attempt("10.0.0.1", "192.0.2.1", Protocol.TCP, 443)
    other = Attempt("10.0.0.2", "192.0.2.1", Protocol.TCP, 443)
    nft(gateway.network.gateway, script % "accept")
    fates = {one: Fate.THROUGH, other: Fate.DROPPED}
    assert gateway.network.try_all(fates, fates.__getitem__) == fates
    nft(gateway.network.gateway, "flush chain inet site forward ; add rule inet site forward tcp dport 443 drop")
    assert gateway.network.attempt(one) is Fate.DROPPED


def test_a_line_by_hand_puts_the_policies_in_force(wires: Network) -> None:
    """Unattached nothing is enforced, and the adapter says by which line it would be."""
    adapter = factory.open(config(wires.gateway, attach="none"))
    gateway, one = Gateway(wires, adapter), Attempt("10.0.0.2", "192.0.2.1", Protocol.TCP, 443)
    try:
        gateway.enforce(WORLD)
        assert wires.attempt(one) is Fate.THROUGH
        snapshot = adapter.read(EVERYTHING)
        assert not any(snapshot.attached.values())
        command = snapshot.attach_by[Tier.SERVICE]
        assert command.startswith(f"ip netns exec {wires.gateway} nft '")
        nft(wires.gateway, command.split("'")[1])
        assert all(adapter.read(EVERYTHING).attached.values())
        assert wires.attempt(one) is Fate.DROPPED
    finally:
        adapter.close()
        nft(wires.gateway, "flush", "ruleset")
