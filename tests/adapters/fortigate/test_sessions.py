"""Sessions as flows, and the closing of single ones: nothing but what was named, whatever else the box holds."""

from collections.abc import Iterator

import pytest

from adapters.fortigate import factory
from adapters.fortigate.adapter import FortigateAdapter
from adapters.fortigate.sessions import body
from bridge.contract import DeviceConfig
from bridge.errors import FencedOff
from bridge.lab.devices.fortigate import Fortigate
from bridge.model.flows import Flow
from bridge.model.intent import EVERYTHING
from bridge.model.plan import Fence
from bridge.model.policy import Protocol
from tests.adapters.fortigate.rig import Token

FENCE = Fence(1, "one")
WEB = Flow("10.0.0.1", "192.0.2.1", Protocol.TCP, 40001, 443)
DNS = Flow("10.0.0.1", "192.0.2.53", Protocol.UDP, 40002, 53)
SIX = Flow("2001:db8::1", "2001:db8:1::1", Protocol.TCP, 40003, 443)


@pytest.fixture
def box() -> Iterator[Fortigate]:
    """Its policy lets everything through, or a change of configuration would end every session."""
    rule = {name: [{"name": "any"}] for name in ("srcintf", "dstintf")} | {"schedule": "always", "action": "accept"}
    everything = {name: [{"name": "all"}] for name in ("srcaddr", "dstaddr", "srcaddr6", "dstaddr6")}
    with Fortigate(tls=False, vdoms=("root", "dmz")) as device:
        device.put_object("firewall/policy", rule | everything | {"name": "all", "service": [{"name": "ALL"}]})
        yield device


@pytest.fixture
def adapter(box: Fortigate) -> Iterator[FortigateAdapter]:
    opened = factory.open(DeviceConfig("edge", "fortigate", box.url, "fb", Token(box), {"vdom": "root"}))
    opened.read(EVERYTHING)
    opened.raise_fence(FENCE)
    yield opened
    opened.close()


def track(box: Fortigate, flow: Flow, **more: object) -> None:
    number = {Protocol.TCP: 6, Protocol.UDP: 17}[flow.protocol]
    box.sessions.add(
        flow.source, flow.destination, protocol=number, source_port=flow.source_port, port=flow.port, **more
    )


def test_flows_of_these_sources_only(box: Fortigate, adapter: FortigateAdapter) -> None:
    for flow in (WEB, DNS, SIX):
        track(box, flow)
    box.sessions.add("10.0.0.2", "192.0.2.1", source_port=1, port=443)
    box.sessions.add("10.0.0.1", "192.0.2.1", protocol=1)
    track(box, Flow("10.0.0.1", "192.0.2.9", Protocol.TCP, 5, 6), vdom="dmz")
    assert set(adapter.flows(["10.0.0.1", "2001:db8::1"])) == {WEB, DNS, SIX}
    calls = adapter.calls
    assert list(adapter.flows([])) == []
    assert adapter.calls == calls


def test_exactly_these_are_closed(box: Fortigate, adapter: FortigateAdapter) -> None:
    for flow in (WEB, DNS, SIX):
        track(box, flow)
    near = [
        Flow("10.0.0.1", "192.0.2.1", Protocol.TCP, 40001, 80),
        Flow("10.0.0.1", "192.0.2.1", Protocol.TCP, 40009, 443),
    ]
    for flow in near:
        track(box, flow)
    assert adapter.close_flows([WEB, SIX], FENCE) == 2
    assert set(adapter.flows(["10.0.0.1", "2001:db8::1"])) == {DNS, *near}
    assert adapter.close_flows([WEB], FENCE) == 0, "what is over is not counted"


def test_no_call_closes_more_than_one(box: Fortigate, adapter: FortigateAdapter) -> None:
    track(box, WEB)
    adapter.close_flows([WEB], FENCE)
    posts = [one.path for one in box.requests() if one.method == "POST" and "session" in one.path]
    assert posts == ["/api/v2/monitor/firewall/session/close"]
    assert body(WEB) == {"pro": "tcp", "saddr": "10.0.0.1", "daddr": "192.0.2.1", "sport": 40001, "dport": 443}


def test_a_taken_over_device_closes_nothing_for_us(box: Fortigate, adapter: FortigateAdapter) -> None:
    track(box, WEB)
    other = factory.open(DeviceConfig("edge", "fortigate", box.url, "fb", Token(box), {"vdom": "root"}))
    other.raise_fence(Fence(2, "one"))
    other.close()
    with pytest.raises(FencedOff):
        adapter.close_flows([WEB], FENCE)
    assert len(box.sessions.all()) == 1


def test_many_are_read_page_by_page(box: Fortigate, adapter: FortigateAdapter) -> None:
    for port in range(1, 1102):
        box.sessions.add("10.0.0.1", "192.0.2.1", source_port=port, port=443)
    assert len(adapter.flows(["10.0.0.1"])) == 1101
