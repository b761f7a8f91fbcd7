"""The ordered changes from what a device holds to what it should hold: a value, printable, with a digest."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Snapshot
from bridge.model.rendering import line_of


class Op(StrEnum):
    """What a step does to its object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one object; `before` is None for a creation, `after` for a deletion."""

    op: Op
    key: ObjectKey
    before: DeviceObject | None
    after: DeviceObject | None

    def __str__(self) -> str:
        return f"{self.op} {self.key}: {line_of(self.before)} -> {line_of(self.after)}"


class HoldKind(StrEnum):
    """What would happen, that waits for a person (SEMANTICS 8)."""

    REMOVAL = "removal"  # members leave, and nothing proves that their workloads are gone
    WIDENING = "widening"  # members join, because others left without proof: everyone but those
    GROWTH = "growth"
    DESTINATION = "destination"  # an edit lets a destination reach nearly every address
    EDIT = "edit"  # policy was edited while the device keeps to an earlier one


@dataclass(frozen=True, slots=True)
class Held:
    """Part of a step that waits for a person: which members or object, what would happen to them, and why it waits."""

    key: ObjectKey
    members: frozenset[str]
    reason: str
    kind: HoldKind = HoldKind.REMOVAL

    def __str__(self) -> str:
        """What waits, and not why: of the same steps always the same text."""
        return f"{self.kind} {self.key}: {', '.join(sorted(self.members))}"


def held_digest(device: str, cluster: str, held: Iterable[Held]) -> str:
    """What a list of held steps is known by: SHA-256 over what waits, in any order, as 16 hexadecimal digits."""
    content = "\n".join([device, cluster, *sorted(str(one) for one in held)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to one device, phase by phase. A phase may be applied as one transaction; phases never change places."""

    device: str
    phases: tuple[tuple[Step, ...], ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return tuple(step for phase in self.phases for step in phase)

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not any(self.phases)

    @property
    def digest(self) -> str:
        """SHA-256 over the text of every step, as 16 hexadecimal digits; equal plans have equal digests on every machine."""
        content = "\n".join(
            [self.device, *(str(step) for step in self.steps), *sorted(f"held {held}" for held in self.held)]
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write: the owner's epoch and installation, to be compared with what stands on the device.

    `replaces`: a person has decided that just this may be overwritten, whatever its epoch and installation.
    """

    epoch: int
    installation: str
    replaces: FenceState | None = None

    def passes(self, state: FenceState) -> bool:
        """Whether nobody newer, and no other installation, stands in the fence object; or what a person lets us replace."""
        if self.replaces is not None and state == self.replaces:
            return True
        return state.epoch <= self.epoch and state.installation in ("", self.installation)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a device held of each touched object after an apply, as observed: None where it is gone.

    `active` is False when the device has stored the change and enforces it later; `refused` maps objects that the device would
    not take to its own words: they were not changed.
    """

    observed: Mapping[ObjectKey, DeviceObject | None]
    active: bool = True
    refused: Mapping[ObjectKey, str] = field(default_factory=dict)
    calls: int = 0

    def onto(self, snapshot: Snapshot) -> dict[ObjectKey, DeviceObject]:
        """The objects of the snapshot with what was observed laid over them."""
        objects = dict(snapshot.objects)
        for key, value in self.observed.items():
            if value is None:
                objects.pop(key, None)
            else:
                objects[key] = value
        return objects
