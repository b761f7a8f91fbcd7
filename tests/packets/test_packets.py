"""Real packets through a gateway that this adapter runs: each attempt goes exactly as the evaluator says."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings

from adapters.nftables import factory
from bridge.model.capabilities import Form
from bridge.model.intent import EVERYTHING
from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    PortRange,
    Protocol,
    Ref,
    Tier,
    Traffic,
    UnknownAddresses,
)
from tests.adapters.nftables.machine import kernel, nft
from tests.adapters.nftables.rig import TABLE, config
from tests.packets.gateway import (
    ATTEMPTS,
    CART,
    MAIL,
    PAID,
    PAY,
    PODS,
    WORLD,
    Gateway,
    expected,
    rule,
)
from tests.packets.network import Attempt, Fate, Network, inside, network
from tests.policy.world import ADDRESSES, OUTSIDE, Holder, World, worlds

pytestmark = [kernel, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def wires() -> Iterator[Network]:
    with network(PODS, OUTSIDE) as made:
        for address, pod in zip(ADDRESSES, PODS, strict=True):
            made.place(address, pod)
        yield made


@pytest.fixture(params=[Form.TIERED, Form.FLAT])
def gateway(wires: Network, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    adapter = factory.open(config(wires.gateway, form=request.param.value))
    yield Gateway(wires, adapter)
    adapter.close()
    nft(wires.gateway, "flush", "ruleset")


_THROUGH = {
    ("10.0.0.1", "192.0.2.1", 443),
    ("10.0.0.1", "192.0.2.1", 3868),
    ("10.0.0.1", "192.0.2.1", 0),
    ("fd00::1", "2001:db8::1", 443),
    ("fd00::1", "2001:db8::1", 3868),
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
    counted = nft(gateway.network.gateway, "-j", "list", "counters", "table", "inet", TABLE)
    packets = {one["counter"]["name"]: one["counter"]["packets"] for one in json.loads(counted)["nftables"][1:]}
    assert any(number for name, number in packets.items() if "pay" in name), packets


def test_without_a_policy_everything_goes(gateway: Gateway) -> None:
    """So that what is dropped elsewhere is dropped by policy."""
    gateway.enforce(replace(WORLD, rules=(), defaults=Defaults(DefaultAction.NONE, UnknownAddresses.PASS)))
    assert set(gateway.network.try_all(ATTEMPTS, lambda _: Fate.THROUGH).values()) == {Fate.THROUGH}


def test_any_policy_is_what_packets_meet(gateway: Gateway) -> None:
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(worlds())
    def check(world: World) -> None:
        assume(gateway.takes(world))
        gateway.enforce(world)
        gateway.check(world)

    check()


# ---- while things move

_DNS = Ref("ExternalService", "shop", "dns")
_MOVED = replace(WORLD, holders={**WORLD.holders, "10.0.0.1": CART, "10.0.0.2": PAID, "10.0.0.5": PAID})


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
    allow = rule("dns", Tier.SERVICE, Action.ALLOW, PAY, _DNS)
    one = replace(WORLD, rules=(*WORLD.rules, allow), externals={**WORLD.externals, _DNS: dns})
    other = replace(
        one,
        holders={"10.0.0.1": PAID, "10.0.0.3": Holder("free", {}), "10.0.0.5": Holder("bank", {"app": "pay"})},
        rules=(rule("first", Tier.SERVICE, Action.DENY, PAY, MAIL, priority=0), replace(allow, priority=2)),
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
        gateway.enforce(replace(WORLD, holders={**WORLD.holders, "10.0.0.1": CART}))
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
