"""Where each watched resource lives in the Kubernetes API."""

from dataclasses import dataclass

from bridge.model.observed import POLICY_RESOURCES, Resource

GROUP = "fusionbridge.io"
VERSION = "v1alpha1"
FIELD_MANAGER = "fusion-bridge"


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API. `optional` marks those that a cluster may lack: ours, until somebody installs the CRDs."""

    resource: Resource
    api_version: str
    kind: str
    namespaced: bool
    optional: bool = False

    @property
    def path(self) -> str:
        """The collection across all namespaces."""
        return f"{self._prefix}/{self.resource}"

    def object_path(self, namespace: str, name: str, subresource: str = "") -> str:
        """One object, or a subresource of it. `namespace` is ignored for cluster-scoped kinds."""
        scope = f"/namespaces/{namespace}" if self.namespaced else ""
        tail = f"/{subresource}" if subresource else ""
        return f"{self._prefix}{scope}/{self.resource}/{name}{tail}"

    @property
    def _prefix(self) -> str:
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


_NAMES = {
    Resource.CLUSTER_RULES: "ClusterEgressRule",
    Resource.NAMESPACE_RULES: "NamespaceEgressRule",
    Resource.SERVICE_RULES: "ServiceEgressRule",
    Resource.CLUSTER_EXTERNAL_SERVICES: "ClusterExternalService",
    Resource.EXTERNAL_SERVICES: "ExternalService",
    Resource.ADDRESS_GROUPS: "AddressGroup",
}
_NAMESPACED = {Resource.NAMESPACE_RULES, Resource.SERVICE_RULES, Resource.EXTERNAL_SERVICES}

KINDS: dict[Resource, Kind] = {
    kind.resource: kind
    for kind in (
        Kind(Resource.NAMESPACES, "v1", "Namespace", namespaced=False),
        Kind(Resource.SERVICES, "v1", "Service", namespaced=True),
        Kind(Resource.ENDPOINT_SLICES, "discovery.k8s.io/v1", "EndpointSlice", namespaced=True),
        Kind(Resource.PODS, "v1", "Pod", namespaced=True),
        Kind(Resource.NODES, "v1", "Node", namespaced=False),
        *(
            Kind(resource, f"{GROUP}/{VERSION}", _NAMES[resource], resource in _NAMESPACED, optional=True)
            for resource in POLICY_RESOURCES
        ),
    )
}
