"""A simulated cluster, the real program and a simulated BIG-IP: what people write on one side, what packets meet on the other."""

import contextlib
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.lab.apiserver import ApiServer, LabCluster
from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import CLUSTER, LISTS, OWNER, Bridge, ClusterEntry, bigip, eventually, members

API = "fusionbridge.io/v1alpha1"
GOVERNED = {"fusionbridge.io/egress": "governed"}
VIRTUAL = "/Common/egress"
OUTSIDE = "203.0.113.1"


@dataclass
class Cluster:
    """A simulated API server and short ways to write into it. `api` is the wire, `store` the objects."""

    name: str
    store: LabCluster
    api: ApiServer

    def namespace(self, name: str, *, governed: bool = True, annotations: Mapping[str, str] | None = None) -> None:
        """A namespace, governed unless told."""
        metadata = {"name": name, "labels": {**(GOVERNED if governed else {}), "name": name}}
        self.store.create("namespaces", {"metadata": metadata | {"annotations": dict(annotations or {})}})

    def pod(self, namespace: str, name: str, *addresses: str, uid: str = "", **more: Any) -> str:  # noqa: ANN401
        """A running pod with these addresses, made or changed; its uid.

        `app` is its label (its name without a number unless given); `phase`, `host`, `node`, `started`, `account`, `annotations`,
        `gates` as said.
        """
        uid = uid or str(uuid.uuid4())
        started = more.get("started") or datetime.now(UTC)
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "labels": {"app": more.get("app", name.partition("-")[0])},
            "annotations": dict(more.get("annotations", {})),
        }
        status = {
            "phase": more.get("phase", "Running"),
            "podIP": addresses[0] if addresses else "",
            "podIPs": [{"ip": one} for one in addresses],
            "startTime": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        spec = {
            "nodeName": more.get("node", "node-0001"),
            "hostNetwork": bool(more.get("host")),
            "serviceAccountName": more.get("account", "default"),
            "readinessGates": [{"conditionType": gate} for gate in more.get("gates", ())],
        }
        self.store.bulk_load("pods", [{"metadata": metadata, "spec": spec, "status": status}])
        return uid

    def node(self, name: str, *addresses: str) -> None:
        """A node with these internal addresses, made or changed."""
        status = {"addresses": [{"type": "InternalIP", "address": one} for one in addresses]}
        self.store.bulk_load("nodes", [{"metadata": {"name": name}, "status": status}])

    def delete_pod(self, namespace: str, name: str) -> None:
        """A pod goes for good."""
        self.store.delete("pods", namespace, name, grace=0)

    def service(self, namespace: str, name: str, *, annotations: Mapping[str, str] | None = None) -> None:
        """A Service that selects by `app`."""
        metadata = {"name": name, "namespace": namespace, "annotations": dict(annotations or {})}
        spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
        self.store.put({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    def put(self, kind: str, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
        """One of our kinds, made or changed; cluster-scoped without a namespace."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        self.store.put({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": dict(spec)})

    def put_unchecked(self, resource: str, namespace: str, name: str, spec: object) -> None:
        """One of our kinds as no API server with our schema would take it."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        self.store.bulk_load(resource, [{"metadata": metadata | {"generation": 1}, "spec": spec}])

    def external(self, namespace: str, name: str, *addresses: str, port: int = 443) -> None:
        """A destination, of the cluster without a namespace."""
        kind = "ExternalService" if namespace else "ClusterExternalService"
        self.put(kind, namespace, name, {"addresses": list(addresses), "ports": [{"protocol": "TCP", "port": port}]})

    def service_rule(self, namespace: str, service: str, to: str, action: str = "Allow", **more: Any) -> None:  # noqa: ANN401
        """A rule of the service tier, called as its service and destination."""
        spec = {"service": service, "action": action, "to": [{"name": to}], **more}
        self.put("ServiceEgressRule", namespace, f"{service}-{to}", spec)

    def namespace_rule(self, namespace: str, name: str, to: str, action: str, **more: Any) -> None:  # noqa: ANN401
        """A rule of the namespace tier about all its pods, unless `from` says otherwise."""
        self.put("NamespaceEgressRule", namespace, name, {"action": action, "to": [{"name": to}], **more})

    def cluster_rule(self, name: str, to: str, action: str, **more: Any) -> None:  # noqa: ANN401
        """A rule of the cluster tier about the whole cluster, unless `from` says otherwise."""
        self.put("ClusterEgressRule", "", name, {"action": action, "to": [{"name": to}], **more})

    def team(self, namespace: str, *addresses: str, to: str = "192.0.2.0/28") -> None:
        """A governed namespace with a Service `web`, pods at these addresses, and leave to reach `provider`."""
        self.namespace(namespace)
        self.service(namespace, "web")
        for number, address in enumerate(addresses):
            self.pod(namespace, f"web-{number}", address)
        self.external(namespace, "provider", to)
        self.service_rule(namespace, "web", "provider")


@dataclass
class World(Cluster):
    """One cluster, one device and the bridge between them."""

    device: Bigip
    bridge: Bridge

    def allowed(self, source: str, destination: str, port: int = 443) -> bool:
        """What the device decides for a TCP packet that meets every context."""
        return allowed(self.device, source, destination, port)

    def action(self, source: str, destination: str, port: int = 443) -> str:
        """The same in the device's words: accept, accept-decisively, drop or reject."""
        return self.device.decide(source, destination, port=port, virtual=VIRTUAL).action

    def group(self, scope: str, *names: str) -> frozenset[str]:
        """The members of one of our groups as the device holds them."""
        return members(self.device, "_".join((OWNER, self.name, scope, *names)))

    def lists(self) -> set[str]:
        """The names of all address lists of ours."""
        return {path.rpartition("/")[2] for path in self.device.objects(LISTS, f"/Common/{OWNER}/")}

    def status(self) -> dict[str, Any]:
        """What `status` says, whatever its exit code."""
        found: dict[str, Any] = self.bridge.cli("status", codes=(0, 1, 3))
        return found

    def problem(self, ref: str) -> str:
        """What `status` says about one object, reason and message; "" when nothing."""
        said = [f"{one['reason']}: {one['message']}" for one in self.status()["problems"] if one["object"] == ref]
        return " ".join(said)

    def await_in_step(self, seconds: float = 60.0) -> None:
        """Until the device was read and nothing recorded waits for it."""
        self.bridge.await_in_step(seconds)


@contextlib.contextmanager
def cluster(name: str = CLUSTER, **more: Any) -> Iterator[Cluster]:  # noqa: ANN401
    """A simulated cluster with our custom resources; `more` goes to LabCluster."""
    store = LabCluster(**more)
    store.load_definitions()
    with ApiServer(store, tls=True) as api:
        yield Cluster(name, store, api)


@contextlib.contextmanager
def world(folder: Path, *, tls: bool = True, **more: Any) -> Iterator[World]:  # noqa: ANN401
    """A cluster, a device and a bridge that is not started; `more` goes to Bridge."""
    with cluster() as made, bigip(tls=tls) as device:
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        with Bridge(folder, {"edge": device}, [entry], **more) as bridge:
            yield World(made.name, made.store, made.api, device, bridge)


LEFT = [f"10.244.1.{last}" for last in range(1, 31)]  # who goes unseen
STAY = [f"10.244.2.{last}" for last in range(1, 31)]


@contextlib.contextmanager
def half_unseen(folder: Path) -> Iterator[World]:
    """A team `shop` of 60 pods, of which half are gone and nobody saw it: their removal is held."""
    with world(folder) as made:
        made.team("shop", *LEFT, *STAY)
        made.bridge.start()
        made.await_in_step()
        made.bridge.stop()
        for number in range(len(LEFT)):
            made.delete_pod("shop", f"web-{number}")
        made.store.compact()  # so that a list tells of it, and no watch
        made.bridge.start()

        def held() -> bool:
            lists = made.bridge.cli("held", codes=(0, 3))["held"]
            return any(one["state"] == "held" for one in lists)

        eventually("the removal is held", held, 60)
        yield made


def allowed(device: Bigip, source: str, destination: str, port: int = 443, **more: Any) -> bool:  # noqa: ANN401
    """What a device decides for a TCP packet that meets every context."""
    return device.decide(source, destination, port=port, virtual=VIRTUAL, **more).allowed


def run(*words: str | Path, seconds: float = 120, **more: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
    """A program to its end, whatever that is."""
    line = [str(word) for word in words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=seconds, **more)
