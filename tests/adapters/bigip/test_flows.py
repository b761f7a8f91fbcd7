"""Connections of a BIG-IP: exactly those that are told are closed, and none where the device cannot be trusted to find them."""

import re

import pytest

from adapters.bigip import BigipAdapter
from bridge.errors import Denied, FencedOff, LostLease
from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.bigip.connections import Connection
from bridge.model.flows import Flow
from bridge.model.plan import Fence
from bridge.model.policy import Protocol
from tests.adapters.bigip.site import FENCE, open_adapter

POD, OTHER, BANK = "10.0.0.1", "10.0.0.11", "192.0.2.1"
FLOW = Flow(POD, BANK, Protocol.TCP, 40000, 443)
OPEN = [
    Connection(POD, 40000, BANK, 443),
    Connection(POD, 40001, BANK, 443),
    Connection(POD, 40000, BANK, 443, "udp"),
    Connection(POD, 40000, "192.0.2.2", 443),
    Connection(POD, 1, BANK, 8, "icmp"),
    Connection(OTHER, 40000, BANK, 443),
    Connection("2001:db8::1", 40000, "2001:db8::2", 443),
    Connection(f"{POD}%7", 40000, f"{BANK}%7", 443),
]


@pytest.fixture(autouse=True)
def _open(device: Bigip) -> None:
    device.connections.open = list(OPEN)


@pytest.fixture(name="fenced")
def _fenced(adapter: BigipAdapter) -> BigipAdapter:
    adapter.raise_fence(FENCE)
    return adapter


def test_those_that_an_address_opened_are_listed_with_one_call(fenced: BigipAdapter, device: Bigip) -> None:
    before = len(device.requests())
    found = fenced.flows([POD])
    assert set(found) == {
        FLOW,
        Flow(POD, BANK, Protocol.TCP, 40001, 443),
        Flow(POD, BANK, Protocol.UDP, 40000, 443),
        Flow(POD, "192.0.2.2", Protocol.TCP, 40000, 443),
    }
    assert len([one for one in device.requests()[before:] if "/sys/connection" in one.path]) == 1
    assert fenced.flows(["2001:db8::1"]) == [Flow("2001:db8::1", "2001:db8::2", Protocol.TCP, 40000, 443)]
    assert fenced.flows(["10.9.9.9"]) == fenced.flows([]) == []


def test_that_one_is_closed_and_no_other(fenced: BigipAdapter, device: Bigip) -> None:
    assert fenced.close_flows([FLOW], FENCE) == 1
    assert device.connections.open == OPEN[1:]
    assert fenced.close_flows([FLOW], FENCE) == 0
    assert fenced.close_flows([], FENCE) == 0
    assert device.connections.open == OPEN[1:]


def test_no_call_closes_without_a_client(fenced: BigipAdapter, device: Bigip) -> None:
    fenced.close_flows(fenced.flows([POD, OTHER, "2001:db8::1"]), FENCE)
    closing = [one for one in device.requests() if one.method == "DELETE" and one.path.endswith("/sys/connection")]
    assert len(closing) == 6
    for one in closing:
        assert re.match(r"options=cs-client-addr\+[0-9a-f.%A]+\+cs-client-port\+\d+\+cs-server-addr\+", one.query)


@pytest.mark.parametrize("takes", [0, 1, 2, 3, 4])
def test_where_the_device_passes_over_options_nothing_is_closed(
    fenced: BigipAdapter, device: Bigip, takes: int
) -> None:
    device.connections.takes = takes
    with pytest.raises(Denied, match="closeFlows"):
        fenced.close_flows([FLOW], FENCE)
    assert device.connections.open == OPEN
    if not takes:
        with pytest.raises(Denied, match="closeFlows"):
            fenced.flows([POD])


def test_in_another_route_domain_those_of_that_domain_are_meant(device: Bigip) -> None:
    adapter = open_adapter(device, scope={"routeDomain": 7})
    adapter.raise_fence(FENCE)
    assert adapter.flows([POD]) == [FLOW]
    assert adapter.close_flows([FLOW], FENCE) == 1
    assert device.connections.open == OPEN[:-1]


def test_a_newer_owner_and_a_lost_lease_stop_it(fenced: BigipAdapter, device: Bigip) -> None:
    def lost() -> None:
        raise LostLease("lost")

    without = open_adapter(device, permit=lost)
    with pytest.raises(LostLease):
        without.close_flows([FLOW], FENCE)
    newer = open_adapter(device)
    newer.raise_fence(Fence(FENCE.epoch + 1, FENCE.installation))
    with pytest.raises(FencedOff):
        fenced.close_flows([FLOW], FENCE)
    assert device.connections.open == OPEN
