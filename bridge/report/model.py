"""A reconciliation report as values: what each device should hold, what it does hold, and everything between.

One model for every rendering. Its fields, in camelCase, are the names of the JSON document, which is also the form in which reports are
kept; so the types are msgspec's, and what a reader of JSON would have to add up stands in a field of its own. Names and their meaning
stay; new ones may come. All times are UTC.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from bridge.report.about import About, Value
from bridge.report.changes import AuditHead, Change, Changes, Picture, Since

SCHEMA = 1  # rises when a name goes or changes its meaning


class Counts(Value, frozen=True):
    """How much of everything: groups (shards belong to their group), their members, lines of rule lists."""

    groups: int = 0
    members: int = 0
    rules: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.groups + other.groups, self.members + other.members, self.rules + other.rules)


class ItemState(StrEnum):
    """How one item stands: as it should be; not there though it should; there though it should not; waiting; refused."""

    OK = "ok"
    MISSING = "missing"
    EXTRA = "extra"
    HELD = "held"
    QUARANTINED = "quarantined"


class Item(Value, frozen=True):
    """A member, a port range, a line of a rule list or a list of a policy. A member that a pod holds now names pod and workload."""

    item: str
    state: ItemState = ItemState.OK
    on_device: bool = True
    namespace: str = ""
    pod: str = ""
    workload: str = ""

    @property
    def stands_for(self) -> str:
        """The pod that holds the address, as `namespace/name`, or the node that has it; "" when none is known to."""
        return f"{self.namespace}/{self.pod}" if self.pod and self.namespace else self.pod


class ObjectReport(About, frozen=True):
    """One object: how many items it should have and has; None where it should not be, or is not.

    An object that is missing or extra as a whole counts at least one item. Where only the order differs, the items out of place
    bear their position. `state`, `message`, `cause` and the times are what the bridge has recorded of it: `cause` and `changed_at` of its
    last change, `waiting_since` while a change is not applied, `verified_at` when it was last seen to be as recorded. Of an object that
    is not recorded, as a policy, which follows from its rule lists, only `verified_at` is told: the report itself, which has read it.
    """

    desired: int | None
    actual: int | None
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    state: str = ""
    message: str = ""
    cause: str = ""
    changed_at: datetime | None = None
    waiting_since: datetime | None = None
    verified_at: datetime | None = None
    items: tuple[Item, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing is missing and nothing is extra."""
        return not self.missing and not self.extra


class RuleLine(Value, frozen=True):
    """One line of a rule list, in the order in which the device asks them; groups are named, ports given by value."""

    tier: str
    cluster: str
    namespace: str  # "" for a list of the whole cluster
    object: str  # the list
    position: int  # in the list on the device; of a line that is missing, where it should be
    name: str
    action: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    protocol: str
    ports: tuple[str, ...]  # none: every port
    log: bool
    withheld: bool
    state: ItemState


class LookAlike(Value, frozen=True):
    """Something on the device that could be taken for ours and is not; it is never touched."""

    name: str
    why: str


class HeldPart(About, frozen=True):
    """A change that waits for a person, and how that person decides; of one that was rejected, who did that, and why."""

    members: tuple[str, ...]
    reason: str
    since: datetime | None = None
    digest: str = ""
    decide: str = ""
    by: str = ""
    why: str = ""


class SetAside(About, frozen=True):
    """An object that the device refuses or cannot express, in the device's own words; its last good version stays."""

    message: str
    state: str = ""
    remedy: str = ""


class FrozenPolicy(Value, frozen=True):
    """A device that keeps to the policy of an earlier time because of freeze windows, and the edits of one cluster that wait for their end.

    Without `until` no end is in sight. `digest` is that of the list of edits, "" where there are none.
    """

    cluster: str
    windows: tuple[str, ...]
    until: datetime | None
    policy_of: datetime
    digest: str = ""
    edits: tuple[str, ...] = ()
    rejected_by: str = ""


class HandoverTimes(Value, frozen=True):
    """How long the addresses of the last day that changed hands on a device took, in seconds; null where none did.

    `both`: of how many the old permission and the new one may have stood at once.
    """

    count: int = 0
    p50: float | None = None
    p99: float | None = None
    worst: float | None = None
    both: int = 0


class DeviceReport(Value, frozen=True):
    """One device, read live. With an `error` it could not be compared, and only what the bridge has recorded is said of it.

    `state` and what follows it are the bridge's record: how the device answers, when it was last read and found as recorded, and when
    the oldest change was recorded that it does not hold. Everything of "since" counts from the report named there, or for a day.
    """

    device: str
    kind: str
    error: str = ""
    identity: str = ""
    active: bool = True
    attached: Mapping[str, bool] = {}
    attach_by: Mapping[str, str] = {}  # how a person attaches what is not
    desired: Counts = Counts()
    actual: Counts = Counts()
    missing: int = 0
    extra: int = 0
    objects: tuple[ObjectReport, ...] = ()
    foreign: int = 0
    look_alikes: tuple[LookAlike, ...] = ()
    held: tuple[HeldPart, ...] = ()
    rejected: tuple[HeldPart, ...] = ()  # held for good, as long as the same is wanted
    quarantined: tuple[SetAside, ...] = ()
    in_step: bool = False
    state: str = ""
    message: str = ""
    mode: str = ""
    closes_flows: bool = False  # live flows of what is revoked; else those that are tracked stay until they end
    last_read: datetime | None = None
    last_verified: datetime | None = None
    oldest_unapplied: datetime | None = None
    audit: AuditHead = AuditHead()
    since: Since | None = None
    drift_total: int = 0
    drift: tuple[Change, ...] = ()
    changes: Changes = Changes()
    picture: Picture | None = None
    frozen: tuple[FrozenPolicy, ...] = ()
    handover: HandoverTimes = HandoverTimes()
    doubted: Mapping[str, int] = {}  # by cluster, policy objects that stay in force though its lists do not show them
    rules: tuple[RuleLine, ...] = ()

    @property
    def differences(self) -> tuple[ObjectReport, ...]:
        """The objects that are not as they should be."""
        return tuple(one for one in self.objects if not one.equal)


class Origin(StrEnum):
    """Why a report was made."""

    ASKED = "asked"
    SCHEDULED = "scheduled"


class Report(Value, frozen=True):
    """All devices, as of one time. `number` is set once it is kept."""

    schema: int
    version: str  # of the program
    at: datetime
    number: int | None
    origin: Origin
    in_step: bool
    held: bool
    devices: int
    groups: int
    members: int
    rules: int
    missing: int
    extra: int
    drift: int
    by_device: tuple[DeviceReport, ...]

    @property
    def actual(self) -> Counts:
        """What all devices hold together."""
        return Counts(self.groups, self.members, self.rules)

    @property
    def quarantined(self) -> int:
        """How many objects devices refuse."""
        return sum(len(device.quarantined) for device in self.by_device)


def report_of(
    at: datetime, devices: tuple[DeviceReport, ...], *, version: str = "", origin: Origin = Origin.ASKED
) -> Report:
    """These devices as one report.

    It is in step when every device could be compared, holds exactly what it should and refuses nothing; what is held is no difference.
    """
    actual = sum((device.actual for device in devices), Counts())
    return Report(
        schema=SCHEMA,
        version=version,
        at=at,
        number=None,
        origin=origin,
        in_step=all(device.in_step for device in devices),
        held=any(device.held for device in devices),
        devices=len(devices),
        groups=actual.groups,
        members=actual.members,
        rules=actual.rules,
        missing=sum(device.missing for device in devices),
        extra=sum(device.extra for device in devices),
        drift=sum(device.drift_total for device in devices),
        by_device=devices,
    )


def of_devices(report: Report, names: Collection[str]) -> Report:
    """The part of a report that is about these devices."""
    devices = tuple(device for device in report.by_device if device.device in names)
    part = report_of(report.at, devices, version=report.version, origin=report.origin)
    return msgspec.structs.replace(part, number=report.number)


class Summary(Value, frozen=True):
    """What a list of kept reports shows, and where the next report goes on from: `audit` is the last row of each device's audit."""

    in_step: bool = True
    attached: bool = True  # whether every policy on every device is referred to by something that is enforced
    devices: tuple[str, ...] = ()
    audit: Mapping[str, int] = {}
    groups: int = 0
    members: int = 0
    rules: int = 0
    missing: int = 0
    extra: int = 0
    held: int = 0
    quarantined: int = 0
    drift: int = 0


def summary_of(report: Report) -> Summary:
    """The report in numbers."""
    return Summary(
        in_step=report.in_step,
        attached=all(reachable for device in report.by_device for reachable in device.attached.values()),
        devices=tuple(device.device for device in report.by_device),
        audit={device.device: device.audit.number for device in report.by_device},
        groups=report.groups,
        members=report.members,
        rules=report.rules,
        missing=report.missing,
        extra=report.extra,
        held=sum(len(device.held) for device in report.by_device),
        quarantined=report.quarantined,
        drift=report.drift,
    )
