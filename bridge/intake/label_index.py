"""Keys by a label that every pod they select carries, so that a pod is asked about a few of them and not about all of a namespace."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from bridge.intake.definition import Definition
from bridge.intake.landscape import Landscape
from bridge.model.observed import Labels
from bridge.model.policy import Operator, Source, SourceKind

Key = TypeVar("Key")
Label = tuple[str, str]


class LabelIndex(Generic[Key]):
    """For as long as definitions and Services stay as they are."""

    def __init__(self, keys: Iterable[Key], definition: Callable[[Key], Definition], landscape: Landscape) -> None:
        self._by_label: dict[Label, list[Key]] = {}
        self._others: list[Key] = []
        for key in keys:
            needed = [_needed(source, landscape) for source in definition(key)]
            if not all(needed):
                self._others.append(key)
                continue
            for label in {label for some in needed for label in some}:
                self._by_label.setdefault(label, []).append(key)

    def of(self, labels: Labels) -> Iterator[Key]:
        """The keys that may select a pod with these labels; one may come more than once."""
        yield from self._others
        for label in labels.items():
            yield from self._by_label.get(label, ())


def _needed(source: Source, landscape: Landscape) -> tuple[Label, ...]:
    """Labels of which every selected pod carries one; none where that cannot be told."""
    if source.kind is SourceKind.SERVICE:
        service = landscape.services.get((source.namespace, source.service))
        return (min(service.selector.items()),) if service is not None and service.selector else ()
    if source.kind in (SourceKind.NAMESPACE, SourceKind.CLUSTER):
        for one in source.pods.requirements:
            if one.operator is Operator.IN:
                return tuple((one.key, value) for value in one.values)
    return ()
