"""A reconciliation report as values: what each device should hold, what it does hold, and everything between."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.identity import ObjectKey


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of everything: groups (shards belong to their group), their members, lines of rule lists."""

    groups: int = 0
    members: int = 0
    rules: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.groups + other.groups, self.members + other.members, self.rules + other.rules)


@dataclass(frozen=True, slots=True)
class ObjectReport:
    """One object: its items (members, ports, lines, lists) as they should be and as they are; None where it should not be, or is not.

    An object that is missing or extra as a whole counts at least one item. Where only the order differs, the items out of place
    bear their position.
    """

    key: ObjectKey
    desired: tuple[str, ...] | None
    actual: tuple[str, ...] | None
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing is missing and nothing is extra."""
        return not self.missing and not self.extra


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Something on the device that could be taken for ours and is not; it is never touched."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class HeldPart:
    """A change that waits for a person."""

    key: ObjectKey
    members: tuple[str, ...]
    reason: str
    since: datetime | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SetAside:
    """An object that the device refuses, with the device's own words; its last good version stays."""

    key: ObjectKey
    message: str


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """One device, read live. With an `error` it could not be compared, and nothing else is said of it."""

    device: str
    kind: str
    error: str = ""
    identity: str = ""
    active: bool = True
    attached: Mapping[str, bool] = field(default_factory=dict)
    attach_by: Mapping[str, str] = field(default_factory=dict)  # how a person attaches what is not
    desired: Counts = Counts()
    actual: Counts = Counts()
    objects: tuple[ObjectReport, ...] = ()
    foreign: int = 0
    look_alikes: tuple[LookAlike, ...] = ()
    held: tuple[HeldPart, ...] = ()
    quarantined: tuple[SetAside, ...] = ()

    @property
    def differences(self) -> tuple[ObjectReport, ...]:
        """The objects that are not as they should be."""
        return tuple(one for one in self.objects if not one.equal)

    @property
    def missing(self) -> int:
        """Items that should be there and are not."""
        return sum(len(one.missing) for one in self.objects)

    @property
    def extra(self) -> int:
        """Items of ours that should not be there."""
        return sum(len(one.extra) for one in self.objects)


@dataclass(frozen=True, slots=True)
class Report:
    """All devices, as of one time."""

    at: datetime
    devices: tuple[DeviceReport, ...]

    @property
    def actual(self) -> Counts:
        """What all devices hold together."""
        return sum((device.actual for device in self.devices), Counts())

    @property
    def missing(self) -> int:
        """Items missing on any device."""
        return sum(device.missing for device in self.devices)

    @property
    def extra(self) -> int:
        """Items too much on any device."""
        return sum(device.extra for device in self.devices)

    @property
    def in_step(self) -> bool:
        """Whether every device could be compared, and holds exactly what it should."""
        return not any(device.error or device.differences or device.quarantined for device in self.devices)

    @property
    def held(self) -> bool:
        """Whether anything waits for a person."""
        return any(device.held for device in self.devices)
