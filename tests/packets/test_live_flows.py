"""Live flows through the gateway on the real kernel: exactly those that are told are closed, and stay closed whoever speaks next."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from adapters.nftables import factory
from adapters.nftables.flows import Tracker
from adapters.nftables.names import Names
from adapters.nftables.transport import Local
from bridge.contract import always
from bridge.errors import Denied, FencedOff, NotOwned
from bridge.model.flows import Flow
from bridge.model.intent import EVERYTHING
from bridge.model.plan import Fence
from bridge.model.policy import Protocol
from tests.adapters.nftables.machine import kernel, nft, run, script, tracked
from tests.adapters.nftables.rig import config
from tests.packets.flows import BANK, BANK6, FENCE, OTHER, POD, POD6, Gateway
from tests.packets.network import Network, inside, network

pytestmark = [kernel, tracked, pytest.mark.timeout(120)]

TABLE = Names("fb").flows


@pytest.fixture(scope="module")
def wires() -> Iterator[Network]:
    with network(("one", "two"), (BANK, BANK6)) as made:
        for address, pod in ((POD, "one"), (POD6, "one"), (OTHER, "two")):
            made.place(address, pod)
        yield made


@pytest.fixture
def gateway(wires: Network) -> Iterator[Gateway]:
    adapter = factory.open(config(wires.gateway))
    adapter.raise_fence(FENCE)
    yield Gateway(wires, adapter)
    adapter.close()
    nft(wires.gateway, "flush", "ruleset")
    run("ip", "netns", "exec", wires.gateway, "conntrack", "-F")


@pytest.mark.parametrize(
    ("source", "destination", "kind"),
    [
        (POD, BANK, socket.SOCK_STREAM),
        (POD6, BANK6, socket.SOCK_STREAM),
        (POD, BANK, socket.SOCK_DGRAM),
        (POD6, BANK6, socket.SOCK_DGRAM),
    ],
)
def test_a_closed_flow_stays_closed_whoever_speaks_next(
    gateway: Gateway, source: str, destination: str, kind: socket.SocketKind
) -> None:
    gateway.allow(source)
    with gateway.open(source, destination, kind) as talk:
        gateway.allow()
        assert list(gateway.adapter.flows([source])) == [talk.flow]
        assert gateway.adapter.close_flows([talk.flow], FENCE) == 1
        assert not talk.hears(b"from outside", from_outside=True)
        assert not talk.hears(b"from the pod", from_outside=False)
        assert not talk.hears(b"again from outside", from_outside=True)
        assert gateway.adapter.flows([source]) == []
        assert gateway.adapter.close_flows([talk.flow], FENCE) == 0


def test_without_the_table_of_closed_flows_the_other_side_would_open_it_again(gateway: Gateway) -> None:
    """Why that table is there: if this fails, the kernel needs it no more."""
    gateway.allow(POD)
    with gateway.open(POD, BANK, socket.SOCK_DGRAM) as talk:
        gateway.allow()
        assert not talk.hears(b"denied", from_outside=False)
        assert gateway.tracker().forget(talk.flow) == 1
        assert talk.hears(b"from outside", from_outside=True)
        assert talk.hears(b"and back", from_outside=False)


def test_no_other_flow_is_touched(gateway: Gateway) -> None:
    gateway.allow(POD, OTHER)
    with gateway.open(POD, BANK, socket.SOCK_DGRAM) as talk, ExitStack() as stack:
        others = [
            inside(gateway.net.at(one), partial(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
            for one in (POD, OTHER)
        ]
        for one, address in zip(others, (POD, OTHER), strict=True):
            stack.enter_context(one)
            one.bind((address, 0))
            one.settimeout(5)
            one.connect((BANK, 53))
            one.send(b"hello")
            assert one.recv(64) == b"hello"
        assert len(gateway.adapter.flows([POD])) == 2
        assert len(gateway.adapter.flows([OTHER])) == 1
        assert gateway.adapter.flows([]) == []
        gateway.adapter.close_flows([talk.flow], FENCE)
        for one in others:
            one.send(b"still")
            assert one.recv(64) == b"still"
        assert len(gateway.adapter.flows([POD, OTHER])) == 2


def test_who_may_again_opens_a_flow_of_the_same_ports(gateway: Gateway) -> None:
    gateway.allow(POD)
    with gateway.open(POD, BANK, socket.SOCK_DGRAM) as talk:
        gateway.allow()
        gateway.adapter.close_flows([talk.flow], FENCE)
        gateway.allow(POD)
        assert talk.hears(b"from the pod", from_outside=False)
        assert talk.hears(b"the answer", from_outside=True)


def test_a_flow_to_a_translated_address_is_told_by_where_it_goes(gateway: Gateway) -> None:
    """What the rules see of it: after the destination was translated, and before the source is."""
    name = "inet nat"
    script(
        gateway.net.gateway,
        f"add table {name}",
        f"add chain {name} pre {{ type nat hook prerouting priority -100 ; }}",
        f"add chain {name} post {{ type nat hook postrouting priority 100 ; }}",
        f"add rule {name} pre ip daddr 192.0.2.77 udp dport 7777 dnat ip to {BANK}:53",
        f"add rule {name} post ip daddr {BANK} masquerade",
    )
    gateway.allow(POD)
    with inside(gateway.net.at(POD), partial(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        asking.bind((POD, 0))
        asking.settimeout(5)
        asking.connect(("192.0.2.77", 7777))
        asking.send(b"hello")
        assert asking.recv(64) == b"hello"
        flow = Flow(POD, BANK, Protocol.UDP, asking.getsockname()[1], 53)
        assert gateway.adapter.flows([POD]) == [flow]
        gateway.allow()
        assert gateway.adapter.close_flows([flow], FENCE) == 1
        assert gateway.adapter.flows([POD]) == []


def test_a_newer_owner_and_a_strange_table_stop_it(gateway: Gateway) -> None:
    flow = Flow(POD, BANK, Protocol.TCP, 40000, 443)
    script(gateway.net.gateway, f"add table inet {TABLE}")
    with pytest.raises(NotOwned):
        gateway.adapter.close_flows([flow], FENCE)
    script(gateway.net.gateway, f"delete table inet {TABLE}")
    newer = factory.open(config(gateway.net.gateway))
    newer.raise_fence(Fence(5, "an installation"))
    with pytest.raises(FencedOff):
        gateway.adapter.close_flows([flow], FENCE)
    assert TABLE not in nft(gateway.net.gateway, "list", "tables")


def test_its_table_is_nobody_elses(gateway: Gateway) -> None:
    gateway.adapter.close_flows([Flow(POD, BANK, Protocol.TCP, 40000, 443)], FENCE)
    assert TABLE in nft(gateway.net.gateway, "list", "tables")
    assert not gateway.adapter.read(EVERYTHING).foreign


def test_a_gateway_without_conntrack_says_so(gateway: Gateway) -> None:
    way = Local("edge", 10, ("ip", "netns", "exec", gateway.net.gateway))
    with pytest.raises(Denied, match="no-such-conntrack"):
        list(Tracker("edge", way, "no-such-conntrack", always).flows([POD]))
