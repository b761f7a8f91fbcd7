"""What delivery asks of the state, and what it records there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.decisions import Control, Decision, Settled, Stop
from bridge.model.handover import Buckets
from bridge.model.identity import ObjectKey
from bridge.model.intent import FenceState
from bridge.state.desired import Applied, AuditEntry, DeviceHealth, HeldList, Work
from bridge.state.recognition import Heard, Recognition


class Store(Protocol):
    """The state as one device sees it. Every method raises StateUnavailable while the database is away.

    What is written under an epoch raises LostLease when that does not own the device any more.
    """

    def recognition(self, device: str) -> Recognition:
        """What the device has to be, and what a person lets us do there."""
        ...

    def settled(self, device: str, epoch: int, *, replaced: bool, adopted: Collection[ObjectKey]) -> None:
        """What a person let us do there is done."""
        ...

    def stopped_by(self, device: str, epoch: int, fence: FenceState) -> None:
        """This fence stops us there until a person decides."""
        ...

    def heard(self, clusters: Collection[str]) -> Heard:
        """How recent the record of these clusters is."""
        ...

    def work(self, device: str, clusters: Mapping[str, int]) -> Work:
        """What changed since these revisions."""
        ...

    def complete_work(self, device: str) -> Work:
        """Everything that the device should hold."""
        ...

    def unproven(
        self, removals: Mapping[ObjectKey, frozenset[str]], changed: Collection[ObjectKey] = ()
    ) -> Mapping[ObjectKey, frozenset[str]]:
        """Which of these removals no event proved; of `changed` groups, what never was a member is not ours to prove."""
        ...

    def doubtful(self, joins: Mapping[ObjectKey, frozenset[str]]) -> Mapping[ObjectKey, frozenset[str]]:
        """Which of these joins follow from a removal elsewhere that no event proved."""
        ...

    def holders(self, clusters: Collection[str]) -> Collection[str]:
        """The addresses that workloads of these clusters hold now."""
        ...

    def verified(self, device: str) -> Mapping[ObjectKey, str]:
        """The digests of what the device was last seen to hold."""
        ...

    def record(
        self,
        device: str,
        epoch: int,
        applied: Sequence[Applied],
        audit: Sequence[AuditEntry],
        plan_digest: str,
        at: datetime,
    ) -> None:
        """Record what became true of the device."""
        ...

    def record_handovers(self, device: str, epoch: int, at: datetime, found: Buckets) -> None:
        """Record how long addresses took to change hands."""
        ...

    def saw(self, device: str, epoch: int, digests: Mapping[ObjectKey, str]) -> None:
        """Note how these objects were found, before something is done about it."""
        ...

    def record_health(self, device: str, health: DeviceHealth, *, age: float = 0.0, epoch: int | None = None) -> None:
        """Record how the device itself is, of a reading that began `age` seconds ago."""
        ...

    def control(self, device: str, clusters: Collection[str]) -> Control:
        """What people ordered, as far as these clusters can."""
        ...

    def note_stops(self, device: str, epoch: int, obeyed: Sequence[Stop]) -> None:
        """Say which stops the device obeys from now on."""
        ...

    def held_lists(self, device: str) -> Sequence[HeldList]:
        """The lists of the guard that are not done with."""
        ...

    def held_list(self, device: str, digest: str) -> HeldList | None:
        """One list, wherever it stands."""
        ...

    def record_held(self, device: str, epoch: int, lists: Sequence[HeldList], at: datetime) -> None:
        """Record how these lists stand now."""
        ...

    def decide(
        self,
        device: str,
        epoch: int,
        decision: Decision,
        state: Settled,
        message: str,
        about: HeldList | None,
        at: datetime,
    ) -> None:
        """Record in one stroke what became of a decision, and the list as it stands by that."""
        ...

    def touch_verified(
        self, device: str, keys: Iterable[ObjectKey] | None, at: datetime, *, epoch: int | None = None
    ) -> None:
        """Record that these objects (None: all) were seen to be as recorded."""
        ...
