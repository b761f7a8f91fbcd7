"""Devices that do not see the addresses of pods: nodes and egresses by destination, and who else stands behind them (SEMANTICS 3)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.site import eventually, stays
from tests.acceptance.world import VIRTUAL, World, world

BY_POD, BY_NODE, BY_EGRESS = "192.0.2.1", "203.0.113.1", "198.51.100.1"
NODE, OTHER, EGRESS = "10.200.0.1", "10.200.0.2", "10.201.0.9"
SOURCES = [
    {"source": "Node", "destinations": ["203.0.113.0/24"]},
    {"source": "Egress", "destinations": ["198.51.100.0/24"], "addresses": [EGRESS], "namespaces": ["out"]},
    {"source": "Pod"},
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A device inside towards one provider and outside towards two others."""
    overrides = {"edge": {"addressSource": SOURCES}}
    with world(tmp_path_factory.mktemp("sources"), overrides=overrides) as made:
        made.bridge.clusters[0].node_ranges = ("10.200.0.0/24",)
        made.bridge.write_settings()
        made.node("one", NODE)
        made.node("two", OTHER)
        made.node("three", "10.200.0.3")
        made.bridge.start()
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


def _team(site: World, name: str, destination: str, **more: Any) -> None:  # noqa: ANN401
    site.namespace(name)
    site.service(name, "web")
    site.external(name, "provider", f"{destination}/32")
    site.service_rule(name, "web", "provider", **more)


def _allowed(site: World, source: str, destination: str) -> bool:
    """Whether a line of a rule lets the packet through: what none matches is not ours to decide."""
    found = site.device.decide(source, destination, port=443, virtual=VIRTUAL)
    return found.allowed and any("web-" in str(match) for match in found.matches)


def _condition(site: World, namespace: str, kind: str = "Accepted") -> str:
    """Status, reason and message of a condition of the rule, as kubectl shows them."""
    found = site.store.get("serviceegressrules", namespace, "web-provider").get("status", {})
    said = [one for one in found.get("conditions", ()) if one["type"] == kind]
    return " ".join(f"{one['status']} {one['reason']}: {one['message']}" for one in said)


@pytest.mark.acceptance(
    "language: an address source for each prefix of destinations: the pod's own inside, the node's outside"
)
def test_nodes_by_prefix(site: World) -> None:
    _team(site, "shop", BY_NODE)
    site.external("shop", "inside", f"{BY_POD}/32")
    site.service_rule("shop", "web", "inside")
    site.pod("shop", "web-0", "10.244.1.1", node="one")
    eventually("the node may", lambda: _allowed(site, NODE, BY_NODE))
    eventually("the pod may, where it is seen", lambda: _allowed(site, "10.244.1.1", BY_POD))
    assert not _allowed(site, "10.244.1.1", BY_NODE)
    assert not _allowed(site, NODE, BY_POD)
    assert not _allowed(site, OTHER, BY_NODE)
    site.pod("shop", "web-1", "10.244.1.2", node="two")
    eventually("so may the node of another", lambda: _allowed(site, OTHER, BY_NODE))
    site.delete_pod("shop", "web-1")
    eventually("and no longer than that", lambda: not _allowed(site, OTHER, BY_NODE))
    site.node("one", "10.200.0.7")
    eventually("at the node's new address", lambda: _allowed(site, "10.200.0.7", BY_NODE))
    assert not _allowed(site, NODE, BY_NODE)
    site.node("one", NODE)
    eventually("and back", lambda: _allowed(site, NODE, BY_NODE))


@pytest.mark.acceptance("language: a stated egress for one prefix, a member while anybody leaves by it")
def test_egress_by_prefix(site: World) -> None:
    _team(site, "out", BY_EGRESS)
    site.await_in_step()
    assert not _allowed(site, EGRESS, BY_EGRESS)
    site.pod("out", "web-0", "10.244.2.1", node="three")
    eventually("the egress may", lambda: _allowed(site, EGRESS, BY_EGRESS))
    assert not _allowed(site, "10.244.2.1", BY_EGRESS)
    site.pod("out", "cron-0", "10.244.2.2", node="three")
    eventually("not with somebody else behind it", lambda: not _allowed(site, EGRESS, BY_EGRESS))
    site.delete_pod("out", "cron-0")
    eventually("again when that is gone", lambda: _allowed(site, EGRESS, BY_EGRESS))


@pytest.mark.acceptance(
    "language: an Allow that is over-broad is withheld, names who else is there, and acceptShared lifts it"
)
def test_over_broad(site: World) -> None:
    _team(site, "broad", BY_NODE)
    site.node("four", "10.200.0.4")
    site.pod("broad", "web-0", "10.244.3.1", node="four")
    eventually("it may alone", lambda: _allowed(site, "10.200.0.4", BY_NODE))
    site.pod("kube-system", "proxy", node="four", host=True)
    eventually("not with another", lambda: not _allowed(site, "10.200.0.4", BY_NODE))
    eventually("the rule says why", lambda: _condition(site, "broad").startswith("False OverBroad"))
    assert "kube-system/proxy" in site.problem("Default edge"), (
        "the default Deny is not in force either, and status says so"
    )
    assert "kube-system/proxy" in _condition(site, "broad")
    site.service_rule("broad", "web", "provider", acceptShared=True)
    eventually("who accepts that may", lambda: _allowed(site, "10.200.0.4", BY_NODE))
    eventually("and is told so", lambda: _condition(site, "broad").startswith("True"))
    site.service_rule("broad", "web", "provider")
    eventually("not without", lambda: not _allowed(site, "10.200.0.4", BY_NODE))
    site.delete_pod("kube-system", "proxy")
    eventually("alone again", lambda: _allowed(site, "10.200.0.4", BY_NODE))
    eventually("the rule is accepted", lambda: _condition(site, "broad").startswith("True"))


@pytest.mark.acceptance("language: a Deny that is over-broad withholds the Allow below it")
def test_an_over_broad_deny(site: World) -> None:
    _team(site, "denied", BY_NODE, acceptShared=True)
    site.node("five", "10.200.0.5")
    site.external("denied", "bad", "203.0.113.0/28")
    site.pod("denied", "web-0", "10.244.4.1", node="five")
    site.pod("denied", "job-0", "10.244.4.2", node="five")
    site.service("denied", "job")
    eventually("the Allow stands", lambda: _allowed(site, "10.200.0.5", BY_NODE))
    site.service_rule("denied", "job", "bad", action="Deny", priority=10)
    eventually("the Deny is not in force", lambda: "OverBroad" in site.problem("ServiceEgressRule denied/job-bad"))
    eventually("the Allow is withheld", lambda: "Withheld" in _condition(site, "denied", "Programmed"))
    stays("what stood is not widened", lambda: not _allowed(site, "10.200.0.2", BY_NODE), 0.5)
    site.delete_pod("denied", "web-0")
    eventually("alone it stops", lambda: "OverBroad" not in site.problem("ServiceEgressRule denied/job-bad"))
    eventually("and nothing is let through", lambda: not _allowed(site, "10.200.0.5", BY_NODE))


@pytest.mark.acceptance("language: an address of a node outside the declared node ranges is never a member")
def test_only_declared_nodes(site: World) -> None:
    _team(site, "strays", BY_NODE)
    site.node("six", "10.200.0.6", "192.168.7.7")
    site.pod("strays", "web-0", "10.244.5.1", node="six")
    eventually("the declared address may", lambda: _allowed(site, "10.200.0.6", BY_NODE))
    stays("the other never", lambda: not _allowed(site, "192.168.7.7", BY_NODE), 0.5)
