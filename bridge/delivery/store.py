"""What delivery asks of the state, and what it records there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.identity import ObjectKey
from bridge.model.plan import Held
from bridge.state.recognition import Heard, Recognition
from bridge.state.desired import Applied, AuditEntry, DeviceHealth, Work


class Store(Protocol):
    """The state as one device sees it. Every method raises StateUnavailable while the database is away.

    What is written under an epoch raises LostLease when that does not own the device any more.
    """

    def recognition(self, device: str) -> Recognition:
        """What the device has to be, and what a person lets us do there."""
        ...

    def settled(self, device: str, epoch: int, *, replaced: bool, adopted: Collection[str]) -> None:
        """What a person let us do there is done."""
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

    def saw(self, device: str, epoch: int, digests: Mapping[ObjectKey, str]) -> None:
        """Note how these objects were found, before something is done about it."""
        ...

    def record_health(self, device: str, health: DeviceHealth, *, age: float = 0.0, epoch: int | None = None) -> None:
        """Record how the device itself is, of a reading that began `age` seconds ago."""
        ...

    def record_held(
        self, device: str, held: Sequence[Held], digest: str, at: datetime, *, epoch: int | None = None
    ) -> None:
        """Replace what is held on the device."""
        ...

    def touch_verified(
        self, device: str, keys: Iterable[ObjectKey] | None, at: datetime, *, epoch: int | None = None
    ) -> None:
        """Record that these objects (None: all) were seen to be as recorded."""
        ...
