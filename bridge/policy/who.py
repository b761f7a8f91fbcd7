"""Who sends, without a name of anybody: what several sources select together, and none of others (pods come and go, sources stay)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from bridge.model.policy import AddressSource, Operator, Requirement, Selector, Source, SourceKind
from bridge.policy.overlap import homes
from bridge.policy.select import NAME_LABEL

_PLAINER = (
    SourceKind.SERVICE,
    SourceKind.NAMESPACE,
    SourceKind.PREFIXES,
    SourceKind.ANNOTATION,
    SourceKind.BUILTIN,
    SourceKind.CLUSTER,
)
"""Which group is shown, where two are the same people: one that is named by what it is comes before the selection of a rule."""


@dataclass(frozen=True, slots=True)
class Who:
    """The workloads that every one of `all_of` selects and none of `none_of` does.

    Where a device does not see the addresses of pods, one may stand for several of them: sources still meet there that no workload is in
    together.
    """

    all_of: frozenset[Source]
    none_of: frozenset[Source] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether it is surely nobody, whatever pods there are: contradictory, or of two namespaces at once."""
        if any(holds(out, one) for out in self.none_of for one in self.all_of):
            return True
        if self._shared:
            return False
        joint = _together(self.all_of)
        return joint is None or any(holds(out, joint) for out in self.none_of)

    @property
    def _shared(self) -> bool:
        return any(one.view.source is not AddressSource.POD for one in self.all_of)

    def both(self, other: "Who") -> "Who":
        """Those in this and in the other."""
        return self._of(self.all_of | other.all_of, self.none_of | other.none_of)

    def without(self, other: "Who") -> Iterator["Who"]:
        """Those in this and not in the other, as pieces that share nobody."""
        base = self
        for source in sorted(other.all_of - self.all_of):
            yield base._of(base.all_of, base.none_of | {source})
            base = base._of(base.all_of | {source}, base.none_of)
        for source in sorted(other.none_of - self.none_of):
            yield base._of(base.all_of | {source}, base.none_of)
            base = base._of(base.all_of, base.none_of | {source})

    def _of(self, all_of: frozenset[Source], none_of: frozenset[Source]) -> "Who":
        """The same people by fewer sources: what holds another adds nothing to it, nor does taking out whom nobody of these can be."""
        inner = frozenset(one for one in all_of if not any(_rather(other, one, holds(one, other)) for other in all_of))
        out = none_of
        if not self._shared:
            out = frozenset(one for one in out if _together(inner | {one}) is not None)
        widest = frozenset(one for one in out if not any(_rather(other, one, holds(other, one)) for other in out))
        return Who(inner, widest)


def who(source: Source) -> Who:
    """The workloads that one source selects."""
    return Who(frozenset((source,)))


def holds(outer: Source, inner: Source) -> bool:
    """Whether everyone of `inner` is surely in `outer`, the exempt aside, of whom no region is. False when in doubt."""
    if outer == inner or everyone(outer):
        return True
    if outer.kind is SourceKind.BUILTIN:
        return inner.kind is not SourceKind.PREFIXES and not everyone(inner)
    if outer.kind not in (SourceKind.NAMESPACE, SourceKind.CLUSTER) or inner.kind in (
        SourceKind.PREFIXES,
        SourceKind.BUILTIN,
    ):
        return False
    accounts = not outer.service_accounts or (
        bool(inner.service_accounts) and set(inner.service_accounts) <= set(outer.service_accounts)
    )
    return accounts and set(outer.pods.requirements) <= set(inner.pods.requirements) and _reaches(outer, inner)


def everyone(source: Source) -> bool:
    """Whether it is the pod ranges less the exempt."""
    named = source.kind is SourceKind.BUILTIN and source.service == "everyone"
    return source.whole_cluster or (named and not source.also and not source.unless)


def _reaches(outer: Source, inner: Source) -> bool:
    """Whether the outer source selects in every namespace in which the inner one does."""
    home = homes(inner)
    if outer.kind is SourceKind.NAMESPACE:
        return home is not None and home <= {outer.namespace}
    return all(
        one in inner.namespaces.requirements
        or (one.key == NAME_LABEL and one.operator is Operator.IN and home is not None and home <= set(one.values))
        for one in outer.namespaces.requirements
    )


def _rather(other: Source, one: Source, decided: bool) -> bool:
    """Whether the other makes this one needless; of two that are the same people the plainer stays."""
    plainer = (_PLAINER.index(other.kind), other) < (_PLAINER.index(one.kind), one)
    return decided and other != one and (plainer or not (holds(one, other) and holds(other, one)))


@lru_cache(maxsize=16_384)
def _together(sources: frozenset[Source]) -> Source | None:
    """All that is known of those whom every one of these selects, as one source: at least they. None when it is surely nobody."""
    places = [home for one in sources if (home := homes(one)) is not None]
    home = frozenset.intersection(*places) if places else None
    lists = [frozenset(one.service_accounts) for one in sources if one.service_accounts]
    accounts = sorted(
        account
        for account in (frozenset.intersection(*lists) if lists else ())
        if home is None or account.partition("/")[0] in home
    )
    pods = {one for source in sources for one in source.pods.requirements}
    namespaces = {one for source in sources for one in source.namespaces.requirements}
    if home is not None:
        namespaces.add(Requirement(NAME_LABEL, Operator.IN, tuple(sorted(home))))
    if home == frozenset() or (lists and not accounts) or _contradict(pods) or _contradict(namespaces):
        return None
    selectors = (Selector(tuple(sorted(pods))), Selector(tuple(sorted(namespaces))))
    return Source(SourceKind.CLUSTER, "", "", *selectors, tuple(accounts))


def _contradict(requirements: Iterable[Requirement]) -> bool:
    """Whether no labels at all satisfy these."""
    by_key: dict[str, list[Requirement]] = {}
    for one in requirements:
        by_key.setdefault(one.key, []).append(one)
    return any(_impossible(each) for each in by_key.values() if len(each) > 1)


def _impossible(about_one_key: Iterable[Requirement]) -> bool:
    values: dict[Operator, list[frozenset[str]]] = {}
    for one in about_one_key:
        values.setdefault(one.operator, []).append(frozenset(one.values))
    if Operator.DOES_NOT_EXIST in values:
        return Operator.IN in values or Operator.EXISTS in values
    if Operator.IN not in values:
        return False
    return not frozenset.intersection(*values[Operator.IN]).difference(*values.get(Operator.NOT_IN, ()))
