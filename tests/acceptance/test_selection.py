"""Who a rule is about, where to and by what: every word of the language, through the program, to what devices decide."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, Bridge, ClusterEntry, bigip, eventually, members
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import OUTSIDE, VIRTUAL, World, allowed, cluster, world

EVERYTHING = [
    "192.0.2.10",
    "198.51.100.0/28",
    "203.0.113.20-203.0.113.27",
    "203.0.113.30-203.0.113.33",
    "2001:db8:9::/64",
    "2001:db8:8::1",
    "2001:db8:7::4-2001:db8:7::6",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams, some pods each, and the default Deny."""
    with world(tmp_path_factory.mktemp("selection")) as made:
        made.bridge.start()
        for place, number in (("shop", 1), ("bank", 2)):
            made.namespace(place)
            for last, app in enumerate(("web", "job"), 1):
                made.service(place, app)
                made.pod(place, f"{app}-0", f"10.244.{number}.{last}", account=f"{app}-account")
        made.namespace("free", governed=False)
        made.pod("free", "web-0", "10.244.3.1")
        eventually("the default is in force", lambda: not made.allowed(UNKNOWN, OUTSIDE))
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


def _who(site: World, number: int) -> set[str]:
    """Who reaches the destination that this number stands for."""
    pods = {
        "10.244.1.1": "shop/web",
        "10.244.1.2": "shop/job",
        "10.244.2.1": "bank/web",
        "10.244.2.2": "bank/job",
        UNKNOWN: "nobody",
    }
    return {name for address, name in pods.items() if site.allowed(address, f"203.0.113.{number}")}


def _to(site: World, number: int) -> str:
    """A destination of one address, which any rule may name."""
    name = f"to-{number}"
    site.put("ClusterExternalService", "", name, {"addresses": [f"203.0.113.{number}"], "ports": "Any"})
    return name


def _cluster(site: World, number: int, **source: Any) -> None:  # noqa: ANN401
    site.cluster_rule(f"rule-{number}", _to(site, number), "Allow", **({"from": source} if source else {}))


def _namespace(site: World, number: int, **source: Any) -> None:  # noqa: ANN401
    to = [{"name": _to(site, number), "kind": "ClusterExternalService"}]
    spec: dict[str, Any] = {"action": "Allow", "to": to} | ({"from": source} if source else {})
    site.put("NamespaceEgressRule", "shop", f"rule-{number}", spec)


@pytest.mark.acceptance(
    "language: selection by Service, pod labels, namespace labels, service account, namespace and cluster"
)
def test_selection(site: World) -> None:
    web = {"matchLabels": {"app": "web"}}
    not_web = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}
    bank = {"matchLabels": {"name": "bank"}}
    site.put(
        "ServiceEgressRule",
        "shop",
        "rule-1",
        {"service": "web", "action": "Allow", "to": [{"name": _to(site, 1), "kind": "ClusterExternalService"}]},
    )
    _namespace(site, 2)
    _namespace(site, 3, podSelector=not_web)
    _namespace(site, 4, serviceAccounts=["web-account"])
    _cluster(site, 5)
    _cluster(site, 6, podSelector=web)
    _cluster(site, 7, namespaceSelector=bank)
    _cluster(site, 8, podSelector=not_web, namespaceSelector=bank)
    _cluster(site, 9, serviceAccounts=["bank/web-account", "shop/job-account"])
    _cluster(site, 10, podSelector={"matchLabels": {"app": "nobody"}})
    everyone = {"shop/web", "shop/job", "bank/web", "bank/job", "nobody"}
    meant = {
        1: {"shop/web"},
        2: {"shop/web", "shop/job"},
        3: {"shop/job"},
        4: {"shop/web"},
        5: everyone,
        6: {"shop/web", "bank/web"},
        7: {"bank/web", "bank/job"},
        8: {"bank/job"},
        9: {"bank/web", "shop/job"},
        10: set(),
    }
    eventually("all rules are in force", lambda: {number: _who(site, number) for number in meant} == meant)
    assert site.action("10.244.3.1", "203.0.113.5") == "accept", "pods of ungoverned namespaces are let on"


@pytest.mark.acceptance("language: external services by address, prefix, range and IPv6, each exactly as written")
def test_destinations(site: World) -> None:
    site.put("ExternalService", "shop", "wide", {"addresses": EVERYTHING, "ports": [{"protocol": "TCP", "port": 8443}]})
    site.service_rule("shop", "web", "wide")

    def reaches(destination: str, source: str = "10.244.1.1") -> bool:
        return bool(allowed(site.device, source, destination, 8443))

    inside = ("192.0.2.10", "198.51.100.0", "198.51.100.15", "203.0.113.20", "203.0.113.27", "203.0.113.33")
    beside = (
        "192.0.2.9",
        "192.0.2.11",
        "198.51.100.16",
        "203.0.113.19",
        "203.0.113.28",
        "203.0.113.29",
        "203.0.113.34",
    )
    eventually("in force", lambda: reaches("192.0.2.10"))
    assert [reaches(one) for one in inside] == [True] * len(inside)
    assert [reaches(one) for one in beside] == [False] * len(beside)
    site.await_in_step()
    lists = {name for name in site.lists() if "wide" in name}
    held = {member for name in lists for member in members(site.device, name)}
    assert {"2001:db8:9::/64", "2001:db8:8::1", "2001:db8:7::4-2001:db8:7::6"} <= held


@pytest.mark.acceptance(
    "language: TCP, UDP and SCTP with port lists and ranges, every port of a protocol, and ports Any"
)
def test_traffic(site: World) -> None:
    ports = [
        {"protocol": "TCP", "port": 443},
        {"protocol": "TCP", "port": 8080, "endPort": 8090},
        {"protocol": "UDP", "port": "Any"},
        {"protocol": "SCTP", "port": 3868},
    ]
    for name, address, traffic in (("listed", "203.0.113.65", ports), ("any", "203.0.113.66", "Any")):
        site.put("ExternalService", "shop", name, {"addresses": [address], "ports": traffic})
        site.service_rule("shop", "web", name)

    def passes(destination: str, protocol: str, port: int = 0) -> bool:
        packet = {"protocol": protocol, "port": port} if port else {"protocol": protocol}
        return bool(site.device.decide("10.244.1.1", destination, virtual=VIRTUAL, **packet).allowed)

    eventually("in force", lambda: passes("203.0.113.66", "tcp", 1) and passes("203.0.113.65", "tcp", 443))
    through = (("tcp", 8080), ("tcp", 8090), ("udp", 1), ("udp", 65535), ("sctp", 3868))
    stopped = (("tcp", 442), ("tcp", 8091), ("sctp", 3869), ("icmp", 0), ("gre", 0))
    assert [passes("203.0.113.65", *one) for one in through] == [True] * len(through)
    assert [passes("203.0.113.65", *one) for one in stopped] == [False] * len(stopped)
    assert all(passes("203.0.113.66", *one) for one in (*through, *stopped))


@pytest.mark.acceptance("language: log marks the lines of that rule, and of no other")
def test_log(site: World) -> None:
    site.put("ExternalService", "shop", "logged", {"addresses": ["203.0.113.80"], "ports": "Any"})
    site.service_rule("shop", "web", "logged", log=True)
    site.service_rule("shop", "job", "logged")

    def logs(source: str) -> bool:
        return bool(site.device.decide(source, "203.0.113.80", port=443, virtual=VIRTUAL).matches[-1].log)

    eventually("in force", lambda: allowed(site.device, "10.244.1.2", "203.0.113.80"))
    assert (logs("10.244.1.1"), logs("10.244.1.2")) == (True, False)


@pytest.mark.acceptance("language: which devices a rule is for: named ones, or every device of the cluster")
def test_devices(tmp_path: Path) -> None:
    with cluster() as made, bigip() as one, bigip() as other:
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        with Bridge(tmp_path, {"one": one, "other": other}, [entry]) as bridge:
            bridge.start()
            made.team("shop", "10.244.1.1")
            made.external("shop", "only-one", "203.0.113.90")
            made.service_rule("shop", "web", "only-one", devices=["one"])

            def reach(device: Bigip, destination: str) -> bool:
                return allowed(device, "10.244.1.1", destination)

            eventually("everywhere", lambda: reach(one, "192.0.2.1") and reach(other, "192.0.2.1"))
            eventually("on one", lambda: reach(one, "203.0.113.90"))
            bridge.await_in_step()
            assert not reach(other, "203.0.113.90")
