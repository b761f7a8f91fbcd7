"""A simulated cluster in a process of its own, so that the product's CPU time is the product's alone."""

import random
import re
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from multiprocessing.connection import Connection
from typing import Any

import httpx

from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.apiserver.rules import now
from bridge.lab.churn import Churn
from bridge.lab.fleet import Fleet
from bridge.lab.population import _node, _nodes
from bridge.lab.workload import Pod, Workload

_TOKEN = re.compile(rb'"continue":"([^"]+)"')
POD_RANGE = "10.128.0.0/14"
API = "fusionbridge.io/v1alpha1"


class TimedFleet(Fleet):
    """Notes when each replacement began, and the address that it got."""

    def __post_init__(self) -> None:
        self.log: list[tuple[float, str]] = []

    def replace(self, pod: Pod, *, again: bool = False, gently: bool = True) -> Pod:
        """As the fleet does, with the time."""
        began = time.monotonic()
        new = super().replace(pod, again=again, gently=gently)
        self.log.append((began, new.address))
        return new


@dataclass
class Load:
    """What to load: so many pods over so many groups, so many Services that no rule names, and so many rules of each group."""

    pods: int
    groups: int = 20
    idle_services: int = 0
    rules: int = 1
    extra: dict[str, str] = field(default_factory=dict)


def build(load: Load) -> TimedFleet:
    """The cluster of a benchmark: each group is a Service in a governed namespace of its own, with one Allow."""
    cluster = LabCluster(window=262_144)
    rng = random.Random(7)
    fleet = TimedFleet(cluster, rng, _nodes(IPv4Network(POD_RANGE), load.pods), slices=False)
    fleet.log = []
    cluster.bulk_load("nodes", map(_node, fleet.nodes))
    for name in ("default", "kube-system"):
        if name not in {one["metadata"]["name"] for one in cluster.list("namespaces")}:
            cluster.create("namespaces", {"metadata": {"name": name}})
    for number in range(load.groups):
        _group(fleet, f"team-{number:02}", load)
    for number in range(load.pods):
        fleet.add(fleet.workloads[number % load.groups], quiet=True)
    for number in range(load.idle_services):
        _service(cluster, f"team-{number % load.groups:02}", f"idle-{number}")
    return fleet


def _group(fleet: Fleet, namespace: str, load: Load) -> None:
    cluster = fleet.cluster
    labels = {"fusionbridge.io/egress": "governed"}
    cluster.create("namespaces", {"metadata": {"name": namespace, "labels": labels}})
    workload = Workload(namespace, "app", "api", 1, fleet.uid(), fleet.suffix(10), 8080, now())
    fleet.workloads.append(workload)
    _service(cluster, namespace, "app")
    for number in range(load.rules):
        _rule(cluster, namespace, f"out-{number}" if number else "out")


def _service(cluster: LabCluster, namespace: str, name: str) -> None:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}
    cluster.create("services", {"metadata": {"name": name, "namespace": namespace}, "spec": spec})


def _rule(cluster: LabCluster, namespace: str, name: str) -> None:
    place = {"namespace": namespace}
    service = {"addresses": ["192.0.2.0/24"], "ports": [{"protocol": "TCP", "port": 443}]}
    rule = {"service": "app", "action": "Allow", "to": [{"name": name}]}
    cluster.create(
        "externalservices",
        {"apiVersion": API, "kind": "ExternalService", "metadata": {"name": name, **place}, "spec": service},
    )
    cluster.create(
        "serviceegressrules",
        {"apiVersion": API, "kind": "ServiceEgressRule", "metadata": {"name": name, **place}, "spec": rule},
    )


def serve(pipe: Connection, load: Load) -> None:
    """Load, serve, and do what the pipe says until it closes."""
    fleet = build(load)
    with ApiServer(fleet.cluster) as server:
        pipe.send(dict(server.document()))
        churn = Churn(fleet, seed=3, only_replace=True)
        while True:
            try:
                order = pipe.recv()
            except EOFError:
                return
            pipe.send(_obey(order, fleet, churn))


def _send_all(document: dict[str, str]) -> float:
    """Seconds to send the bytes of every pod to a client that throws them away."""
    began, proceed = time.monotonic(), ""
    with httpx.Client(base_url=document["url"], headers={"authorization": f"Bearer {document['token']}"}) as client:
        while True:
            answer = client.get("/api/v1/pods", params={"limit": 2000, "continue": proceed}, timeout=60)
            found = _TOKEN.search(answer.content[:2000])
            if found is None:
                return time.monotonic() - began
            proceed = found[1].decode()


def _obey(order: tuple[Any, ...], fleet: TimedFleet, churn: Churn) -> Any:
    match order:
        case ("churn", rate, count):
            began = time.monotonic()
            fleet.log.clear()
            if rate:
                churn.start(rate, count=count).join()
            else:
                churn.run(count)
            return began, time.monotonic(), list(fleet.log)
        case ("truth",):
            return {pod.address: pod.key for workload in fleet.workloads for pod in workload.pods}
        case ("sending", document):
            return _send_all(document)
    raise ValueError(order)
