"""The bridge's own kinds: their names in manifests, the resource that serves each, and whether it stands in a namespace."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model.observed import Resource

GROUP = "fusionbridge.io"
API_VERSION = f"{GROUP}/v1alpha1"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds; `name` is what a Ref carries."""

    name: str
    resource: Resource
    namespaced: bool

    def __str__(self) -> str:
        return self.name


CLUSTER_EGRESS_RULE = Kind("ClusterEgressRule", Resource.CLUSTER_RULES, namespaced=False)
NAMESPACE_EGRESS_RULE = Kind("NamespaceEgressRule", Resource.NAMESPACE_RULES, namespaced=True)
SERVICE_EGRESS_RULE = Kind("ServiceEgressRule", Resource.SERVICE_RULES, namespaced=True)
CLUSTER_EXTERNAL_SERVICE = Kind("ClusterExternalService", Resource.CLUSTER_EXTERNAL_SERVICES, namespaced=False)
EXTERNAL_SERVICE = Kind("ExternalService", Resource.EXTERNAL_SERVICES, namespaced=True)
ADDRESS_GROUP = Kind("AddressGroup", Resource.ADDRESS_GROUPS, namespaced=False)

KINDS = (
    CLUSTER_EGRESS_RULE,
    NAMESPACE_EGRESS_RULE,
    SERVICE_EGRESS_RULE,
    CLUSTER_EXTERNAL_SERVICE,
    EXTERNAL_SERVICE,
    ADDRESS_GROUP,
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
BY_RESOURCE: Mapping[Resource, Kind] = {kind.resource: kind for kind in KINDS}
RULE_KINDS = (CLUSTER_EGRESS_RULE, NAMESPACE_EGRESS_RULE, SERVICE_EGRESS_RULE)
EXTERNAL_KINDS = (CLUSTER_EXTERNAL_SERVICE, EXTERNAL_SERVICE)
