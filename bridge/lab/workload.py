"""What the lab's fleet is made of: workloads, their pods and nodes, and the JSON that the API server would hold for each."""

import ipaddress
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from bridge.lab.apiserver.kinds import Manifest
from bridge.lab.apiserver.objects import encode

_MARK: Final = re.compile(rb"@(\w+)@")


class Template:
    """A manifest encoded once, whose `@marks@` are filled in for each object: many times cheaper than encoding each."""

    def __init__(self, manifest: Manifest) -> None:
        # Literal text at even places, names of marks at odd ones.
        self._parts = _MARK.split(encode(manifest, 0))
        self._marks = [(at, part.decode()) for at, part in enumerate(self._parts) if at % 2]

    def render(self, **values: str) -> bytes:
        """The body with every mark replaced. Raises KeyError for a mark without a value."""
        parts = self._parts.copy()
        for at, mark in self._marks:
            parts[at] = values[mark].encode()
        return b"".join(parts)


@dataclass(slots=True)
class Node:
    """A node and the addresses of its range: never used ones first, then those released longest ago."""

    name: str
    address: str
    prefix: ipaddress.IPv4Network
    released: deque[str] = field(default_factory=deque)
    used: int = 0

    @property
    def room(self) -> int:
        """How many more pods fit."""
        return self.prefix.num_addresses - 6 - self.used + len(self.released)

    def take(self) -> str:
        """An address for a new pod."""
        if self.used < self.prefix.num_addresses - 6:
            self.used += 1
            # The first few belong to the node itself.
            return str(self.prefix.network_address + self.used + 2)
        return self.released.popleft()

    def take_again(self) -> str:
        """The address that was released last."""
        return self.released.pop()


@dataclass(slots=True, eq=False)
class Workload:
    """Something like a Deployment: pods that share labels, owner and service account. `hash` names its revision."""

    namespace: str
    name: str
    tier: str
    version: int
    uid: str
    hash: str
    port: int
    created: str
    daemon: bool = False
    served: bool = True
    pods: "list[Pod]" = field(default_factory=list)
    pending: Template | None = None
    running: Template | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pods; `app` is what its Service selects."""
        return {
            "app": self.name,
            "tier": self.tier,
            "version": f"v{self.version}",
            "controller-revision-hash" if self.daemon else "pod-template-hash": self.hash,
        }


@dataclass(slots=True, eq=False)
class Pod:
    """One pod; `address` is its own, or its node's on the host network; `template` is its running form."""

    workload: Workload
    name: str
    uid: str
    node: Node
    address: str
    started: str
    template: Template

    @property
    def key(self) -> str:
        """Its key in the store."""
        return f"{self.workload.namespace}/{self.name}"


def pod_manifest(workload: Workload, *, running: bool) -> Manifest:
    """The manifest of a pod with marks @name@ @uid@ @node@ @host@ @address@ @time@; pending ones have no node and no address yet."""
    container = {
        "name": workload.name,
        "image": f"registry.example/{workload.namespace}/{workload.name}:1.{workload.version}.0",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": workload.port, "protocol": "TCP"}],
        "env": [
            {"name": "PORT", "value": str(workload.port)},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        ],
        "resources": {"limits": {"cpu": "200m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": workload.port, "scheme": "HTTP"},
            "periodSeconds": 10,
        },
        "volumeMounts": [
            {"name": "kube-api-access", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        ],
    }
    spec: Manifest = {
        "volumes": [{"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": _TOKEN_SOURCES}}],
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": workload.name,
        "serviceAccount": workload.name,
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": _TOLERATIONS,
        "priority": 0,
        "enableServiceLinks": True,
    }
    if workload.daemon:
        spec["hostNetwork"] = True
    if running:
        spec["nodeName"] = "@node@"
    return {"metadata": _metadata(workload), "spec": spec, "status": _status(container, running=running)}


_TOKEN_SOURCES: Final = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
]
_TOLERATIONS: Final = [
    {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for why in ("not-ready", "unreachable")
]


def _metadata(workload: Workload) -> Manifest:
    owner = workload.name if workload.daemon else f"{workload.name}-{workload.hash}"
    kind = "DaemonSet" if workload.daemon else "ReplicaSet"
    return {
        "name": "@name@",
        "generateName": f"{owner}-",
        "namespace": workload.namespace,
        "uid": "@uid@",
        "creationTimestamp": "@time@",
        "labels": workload.labels,
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": kind,
                "name": owner,
                "uid": workload.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "managedFields": [
            _managed("kube-controller-manager", _SET_BY_CONTROLLER),
            _managed("kubelet", _SET_BY_KUBELET),
        ],
    }


def _managed(manager: str, fields: Manifest) -> Manifest:
    entry = {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": "@time@"}
    subresource = {"subresource": "status"} if manager == "kubelet" else {}
    return {**entry, "fieldsType": "FieldsV1", "fieldsV1": fields, **subresource}


_SET_BY_CONTROLLER: Final[Manifest] = {
    "f:metadata": {
        "f:generateName": {},
        "f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}, "f:tier": {}, "f:version": {}},
        "f:ownerReferences": {".": {}},
    },
    "f:spec": {"f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {}},
}
_SET_BY_KUBELET: Final[Manifest] = {
    "f:status": {
        "f:containerStatuses": {},
        "f:hostIP": {},
        "f:phase": {},
        "f:podIP": {},
        "f:podIPs": {},
        "f:startTime": {},
    }
}


def _status(container: Manifest, *, running: bool) -> Manifest:
    if not running:
        return {"phase": "Pending", "qosClass": "Burstable"}
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": "@time@"} for kind in kinds]
    state = {
        "name": container["name"],
        "state": {"running": {"startedAt": "@time@"}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": container["image"],
        "imageID": f"{container['image'].rpartition(':')[0]}@sha256:{'0' * 64}",
        "containerID": "containerd://@uid@",
        "started": True,
    }
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": "@host@",
        "hostIPs": [{"ip": "@host@"}],
        "podIP": "@address@",
        "podIPs": [{"ip": "@address@"}],
        "startTime": "@time@",
        "containerStatuses": [state],
        "qosClass": "Burstable",
    }
