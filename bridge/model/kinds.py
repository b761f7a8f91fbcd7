"""The kinds of object that are watched: Kubernetes' own, ours, and those that a dialect brings."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from bridge.model.policy import Tier

GROUP = "fusionbridge.io"
API_VERSION = f"{GROUP}/v1alpha1"


class Resource(str):
    """What is watched, by its name in the API: the plural, and the group where the kind is neither Kubernetes' own nor ours.

    Of each name there is one value, so that `is` compares.
    """

    __slots__ = ()

    NAMESPACES: ClassVar["Resource"]
    SERVICES: ClassVar["Resource"]
    ENDPOINT_SLICES: ClassVar["Resource"]
    PODS: ClassVar["Resource"]
    NODES: ClassVar["Resource"]
    CLUSTER_RULES: ClassVar["Resource"]
    NAMESPACE_RULES: ClassVar["Resource"]
    SERVICE_RULES: ClassVar["Resource"]
    CLUSTER_EXTERNAL_SERVICES: ClassVar["Resource"]
    EXTERNAL_SERVICES: ClassVar["Resource"]
    ADDRESS_GROUPS: ClassVar["Resource"]
    DECISIONS: ClassVar["Resource"]
    STOPS: ClassVar["Resource"]

    _known: ClassVar[dict[str, "Resource"]] = {}

    def __new__(cls, name: str) -> Self:
        known = cls._known.get(name)
        return known if isinstance(known, cls) else cls._known.setdefault(name, super().__new__(cls, name))  # type: ignore[return-value]


Resource.NAMESPACES = Resource("namespaces")
Resource.SERVICES = Resource("services")
Resource.ENDPOINT_SLICES = Resource("endpointslices")
Resource.PODS = Resource("pods")
Resource.NODES = Resource("nodes")
Resource.CLUSTER_RULES = Resource("clusteregressrules")
Resource.NAMESPACE_RULES = Resource("namespaceegressrules")
Resource.SERVICE_RULES = Resource("serviceegressrules")
Resource.CLUSTER_EXTERNAL_SERVICES = Resource("clusterexternalservices")
Resource.EXTERNAL_SERVICES = Resource("externalservices")
Resource.ADDRESS_GROUPS = Resource("addressgroups")
Resource.DECISIONS = Resource("decisions")
Resource.STOPS = Resource("stops")


class Brings(StrEnum):
    """What an object of a kind is to us: policy, or an order about devices."""

    RULE = "rule"
    EXTERNAL_SERVICE = "external service"
    ADDRESS_GROUP = "address group"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object. `brings` is None for Kubernetes' own, which are neither policy nor orders.

    Of rules, `tier` is theirs, `allows` are the words of spec.action that let through and stop nothing, and `targets` is the field that
    names external services. `phases` are what another program's status.phase says of an object that every device holds, and of one that is
    not there yet; None where its kind has no such field.
    """

    resource: Resource
    name: str
    api_version: str
    namespaced: bool
    brings: Brings | None = None
    tier: Tier | None = None
    allows: tuple[str, ...] = ("Allow",)
    targets: str = "spec.to"
    phases: tuple[str, str] | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def group(self) -> str:
        """ "" for Kubernetes' first."""
        return self.api_version.rpartition("/")[0]

    @property
    def is_policy(self) -> bool:
        """Policy as somebody wrote it."""
        return self.brings not in (None, Brings.ORDER)

    @property
    def foreign(self) -> bool:
        """Policy in the words of others, whose definitions are not ours."""
        return self.is_policy and self.group != GROUP

    @property
    def ref(self) -> str:
        """What a Ref calls it: its name, and the group where it is another program's."""
        return f"{self.name}.{self.group}" if self.foreign else self.name

    @property
    def optional(self) -> bool:
        """Whether a cluster may lack it, until somebody installs the definition."""
        return self.brings is not None

    @property
    def path(self) -> str:
        """The collection across all namespaces."""
        return f"{self._prefix}/{self.plural}"

    @property
    def plural(self) -> str:
        """As paths have it."""
        return self.resource.partition(".")[0]

    def object_path(self, namespace: str, name: str, subresource: str = "") -> str:
        """One object, or a subresource of it. `namespace` is ignored for cluster-scoped kinds."""
        scope = f"/namespaces/{namespace}" if self.namespaced else ""
        tail = f"/{subresource}" if subresource else ""
        return f"{self._prefix}{scope}/{self.plural}/{name}{tail}"

    @property
    def _prefix(self) -> str:
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


def _rule(resource: Resource, name: str, tier: Tier) -> Kind:
    return Kind(resource, name, API_VERSION, tier is not Tier.CLUSTER, Brings.RULE, tier)


CLUSTER_EGRESS_RULE = _rule(Resource.CLUSTER_RULES, "ClusterEgressRule", Tier.CLUSTER)
NAMESPACE_EGRESS_RULE = _rule(Resource.NAMESPACE_RULES, "NamespaceEgressRule", Tier.NAMESPACE)
SERVICE_EGRESS_RULE = _rule(Resource.SERVICE_RULES, "ServiceEgressRule", Tier.SERVICE)
CLUSTER_EXTERNAL_SERVICE = Kind(
    Resource.CLUSTER_EXTERNAL_SERVICES,
    "ClusterExternalService",
    API_VERSION,
    namespaced=False,
    brings=Brings.EXTERNAL_SERVICE,
)
EXTERNAL_SERVICE = Kind(
    Resource.EXTERNAL_SERVICES, "ExternalService", API_VERSION, namespaced=True, brings=Brings.EXTERNAL_SERVICE
)
ADDRESS_GROUP = Kind(
    Resource.ADDRESS_GROUPS, "AddressGroup", API_VERSION, namespaced=False, brings=Brings.ADDRESS_GROUP
)
DECISION = Kind(Resource.DECISIONS, "Decision", API_VERSION, namespaced=False, brings=Brings.ORDER)
STOP = Kind(Resource.STOPS, "Stop", API_VERSION, namespaced=False, brings=Brings.ORDER)

CORE = (
    Kind(Resource.NAMESPACES, "Namespace", "v1", namespaced=False),
    Kind(Resource.SERVICES, "Service", "v1", namespaced=True),
    Kind(Resource.ENDPOINT_SLICES, "EndpointSlice", "discovery.k8s.io/v1", namespaced=True),
    Kind(Resource.PODS, "Pod", "v1", namespaced=True),
    Kind(Resource.NODES, "Node", "v1", namespaced=False),
)
"""Kubernetes' own, which every cluster has."""
OURS = (
    CLUSTER_EGRESS_RULE,
    NAMESPACE_EGRESS_RULE,
    SERVICE_EGRESS_RULE,
    CLUSTER_EXTERNAL_SERVICE,
    EXTERNAL_SERVICE,
    ADDRESS_GROUP,
)
"""Policy in our own words."""
ORDERS = (DECISION, STOP)
"""What people decide about devices; it is heard whatever dialects are in use."""

KINDS: dict[Resource, Kind] = {}
"""Every kind that this program knows. Filled before anything is watched, and never emptied: a name means one thing."""
BY_REF: dict[str, Kind] = {}
REF_KINDS: dict[Resource, str] = {}
NAMESPACE_ANNOTATIONS: set[str] = set()
"""The annotations of Namespaces that some dialect reads, beside those of our own domain."""


def register(kinds: Iterable[Kind], namespace_annotations: Iterable[str] = ()) -> None:
    """Make these known. ValueError where a name means another kind already."""
    for kind in kinds:
        if KINDS.setdefault(kind.resource, kind) != kind or BY_REF.setdefault(kind.ref, kind) != kind:
            raise ValueError(f"{kind.ref} ({kind.resource}) is the name of another kind already")
        REF_KINDS[kind.resource] = kind.ref
    NAMESPACE_ANNOTATIONS.update(namespace_annotations)


def brings(ref_kind: str) -> Brings | None:
    """What an object is to policy, by the kind in its Ref; None for what is no policy."""
    kind = BY_REF.get(ref_kind)
    return kind.brings if kind else None


def is_policy(resource: Resource) -> bool:
    """Whether objects of this kind are policy as somebody wrote it."""
    kind = KINDS.get(resource)
    return kind is not None and kind.is_policy


register((*CORE, *OURS, *ORDERS))
