"""A small cluster as recorded, drawn by hand: what plans of manifests are made against, without database or cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bridge.intake.snapshot import ClusterSnapshot, PlannedDevice
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.kinds import BY_REF
from bridge.model.observed import Namespace, Node, Pod, PolicyObject, Resource, Service
from bridge.model.policy import (
    DefaultAction,
    Defaults,
    Governance,
    Operator,
    Ref,
    Requirement,
    Selector,
    UnknownAddresses,
)
from bridge.policy.compile import Target
from bridge.policy.guard import GuardLimits
from bridge.state.batch import Recorded, Slim, Verdict
from tests.state.builders import START, pod

CLUSTER = "east"
GOVERNANCE = Governance(
    ("10.64.0.0/16",),
    ("10.64.0.0/16", "10.96.0.0/12"),
    Selector((Requirement("fusionbridge.io/egress", Operator.IN, ("governed",)),)),
    node_ranges=("172.16.0.0/24",),
)
DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
GOVERNED = {"fusionbridge.io/egress": "governed"}
API = "fusionbridge.io/v1alpha1"


def namespace(name: str, labels: Mapping[str, str] = GOVERNED) -> Namespace:
    """A namespace, governed unless told."""
    return Namespace(f"ns-{name}", name, "1", {**labels, "kubernetes.io/metadata.name": name}, {}, deleting=False)


def service(place: str, name: str, selector: Mapping[str, str]) -> Service:
    """A Service."""
    return Service(f"svc-{place}-{name}", place, name, "1", {}, {}, selector)


def written(kind: str, place: str, name: str, spec: Mapping[str, Any]) -> PolicyObject:
    """An object of policy as recorded."""
    return PolicyObject(BY_REF[kind].resource, f"{kind}-{place}-{name}", place, name, "1", 1, {}, dict(spec))


def device(name: str, *, form: Form = Form.TIERED, defaults: Defaults = DENY, **more: Any) -> PlannedDevice:  # noqa: ANN401
    """A device that serves the cluster."""
    can = Capabilities(form, icmp_types=True, protocols=True, atomic=True, **more.pop("can", {}))
    return PlannedDevice("bigip", Target(name, can, defaults, **more), Limits())


def snapshot(*values: Pod | Slim, devices: tuple[PlannedDevice, ...] = ()) -> ClusterSnapshot:
    """The cluster with these pods and objects, all policy of it accepted."""
    pods = {one.uid: one for one in values if isinstance(one, Pod)}
    objects: dict[tuple[Resource, str, str], Slim] = {}
    verdicts = {}
    for one in values:
        match one:
            case Pod():
                continue
            case PolicyObject():
                ref = Ref(
                    next(kind.ref for kind in BY_REF.values() if kind.resource is one.resource), one.namespace, one.name
                )
                verdicts[ref] = Verdict(ref, one.uid, 1, True, "Accepted", "", one)
                objects[one.resource, one.namespace, one.name] = one
            case Namespace():
                objects[Resource.NAMESPACES, "", one.name] = one
            case Node():
                objects[Resource.NODES, "", one.name] = one
            case Service():
                objects[Resource.SERVICES, one.namespace, one.name] = one
            case _:
                raise TypeError(type(one))
    recorded = Recorded(7, "uid-of-east", pods, objects, {}, {}, {}, verdicts, seen_at=START)
    return ClusterSnapshot(CLUSTER, START, GOVERNANCE, devices or (device("edge"),), GuardLimits(), recorded)


def shop() -> tuple[Pod | Slim, ...]:
    """A shop whose web pods may reach a partner, and a bank beside it that may reach nobody."""
    return (
        namespace("shop"),
        namespace("bank"),
        namespace("free", {}),
        service("shop", "web", {"app": "web"}),
        pod("web-1", "10.64.1.1"),
        pod("web-2", "10.64.1.2"),
        pod("job-1", "10.64.1.9"),
        pod("web-3", "10.64.2.1", namespace="bank"),
        pod("web-4", "10.64.3.1", namespace="free"),
        external("shop", "partner", "203.0.113.0/28"),
        written("NamespaceEgressRule", "shop", "partner", {"action": "Allow", "to": [{"name": "partner"}]}),
    )


def external(place: str, name: str, *addresses: str, port: int = 443) -> PolicyObject:
    """A destination."""
    spec = {"addresses": list(addresses), "ports": [{"protocol": "TCP", "port": port}]}
    return written("ExternalService", place, name, spec)


def manifest(kind: str, place: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object of policy as people write it."""
    metadata = {"name": name, **({"namespace": place} if place else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def folder(path: Path, *objects: Mapping[str, Any]) -> Path:
    """A folder of manifests."""
    path.mkdir(exist_ok=True)
    (path / "all.yaml").write_text(yaml.safe_dump_all([dict(one) for one in objects]))
    return path
