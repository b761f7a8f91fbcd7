"""Against the simulated API server: whatever happens on the way, what was delivered adds up to what the server holds."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from bridge.clock import SystemClock
from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.cluster.health import State
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.watcher import ClusterWatcher
from bridge.cluster.writes import Notice, apply_annotations, apply_status, create_event
from bridge.lab.apiserver import ApiServer, Fault, LabCluster
from bridge.model.observed import RESOURCES, Change, Resource
from tests.cluster.folding import HASTY, Fold
from tests.cluster.scripted import Json, eventually, pod

Name = Literal["status", "drop", "cut", "drip", "garbage", "malformed", "empty", "short", "stale"]


def held(cluster: LabCluster) -> dict[Resource, dict[str, str]]:
    """What the server holds: uid and resource version of everything."""
    return {
        resource: {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in cluster.list(resource)}
        for resource in RESOURCES
    }


@pytest.fixture
def cluster() -> LabCluster:
    cluster = LabCluster()
    for name in ("shop", "bank"):
        cluster.create("namespaces", {"metadata": {"name": name}})
    return cluster


@pytest.fixture(params=[False, True], ids=["http", "https"])
def server(request: pytest.FixtureRequest, cluster: LabCluster) -> Iterator[ApiServer]:
    with ApiServer(cluster, tls=request.param, bookmark_every=0.3) as running:
        yield running


@pytest.fixture
def connection(server: ApiServer) -> Iterator[Connection]:
    opened = Connection(ClusterConfig("lab", server.kubeconfig, read_timeout=5.0))
    yield opened
    opened.close()


@pytest.fixture
def fold() -> Fold:
    return Fold()


@pytest.fixture
def watch(connection: Connection, fold: Fold) -> Iterator[Callable[[], ClusterWatcher]]:
    started: list[ClusterWatcher] = []

    def start() -> ClusterWatcher:
        watcher = ClusterWatcher(connection, fold, SystemClock(), settings=HASTY)
        started.append(watcher)
        watcher.start()
        eventually(lambda: watcher.all_synced)
        return watcher

    yield start
    for watcher in started:
        watcher.stop()


class Churn:
    """Random changes to a few kinds of objects."""

    def __init__(self, cluster: LabCluster, seed: int) -> None:
        self.chance = random.Random(seed)
        self._cluster = cluster
        self._number = 0
        self._names: dict[tuple[str, str], list[str]] = {}

    def step(self) -> None:
        resource = self.chance.choice(["pods", "pods", "pods", "services", "serviceegressrules"])
        home = self.chance.choice(["shop", "bank"])
        names = self._names.setdefault((resource, home), [])
        act = self.chance.random()
        if act < 0.5 or not names:
            # Now and then a name is used again, by another uid.
            self._number += 1
            name = f"n{self._number % 40}"
            if name not in names:
                self._cluster.create(resource, self._thing(resource, name), namespace=home)
                names.append(name)
        elif act < 0.75:
            name = names.pop(self.chance.randrange(len(names)))
            self._cluster.delete(resource, home, name, grace=0)
        else:
            name = self.chance.choice(names)
            thing = self._cluster.get(resource, home, name)
            thing["metadata"]["labels"] = {"turn": str(self.chance.random())}
            self._cluster.replace(resource, home, name, thing)

    def _thing(self, resource: str, name: str) -> Json:
        if resource == "pods":
            made = pod(name, 1)
            return {"metadata": {"name": name}, "spec": made["spec"], "status": made["status"]}
        return {"metadata": {"name": name}, "spec": {"selector": {"app": name}}}


def faults(*names: Name) -> list[Fault]:
    return [Fault(name, times=2, code=500, back=30, size=300, delay=0.001) for name in names]


@pytest.mark.parametrize("seed", [1, 2])
def test_random_churn_under_faults_adds_up(
    seed: int, server: ApiServer, cluster: LabCluster, fold: Fold, watch: Callable[[], ClusterWatcher]
) -> None:
    watcher = watch()
    churn = Churn(cluster, seed)
    disturbances: list[Callable[[], None]] = [
        server.end_watches,
        cluster.compact,
        server.calm,
        *(lambda fault=fault: server.disturb(fault) for fault in faults("status", "drop", "cut", "garbage", "drip")),
    ]
    for turn in range(600):
        churn.step()
        if turn % 20 == 0:
            churn.chance.choice(disturbances)()
            time.sleep(0.02)
    server.calm()
    eventually(lambda: fold.store == held(cluster))
    eventually(lambda: all(health.state is State.WATCHING for health in watcher.health().values()))
    assert len(fold.removed) > 50


@pytest.mark.parametrize("lie", ["empty", "short", "stale"])
def test_a_list_that_lies_once_removes_nothing(
    lie: Name, server: ApiServer, cluster: LabCluster, fold: Fold, watch: Callable[[], ClusterWatcher]
) -> None:
    churn = Churn(cluster, 3)
    for _ in range(100):
        churn.step()
    watch()
    before = held(cluster)
    assert fold.store == before
    for resource in RESOURCES:
        server.disturb(Fault(lie, times=1, resource=resource, verb="list", back=50))
    server.down()
    cluster.create("namespaces", {"metadata": {"name": "late"}})
    cluster.compact()
    server.up()
    eventually(lambda: not server.faults.standing())
    eventually(lambda: fold.store == held(cluster))
    assert fold.removed == []


def test_a_malformed_event_is_set_aside(
    server: ApiServer, cluster: LabCluster, fold: Fold, watch: Callable[[], ClusterWatcher]
) -> None:
    cluster.create("pods", {"metadata": {"name": "a"}, "spec": {}}, namespace="shop")
    watch()
    server.disturb(Fault("malformed", resource="pods"))
    cluster.create("pods", {"metadata": {"name": "b"}, "spec": {}}, namespace="shop")
    eventually(lambda: held(cluster)[Resource.PODS].keys() <= fold.values[Resource.PODS].keys())


def test_an_api_server_that_goes_away_and_comes_back(
    server: ApiServer, cluster: LabCluster, fold: Fold, watch: Callable[[], ClusterWatcher]
) -> None:
    churn = Churn(cluster, 4)
    for _ in range(50):
        churn.step()
    watcher = watch()
    server.down()
    eventually(lambda: all(health.state is State.FAILING for health in watcher.health().values()))
    assert fold.removed == []
    for _ in range(50):
        churn.step()
    cluster.compact()
    server.up()
    eventually(lambda: fold.store == held(cluster))
    gone = {event.change for event in fold.removed}
    assert gone <= {Change.GONE, Change.DELETED}
    assert gone
    assert all(event.since is not None for event in fold.removed if event.change is Change.GONE)


def test_stopping_delivers_nothing_more(
    server: ApiServer, cluster: LabCluster, fold: Fold, watch: Callable[[], ClusterWatcher]
) -> None:
    watcher = watch()
    assert watcher.ended == []
    watcher.stop()
    assert watcher.ended == list(RESOURCES)
    eventually(lambda: server.watches == 0)
    before = fold.store
    cluster.create("namespaces", {"metadata": {"name": "late"}})
    assert fold.store == before
    assert {health.state for health in watcher.health().values()} == {State.STOPPED}


def test_a_watch_that_is_about_to_begin_has_not_ended(connection: Connection) -> None:
    assert ClusterWatcher(connection, None, SystemClock()).ended == []


def test_status_is_applied_as_our_own(cluster: LabCluster, connection: Connection) -> None:
    cluster.create("serviceegressrules", {"metadata": {"name": "r"}, "spec": {"action": "Allow"}}, namespace="shop")
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    apply_status(connection, Resource.SERVICE_RULES, "shop", "r", "", {"conditions": [condition]})
    rule = cluster.get("serviceegressrules", "shop", "r")
    assert rule["status"]["conditions"] == [condition]
    assert rule["spec"] == {"action": "Allow"}
    assert {entry["manager"] for entry in rule["metadata"]["managedFields"]} >= {"fusion-bridge"}
    with pytest.raises(RequestRefused) as missing:
        apply_status(connection, Resource.SERVICE_RULES, "shop", "none", "", {"conditions": []})
    assert missing.value.code == 404


def test_annotations_come_and_go_without_touching_others(cluster: LabCluster, connection: Connection) -> None:
    made = cluster.create("namespaces", {"metadata": {"name": "own", "annotations": {"theirs": "stays"}}})
    uid: Any = made["metadata"]["uid"]
    apply_annotations(connection, Resource.NAMESPACES, "", "own", uid, {"fusionbridge.io/status": "ok"})
    assert cluster.get("namespaces", None, "own")["metadata"]["annotations"] == {
        "theirs": "stays",
        "fusionbridge.io/status": "ok",
    }
    apply_annotations(connection, Resource.NAMESPACES, "", "own", uid, {})
    assert cluster.get("namespaces", None, "own")["metadata"]["annotations"] == {"theirs": "stays"}


def test_an_event_about_an_object(cluster: LabCluster, connection: Connection) -> None:
    now = SystemClock().now()
    notice = Notice("Programmed", "all devices hold it", warning=True)
    create_event(connection, Resource.SERVICE_RULES, "shop", "r", "u1", notice, now)
    create_event(connection, Resource.CLUSTER_RULES, "", "c", "u2", notice, now)
    events = cluster.list("events")
    assert sorted((each["metadata"]["namespace"], each["involvedObject"]["name"], each["type"]) for each in events) == [
        ("default", "c", "Warning"),
        ("shop", "r", "Warning"),
    ]


def test_who_it_is(server: ApiServer, connection: Connection, cluster: LabCluster) -> None:
    assert connection.identity() == cluster.get("namespaces", None, "kube-system")["metadata"]["uid"]
    assert connection.server_version().startswith("v1.")
