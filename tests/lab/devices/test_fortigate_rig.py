"""What the simulated FortiGate offers the conformance suite, whatever the adapter: moments, troubles, limits."""

from collections.abc import Collection

import httpx
import pytest

from bridge.contract import DeviceConfig
from bridge.lab.device import Trouble
from bridge.lab.devices.fortigate import Fortigate
from bridge.lab.devices.fortigate.rig import FortigateRig, dangling
from bridge.model.identity import ObjectKey
from bridge.model.policy import IcmpType, Protocol
from bridge.policy.evaluate import Packet, Verdict
from tests.lab.devices.fortigate import ADDRESS, FEED, GROUP, Api, named


class Rig(FortigateRig):
    """A rig of no adapter."""

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        raise NotImplementedError

    def plant(self) -> Collection[str]:
        raise NotImplementedError

    def unmark(self, key: ObjectKey) -> str:
        raise NotImplementedError

    def tamper(self, key: ObjectKey) -> None:
        raise NotImplementedError


@pytest.fixture
def rig(box: Fortigate) -> Rig:
    rig = Rig(box)
    rig.reset()
    return rig


WEB = Packet("10.0.0.1", "192.0.2.1", Protocol.TCP, 443)
PING = Packet("10.0.0.1", "192.0.2.1", Protocol.ICMP, icmp=IcmpType(8, None))
OSPF = Packet("10.0.0.1", "192.0.2.1", Protocol.OTHER, number=89)


def test_moments_are_judged_each_by_itself(rig: Rig, api: Api) -> None:
    assert rig.moments() == []
    api.feed("f")
    api.policy(srcaddr=named("f"), service=named("HTTPS", "PING"))
    api.push("add", "f", "10.0.0.1")
    api.put("cmdb/firewall/policy/1", {"action": "deny", "send-deny-packet": "enable"})
    told = [moment.verdict(WEB) for moment in rig.moments()]
    assert told == [Verdict.UNMATCHED, Verdict.UNMATCHED, Verdict.ALLOW, Verdict.REJECT]
    last = rig.moments()[-1]
    assert (last.verdict(PING), last.verdict(OSPF)) == (Verdict.REJECT, Verdict.UNMATCHED)
    assert last.dangling() == []


def test_a_name_that_stands_for_nothing_is_seen(rig: Rig, api: Api) -> None:
    api.address("a")
    api.group("g", "a")
    state = rig.device.state()
    state.drop(("root", "firewall/address", "a"))
    assert dangling(state) == ["root:firewall/addrgrp/g -> member a"]


def test_contents_are_equal_when_nobody_changed_them(rig: Rig, api: Api) -> None:
    before = rig.contents()
    api.feed("f")
    api.push("add", "f", "10.0.0.1")
    held = rig.contents()["root:system/external-resource/f"]
    api.push("add", "f", "10.0.0.2")
    assert rig.contents()["root:system/external-resource/f"] != held
    api.delete(f"{FEED}/f")
    assert rig.contents() == before


@pytest.mark.parametrize("trouble", sorted(Trouble))
def test_troubles_come_and_go(rig: Rig, api: Api, trouble: Trouble) -> None:
    rig.disturb(trouble, writes=True)
    assert api.get(ADDRESS).status == 200
    statuses = {
        Trouble.UNAUTHORIZED: 401,
        Trouble.FORBIDDEN: 403,
        Trouble.MISSING: 404,
        Trouble.CONFLICT: 500,
        Trouble.TOO_MANY: 429,
        Trouble.UNAVAILABLE: 500,
        Trouble.HTML: 200,
        Trouble.ECHO: 500,
    }
    if trouble in statuses:
        answer = api.http.post(ADDRESS, json={"name": "a"})
        assert answer.status_code == statuses[trouble]
        assert (rig.device.password in answer.text) == (trouble is Trouble.ECHO)
    else:
        with pytest.raises(httpx.TransportError):
            api.http.post(ADDRESS, json={"name": "a"}, timeout=0.2)
    assert ("a" in rig.device.objects("firewall/address")) == (trouble is Trouble.LOST)
    assert rig.calm() == 1
    assert api.post(ADDRESS, {"name": "b"}).status == 200


def test_limits_are_narrowed_and_widened(rig: Rig, api: Api) -> None:
    api.policy()
    rig.narrow("rules")
    assert [api.policy().status for _ in range(5)] == [200, 200, 200, 200, 500]
    rig.narrow("group_members")
    api.address(*"abcdefg")
    assert api.group("six", *"abcdef").status == 200
    assert api.post(f"{GROUP}/six/member", {"name": "g"}).error == -4
    rig.reset()
    assert rig.device.limits.members == 600
    assert [api.policy().status for _ in range(6)] == [200] * 6
    assert rig.calls() == len(rig.device.requests())
