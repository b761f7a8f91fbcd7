"""Changes that were held back because nothing proved them, and may be proven since: the workload has ended, or another has its address."""

from collections.abc import Iterable, Iterator, Mapping

from bridge.clock import Clock
from bridge.delivery.store import Store
from bridge.delivery.wanted import Wanted
from bridge.model.identity import ObjectKey
from bridge.model.plan import HoldKind
from bridge.state.desired import MemberRow, Work

_REST = 4  # times as long as it took, before everything that waits is asked about again

Members = Mapping[ObjectKey, frozenset[str]]


class Proofs:
    """Asks about everything that waits whenever something was recorded, but of many not all the time; about an address that joins another
    group at once: what its new holder may do, the old one must not go on doing for it.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._due = 0.0
        self._revisions: Mapping[str, int] = {}

    def found(self, work: Work, wanted: Wanted) -> tuple[MemberRow, ...]:
        """What is certain now of what waits."""
        leaves, joins = wanted.doubts(HoldKind.REMOVAL), wanted.doubts(HoldKind.WIDENING)
        if not (leaves or joins) or work.revisions == self._revisions:
            return ()
        began = self._clock.elapsed()
        if began < self._due:
            coming = {member.address for member in work.members if member.member}
            leaves, joins = wanted.doubts(HoldKind.REMOVAL, coming), {}
        told = {(member.group, member.address) for member in work.members}
        rows = (*self._certain(leaves, member=False), *self._certain(joins, member=True))
        if began >= self._due:
            ended = self._clock.elapsed()
            self._due = ended + _REST * (ended - began)
            self._revisions = dict(work.revisions)  # asked, and answered
        return tuple(row for row in rows if (row.group, row.address) not in told)

    def _certain(self, waiting: Members, *, member: bool) -> Iterator[MemberRow]:
        if not waiting:
            return
        still = self._store.doubtful(waiting) if member else self._store.unproven(waiting)
        for key, addresses in waiting.items():
            for address in _rest(addresses, still.get(key, ())):
                yield MemberRow(key, address, member, inferred=False)


def _rest(addresses: frozenset[str], doubtful: Iterable[str]) -> list[str]:
    return sorted(addresses.difference(doubtful))
