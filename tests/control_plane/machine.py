"""One node that is not there: its object, and which pods may be put on it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from tests.control_plane.api import Json

_HOSTS = {4: "172.18.0.0/24", 6: "fd00:172:18::/64"}


@dataclass(frozen=True, slots=True)
class Machine:
    """A node: its name, its own addresses and its shares of the pods' ranges, one per family in use."""

    name: str
    addresses: tuple[str, ...]
    pod_ranges: tuple[str, ...]

    @property
    def labels(self) -> dict[str, str]:
        return {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}

    def manifest(self) -> Json:
        """The object as it is created."""
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.labels},
            "spec": {"podCIDR": self.pod_ranges[0], "podCIDRs": list(self.pod_ranges)},
        }

    def status(self, time: str) -> Json:
        """The status of a healthy node."""
        addresses = [{"type": "InternalIP", "address": address} for address in self.addresses]
        room = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "stand-in"}
        return {
            "addresses": [*addresses, {"type": "Hostname", "address": self.name}],
            "capacity": room,
            "allocatable": room,
            "conditions": [ready | {"lastHeartbeatTime": time, "lastTransitionTime": time}],
        }

    def takes(self, pod: Json) -> bool:
        """Whether the pod's nodeSelector and the node names of its required affinity (a DaemonSet's way) allow this node."""
        spec = pod["spec"]
        chosen = spec.get("nodeSelector", {})
        return chosen.items() <= self.labels.items() and self.name in _named(spec, default=self.name)


def machines(names: Sequence[str], ranges: Sequence[str]) -> list[Machine]:
    """Nodes with equal shares of each range."""
    shares = [_split(prefix, len(names)) for prefix in ranges]
    hosts = [ipaddress.ip_network(_HOSTS[ipaddress.ip_network(prefix).version]) for prefix in ranges]
    return [
        Machine(name, tuple(str(host[11 + index]) for host in hosts), tuple(share[index] for share in shares))
        for index, name in enumerate(names)
    ]


def _split(prefix: str, parts: int) -> list[str]:
    network = ipaddress.ip_network(prefix)
    bits = min((parts - 1).bit_length(), network.max_prefixlen - network.prefixlen)
    shares = [str(share) for _, share in zip(range(parts), network.subnets(prefixlen_diff=bits), strict=False)]
    # A range shorter than the nodes are many leaves the last ones without a share of their own.
    return shares + [str(network)] * (parts - len(shares))


def _named(spec: Json, default: str) -> set[str]:
    required = (
        spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
    )
    names = {
        name
        for term in required.get("nodeSelectorTerms", [])
        for field in term.get("matchFields", [])
        if field["key"] == "metadata.name" and field["operator"] == "In"
        for name in field["values"]
    }
    return names or {default}
