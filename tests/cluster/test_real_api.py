"""The same code against a real API server."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from bridge.clock import SystemClock
from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.cluster.decode import Value
from bridge.cluster.health import State
from bridge.cluster.kinds import KINDS
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.watcher import ClusterWatcher
from bridge.cluster.writes import Notice, apply_annotations, apply_status, create_event
from bridge.errors import ClusterDenied
from bridge.model.observed import RESOURCES, Change, Pod, Resource
from bridge.resources import shipped
from tests.cluster.folding import HASTY, Fold
from tests.cluster.scripted import write_kubeconfig
from tests.control_plane.api import Json, eventually
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

pytestmark = pytest.mark.control_plane


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    opened = Connection(ClusterConfig("real", control_plane.kubeconfig))
    yield opened
    opened.close()


@pytest.fixture
def fold() -> Fold:
    return Fold()


@pytest.fixture
def watcher(connection: Connection, fold: Fold) -> Iterator[ClusterWatcher]:
    watching = ClusterWatcher(connection, fold, SystemClock(), settings=HASTY)
    watching.start()
    yield watching
    watching.stop()


def held(plane: ControlPlane) -> dict[Resource, dict[str, str]]:
    def versions(items: list[Json]) -> dict[str, str]:
        return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in items}

    return {each: versions(plane.api.items(KINDS[each].path)) for each in RESOURCES}


def in_step(plane: ControlPlane, fold: Fold) -> None:
    eventually("the fold equals the server", lambda: fold.store == held(plane))


def deployment(name: str, replicas: int) -> Json:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example.org/main:1"}], "terminationGracePeriodSeconds": 1},
    }
    selector = {"matchLabels": {"app": name}}
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_everything_is_followed_through_an_outage(
    control_plane: ControlPlane, node: NodeStandIn, fresh_namespace: str, watcher: ClusterWatcher, fold: Fold
) -> None:
    eventually("synced", lambda: watcher.all_synced)
    control_plane.install_crds(shipped("config/crd"))
    eventually("all watched", lambda: {each.state for each in watcher.health().values()} == {State.WATCHING})
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    service: Json = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    control_plane.apply(deployment("web", 3), service, namespace=fresh_namespace)
    in_step(control_plane, fold)
    eventually("three pods", lambda: len(fold.store[Resource.PODS]) >= 3)

    control_plane.stop_api()
    eventually("noticed", lambda: State.FAILING in {each.state for each in watcher.health().values()})
    removed = len(fold.removed)
    control_plane.start_api()
    control_plane.kubectl("-n", fresh_namespace, "scale", "deployment/web", "--replicas=1")
    eventually(
        "pods went", lambda: len([each for each in fold.removed[removed:] if each.resource is Resource.PODS]) >= 2
    )
    in_step(control_plane, fold)
    assert {event.change for event in fold.removed} == {Change.DELETED}


def test_what_vanished_meanwhile_is_noticed(
    control_plane: ControlPlane, connection: Connection, node: NodeStandIn, fresh_namespace: str
) -> None:
    path = f"/api/v1/namespaces/{fresh_namespace}/pods"
    control_plane.apply(deployment("web", 2), namespace=fresh_namespace)
    eventually(
        "two pods", lambda: len([each for each in control_plane.api.items(path) if each["status"].get("podIP")]) == 2
    )
    known = watched(connection, Fold(), ())
    control_plane.kubectl("-n", fresh_namespace, "delete", "deployment/web", "--wait")
    eventually("no pods", lambda: not control_plane.api.items(path))
    fold = Fold()
    watched(connection, fold, known)
    gone = {event.value.uid for event in fold.removed if event.change is Change.GONE}
    assert gone == {value.uid for value in known if isinstance(value, Pod) and value.namespace == fresh_namespace}
    assert len(gone) == 2


def watched(connection: Connection, fold: Fold, known: Iterable[Value]) -> list[Value]:
    """The pods that a watcher shows, starting from what is known."""
    watcher = ClusterWatcher(connection, fold, SystemClock(), resources=[Resource.PODS], known={Resource.PODS: known})
    watcher.start()
    eventually("synced", lambda: watcher.all_synced)
    watcher.stop()
    return list(fold.values[Resource.PODS].values())


def test_writes(control_plane: ControlPlane, connection: Connection, fresh_namespace: str) -> None:
    control_plane.install_crds(shipped("config/crd"))
    sample = yaml.safe_load((shipped("config/samples") / "serviceegressrule.yaml").read_text())
    rules = f"/apis/fusionbridge.io/v1alpha1/namespaces/{fresh_namespace}/serviceegressrules"
    sample["metadata"]["namespace"] = fresh_namespace
    made = control_plane.api.post(rules, sample)
    name = made["metadata"]["name"]
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    apply_status(
        connection, Resource.SERVICE_RULES, fresh_namespace, name, made["metadata"]["uid"], {"conditions": [condition]}
    )
    after = control_plane.api.get(f"{rules}/{name}")
    assert after["status"]["conditions"] == [condition]
    assert after["metadata"]["generation"] == made["metadata"]["generation"]
    notice = Notice("Accepted", "in force as written")
    uid = made["metadata"]["uid"]
    create_event(connection, Resource.SERVICE_RULES, fresh_namespace, name, uid, notice, SystemClock().now())
    events = control_plane.api.items(f"/api/v1/namespaces/{fresh_namespace}/events")
    assert [(each["reason"], each["involvedObject"]["uid"]) for each in events] == [("Accepted", uid)]


def test_annotations(control_plane: ControlPlane, connection: Connection, fresh_namespace: str) -> None:
    path = f"/api/v1/namespaces/{fresh_namespace}"
    made = control_plane.api.patch(path, {"metadata": {"annotations": {"theirs": "stays"}}})
    uid = made["metadata"]["uid"]
    apply_annotations(connection, Resource.NAMESPACES, "", fresh_namespace, uid, {"fusionbridge.io/status": "ok"})
    assert annotations(control_plane, path) == {"theirs": "stays", "fusionbridge.io/status": "ok"}
    apply_annotations(connection, Resource.NAMESPACES, "", fresh_namespace, uid, {})
    assert annotations(control_plane, path) == {"theirs": "stays"}


@pytest.mark.parametrize("name", ["never-was", "default"])
def test_annotations_reach_no_namesake_and_create_nothing(
    name: str, control_plane: ControlPlane, connection: Connection
) -> None:
    with pytest.raises(RequestRefused) as refused:
        apply_annotations(
            connection, Resource.NAMESPACES, "", name, "00000000-0000-0000-0000-000000000000", {"a/b": "c"}
        )
    assert refused.value.code in (409, 422)
    assert control_plane.api.find("/api/v1/namespaces/never-was") is None
    assert "a/b" not in annotations(control_plane, "/api/v1/namespaces/default")


def annotations(plane: ControlPlane, path: str) -> dict[str, str]:
    found: dict[str, str] = plane.api.get(path)["metadata"].get("annotations", {})
    return found


def test_denied_without_rights_and_with_a_wrong_token(
    control_plane: ControlPlane, fresh_namespace: str, tmp_path: Path
) -> None:
    path = f"/api/v1/namespaces/{fresh_namespace}/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    rightless = control_plane.api.post(path, request)["status"]["token"]
    for token in (rightless, "wrong-and-secret"):
        kubeconfig = tmp_path / "kubeconfig"
        write_kubeconfig(kubeconfig, control_plane.url, {"token": token}, control_plane.ca)
        connection = Connection(ClusterConfig("real", kubeconfig))
        with pytest.raises(ClusterDenied, match="list pods") as denied:
            connection.get("list pods", KINDS[Resource.PODS].path)
        connection.close()
        assert token not in str(denied.value)


def test_who_it_is(control_plane: ControlPlane, connection: Connection) -> None:
    system = control_plane.api.get("/api/v1/namespaces/kube-system")
    assert connection.identity() == system["metadata"]["uid"]
    assert connection.server_version() == control_plane.api.get("/version")["gitVersion"]
