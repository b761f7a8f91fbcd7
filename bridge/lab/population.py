"""A believable cluster: a shop and its neighbours, with nodes, namespaces, services, endpoint slices and pods."""

import ipaddress
import random
from collections.abc import Iterator
from typing import Final

from bridge.lab.apiserver import LabCluster, Manifest
from bridge.lab.apiserver.rules import new_uid, now
from bridge.lab.churn import Churn
from bridge.lab.fleet import Fleet
from bridge.lab.workload import Node, Workload

__all__ = ["Churn", "Fleet", "believable"]

# Namespace: (team, governed, its applications as (name, tier)).
_SHOP: Final[dict[str, tuple[str, bool, tuple[tuple[str, str], ...]]]] = {
    "shop": (
        "storefront",
        True,
        (("frontend", "web"), ("cart", "api"), ("recommendation", "api"), ("session", "data")),
    ),
    "payments": ("payments", True, (("payment", "api"), ("fraud", "api"), ("ledger", "data"), ("settlement", "job"))),
    "catalog": ("catalog", True, (("catalog", "api"), ("search", "api"), ("images", "web"), ("indexer", "job"))),
    "checkout": ("storefront", True, (("checkout", "api"), ("tax", "api"), ("voucher", "api"))),
    "shipping": ("logistics", True, (("shipping", "api"), ("tracking", "api"), ("labels", "job"))),
    "accounts": ("identity", True, (("login", "web"), ("profile", "api"), ("consent", "api"))),
    "notify": ("identity", True, (("mail", "job"), ("sms", "job"), ("push", "api"))),
    "warehouse": ("logistics", True, (("stock", "api"), ("picking", "api"))),
    "analytics": ("data", True, (("collector", "api"), ("batch", "job"))),
    "sandbox": ("storefront", False, (("playground", "web"),)),
    "monitoring": ("platform", False, (("metrics", "api"), ("logs", "api"))),
}
_SYSTEM: Final = "kube-system"
_PODS_PER_NODE: Final = 30
_BIG: Final = 30_000  # pods from which the usual /16 would be too full


def believable(
    cluster: LabCluster, pods: int = 300, *, seed: int = 1, pod_range: str = "", slices: bool = True
) -> Fleet:
    """Load about `pods` pods with everything around them; the same seed gives the same names, uids and addresses.

    `pod_range` is an IPv4 prefix of which each node gets a /24: 10.244.0.0/16, from 30,000 pods on 10.128.0.0/14. Raises
    ValueError where it is too small. `slices=False` leaves EndpointSlices out, for loads where they would outweigh the pods.
    """
    rng = random.Random(seed)
    prefix = ipaddress.IPv4Network(pod_range or ("10.128.0.0/14" if pods > _BIG else "10.244.0.0/16"))
    fleet = Fleet(cluster, rng, _nodes(prefix, pods), slices=slices)
    cluster.bulk_load("nodes", map(_node, fleet.nodes))
    for name, (team, governed, _) in _SHOP.items():
        labels = {"team": team} | ({"fusionbridge.io/egress": "governed"} if governed else {})
        cluster.create("namespaces", {"metadata": {"name": name, "labels": labels}})
    _system(fleet)
    plan = _spread(pods - fleet.size, rng)
    for namespace, name, tier, replicas in plan:
        _deploy(fleet, namespace, name, tier, replicas)
    fleet.settle()
    return fleet


def _nodes(prefix: ipaddress.IPv4Network, pods: int) -> list[Node]:
    ranges = 1 << max(0, 24 - prefix.prefixlen)
    if prefix.prefixlen > 24 or pods > ranges * 230:
        raise ValueError(f"{prefix} has no room for {pods} pods at a /24 per node")
    count = min(ranges, max(3, pods // _PODS_PER_NODE))
    subnets = prefix.subnets(new_prefix=24)
    first = ipaddress.IPv4Address("10.0.4.10")
    return [Node(f"node-{number:04}", str(first + number), next(subnets)) for number in range(count)]


def _node(node: Node) -> Manifest:
    return {
        "metadata": {
            "name": node.name,
            "uid": new_uid(),
            "creationTimestamp": now(),
            "labels": {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"},
        },
        "spec": {"podCIDR": str(node.prefix), "podCIDRs": [str(node.prefix)], "providerID": f"lab://{node.name}"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": node.name}],
            "capacity": {"cpu": "16", "memory": "64Gi", "pods": "250"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": now()}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "operatingSystem": "linux", "architecture": "amd64"},
        },
    }


def _system(fleet: Fleet) -> None:
    """DNS on the pod network, and an agent on the host network of each node."""
    _deploy(fleet, _SYSTEM, "coredns", "dns", 2)
    agent = _workload(fleet, _SYSTEM, "kube-proxy", "agent", daemon=True)
    for node in fleet.nodes:
        fleet.add(agent, node=node, quiet=True)


def _spread(pods: int, rng: random.Random) -> Iterator[tuple[str, str, str, int]]:
    """Workloads with between 1 and some 60 replicas, as many as give `pods` pods; a namespace's list repeats, numbered."""
    applications = [(space, name, tier) for space, (_, _, listed) in _SHOP.items() for name, tier in listed]
    typical = max(2, min(30, pods // (2 * len(applications)) or 2))
    round_ = 0
    while pods > 0:
        for space, name, tier in applications:
            replicas = min(pods, max(1, round(rng.lognormvariate(0, 0.6) * typical)))
            if replicas > 0:
                yield space, f"{name}-{round_}" if round_ else name, tier, replicas
            pods -= replicas
        round_ += 1


def _deploy(fleet: Fleet, namespace: str, name: str, tier: str, replicas: int) -> None:
    workload = _workload(fleet, namespace, name, tier)
    for _ in range(replicas):
        fleet.add(workload, quiet=True)


def _workload(fleet: Fleet, namespace: str, name: str, tier: str, *, daemon: bool = False) -> Workload:
    port = 8000 + fleet.random.randrange(100)
    served = tier != "job" and not daemon
    workload = Workload(namespace, name, tier, 1, fleet.uid(), fleet.suffix(10), port, now(), daemon, served)
    fleet.workloads.append(workload)
    cluster = fleet.cluster
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name, "tier": tier}}
    cluster.create("serviceaccounts", {"metadata": {"name": name, "namespace": namespace}})
    if served:
        ports = [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}]
        uid = fleet.uid()
        cluster.create(
            "services", {"metadata": metadata | {"uid": uid}, "spec": {"selector": {"app": name}, "ports": ports}}
        )
    return workload
