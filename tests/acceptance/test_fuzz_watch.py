"""A watch and a list that send nearly what they should: no crash, and nobody is taken for gone who is there."""

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.cluster.client import Connection
from bridge.cluster.decode import Codec
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.stream import Stream
from bridge.cluster.watcher import ClusterWatcher
from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.model.observed import RESOURCES, Resource
from tests.acceptance.mutation import mutated, torn
from tests.cluster.folding import HASTY, Fold
from tests.cluster.scripted import eventually, pod

SEED = int(os.environ["BRIDGE_TEST_SEED"])


LINE = "trust: fuzz: whatever bytes a list or a watch sends, nothing crashes and nobody is taken for gone"


@pytest.mark.acceptance(LINE)
@pytest.mark.parametrize("resource", RESOURCES)
def test_any_line_is_decoded_or_said_to_be_none(resource: Resource) -> None:
    random, codec = Random(f"{SEED}/{resource}"), Codec(resource)
    whole: dict[str, Any] = {
        "metadata": {
            "name": "a",
            "namespace": "b",
            "uid": "c",
            "resourceVersion": "7",
            "labels": {"app": "x"},
            "annotations": {},
        },
        "spec": {
            "selector": {"app": "x"},
            "to": [{"name": "y"}],
            "nodeName": "n",
            "readinessGates": [{"conditionType": "z"}],
        },
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": "10.0.0.1"}],
            "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}],
        },
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "addressType": "IPv4",
    }
    event = json.dumps({"type": "MODIFIED", "object": whole}).encode()
    page = json.dumps({"metadata": {"resourceVersion": "9"}, "items": [whole, whole]}).encode()
    seen = 0
    for _ in range(1500):
        for body, decode in ((event, codec.lines), (page, codec.page)):
            try:
                decode(mutated(random, body))
                seen += 1
            except ValueError:
                continue
    assert seen > 100, "most are only nearly right"


@pytest.fixture
def cluster() -> LabCluster:
    made = LabCluster()
    made.create("namespaces", {"metadata": {"name": "shop"}})
    made.bulk_load("pods", [pod(f"web-{number}", number, ip=f"10.0.1.{number}") for number in range(1, 100)])
    return made


@pytest.fixture
def watched(cluster: LabCluster) -> Iterator[tuple[ApiServer, Fold]]:
    with ApiServer(cluster, bookmark_every=0.3) as server:
        connection = Connection(ClusterConfig("lab", server.kubeconfig, read_timeout=5.0))
        fold = Fold()
        watcher = ClusterWatcher(connection, fold, SystemClock(), settings=HASTY)
        watcher.start()
        yield server, fold
        watcher.stop()
        connection.close()


@pytest.mark.acceptance(LINE)
def test_streams_that_are_torn(
    cluster: LabCluster, watched: tuple[ApiServer, Fold], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, fold = watched
    eventually(lambda: len(fold.store[Resource.PODS]) == 99)
    random, read = Random(SEED), Stream.read

    def disturbed(self: Stream) -> bytes:
        data = read(self)
        return torn(random, data) if data and random.random() < 0.3 else data

    monkeypatch.setattr(Stream, "read", disturbed)
    for number in range(100, 160):
        cluster.bulk_load("pods", [pod(f"web-{number}", number, ip=f"10.0.2.{number}")])
        if number % 3 == 0:
            cluster.delete("pods", "shop", f"web-{number - 99}", grace=0)
    monkeypatch.setattr(Stream, "read", read)
    there = {each["metadata"]["uid"] for each in cluster.list("pods")}
    eventually(lambda: set(fold.store[Resource.PODS]) == there)
