"""What a group is defined by: sources, with conditions that are sources themselves, and how far all of them reach."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from bridge.model import addresses
from bridge.model.addresses import Ranges
from bridge.model.policy import AS_POD, AddressSource, Source, SourceKind, View
from bridge.policy.compile import EVERYONE, EXEMPT

Definition = tuple[Source, ...]
"""Whoever one of these sources selects."""

ANYWHERE = frozenset({""})
_LOCAL = (SourceKind.SERVICE, SourceKind.NAMESPACE, SourceKind.ANNOTATION)


@dataclass(frozen=True, slots=True)
class Formula:
    """A source as a bare source (without conditions and view), by its number, and its conditions."""

    bare: int
    also: "tuple[Formula, ...]" = ()
    unless: "tuple[Formula, ...]" = ()

    @property
    def numbers(self) -> Iterator[int]:
        """All bare sources in it."""
        yield self.bare
        for condition in (*self.also, *self.unless):
            yield from condition.numbers


class Numbers:
    """Bare sources by numbers, which are quicker to look up. A source keeps its number for ever."""

    def __init__(self) -> None:
        self._of: dict[Source, int] = {}
        self.sources: list[Source] = []

    def formula(self, source: Source) -> Formula:
        """The source taken apart."""
        bare = replace(source, also=(), unless=(), view=AS_POD)
        if bare not in self._of:
            self._of[bare] = len(self.sources)
            self.sources.append(bare)
        return Formula(self._of[bare], tuple(map(self.formula, source.also)), tuple(map(self.formula, source.unless)))


def parts(sources: Iterable[Source]) -> Iterator[Source]:
    """Every source of a definition, and of its conditions."""
    for source in sources:
        yield source
        yield from parts((*source.also, *source.unless))


def view_of(definition: Definition) -> View:
    """How the device sees the members; all sources of a group are seen in the same way."""
    return definition[0].view if definition else AS_POD


def as_pod(definition: Definition) -> bool:
    """Whether its members are the addresses of pods themselves, or prefixes of the pod ranges."""
    return view_of(definition).source is AddressSource.POD


def reach(sources: Iterable[Source]) -> frozenset[str]:
    """The namespaces whose pods a definition can select; "" among them stands for all."""
    return frozenset(namespace for source in sources for namespace in _reach(source))


def _reach(source: Source) -> frozenset[str]:
    found = frozenset({source.namespace}) if source.kind in _LOCAL else ANYWHERE
    for condition in source.also:
        found = _meet(found, _reach(condition))
    return found


def _meet(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if "" in one or "" in other:
        return other if "" in one else one
    return one & other


def by_prefixes(definition: Definition) -> bool:
    """Whether it takes more than labels to know whom it selects: addresses count too."""
    return any(source.kind is SourceKind.PREFIXES for source in parts(definition))


def exempts(source: Source) -> bool:
    """Whether those whom it selects go on past the default deny."""
    return source.kind is SourceKind.BUILTIN and source.service == EXEMPT


def region(sources: Iterable[Source], pod_ranges: tuple[str, ...]) -> tuple[str, ...]:
    """Which addresses are selected while nobody is known to hold them, as prefixes inside the pod ranges."""
    found = [member for source in sources for member in _region(source, pod_ranges)]
    return addresses.subtract(found, ()) if found else ()


def _region(source: Source, pod_ranges: tuple[str, ...]) -> tuple[str, ...]:
    if source.kind is SourceKind.PREFIXES:
        found = _within(source.prefixes, pod_ranges)
    elif source.kind is SourceKind.BUILTIN and source.service == EVERYONE:
        found = pod_ranges
    else:
        return ()
    for condition in source.also:
        found = _within(found, _region(condition, pod_ranges))
    for condition in source.unless:
        found = addresses.subtract(found, _region(condition, pod_ranges))
    return found


def _within(members: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(members)
    return addresses.subtract(kept, addresses.subtract(kept, other))


@lru_cache(maxsize=4096)
def ranges(prefixes: tuple[str, ...]) -> Ranges:
    """These prefixes, to be asked about addresses."""
    return Ranges(prefixes)
