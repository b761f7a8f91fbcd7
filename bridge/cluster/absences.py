"""Absence is not deletion: what a complete list does not show is gone only when a second list misses it too."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bridge.cluster.decode import Value
from bridge.cluster.gate import ClusterGate
from bridge.cluster.listing import Lister, version_number
from bridge.errors import ClusterUnavailable


@dataclass(frozen=True, slots=True)
class Listed:
    """A complete list: which objects it held. Not `certain` when one of them does not say which it is."""

    version: str
    uids: Collection[str]
    certain: bool


class Absences:
    """Confirms for one resource that objects are gone. For one thread."""

    def __init__(self, words: str, lister: Lister, gate: ClusterGate) -> None:
        self._words = words
        self._lister = lister
        self._gate = gate

    def confirmed(self, suspects: list[Value], listed: Listed) -> list[Value]:
        """Those that a second list misses too. Raises when that cannot be told now; nothing is inferred then."""
        if not suspects or not listed.certain:
            return []
        newest = version_number(listed.version)
        second = {value.uid: value for page in self._lister.pages(not_before=newest) for value in page.values}
        self._check_against(listed, newest, second.values())
        self._gate.prove_populated()
        return [] if "" in second else [value for value in suspects if value.uid not in second]

    def _check_against(self, listed: Listed, newest: int, second: Iterable[Value]) -> None:
        """An object that has not changed since the first list, and was not in it, proves that list incomplete."""
        for value in second:
            if value.uid not in listed.uids and value.uid and version_number(value.resource_version) <= newest:
                raise ClusterUnavailable(f"{self._words}: a list left out {value.name!r}, which was there")
