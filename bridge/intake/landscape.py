"""The namespaces, Services and EndpointSlices of one cluster, as far as selection needs them."""

from bridge.intake.definition import ranges
from bridge.model.observed import EndpointSlice, Namespace, Pod, Resource, Service
from bridge.model.policy import Governance, Source, SourceKind
from bridge.policy import select
from bridge.policy.compile import EVERYONE, GOVERNED, KNOWN


class Landscape:
    """What is around the pods, and whom a source selects among them."""

    def __init__(self, governance: Governance) -> None:
        self.governance = governance
        self.namespaces: dict[str, Namespace] = {}
        self.services: dict[tuple[str, str], Service] = {}
        self.slices: dict[tuple[str, str], EndpointSlice] = {}
        self._endpoints: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}

    def governs(self, namespace: str) -> bool:
        """Whether rules apply in the namespace of this name."""
        return select.governed(self.namespaces.get(namespace), self.governance)

    def find(self, resource: Resource, namespace: str, name: str) -> Namespace | Service | EndpointSlice | None:
        """What is known under this name."""
        if resource is Resource.NAMESPACES:
            return self.namespaces.get(name)
        if resource is Resource.SERVICES:
            return self.services.get((namespace, name))
        return self.slices.get((namespace, name))

    def put_slice(self, piece: EndpointSlice) -> None:
        """Take an EndpointSlice as it is now."""
        self.drop_slice(piece.namespace, piece.name)
        self.slices[piece.namespace, piece.name] = piece
        self._endpoints.setdefault((piece.namespace, piece.service), {})[piece.name] = piece.addresses

    def drop_slice(self, namespace: str, name: str) -> EndpointSlice | None:
        """Forget an EndpointSlice; returns what it was."""
        old = self.slices.pop((namespace, name), None)
        if old is not None:
            parts = self._endpoints[namespace, old.service]
            del parts[name]
            if not parts:
                del self._endpoints[namespace, old.service]
        return old

    def by_endpoints(self, namespace: str, service: str) -> bool:
        """Whether the Service selects by its EndpointSlices, having no selector."""
        found = self.services.get((namespace, service))
        return found is not None and not found.selector

    def selects(self, source: Source, pod: Pod, address: str) -> bool:
        """Whether the source, with its conditions, selects this pod at this address; "" for a pod that has none yet."""
        return (
            self._selects(source, pod, address)
            and all(self.selects(one, pod, address) for one in source.also)
            and not any(self.selects(one, pod, address) for one in source.unless)
        )

    def _selects(self, source: Source, pod: Pod, address: str) -> bool:
        if source.kind is SourceKind.BUILTIN:
            return self._builtin(source, pod)
        if source.kind is SourceKind.PREFIXES:
            reached = not source.governed_only or not self._exempt(source, pod)
            return reached and bool(address) and address in ranges(source.prefixes)
        if source.governed_only and not self.governs(pod.namespace):
            return False
        if source.kind is SourceKind.SERVICE:
            return pod.namespace == source.namespace and self._service_selects(source.service, pod, address)
        return select.selects(source, pod, self.namespaces.get(pod.namespace))

    def _service_selects(self, name: str, pod: Pod, address: str) -> bool:
        service = self.services.get((pod.namespace, name))
        if service is None:
            return False
        if service.selector:
            return select.service_selects(service.selector, pod)
        parts = self._endpoints.get((pod.namespace, name), {})
        return any(address in addresses for addresses in parts.values())

    def _builtin(self, source: Source, pod: Pod) -> bool:
        if source.service == KNOWN:
            return True
        if source.service == GOVERNED:
            return pod.namespace in self.namespaces and not self._exempt(source, pod)
        return self._exempt(source, pod) == (source.service != EVERYONE)

    def _exempt(self, source: Source, pod: Pod) -> bool:
        """Nobody is exempt whose namespace has not been seen yet: it may turn out to be governed."""
        namespace = self.namespaces.get(pod.namespace)
        if namespace is None:
            return False
        return not (self.governs(pod.namespace) and source.namespaces.matches(select.namespace_labels(namespace)))
