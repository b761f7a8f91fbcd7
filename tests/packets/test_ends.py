"""Ends on the real kernel: the gateway itself takes a line for not there from its end on, with nobody there to take it away."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from adapters.nftables import factory
from bridge.model.policy import Protocol
from bridge.model.schedules import MARGIN, schedule_after
from tests.adapters.nftables.machine import kernel, nft, script
from tests.adapters.nftables.rig import TABLE, config
from tests.packets.flows import BANK, BANK6, FENCE, POD, POD6, Gateway
from tests.packets.network import Attempt, Fate, Network, network

pytestmark = [kernel, pytest.mark.timeout(120)]

LATE = schedule_after("east", datetime(2036, 5, 4, 10, 30, tzinfo=UTC))
DATE = '"2036-05-04 10:31:00"'
SOON = 4
ATTEMPTS = (
    Attempt(POD, BANK, Protocol.TCP, 443),
    Attempt(POD, BANK, Protocol.UDP, 53),
    Attempt(POD, BANK, Protocol.ICMP),
    Attempt(POD6, BANK6, Protocol.TCP, 80),
)


@pytest.fixture(scope="module")
def wires() -> Iterator[Network]:
    with network(("one",), (BANK, BANK6)) as made:
        for address in (POD, POD6):
            made.place(address, "one")
        yield made


@pytest.fixture(params=["tiered", "flat"])
def gateway(wires: Network, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    adapter = factory.open(config(wires.gateway, form=request.param))
    adapter.raise_fence(FENCE)
    yield Gateway(wires, adapter)
    adapter.close()
    nft(wires.gateway, "flush", "ruleset")


def fates(gateway: Gateway, expected: Fate) -> set[Fate]:
    return set(gateway.net.try_all(ATTEMPTS, lambda _: expected).values())


def counted(gateway: Gateway) -> int:
    """Packets that the line which ends has let through."""
    listed = json.loads(nft(gateway.net.gateway, "-j", "list", "counters", "table", "inet", TABLE))["nftables"]
    (found,) = [one["counter"]["packets"] for one in listed[1:] if one["counter"]["name"].endswith("/allow")]
    return int(found)


def end_at(gateway: Gateway, second: int) -> None:
    """The table as it stands, with another end: whole minutes would be long to wait for."""
    text = nft(gateway.net.gateway, "-s", "list", "table", "inet", TABLE)
    assert text.count(DATE) > 1
    script(gateway.net.gateway, f"delete table inet {TABLE}", text.replace(DATE, str(second)))


def test_what_is_over_lets_nothing_through_and_what_is_to_end_does(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute that has just begun is over, whatever zone the gateway is in."""
    monkeypatch.setenv("TZ", "EST5EDT")
    begun = datetime.now(UTC).replace(second=0, microsecond=0) - MARGIN
    over, late = (schedule_after("east", begun + more) for more in (timedelta(), timedelta(hours=1)))
    for until, expected in ((late, Fate.THROUGH), (over, Fate.DROPPED), (late, Fate.THROUGH), (None, Fate.THROUGH)):
        gateway.allow(POD, POD6, until=until)
        assert fates(gateway, expected) == {expected}


def test_an_end_stops_new_and_running_flows_with_nobody_acting(gateway: Gateway) -> None:
    gateway.allow(POD, POD6, until=LATE)
    with gateway.open(POD, BANK) as tcp, gateway.open(POD6, BANK6, socket.SOCK_DGRAM) as udp:
        end = int(time.time()) + SOON
        end_at(gateway, end)
        heard: list[tuple[float, bool]] = []
        while not heard or heard[-1][0] < end:
            heard.append((time.time(), udp.hears(b"%d" % len(heard), from_outside=False)))
        assert any(through for _, through in heard)
        assert not any(through for sent, through in heard if sent >= end)
        before = counted(gateway)
        assert not tcp.hears(b"from the pod", from_outside=False)
        assert fates(gateway, Fate.DROPPED) == {Fate.DROPPED}
        assert counted(gateway) == before
        assert udp.hears(b"an answer", from_outside=True)  # what the other side still sends is no permission of ours
        gateway.allow(POD, POD6, until=LATE)
        assert udp.hears(b"allowed again", from_outside=False)
