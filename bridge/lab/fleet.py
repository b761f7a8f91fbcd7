"""The pods of a simulated cluster and the moves that change them: each move is what a client would see happen."""

import random
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

from bridge.lab.apiserver import LabCluster, Manifest
from bridge.lab.apiserver.rules import now
from bridge.lab.workload import Node, Pod, Template, Workload, pod_manifest

_SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"
_ENDPOINTS_PER_SLICE: Final = 100


class Fleet:
    """Workloads and nodes over a `LabCluster`; names, addresses and uids follow from `random` alone. `size` counts the pods.

    With `slices` the EndpointSlices of served workloads follow at `settle`. One thread at a time makes moves.
    """

    def __init__(self, cluster: LabCluster, rng: random.Random, nodes: list[Node], *, slices: bool = True) -> None:
        self.cluster = cluster
        self.random = rng
        self.nodes = nodes
        self.workloads: list[Workload] = []
        self.size = 0  # pods
        self._slices = slices
        self._pods = cluster.shelves.named("pods")
        self._touched: dict[Workload, None] = {}
        self._written: dict[Workload, int] = {}

    def uid(self) -> str:
        """A uid that follows from the seed."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def suffix(self, length: int) -> str:
        """The random end of a generated name."""
        return "".join(self.random.choices(_SUFFIX, k=length))

    # Moves

    def add(self, workload: Workload, *, node: Node | None = None, again: bool = False, quiet: bool = False) -> Pod:
        """A new pod: first seen pending, then running with its address (`quiet` skips the first).

        `again` gives it the address that its node released last, where there is one.
        """
        node = node or self._roomy()
        address = node.address if workload.daemon else _address(node, again=again)
        owner = workload.name if workload.daemon else f"{workload.name}-{workload.hash}"
        pod = Pod(workload, self._name(workload, owner), self.uid(), node, address, now(), _running(workload))
        if not quiet:
            self._write(pod, _pending(workload))
        self._write(pod, pod.template)
        workload.pods.append(pod)
        self.size += 1
        self._touched[workload] = None
        return pod

    def remove(self, pod: Pod, *, gently: bool = True) -> None:
        """A pod goes: first seen terminating (unless not `gently`), then deleted; its address is released."""
        if gently:
            mark = b'"deletionTimestamp":"%b","deletionGracePeriodSeconds":30,"creationTimestamp"' % now().encode()
            body = self._render(pod, pod.template).replace(b'"creationTimestamp"', mark, 1)
            self.cluster.write_encoded("pods", pod.key, body)
        self.cluster.drop_encoded("pods", pod.key)
        pod.workload.pods.remove(pod)
        self.size -= 1
        if not pod.workload.daemon:
            pod.node.released.append(pod.address)
        self._touched[pod.workload] = None

    def replace(self, pod: Pod, *, again: bool = False, gently: bool = True) -> Pod:
        """A pod is deleted and its replacement addressed, on the same node with the same address where `again`."""
        self.remove(pod, gently=gently)
        return self.add(pod.workload, node=pod.node if again else None, again=again)

    def revise(self, workload: Workload) -> None:
        """A new revision of a workload: pods made from now on carry its hash and version."""
        workload.version += 1
        workload.hash = self.suffix(10)
        workload.pending = workload.running = None

    def settle(self) -> None:
        """Write the EndpointSlices of what changed since the last call."""
        touched, self._touched = self._touched, {}
        if self._slices:
            for workload in touched:
                if workload.served:
                    self._write_slices(workload)

    def _name(self, workload: Workload, owner: str) -> str:
        # Five letters are few enough to meet a living pod of the same owner now and then.
        while True:
            name = f"{owner}-{self.suffix(5)}"
            if f"{workload.namespace}/{name}" not in self._pods.items:
                return name

    def _roomy(self) -> Node:
        while True:
            node = self.random.choice(self.nodes)
            if node.room > 0:
                return node

    def _write(self, pod: Pod, template: Template) -> None:
        self.cluster.write_encoded("pods", pod.key, self._render(pod, template))

    def _render(self, pod: Pod, template: Template) -> bytes:
        node = pod.node
        return template.render(
            name=pod.name, uid=pod.uid, node=node.name, host=node.address, address=pod.address, time=pod.started
        )

    def _write_slices(self, workload: Workload) -> None:
        blocks = range(0, max(1, len(workload.pods)), _ENDPOINTS_PER_SLICE)
        for number, start in enumerate(blocks):
            self.cluster.bulk_load("endpointslices", [self._slice(workload, number, start)])
        for number in range(len(blocks), self._written.get(workload, 0)):
            self.cluster.drop_encoded("endpointslices", f"{workload.namespace}/{workload.name}-{number}")
        self._written[workload] = len(blocks)

    def _slice(self, workload: Workload, number: int, start: int) -> Manifest:
        name = f"{workload.name}-{number}"
        labels = {
            "kubernetes.io/service-name": workload.name,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        return {
            "metadata": {
                "name": name,
                "namespace": workload.namespace,
                "uid": str(uuid5(NAMESPACE_OID, f"{workload.uid}/{name}")),
                "creationTimestamp": workload.created,
                "generation": 1,
                "labels": labels,
            },
            "addressType": "IPv4",
            "endpoints": [_endpoint(pod) for pod in workload.pods[start : start + _ENDPOINTS_PER_SLICE]],
            "ports": [{"name": "http", "port": workload.port, "protocol": "TCP"}],
        }


def _address(node: Node, *, again: bool) -> str:
    return node.take_again() if again and node.released else node.take()


def _pending(workload: Workload) -> Template:
    if workload.pending is None:
        workload.pending = Template(pod_manifest(workload, running=False))
    return workload.pending


def _running(workload: Workload) -> Template:
    if workload.running is None:
        workload.running = Template(pod_manifest(workload, running=True))
    return workload.running


def _endpoint(pod: Pod) -> Manifest:
    return {
        "addresses": [pod.address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": pod.node.name,
        "targetRef": {"kind": "Pod", "namespace": pod.workload.namespace, "name": pod.name, "uid": pod.uid},
    }
