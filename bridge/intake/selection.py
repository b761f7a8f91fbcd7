"""Which definitions select a pod, found with work that does not grow with how many pods there are."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from bridge.intake.definition import Definition, by_prefixes, parts, reach
from bridge.intake.label_index import LabelIndex
from bridge.intake.landscape import Landscape
from bridge.intake.prefix_index import PrefixIndex
from bridge.model.identity import ObjectKey
from bridge.model.observed import Labels, Pod
from bridge.model.policy import Source, SourceKind
from bridge.policy.select import ADDRESS_GROUP_ANNOTATION

_CACHE_LIMIT = 50_000

Key = TypeVar("Key", ObjectKey, int)


class Selection(Generic[Key]):
    """Definitions by key. What pods share by their labels is found once for all of them."""

    def __init__(self, landscape: Landscape) -> None:
        self._landscape = landscape
        self._definitions: dict[Key, Definition] = {}
        self._empty()
        self._by_labels: dict[tuple[str, str, int], tuple[Labels, tuple[Key, ...]]] = {}
        self._indexes: dict[str, LabelIndex[Key]] = {}  # by namespace, "" for what reaches over all

    def define(self, definitions: Mapping[Key, Definition]) -> set[str]:
        """Replace all definitions; returns the namespaces whose pods must be looked at, "" for all."""
        known = self._definitions
        changed = {key for key in definitions.keys() | known.keys() if definitions.get(key) != known.get(key)}
        if not changed:
            return set()
        touched = {ns for key in changed for one in (definitions, known) if key in one for ns in reach(one[key])}
        self._definitions = dict(definitions)
        self._empty()
        for key, definition in definitions.items():
            self._place(key, definition)
        self.forget()
        return touched

    def _empty(self) -> None:
        self._local: dict[str, list[Key]] = {}
        self._wide: list[Key] = []
        self._services: dict[str, set[str]] = {}
        self._anywhere: list[Key] = []  # of those for which addresses count, what may select at any
        self._in_prefixes: PrefixIndex[Key] = PrefixIndex()

    def _place(self, key: Key, definition: Definition) -> None:
        for source in parts(definition):
            if source.kind is SourceKind.SERVICE:
                self._services.setdefault(source.namespace, set()).add(source.service)
        if by_prefixes(definition):
            needed = _needed(definition)
            if needed:
                self._in_prefixes.add(key, needed)
            else:
                self._anywhere.append(key)
            return
        found = reach(definition)
        if "" in found:
            self._wide.append(key)
            return
        for namespace in found:
            self._local.setdefault(namespace, []).append(key)

    def forget(self) -> None:
        """What pods share by their labels must be found anew: namespaces or Services changed."""
        self._by_labels.clear()
        self._indexes.clear()

    def uses_service(self, namespace: str, service: str) -> bool:
        """Whether some definition, or a condition of one, stands for this Service."""
        return service in self._services.get(namespace, ())

    def of(self, pod: Pod, address: str) -> tuple[Key, ...]:
        """The keys that select the pod at this address, in order; "" for a pod that has none yet."""
        found = self._alike(pod, address)
        if not self._anywhere and not self._in_prefixes:
            return found
        more = {key for key in self._near(address) if self._selects(key, pod, address)}
        return tuple(sorted(more.union(found))) if more else found

    def may(self, pod: Pod) -> Iterator[Source]:
        """The sources that could select a pod of this namespace by more than its addresses."""
        for key in self._candidates(pod):
            yield from self._definitions[key]

    def _alike(self, pod: Pod, address: str) -> tuple[Key, ...]:
        if (
            pod.annotations and ADDRESS_GROUP_ANNOTATION in pod.annotations
        ):  # alike in labels, it may ask for another group
            return self._found(pod, address)
        cache_key = (pod.namespace, pod.service_account, id(pod.labels))
        cached = self._by_labels.get(cache_key)
        if cached is not None and cached[0] is pod.labels:
            return cached[1]
        found = self._found(pod, address)
        if not self._depends_on_address(pod.namespace):
            if len(self._by_labels) >= _CACHE_LIMIT:
                self._by_labels.clear()
            self._by_labels[cache_key] = (pod.labels, found)
        return found

    def _found(self, pod: Pod, address: str) -> tuple[Key, ...]:
        return tuple(sorted({key for key in self._candidates(pod) if self._selects(key, pod, address)}))

    def _candidates(self, pod: Pod) -> Iterable[Key]:
        for namespace, keys in ((pod.namespace, self._local.get(pod.namespace, ())), ("", self._wide)):
            index = self._indexes.get(namespace)
            if index is None:
                index = self._indexes[namespace] = LabelIndex(keys, self._definitions.__getitem__, self._landscape)
            yield from index.of(pod.labels)

    def _near(self, address: str) -> Iterator[Key]:
        """Of those for which addresses count: all but the ones that need another prefix."""
        yield from self._anywhere
        if address:
            yield from self._in_prefixes.of(address)

    def _selects(self, key: Key, pod: Pod, address: str) -> bool:
        return any(self._landscape.selects(source, pod, address) for source in self._definitions[key])

    def _depends_on_address(self, namespace: str) -> bool:
        """Whether a definition follows EndpointSlices of the namespace, so that pods alike in labels may differ."""
        return any(self._landscape.by_endpoints(namespace, one) for one in self._services.get(namespace, ()))


def _needed(definition: Definition) -> tuple[str, ...]:
    """The prefixes without which nothing is selected; none where something may be selected elsewhere too."""
    if any(source.kind is not SourceKind.PREFIXES for source in definition):
        return ()
    return tuple(dict.fromkeys(prefix for source in definition for prefix in source.prefixes))
