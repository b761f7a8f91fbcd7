"""Who stands behind the addresses that devices see, kept in step with what is compiled of that (SEMANTICS 3).

A rule may stand on a device as long as nobody else is behind its addresses there. So policy is compiled with what was counted, and what
that asks for is counted in turn, until both agree: nearly always at once.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import count

from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.compiler import Outline
from bridge.intake.dirty import Dirty
from bridge.model.identity import ObjectKey

_ROUNDS = 5  # more are never needed: what is counted does not follow from what stands

Shared = Mapping[ObjectKey, str]


class Counting:
    """Counts the pods that a batch touched, and no others."""

    def __init__(self, index: ClusterIndex) -> None:
        self._index = index
        self._seen = index.membership.seen
        self._compiled_with: Shared = self._seen.shared

    def take(self, dirty: Dirty) -> bool:
        """Count what changed; returns whether policy must be compiled anew for that."""
        if not self._seen:
            return False
        workloads = self._index.workloads
        for uid in dirty.pods:
            self._seen.tally.count(uid)
        for uid in dirty.pods_gone:
            self._seen.tally.count(uid, proven=uid not in dirty.found_gone)
        for address in dirty.addresses:
            for uid in workloads.claimants(address):
                self._seen.tally.count(uid)
        self._count_in(dirty.namespaces)
        shared = self._seen.shared
        return shared is not self._compiled_with and shared != self._compiled_with

    def settle(self, draw: Callable[[Shared], Outline], dirty: Dirty) -> Outline:
        """Compile until what was counted is what it was compiled with. The groups of the outline are defined after that."""
        membership = self._index.membership
        for rounds in count(1):
            used = self._seen.shared
            drawn = draw(used)
            touched = membership.define(drawn.definitions, drawn.watched)
            dirty.namespaces |= touched
            self._count_in(touched)
            self._compiled_with = used
            if self._seen.shared == used or rounds == _ROUNDS:
                return drawn
        raise AssertionError("counting never ends")

    def _count_in(self, namespaces: Iterable[str]) -> None:
        if not self._seen:
            return
        workloads = self._index.workloads
        if "" in namespaces:
            for uid in workloads.pods:
                self._seen.tally.count(uid)
            return
        for namespace in namespaces:
            for pod in workloads.of_namespace(namespace):
                self._seen.tally.count(pod.uid)
