"""The believable fleet, its churn, manifests from files, and the cluster as a process."""

import ipaddress
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from bridge.lab.apiserver import LabCluster, Manifest, Refusal
from bridge.lab.population import Churn, believable
from bridge.lab.serve import load_manifests


def addresses(cluster: LabCluster) -> Counter[str]:
    pods = cluster.list("pods")
    return Counter(one["status"]["podIP"] for one in pods if not one["spec"].get("hostNetwork"))


def test_a_fleet_holds_together(cluster: LabCluster) -> None:
    fleet = believable(cluster, 300)
    pods = cluster.list("pods")
    assert len(pods) == fleet.size == 300
    assert set(addresses(cluster).values()) == {1}
    nodes = {one["metadata"]["name"]: one for one in cluster.list("nodes")}
    for one in pods:
        node = nodes[one["spec"]["nodeName"]]
        inside = ipaddress.ip_address(one["status"]["podIP"]) in ipaddress.ip_network(node["spec"]["podCIDR"])
        assert inside is not bool(one["spec"].get("hostNetwork"))
    governed = cluster.list("namespaces", labels="fusionbridge.io/egress=governed")
    assert 5 <= len(governed) < len(cluster.list("namespaces"))
    slices(cluster)


def slices(cluster: LabCluster) -> None:
    """Every Service's EndpointSlices name exactly the pods that its selector selects."""
    for service in cluster.list("services"):
        home, name = service["metadata"]["namespace"], service["metadata"]["name"]
        selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
        selected = {one["status"]["podIP"] for one in cluster.list("pods", home, labels=selector)}
        listed = cluster.list("endpointslices", home, labels=f"kubernetes.io/service-name={name}")
        assert {address for one in listed for end in one["endpoints"] for address in end["addresses"]} == selected


def test_the_same_seed_gives_the_same_cluster_and_the_same_churn() -> None:
    def told(seed: int) -> tuple[list[str], Counter[str]]:
        cluster = LabCluster()
        churn = Churn(believable(cluster, 80, seed=seed), seed=seed)
        return [churn.step() for _ in range(60)], addresses(cluster)

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_churn_keeps_addresses_unique_reuses_some_and_leaves_slices_right(cluster: LabCluster) -> None:
    fleet = believable(cluster, 120)
    churn = Churn(fleet, seed=4, reuse=0.5)
    seen: set[str] = set(addresses(cluster))
    reused = 0
    for _ in range(40):
        before = set(addresses(cluster))
        churn.run(5)
        after = addresses(cluster)
        assert set(after.values()) <= {1}
        reused += len((set(after) - before) & seen)
        seen |= set(after)
    assert len(cluster.list("pods")) == fleet.size
    assert churn.changes >= 200
    slices(cluster)


def test_churn_in_a_thread_ends_by_itself(cluster: LabCluster) -> None:
    fleet = believable(cluster, 60)
    with Churn(fleet, only_replace=True).start(2000, count=100) as churn:
        assert churn.join(20)
    assert churn.changes == 100
    assert fleet.size == len(cluster.list("pods")) == 60


def test_a_range_too_small_is_refused(cluster: LabCluster) -> None:
    with pytest.raises(ValueError, match="no room"):
        believable(cluster, 500, pod_range="10.9.0.0/24")


def test_manifests_load_in_any_order(cluster: LabCluster, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: late}\nspec: {containers: []}\n---\n"
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: other}}\n"
    )
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: late, labels: {x: y}}\n")
    assert load_manifests(cluster, [tmp_path]) == 3
    assert cluster.get("namespaces", None, "late")["metadata"]["labels"]["x"] == "y"
    assert cluster.get("configmaps", "other", "c")["metadata"]["name"] == "c"
    (tmp_path / "c.yaml").write_text("apiVersion: v9\nkind: Odd\nmetadata: {name: odd}\n")
    with pytest.raises(Refusal, match=r"c\.yaml: Odd odd"):
        load_manifests(cluster, [tmp_path / "c.yaml"])


def test_the_cluster_as_a_process() -> None:
    code = "from bridge.lab.serve import serve_cluster; serve_cluster(pods=50, churn=50, tls=False)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        document: Manifest = json.loads(process.stdout.readline())
        assert document.keys() == {"url", "kubeconfig", "username", "password", "token", "ca"}
        headers = {"authorization": f"Bearer {document['token']}"}
        listed = httpx.get(f"{document['url']}/api/v1/pods", headers=headers).json()
        assert len(listed["items"]) >= 25
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not Path(document["kubeconfig"]).exists()


def test_the_shipped_definitions_are_served(cluster: LabCluster) -> None:
    count = cluster.load_definitions()
    stored = cluster.list("customresourcedefinitions")
    assert len(stored) == count
    plurals = {one["spec"]["names"]["plural"] for one in stored}
    assert plurals <= {kind.plural for kind in cluster.shelves.kinds if kind.schema is not None}
