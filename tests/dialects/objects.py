"""Custom resources for tests, in as few words as they need."""

from collections.abc import Iterator
from typing import Any

import yaml

from bridge.dialects import kinds
from bridge.model.observed import PolicyObject
from bridge.resources import shipped

Spec = dict[str, Any]

SERVICE: Spec = {"addresses": ["192.0.2.1"], "ports": "Any"}
SERVICE_RULE: Spec = {"service": "payments", "action": "Allow", "to": [{"name": "bank"}]}
RULE: Spec = {"action": "Allow", "to": [{"name": "bank"}]}
GOOD: dict[str, Spec] = {
    "ClusterEgressRule": RULE,
    "NamespaceEgressRule": RULE,
    "ServiceEgressRule": SERVICE_RULE,
    "ClusterExternalService": SERVICE,
    "ExternalService": SERVICE,
    "AddressGroup": {},
}


def policy(kind: str, spec: Spec, name: str = "it", namespace: str = "shop") -> PolicyObject:
    """An object of one of our kinds; a cluster-scoped one stands in no namespace."""
    of = kinds.BY_NAME[kind]
    return PolicyObject(of.resource, "uid", namespace if of.namespaced else "", name, "1", 1, {}, spec)


def ports(*items: Spec) -> Spec:
    """An external service with these ports."""
    return {"addresses": ["192.0.2.1"], "ports": list(items)}


def manifest(kind: str, spec: Spec, name: str = "it", namespace: str = "shop") -> Spec:
    """As a person would write it."""
    metadata = {"name": name} | ({"namespace": namespace} if kinds.BY_NAME[kind].namespaced else {})
    return {"apiVersion": kinds.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def samples() -> list[Spec]:
    """Every object of config/samples, in the order in which kubectl applies them."""
    files = sorted(shipped("config/samples").glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def sample(kind: str, name: str) -> PolicyObject:
    """One of our objects among the samples."""
    for item in samples():
        if (item["kind"], item["metadata"]["name"]) == (kind, name):
            return policy(kind, item["spec"], name, item["metadata"].get("namespace", ""))
    raise LookupError(f"{kind} {name}")


def crd(kind: str) -> Spec:
    """The definition of one of our kinds."""
    loaded: Spec = yaml.safe_load((shipped("config/crd") / f"{kinds.BY_NAME[kind].resource}.yaml").read_text())
    return loaded


def schema(kind: str) -> Spec:
    """Its OpenAPI schema."""
    loaded: Spec = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return loaded


def nodes(node: Spec, path: str = "") -> Iterator[tuple[str, Spec]]:
    """Every schema inside a schema with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")
