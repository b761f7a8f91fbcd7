"""The control plane and its nodes behave as a real cluster does."""

from pathlib import Path

import pytest
import yaml

from tests.control_plane.api import STRATEGIC, Json, eventually
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

BOUTIQUE = Path(__file__).parents[3] / "shared" / "real-input" / "online-boutique.yaml"


def deployment(name: str, replicas: int, **pod: object) -> Json:
    labels = {"app": name}
    spec = {"containers": [{"name": "main", "image": "example.org/main:1"}], "terminationGracePeriodSeconds": 1} | pod
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str) -> Json:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def pods(plane: ControlPlane, namespace: str) -> list[Json]:
    return plane.api.items(f"/api/v1/namespaces/{namespace}/pods")


def condition(pod: Json, kind: str) -> str | None:
    found = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
    return found.get(kind)


def addresses(found: list[Json]) -> set[str]:
    return {pod["status"]["podIP"] for pod in found if pod["status"].get("podIP")}


def pods_with(plane: ControlPlane, namespace: str, kind: str, count: int) -> list[Json]:
    """The pods, once they are that many and this condition is true of each."""

    def probe() -> list[Json] | None:
        found = pods(plane, namespace)
        whole = len(found) == count and all(condition(pod, kind) == "True" for pod in found)
        return found if whole else None

    return eventually(f"{count} pods with {kind} in {namespace}", probe)


def ready_pods(plane: ControlPlane, namespace: str, count: int) -> list[Json]:
    return pods_with(plane, namespace, "Ready", count)


def ready_endpoints(plane: ControlPlane, namespace: str, name: str) -> set[str]:
    slices = plane.api.items(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io/service-name={name}"
    )
    endpoints = [endpoint for item in slices for endpoint in item["endpoints"] or []]
    return {endpoint["addresses"][0] for endpoint in endpoints if endpoint["conditions"]["ready"]}


def endpoints_become(plane: ControlPlane, namespace: str, name: str, wanted: set[str]) -> None:
    eventually(f"endpoints of {name}", lambda: ready_endpoints(plane, namespace, name) == wanted)


def test_a_deployment_gets_addresses_and_endpoints_and_gives_them_back(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    control_plane.apply(deployment("shop", 3), service("shop"), namespace=fresh_namespace)
    found = ready_pods(control_plane, fresh_namespace, 3)
    assert addresses(found) == {"10.244.0.1", "10.244.0.2", "10.244.0.3"}
    assert {pod["spec"]["nodeName"] for pod in found} == {"node-1", "node-2"}
    assert {pod["metadata"]["uid"] for pod in found} == set().union(*node.held().values())
    endpoints_become(control_plane, fresh_namespace, "shop", addresses(found))
    assert "3/3" in control_plane.kubectl("get", "deployment", "shop", "-n", fresh_namespace)

    control_plane.kubectl("scale", "deployment/shop", "--replicas=0", "-n", fresh_namespace)
    eventually("no pods", lambda: not pods(control_plane, fresh_namespace))
    endpoints_become(control_plane, fresh_namespace, "shop", set())
    eventually("all addresses back", lambda: not node.held())


def test_ready_waits_for_the_readiness_gate(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    gated = deployment("gated", 1, readinessGates=[{"conditionType": "example.org/open"}])
    control_plane.apply(gated, service("gated"), namespace=fresh_namespace)
    [pod] = pods_with(control_plane, fresh_namespace, "ContainersReady", 1)
    assert condition(pod, "Ready") == "False"
    for state in ("True", "False", "True"):
        opened = {"status": {"conditions": [{"type": "example.org/open", "status": state}]}}
        control_plane.api.patch(f"{path(pod)}/status", opened, STRATEGIC)
        becomes_ready(control_plane, pod, state)
    endpoints_become(control_plane, fresh_namespace, "gated", {pod["status"]["podIP"]})


def test_a_pod_can_be_unready_and_can_come_to_an_end(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    for name in ("one", "two"):
        control_plane.apply(bare_pod(name), namespace=fresh_namespace)
    one, two = sorted(ready_pods(control_plane, fresh_namespace, 2), key=lambda pod: str(pod["metadata"]["name"]))

    node.set_ready(fresh_namespace, "one", ready=False)
    becomes_ready(control_plane, one, "False")
    node.succeed(fresh_namespace, "one")
    node.fail(fresh_namespace, "two")
    eventually("one succeeded", lambda: control_plane.api.get(path(one))["status"]["phase"] == "Succeeded")
    eventually("two failed", lambda: control_plane.api.get(path(two))["status"]["phase"] == "Failed")
    assert control_plane.api.get(path(one))["status"]["podIP"] == one["status"]["podIP"]
    eventually("ended pods hold nothing", lambda: not node.held())


def test_a_terminating_pod_holds_its_address_to_the_end(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    control_plane.apply(bare_pod("old"), namespace=fresh_namespace)
    [old] = ready_pods(control_plane, fresh_namespace, 1)
    node.end_after = float("inf")
    control_plane.api.delete(path(old))
    control_plane.apply(bare_pod("new"), namespace=fresh_namespace)
    new = addressed(control_plane, fresh_namespace, "new")
    assert new["status"]["podIP"] != old["status"]["podIP"]
    assert "deletionTimestamp" in control_plane.api.get(path(old))["metadata"]

    node.end_after = 0
    eventually("old is gone", lambda: control_plane.api.find(path(old)) is None)
    eventually("only new holds an address", lambda: set(node.held()) == {new["status"]["podIP"]})


def test_addresses_can_be_forced_shared_and_changed(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    for name in ("first", "second"):
        node.force_next("10.244.0.77")
        control_plane.apply(bare_pod(name), namespace=fresh_namespace)
        addressed(control_plane, fresh_namespace, name)
    assert len(node.held()["10.244.0.77"]) == 2

    node.readdress(fresh_namespace, "second")
    eventually(
        "second moved",
        lambda: (
            control_plane.api.get(f"/api/v1/namespaces/{fresh_namespace}/pods/second")["status"]["podIPs"]
            == [{"ip": "10.244.0.1"}]
        ),
    )
    assert len(node.held()["10.244.0.77"]) == 1
    with pytest.raises(ValueError, match="none of the pods' ranges"):
        node.force_next("192.0.2.1")


def test_both_families_and_the_host_network(control_plane: ControlPlane, fresh_namespace: str) -> None:
    with NodeStandIn(control_plane.api, names=["solo"], ranges=["10.9.0.0/29", "fd00:9::/64"]) as node:
        control_plane.apply(bare_pod("dual"), bare_pod("host", hostNetwork=True), namespace=fresh_namespace)
        found = {pod["metadata"]["name"]: pod["status"] for pod in ready_pods(control_plane, fresh_namespace, 2)}
        assert found["dual"]["podIPs"] == [{"ip": "10.9.0.1"}, {"ip": "fd00:9::1"}]
        assert found["host"]["podIP"] == found["host"]["hostIP"] == node.machines[0].addresses[0]
        assert set(node.held()) == {"10.9.0.1", "fd00:9::1"}


def test_a_daemon_set_runs_on_every_node(control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str) -> None:
    daemon = deployment("agent", 1) | {"kind": "DaemonSet"}
    del daemon["spec"]["replicas"]
    control_plane.apply(daemon, namespace=fresh_namespace)
    found = ready_pods(control_plane, fresh_namespace, 2)
    assert {pod["spec"]["nodeName"] for pod in found} == {"node-1", "node-2"}


def test_new_nodes_know_the_addresses_that_pods_hold(control_plane: ControlPlane, fresh_namespace: str) -> None:
    control_plane.apply(bare_pod("kept"), namespace=fresh_namespace)
    before = NodeStandIn(control_plane.api)
    with before:
        [kept] = ready_pods(control_plane, fresh_namespace, 1)
        with NodeStandIn(control_plane.api, names=["node-3"]) as after:
            eventually("adopted", lambda: after.held() == {kept["status"]["podIP"]: {kept["metadata"]["uid"]}})
    assert control_plane.api.find(path(kept)) is None


def test_a_deleted_namespace_goes_with_all_it_holds(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    control_plane.apply(deployment("doomed", 2), service("doomed"), namespace=fresh_namespace)
    ready_pods(control_plane, fresh_namespace, 2)
    control_plane.kubectl("delete", "namespace", fresh_namespace)
    assert control_plane.api.find(f"/api/v1/namespaces/{fresh_namespace}") is None
    eventually("all addresses back", lambda: not node.held())


def test_objects_outlive_an_absent_api_server(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    control_plane.apply(deployment("lasting", 2), namespace=fresh_namespace)
    before = ready_pods(control_plane, fresh_namespace, 2)
    with control_plane.api_away():
        assert not control_plane.api.ready()
        assert "kube-apiserver" not in control_plane.pids
    after = ready_pods(control_plane, fresh_namespace, 2)
    assert {pod["metadata"]["uid"] for pod in after} == {pod["metadata"]["uid"] for pod in before}
    control_plane.kubectl("scale", "deployment/lasting", "--replicas=3", "-n", fresh_namespace)
    ready_pods(control_plane, fresh_namespace, 3)


def test_custom_resources_are_served_once_installed(control_plane: ControlPlane, tmp_path: Path) -> None:
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.org"},
        "spec": {"group": "example.org", "scope": "Cluster", "names": names, "versions": [version]},
    }
    (tmp_path / "gadgets.yaml").write_text(yaml.safe_dump(crd))
    assert control_plane.install_crds(tmp_path) == ["gadgets.example.org"]
    control_plane.apply({"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "one"}})
    assert len(control_plane.api.items("/apis/example.org/v1/gadgets")) == 1


def test_the_online_boutique_becomes_available(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str
) -> None:
    if not BOUTIQUE.exists():
        pytest.skip(f"needs {'/'.join(BOUTIQUE.parts[-3:])} beside the checkout")
    control_plane.kubectl("apply", "-n", fresh_namespace, "-f", str(BOUTIQUE))
    control_plane.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", fresh_namespace)
    found = pods(control_plane, fresh_namespace)
    assert len(found) == 12
    assert addresses(found) == set(node.held())
    for name in ("frontend", "paymentservice"):
        [address] = [pod["status"]["podIP"] for pod in found if pod["metadata"]["labels"]["app"] == name]
        endpoints_become(control_plane, fresh_namespace, name, {address})


def bare_pod(name: str, **spec: object) -> Json:
    whole = {"containers": [{"name": "main", "image": "example.org/main:1"}], "terminationGracePeriodSeconds": 1} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


def path(pod: Json) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def addressed(plane: ControlPlane, namespace: str, name: str) -> Json:
    """The pod, once it has an address."""

    def probe() -> Json | None:
        found = plane.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        return found if found["status"].get("podIP") else None

    return eventually(f"{name} has an address", probe)


def becomes_ready(plane: ControlPlane, pod: Json, state: str) -> None:
    name = pod["metadata"]["name"]
    eventually(f"Ready={state} on {name}", lambda: condition(plane.api.get(path(pod)), "Ready") == state)
