"""Mass changes: what flows however many it concerns, what waits for a person, and how soon all is well again after that."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.lab.apiserver.faults import Fault
from bridge.model.capabilities import Form
from bridge.model.decisions import Choice
from bridge.state.desired import ListState
from tests.acceptance.site import DEVICE, eventually, stays
from tests.acceptance.world import World, world
from tests.delivery.sequences import MANY_TURNS, STATES, check_end, meant_by
from tests.delivery.test_guarded_sequences import Guarded, check_named

PODS = [f"10.244.{third}.{last}" for third in range(1, 5) for last in range(1, 101)]
FLEET = [f"10.244.{third}.{last}" for third in range(20, 70) for last in range(1, 201)]
PROVIDER = "192.0.2.1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team of 400 pods that may reach a provider, a small one beside it, and rules about them."""
    with world(tmp_path_factory.mktemp("guard")) as made:
        made.team("shop", *PODS)
        made.team("side", "10.244.9.1")
        made.service("shop", "api")
        made.service_rule("shop", "api", "provider")
        made.external("shop", "bank", "198.51.100.0/28")
        made.namespace_rule("shop", "by-label", "bank", "Allow", **{"from": {"podSelector": _app("web")}})
        made.bridge.start()
        eventually("in force", lambda: _web(made) == set(PODS) and len(made.group("rule", "shop", "by-label")) == 400)
        made.await_in_step()
        with made.bridge.state():  # so that the database lives on while the program is stopped
            yield made


def _app(name: str) -> dict[str, Any]:
    return {"matchLabels": {"app": name}}


def _web(site: World) -> frozenset[str]:
    return site.group("service", "shop", "web")


def _held(site: World, state: str = "held") -> list[dict[str, Any]]:
    """The lists of that state; as the program tells them, asked more cheaply."""
    query = """SELECT digest, (SELECT sum(json_array_length(step -> 'members')) FROM json_array_elements(steps) step)
        FROM held_plan WHERE state = %s"""
    with site.bridge.state() as connection:
        return [{"digest": digest, "members": members} for digest, members in connection.execute(query, [state])]


def _decide(site: World, name: str, verdict: str = "Release") -> float:
    """Somebody decides about the list that waits; returns when."""
    (one,) = _held(site)
    spec = {"device": DEVICE, "digest": one["digest"], "verdict": verdict, "by": "ann", "reason": "as planned"}
    site.put("Decision", "", name, spec)
    return time.monotonic()


def _told(what: str, since: float) -> None:
    print(f"\nguard: {what}: {time.monotonic() - since:.2f} s")


def _flows(site: World, last: int) -> None:
    """Everything else goes on while something is held."""
    site.pod("side", f"web-{last}", f"10.244.9.{last}")
    eventually("the side flows", lambda: f"10.244.9.{last}" in site.group("service", "side", "web"))


@pytest.mark.acceptance(
    "trust: a pods list that comes back empty: mass removal is held, and over when the list is whole again"
)
def test_an_empty_list_of_pods(site: World) -> None:
    site.api.disturb(Fault("empty", times=0, resource="pods", verb="list"))
    try:
        _list_again(site, 1)
        eventually("held", lambda: bool(_held(site)), 60)
        (one,) = _held(site)
        assert one["members"] >= 800, "every pod in each of its groups"
        (told,) = site.bridge.cli("held", codes=(3,))["held"]
        assert (told["digest"], told["members"], told["state"]) == (one["digest"], one["members"], "held")
        assert _web(site) == set(PODS)
    finally:
        site.api.calm()
    writes = len(site.device.writes())
    since = time.monotonic()
    _list_again(site, 2)
    eventually("nothing is held any more", lambda: not _held(site), 60)
    _told("from the start with a whole list until nothing is held", since)
    assert _web(site) == set(PODS)
    assert len(site.device.writes()) - writes <= 4, "the fence, and pods of the small team"


def _list_again(site: World, number: int) -> None:
    """The program begins with lists, since what happened meanwhile no watch can tell any more."""
    site.bridge.stop()
    site.pod("side", f"web-2{number}", f"10.244.9.2{number}")
    site.store.compact()
    site.bridge.start()


@pytest.mark.acceptance("trust: a namespaces list that comes back empty: nothing is concluded from it, about anything")
def test_an_empty_list_of_namespaces(site: World) -> None:
    site.api.disturb(Fault("empty", times=0, resource="namespaces", verb="list"))
    try:
        _list_again(site, 3)
        eventually("it was asked for", lambda: site.api.requests.counts()["list namespaces"] > 3)
        stays("nothing happens", lambda: _web(site) == set(PODS) and not _held(site), 3)
        assert "10.244.9.23" not in site.group("service", "side", "web"), "not even what another list shows"
    finally:
        site.api.calm()
    site.pod("side", "web-7", "10.244.9.7")
    eventually("and all goes on", lambda: "10.244.9.7" in site.group("service", "side", "web"), 60)
    assert _web(site) == set(PODS)


@pytest.mark.acceptance(
    "trust: a label change that would move half the fleet is held but for a tenth, and flows once it is released"
)
def test_half_the_fleet_moves(site: World) -> None:
    uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in site.store.list("pods", "shop")}
    for number in range(200):
        site.pod("shop", f"web-{number}", PODS[number], uid=uids[f"web-{number}"], app="api")
    eventually("the new group has them", lambda: site.group("service", "shop", "api") == set(PODS[:200]))
    site.await_in_step()
    eventually("held", lambda: bool(_held(site)))
    passed = 400 - len(_web(site))
    assert passed <= 40, "no more than a tenth went before it was a mass change"
    assert _web(site) >= set(PODS[200:])
    _flows(site, 11)
    site.bridge.stop()
    site.bridge.start()
    site.await_in_step()
    assert len(_web(site)) == 400 - passed, "over a restart"
    eventually("all that waits is in one list", lambda: _held(site)[0]["members"] == 2 * (200 - passed), 60)
    since = _decide(site, "move")
    eventually("released", lambda: _web(site) == set(PODS[200:]), 30)
    _told("from the release of half a fleet of 400 in two groups until it has moved", since)
    eventually("nothing is held", lambda: not _held(site))
    for number in range(200):
        site.pod("shop", f"web-{number}", PODS[number], uid=uids[f"web-{number}"], app="web")
    eventually("back in", lambda: _web(site) == set(PODS))
    api = ("service", "shop", "api")
    eventually(
        "whoever is left in the other group waits, in one list",
        lambda: [one["members"] for one in _held(site)] == [len(site.group(*api))],
    )
    _decide(site, "back")
    eventually("and is released", lambda: not site.group("service", "shop", "api"))


@pytest.mark.acceptance("trust: a selector edit that empties a group is held; taken back, nothing has happened")
def test_a_selector_edit(site: World) -> None:
    spec = {"selector": {"app": "wbe"}, "ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    site.store.put(service)
    eventually("held", lambda: bool(_held(site)))
    assert _web(site) == set(PODS)
    _flows(site, 12)
    since = time.monotonic()
    site.service("shop", "web")
    eventually("nothing is held", lambda: not _held(site))
    _told("from taking a selector back until nothing is held", since)
    assert _web(site) == set(PODS)


@pytest.mark.acceptance("trust: a rule edit: whom it takes out in masses is held, /0 is held, its deletion never is")
def test_a_rule_edit(site: World) -> None:
    def members() -> frozenset[str]:
        return site.group("rule", "shop", "by-label")

    site.namespace_rule("shop", "by-label", "bank", "Allow", **{"from": {"podSelector": _app("nobody")}})
    eventually("held", lambda: bool(_held(site)))
    assert len(members()) == 400
    _decide(site, "no", "Reject")
    eventually("rejected", lambda: bool(_held(site, "rejected")))
    assert not _held(site)
    site.external("shop", "bank", "0.0.0.0/0")
    eventually("a destination of everything waits", lambda: bool(_held(site)))
    assert site.allowed(PODS[0], "198.51.100.1")
    assert not site.allowed(PODS[0], "203.0.113.9")
    site.store.delete("namespaceegressrules", "shop", "by-label")
    eventually("a rule that is deleted goes at once", lambda: not site.allowed(PODS[0], "198.51.100.1"))
    eventually("with all that was held of it", lambda: not [*_held(site), *_held(site, "rejected")])


@pytest.mark.acceptance("trust: 10,000 pods deleted at once, seen by events: all of it flows, and nothing is held")
def test_ten_thousand_deleted(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        site.team("fleet", *FLEET)
        site.team("side", "10.244.9.1")
        site.bridge.start()

        def left() -> int:
            return len(site.group("service", "fleet", "web"))

        eventually("in force", lambda: left() == len(FLEET), 120)
        site.await_in_step(60)
        since = time.monotonic()
        for number in range(len(FLEET)):
            site.delete_pod("fleet", f"web-{number}")
        _told("10,000 pods deleted in the cluster", since)
        eventually("all are out", lambda: left() == 0, 120)
        _told("from the first of 10,000 deletions until the device had none of them", since)
        assert not _held(site)
        assert site.group("service", "side", "web") == {"10.244.9.1"}


@pytest.mark.acceptance(
    "trust: any sequence of changes, decisions, stops and restarts ends as a fresh compile but for exactly the named held steps"
)
@pytest.mark.parametrize("form", list(Form))
def test_sequences(form: Form) -> None:
    random = Random(20261125)
    acts = (*STATES, "release", "reject", "stop", "start", "restart", "audit")
    for _ in range(3):
        line = Guarded(form, random)
        last = "beginning"
        line.go(STATES[last], split=0.0, restart=0.0)
        line.settle()
        for act in random.sample(acts, 8):
            line.act(act)
            last = act if act in STATES else last
        line.state.order(decisions=line.state.orders.decisions)
        line.rest()
        check_named(line)
        for _ in range(MANY_TURNS):
            for one in list(line.state.lists.values()):
                if one.state in (ListState.HELD, ListState.REJECTED):
                    line.decide(one, Choice.RELEASE)
            line.rest()
            if not line.held(ListState.HELD, ListState.REJECTED):
                break
        check_end(line, meant_by(STATES[last], line.target))
