"""A FortiGate whose busy groups are pushed feeds; a pair that fails over; a unit that is refused; sessions of revoked permissions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.policy.feeding import LEAST
from tests.acceptance.fortigate import ANCHOR, GROUP, POLICY, Box, box
from tests.acceptance.site import eventually, stays

FEED = "system/external-resource"
PROVIDER, ELSEWHERE = "192.0.2.1", "198.51.100.7"
SHOP, BANK = "10.244.1.1", "10.244.2.1"
ANY: Mapping[str, Any] = {
    "srcintf": [{"name": "any"}],
    "dstintf": [{"name": "any"}],
    "schedule": "always",
    "service": [{"name": "ALL"}],
}


def anchored(made: Box) -> None:
    never = {"srcaddr": [{"name": "none"}], "dstaddr": [{"name": "none"}], "action": "deny"}
    made.device.put_object(POLICY, {**ANY, **never, "name": ANCHOR}, user="site")


def feeds(made: Box) -> list[str]:
    """Ours."""
    return [name for name in made.device.objects(FEED) if name.startswith("fb")]


def begun(made: Box) -> None:
    anchored(made)
    made.team("shop", SHOP)
    made.team("bank", BANK)
    made.bridge.start()
    eventually("in force", lambda: made.allowed(SHOP, PROVIDER) and made.allowed(BANK, PROVIDER))
    made.bridge.await_in_step()


def churn(made: Box, turns: int) -> None:
    """Pods of the shop come and go, one at a time, each once the one before is on the box."""
    for turn in range(turns):
        address = f"10.244.3.{turn + 1}"
        made.pod("shop", f"web-{turn + 10}", address)
        eventually("the new pod may", lambda at=address: made.allowed(at, PROVIDER))  # type: ignore[misc]
        if turn:
            made.delete_pod("shop", f"web-{turn + 9}")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The shop has changed so often that its group is a feed; a pair, of which the settings name both units."""
    folder = tmp_path_factory.mktemp("busy")
    units = ["FGVMEVLAB0000001", "FGVMEVLAB0000002"]
    where: Any = {"before": ANCHOR}
    with box(folder, mode="policies", policies=where, feeds={"most": 1}, units=units) as made:
        made.device.pair()
        begun(made)
        assert feeds(made) == []
        churn(made, LEAST)
        eventually("it is pushed", lambda: len(feeds(made)) == 1)
        made.bridge.await_in_step()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.mark.acceptance(
    "devices: FortiGate, feeds: the group with most churn is moved to a pushed feed by a step of a plan, and others stay objects"
)
def test_moved(busy: Box) -> None:
    (name,) = feeds(busy)
    assert SHOP in busy.device.entries(name)
    assert busy.called("service", "shop", "web") not in busy.device.objects(GROUP)
    assert busy.called("service", "bank", "web") in busy.device.objects(GROUP)
    assert busy.allowed(SHOP, PROVIDER)


@pytest.mark.acceptance("devices: FortiGate, feeds: a pod that comes or goes is one push, read back and counted")
def test_one_push(busy: Box) -> None:
    busy.bridge.await_in_step()
    first = busy.device.requests()[-1].number
    busy.pod("shop", "web-900", "10.244.4.1")
    eventually("it may", lambda: busy.allowed("10.244.4.1", PROVIDER))
    busy.bridge.await_in_step()
    calls = [one for one in busy.device.requests() if one.number > first]
    assert [one.path for one in calls if one.method != "GET"] == ["/api/v2/monitor/system/external-resource/dynamic"]
    assert any("counts_only" in one.query for one in calls)
    busy.delete_pod("shop", "web-900")
    eventually("it may no longer", lambda: not busy.allowed("10.244.4.1", PROVIDER))


@pytest.mark.acceptance(
    "devices: FortiGate: a failover within the named pair is followed, and what it lost is pushed again"
)
def test_failover(busy: Box) -> None:
    busy.bridge.await_in_step()
    busy.device.failover()
    assert not busy.allowed(SHOP, PROVIDER), "nobody confirms that feeds reach the other unit; this one lost them"
    busy.pod("shop", "web-901", "10.244.4.2")
    eventually("the new pod may", lambda: busy.allowed("10.244.4.2", PROVIDER))
    eventually("and all others", lambda: busy.allowed(SHOP, PROVIDER))


@pytest.mark.acceptance("devices: FortiGate, feeds: a restart with nothing changed moves and pushes nothing")
def test_restart(busy: Box) -> None:
    busy.bridge.await_in_step()
    busy.bridge.stop()
    first = busy.device.requests()[-1].number
    busy.bridge.start()
    busy.bridge.await_in_step()
    stays(
        "nothing is pushed",
        lambda: not [one for one in busy.device.requests() if one.number > first and one.path.endswith("/dynamic")],
        1.0,
    )
    assert len(feeds(busy)) == 1


@pytest.mark.acceptance(
    "devices: FortiGate: a unit that FortiManager manages, or whose VDOM is policy-based, is refused unless the settings acknowledge it"
)
@pytest.mark.parametrize("acknowledged", [False, True])
def test_refused(tmp_path: Path, acknowledged: bool) -> None:
    words = ["fortiManager", "policyBased"] if acknowledged else []
    with box(tmp_path, acknowledge=words) as made:
        made.device.manage()
        made.device.change_object("system/settings", {"ngfw-mode": "policy-based"}, user="site")
        made.team("shop", SHOP)
        made.bridge.start()
        group = made.called("service", "shop", "web")
        if acknowledged:
            eventually("its groups stand", lambda: made.members(group) == {SHOP})
        else:
            eventually("it is told", lambda: "FortiManager" in " ".join(map(str, made.bridge.log())))
            assert made.written() == 0


@pytest.mark.acceptance("devices: live flows: FortiGate sessions of a revoked permission are closed, those alone")
def test_sessions(tmp_path: Path) -> None:
    with box(tmp_path, mode="policies", policies={"before": ANCHOR}, more={"closeFlows": True}) as made:
        made.device.change_object("system/settings", {"firewall-session-dirty": "check-new"}, user="site")
        begun(made)
        sessions = made.device.sessions
        gone = sessions.add(SHOP, PROVIDER, source_port=40000, port=443)
        sessions.add(SHOP, "10.96.0.10", source_port=40001, port=443)
        sessions.add(BANK, PROVIDER, source_port=40002, port=443)
        sessions.add("203.0.113.5", PROVIDER, source_port=40003, port=443)
        before = set(sessions.all())
        made.delete_pod("shop", "web-0")
        eventually("it is closed", lambda: set(sessions.all()) == before - {gone})
        stays("and nothing else is", lambda: set(sessions.all()) == before - {gone}, 1.0)
        closing = [one.path for one in made.device.requests() if "/session" in one.path and one.method == "POST"]
        assert closing == ["/api/v2/monitor/firewall/session/close"]
