"""Which address is a member of which group, kept up to date with work that grows with the change."""

from collections.abc import Iterable, Mapping

from bridge.intake.landscape import Landscape
from bridge.intake.workloads import Workloads
from bridge.model.addresses import Ranges
from bridge.model.identity import ObjectKey, Scope
from bridge.model.observed import Labels, Pod
from bridge.model.policy import Source, SourceKind
from bridge.policy.select import ADDRESS_GROUP_ANNOTATION

Definition = tuple[Source, ...]
_NONE: tuple[ObjectKey, ...] = ()
_CACHE_LIMIT = 50_000
_LOCAL = (SourceKind.SERVICE, SourceKind.NAMESPACE, SourceKind.ANNOTATION)


class Membership:
    """The members of every group that somebody needs. Rules reach only governed pods; named groups reach all."""

    def __init__(self, landscape: Landscape, workloads: Workloads) -> None:
        self._landscape = landscape
        self._workloads = workloads
        self._ranges = Ranges(landscape.governance.pod_ranges)
        self._definitions: dict[ObjectKey, Definition] = {}
        self._local: dict[str, list[ObjectKey]] = {}
        self._wide: list[ObjectKey] = []
        self._groups_of: dict[str, tuple[ObjectKey, ...]] = {}
        self._by_labels: dict[tuple[str, str, int], tuple[Labels, tuple[ObjectKey, ...]]] = {}
        self.members: dict[ObjectKey, set[str]] = {}

    def start_from(self, members: Mapping[ObjectKey, Iterable[str]]) -> None:
        """Take the members that the database knows as the base that later updates are compared with."""
        groups: dict[str, list[ObjectKey]] = {}
        for key, addresses in members.items():
            self.members[key] = set(addresses)
            for address in addresses:
                groups.setdefault(address, []).append(key)
        interned: dict[tuple[ObjectKey, ...], tuple[ObjectKey, ...]] = {}
        for address, keys in groups.items():
            ordered = tuple(sorted(keys))
            self._groups_of[address] = interned.setdefault(ordered, ordered)

    @property
    def known_addresses(self) -> Iterable[str]:
        """Every address that is a member of something."""
        return self._groups_of.keys()

    def define(self, definitions: Mapping[ObjectKey, Definition]) -> tuple[list[ObjectKey], list[ObjectKey], set[str]]:
        """Replace all definitions: returns the new groups, those that are gone, and the namespaces to look at ("" for all)."""
        changed = {
            k for k in definitions.keys() | self._definitions.keys() if definitions.get(k) != self._definitions.get(k)
        }
        touched = {ns for key in changed for ns in self._reach(definitions.get(key) or self._definitions[key])}
        new = [key for key in definitions if key not in self.members]
        gone = [key for key in self.members if key not in definitions]
        self._definitions = dict(definitions)
        self._local, self._wide = {}, []
        for key, sources in sorted(definitions.items()):
            reach = self._reach(sources)
            if "" in reach:
                self._wide.append(key)
            else:
                for namespace in reach:
                    self._local.setdefault(namespace, []).append(key)
        for key in new:
            self.members[key] = set()
        self.forget_cache()
        return new, gone, touched

    def forget(self, key: ObjectKey) -> set[str]:
        """Drop a group that nobody needs; returns the members that it had."""
        members = self.members.pop(key, set())
        for address in members:
            self._keep(address, tuple(group for group in self._groups_of[address] if group != key))
        return members

    def forget_cache(self) -> None:
        """What pods share by their labels must be found anew: namespaces, Services or definitions changed."""
        self._by_labels.clear()

    def uses_service(self, namespace: str, service: str) -> bool:
        """Whether some group stands for this Service."""
        return any(
            source.kind is SourceKind.SERVICE and source.service == service
            for key in self._local.get(namespace, ())
            for source in self._definitions[key]
        )

    def wanted(self, pod: Pod) -> bool:
        """Whether a rule's source or a group by name is about this pod, be its addresses what they may."""
        keys = [key for key in self._candidates(pod) if key.scope is not Scope.BUILTIN]
        return any(self._selects(key, pod, address) for key in keys for address in pod.addresses or ("",))

    def in_ranges(self, address: str) -> bool:
        """Whether the address is in the cluster's pod ranges: no other is ever a member."""
        return address in self._groups_of or address in self._ranges

    def update(self, address: str) -> tuple[tuple[ObjectKey, ...], tuple[ObjectKey, ...]]:
        """Bring one address into its groups: returns those that it joined and those that it left."""
        before = self._groups_of.get(address, _NONE)
        after = self._groups(address)
        if before == after:
            return _NONE, _NONE
        joined = tuple(key for key in after if key not in before)
        left = tuple(key for key in before if key not in after)
        for key in joined:
            self.members[key].add(address)
        for key in left:
            self.members[key].discard(address)
        self._keep(address, after)
        return joined, left

    def _keep(self, address: str, groups: tuple[ObjectKey, ...]) -> None:
        if groups:
            self._groups_of[address] = groups
        else:
            self._groups_of.pop(address, None)

    def _groups(self, address: str) -> tuple[ObjectKey, ...]:
        pod = self._workloads.owner(address)
        if pod is None or address not in self._ranges:
            return _NONE
        if (
            pod.annotations and ADDRESS_GROUP_ANNOTATION in pod.annotations
        ):  # alike in labels, it may ask for another group
            return tuple(sorted(key for key in self._candidates(pod) if self._selects(key, pod, address)))
        cache_key = (pod.namespace, pod.service_account, id(pod.labels))
        cached = self._by_labels.get(cache_key)
        if cached is not None and cached[0] is pod.labels:
            return cached[1]
        found = tuple(sorted(key for key in self._candidates(pod) if self._selects(key, pod, address)))
        if not self._depends_on_address(pod.namespace):
            if len(self._by_labels) >= _CACHE_LIMIT:
                self._by_labels.clear()
            self._by_labels[cache_key] = (pod.labels, found)
        return found

    def _candidates(self, pod: Pod) -> Iterable[ObjectKey]:
        yield from self._local.get(pod.namespace, ())
        yield from self._wide

    def _selects(self, key: ObjectKey, pod: Pod, address: str) -> bool:
        return any(self._landscape.selects(source, pod, address) for source in self._definitions[key])

    def _depends_on_address(self, namespace: str) -> bool:
        """Whether a group of the namespace follows EndpointSlices, so that pods alike in labels may differ."""
        return any(
            source.kind is SourceKind.SERVICE and self._landscape.by_endpoints(namespace, source.service)
            for key in self._local.get(namespace, ())
            for source in self._definitions[key]
        )

    @staticmethod
    def _reach(sources: Definition) -> frozenset[str]:
        """The namespaces in which a definition can select; "" stands for all."""
        return frozenset(source.namespace if source.kind in _LOCAL else "" for source in sources)
