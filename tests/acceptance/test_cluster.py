"""Clusters as they are watched: several at once, with and without our kinds, disturbed in every way; and our kinds themselves."""

import json
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from bridge.clock import SystemClock
from bridge.cluster.client import Connection
from bridge.cluster.reflector import Reflector
from bridge.cluster.serving import Batch
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.lab.apiserver import Fault
from bridge.model.observed import Event, Resource
from bridge.resources import shipped
from tests.acceptance.site import CLUSTER, OWNER, PROGRAM, Bridge, ClusterEntry, bigip, eventually, members, stays
from tests.acceptance.world import OUTSIDE, World, allowed, cluster, run, world

PROVIDER, UNKNOWN = "192.0.2.1", "10.244.255.77"
GROUP = "fusionbridge.io/address-group"
OTHER_UID = "5b3c9f0e-0000-4000-8000-000000000002"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One team of 120 pods, listed in pages of 50."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.bridge.write_settings({"watch": {"page": 50, "podPage": 50}})
        made.team("shop", *(f"10.244.1.{number}" for number in range(1, 121)))
        made.bridge.start()
        eventually("in force", lambda: len(made.group("service", "shop", "web")) == 120)
        yield made
        assert made.bridge.running, made.bridge.log()[-5:]


@pytest.mark.acceptance("reflector: paged lists, watches with bookmarks that go on where they were")
def test_pages_and_bookmarks(site: World) -> None:
    lists = [parse_qs(one.query) for one in site.api.requests.entries("list", "pods")]
    assert [one["limit"] for one in lists] == [["50"]] * 3
    assert ["continue" in one for one in lists] == [False, True, True]
    known = len(site.api.requests.entries("watch", "pods"))
    site.api.end_watches()
    eventually("watched again", lambda: len(site.api.requests.entries("watch", "pods")) > known)
    *_, again = [parse_qs(one.query) for one in site.api.requests.entries("watch", "pods")]
    assert again["allowWatchBookmarks"] in (["true"], ["1"])
    assert int(again["resourceVersion"][0]) > 1000
    assert len(site.api.requests.entries("list", "pods")) == 3, "no list where the watch can go on"


DISTURBANCES: dict[str, Callable[[World], None]] = {
    "500 on everything": lambda site: _disturb(site, Fault("status", times=30, code=500), ends=True),
    "429 with Retry-After": lambda site: _disturb(site, Fault("status", times=5, code=429, retry_after=1), ends=True),
    "connections reset": lambda site: _disturb(site, Fault("drop", times=20), ends=True),
    "410 on the watch": lambda site: _disturb(site, Fault("gone", times=2), ends=True, compact=True),
    "lists cut in the middle": lambda site: _disturb(
        site, Fault("cut", times=5, resource="pods"), ends=True, compact=True
    ),
    "empty lists": lambda site: _disturb(site, Fault("empty", times=2, resource="pods"), ends=True, compact=True),
    "half lists": lambda site: _disturb(site, Fault("short", times=1, resource="pods"), ends=True, compact=True),
    "stale lists": lambda site: _disturb(site, Fault("stale", times=2, resource="pods"), ends=True, compact=True),
    "garbage in the watch": lambda site: _disturb(site, Fault("garbage", times=2, resource="pods")),
    "malformed events": lambda site: _disturb(site, Fault("malformed", times=2, resource="pods")),
}


def _disturb(site: World, fault: Fault, *, ends: bool = False, compact: bool = False) -> None:
    site.api.disturb(fault)
    if compact:
        site.store.compact()
    if ends:
        site.api.end_watches()


@pytest.mark.acceptance("reflector: 410, errors, broken lists and watches: all catches up, and no deletion is inferred")
@pytest.mark.parametrize("case", DISTURBANCES)
def test_disturbed(site: World, case: str) -> None:
    number = 130 + [*DISTURBANCES].index(case)
    before = site.group("service", "shop", "web")
    DISTURBANCES[case](site)
    site.pod("shop", f"web-{number}", f"10.244.1.{number}")
    expected = before | {f"10.244.1.{number}"}
    seen: list[frozenset[str]] = []

    def caught_up() -> bool:
        seen.append(site.group("service", "shop", "web"))
        return seen[-1] == expected

    try:
        eventually("caught up", caught_up, 60)
    finally:
        site.api.calm()
    assert all(one >= before for one in seen), "nothing was taken for deleted"


@pytest.mark.acceptance(
    "reflector: backoff with jitter, and watches that end at once count as errors: no server is flooded"
)
def test_backoff(site: World) -> None:
    site.api.requests.clear()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        site.api.end_watches()
        time.sleep(0.02)
    counts = site.api.requests.counts()
    assert counts["watch pods"] < 20, counts
    site.pod("shop", "web-150", "10.244.1.150")
    eventually("and all goes on", lambda: site.allowed("10.244.1.150", PROVIDER), 60)


@pytest.mark.acceptance(
    "reflector: a watch that went silent ends by the inactivity time-out, and how long it was silent is known"
)
def test_inactivity() -> None:
    seen: set[str] = set()
    arrived = threading.Condition()

    def sink(batch: Batch) -> None:
        with arrived:
            seen.update(one.value.name for one in batch if isinstance(one, Event))
            arrived.notify_all()

    with cluster() as lab:
        lab.team("shop", "10.244.1.1")
        connection = Connection(ClusterConfig("lab", lab.api.kubeconfig))
        reflector = Reflector(connection, Resource.PODS, sink, SystemClock(), ReflectorSettings(inactivity=1.0))
        reflector.start()
        try:
            eventually("listed and watched", lambda: "web-0" in seen and lab.api.watches > 0)
            lab.api.disturb(Fault("stall", times=0, resource="pods"))
            lab.pod("shop", "web-1", "10.244.1.2")
            eventually("the silence is known", lambda: (reflector.health().silent_for or 0) > 0.5)
            lab.api.faults.clear()  # the watch that went silent stays so; only another can tell
            eventually("heard of by another watch", lambda: "web-1" in seen)
        finally:
            reflector.stop()
            connection.close()


@pytest.mark.acceptance(
    "several clusters at once on one device, with and without our custom resources; groups by annotation need none"
)
def test_several_clusters(tmp_path: Path) -> None:
    with cluster("east") as east, cluster("west", system_uid=OTHER_UID) as west, bigip() as device:
        for name in [one["metadata"]["name"] for one in west.store.list("customresourcedefinitions")]:
            west.store.delete("customresourcedefinitions", None, name)
        entries = [
            ClusterEntry("east", east.api.kubeconfig, ("10.244.0.0/16",)),
            ClusterEntry("west", west.api.kubeconfig, ("10.245.0.0/16",)),
        ]
        east.team("shop", "10.244.1.1")
        west.namespace("shop", annotations={GROUP: "everybody"})
        west.service("shop", "web", annotations={GROUP: "partners, shared"})
        west.service("shop", "mail", annotations={GROUP: "shared"})
        west.pod("shop", "web-0", "10.245.1.1")
        west.pod("shop", "mail-0", "10.245.1.2")
        west.pod("shop", "batch-0", "10.245.1.3", annotations={GROUP: "partners"})
        west.namespace("elsewhere", annotations={GROUP: "shared"})
        west.pod("elsewhere", "web-0", "10.245.1.9")
        with Bridge(tmp_path, {"edge": device}, entries) as bridge:
            bridge.start()

            def group(*names: str) -> frozenset[str]:
                return members(device, "_".join((OWNER, "west", "annotation", *names)))

            eventually(
                "east's rule", lambda: allowed(device, "10.244.1.1", PROVIDER) and not allowed(device, UNKNOWN, OUTSIDE)
            )
            eventually("the union inside a namespace", lambda: group("shop", "shared") == {"10.245.1.1", "10.245.1.2"})
            eventually("by Service and by pod", lambda: group("shop", "partners") == {"10.245.1.1", "10.245.1.3"})
            assert group("shop", "everybody") == {"10.245.1.1", "10.245.1.2", "10.245.1.3"}
            assert group("elsewhere", "shared") == {"10.245.1.9"}
            assert not allowed(device, "10.245.1.1", PROVIDER), "a rule matches sources of its own cluster only"
            west.delete_pod("shop", "batch-0")
            west.pod("shop", "job-0", "10.245.1.5", annotations={GROUP: "jobs"})
            eventually("a pod's own wish goes with it", lambda: group("shop", "partners") == {"10.245.1.1"})
            eventually("and comes with it", lambda: group("shop", "jobs") == {"10.245.1.5"})
            west.api.down()
            east.pod("shop", "web-1", "10.244.1.2")
            eventually("one cluster's trouble delays no other", lambda: allowed(device, "10.244.1.2", PROVIDER), 10)
            assert group("shop", "shared") == {"10.245.1.1", "10.245.1.2"}
            west.api.up()
            west.pod("shop", "mail-1", "10.245.1.4")
            eventually("it is back", lambda: "10.245.1.4" in group("shop", "shared"), 45)


@pytest.mark.acceptance("kubeconfig with an exec plugin")
def test_exec_plugin(tmp_path: Path) -> None:
    with cluster() as lab, bigip() as device:
        credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
        answer = credential | {"status": {"token": lab.api.token}}
        plugin = tmp_path / "plugin"
        plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(answer))})\n")
        plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
        document = yaml.safe_load(lab.api.kubeconfig.read_text())
        document["users"][0]["user"] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": str(plugin),
                "interactiveMode": "Never",
            }
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(document))
        lab.team("shop", "10.244.1.1")
        with Bridge(tmp_path, {"edge": device}, [ClusterEntry(CLUSTER, kubeconfig)]) as bridge:
            bridge.start()
            in_force = lambda: not allowed(device, UNKNOWN, OUTSIDE) and allowed(device, "10.244.1.1", PROVIDER)  # noqa: E731
            eventually("in force", in_force)


KINDS = {
    "ClusterEgressRule": "Cluster",
    "ClusterExternalService": "Cluster",
    "AddressGroup": "Cluster",
    "NamespaceEgressRule": "Namespaced",
    "ServiceEgressRule": "Namespaced",
    "ExternalService": "Namespaced",
}
ORDERS = {"Decision": "Cluster", "Stop": "Cluster"}


def documents(folder: str) -> list[dict[str, Any]]:
    """Every object in the files of a shipped folder."""
    paths = sorted(shipped(folder).glob("*.yaml"))
    return [one for path in paths for one in yaml.safe_load_all(path.read_text()) if one]


@pytest.mark.acceptance(
    "custom resources for the kinds and scopes of the design, with schema, CEL, columns and status subresource"
)
def test_custom_resources() -> None:
    definitions = {one["spec"]["names"]["kind"]: one["spec"] for one in documents("config/crd")}
    assert {kind: spec["scope"] for kind, spec in definitions.items()} == KINDS | ORDERS
    rules = [kind for kind, spec in definitions.items() if "x-kubernetes-validations" in json.dumps(spec)]
    assert len(rules) >= 5
    for kind, spec in definitions.items():
        (version,) = spec["versions"]
        text = json.dumps(version["schema"])
        assert (spec["group"], version["name"]) == ("fusionbridge.io", "v1alpha1")
        assert '"description"' in text, kind
        assert {"status"} <= version["subresources"].keys(), kind
        assert version["additionalPrinterColumns"], kind
        assert not {"cgr", "nsgr", "svcgr", "exsvc"} & set(spec["names"].get("shortNames", ())), kind


@pytest.mark.acceptance("one commented example of each kind, valid, and taken by the bridge as it stands")
def test_samples(tmp_path: Path) -> None:
    samples = documents("config/samples")
    assert set(KINDS) <= {one["kind"] for one in samples}
    assert all(path.read_text().startswith("#") for path in shipped("config/samples").glob("*.yaml"))
    assert run(PROGRAM, "validate", shipped("config/samples")).returncode == 0
    with world(tmp_path) as site:
        for one in sorted(samples, key=lambda one: one["kind"] != "Namespace"):
            site.store.put(one)
        site.pod("shop", "paymentservice-0", "10.244.1.1")
        site.bridge.start()
        eventually(
            "the groups by annotation", lambda: "10.244.1.1" in site.group("annotation", "shop", "partner-egress")
        )
        site.await_in_step()
        # The device takes no names, which the payment provider has; everything else stands.
        assert {one["reason"] for one in site.status()["problems"]} <= {"Unsupported"}
        assert site.allowed("10.244.1.1", "192.0.2.53", 53)


@pytest.mark.acceptance("a cluster that is another one under the same name is stopped until a person decides")
def test_identity_of_a_cluster(tmp_path: Path) -> None:
    with world(tmp_path) as site, cluster(system_uid=OTHER_UID) as other:
        site.team("shop", "10.244.1.1")
        site.bridge.start()
        eventually("in force", lambda: not site.allowed(UNKNOWN, OUTSIDE) and site.allowed("10.244.1.1", PROVIDER))
        site.await_in_step()
        site.bridge.stop()
        before = site.group("service", "shop", "web")
        site.bridge.clusters = [ClusterEntry(CLUSTER, other.api.kubeconfig)]
        site.bridge.write_settings()
        known = len(site.bridge.log())
        site.bridge.start()
        eventually("said", lambda: any(OTHER_UID in str(one.get("error")) for one in site.bridge.log()[known:]))
        stays("nothing is deleted", lambda: site.group("service", "shop", "web") == before and site.bridge.running)
