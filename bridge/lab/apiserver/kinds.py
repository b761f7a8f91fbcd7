"""Which resources the simulated API server serves: a table of built-in ones, and those that a custom resource definition adds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any  # any JSON value
Manifest: TypeAlias = dict[str, Any]

_POD_SPEC_LISTS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "containers.env": ("name",),
    "initContainers.env": ("name",),
    "containers.ports": ("containerPort", "protocol"),
    "containers.volumeMounts": ("mountPath",),
    "initContainers.volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
}
_COMMON_LISTS = {"metadata.ownerReferences": ("uid",), "status.conditions": ("type",)}
_NAMES = frozenset({"metadata.name", "metadata.namespace"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource: its names, scope and rules. `versions` are all served versions, `version` the one objects carry by default.

    `lists` maps the dotted path of each list that is a map (no indices) to its key fields, as `x-kubernetes-list-map-keys`
    says; every other list is one value. `fields` are the field selectors taken. `schema` is a custom resource's structural
    schema, or None.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    versions: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    status: bool = False
    generation: bool = False
    builtin: bool = True
    fields: frozenset[str] = _NAMES
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _COMMON_LISTS)
    schema: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """`pods`, `leases.coordination.k8s.io`: as in messages and as the direct API takes it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def served(self) -> tuple[str, ...]:
        """All versions that are served."""
        return self.versions or (self.version,)

    def api_version(self, version: str | None = None) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{version or self.version}" if self.group else version or self.version

    def header(self, version: str | None = None) -> bytes:
        """The first bytes of each object on the wire; bodies are stored without them."""
        return f'{{"kind":"{self.kind}","apiVersion":"{self.api_version(version)}",'.encode()

    def key(self, namespace: str | None, name: str) -> str:
        """The key of an object; keys sort as the real server's storage sorts them."""
        return f"{namespace}/{name}" if self.namespaced else name


def _pod_template(prefix: str) -> dict[str, tuple[str, ...]]:
    return {f"{prefix}{path}": keys for path, keys in _POD_SPEC_LISTS.items()}


_APPS_LISTS = _COMMON_LISTS | _pod_template("spec.template.spec.")

BUILTIN: tuple[Kind, ...] = (
    Kind("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",), status=True),
    Kind(
        "",
        "v1",
        "pods",
        "Pod",
        short=("po",),
        status=True,
        fields=_NAMES
        | {"spec.nodeName", "spec.serviceAccountName", "spec.restartPolicy", "status.phase", "status.podIP"},
        lists=_COMMON_LISTS | _pod_template("spec.") | {"status.podIPs": ("ip",), "status.hostIPs": ("ip",)},
    ),
    Kind(
        "",
        "v1",
        "services",
        "Service",
        short=("svc",),
        status=True,
        lists=_COMMON_LISTS | {"spec.ports": ("port", "protocol")},
    ),
    Kind("", "v1", "nodes", "Node", namespaced=False, short=("no",), status=True),
    Kind(
        "",
        "v1",
        "events",
        "Event",
        short=("ev",),
        fields=_NAMES
        | {"type", "reason", "source"}
        | {
            f"involvedObject.{name}"
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
    ),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
    Kind("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    Kind("", "v1", "secrets", "Secret", fields=_NAMES | {"type"}),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("apps", "v1", "deployments", "Deployment", short=("deploy",), status=True, generation=True, lists=_APPS_LISTS),
    Kind("apps", "v1", "replicasets", "ReplicaSet", short=("rs",), status=True, generation=True, lists=_APPS_LISTS),
    Kind("apps", "v1", "statefulsets", "StatefulSet", short=("sts",), status=True, generation=True, lists=_APPS_LISTS),
    Kind("apps", "v1", "daemonsets", "DaemonSet", short=("ds",), status=True, generation=True, lists=_APPS_LISTS),
    Kind(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short=("crd", "crds"),
        status=True,
        generation=True,
    ),
)


def _ours(plural: str, kind: str, *, namespaced: bool) -> Kind:
    group, version = "fusionbridge.io", "v1alpha1"
    lists = _COMMON_LISTS | {"status.devices": ("name",)}
    return Kind(group, version, plural, kind, namespaced, status=True, generation=True, builtin=False, lists=lists)


# Served from the start; loading config/crd replaces each with what its definition says.
OURS: tuple[Kind, ...] = (
    _ours("clusteregressrules", "ClusterEgressRule", namespaced=False),
    _ours("clusterexternalservices", "ClusterExternalService", namespaced=False),
    _ours("addressgroups", "AddressGroup", namespaced=False),
    _ours("namespaceegressrules", "NamespaceEgressRule", namespaced=True),
    _ours("serviceegressrules", "ServiceEgressRule", namespaced=True),
    _ours("externalservices", "ExternalService", namespaced=True),
    _ours("decisions", "Decision", namespaced=False),
    _ours("stops", "Stop", namespaced=False),
)


def from_definition(definition: Manifest) -> Kind:
    """The resource that a CustomResourceDefinition describes: its storage version, served under each served version."""
    spec = definition["spec"]
    names = spec["names"]
    versions = [version for version in spec["versions"] if version.get("served", True)]
    stored = next((version for version in versions if version.get("storage")), versions[0])
    schema = stored.get("schema", {}).get("openAPIV3Schema")
    return Kind(
        spec["group"],
        stored["name"],
        names["plural"],
        names["kind"],
        spec.get("scope") == "Namespaced",
        tuple(version["name"] for version in versions),
        tuple(names.get("shortNames", ())),
        status="status" in stored.get("subresources", {}),
        generation=True,
        builtin=False,
        lists={"metadata.ownerReferences": ("uid",)} | dict(_map_lists(schema or {})),
        schema=schema,
    )


def _map_lists(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """The lists of a structural schema that merge by key."""
    if schema.get("x-kubernetes-list-type") == "map":
        yield path, tuple(schema.get("x-kubernetes-list-map-keys", ()))
    for name, child in schema.get("properties", {}).items():
        yield from _map_lists(child, f"{path}.{name}" if path else name)
    if isinstance(items := schema.get("items"), dict):
        yield from _map_lists(items, path)
