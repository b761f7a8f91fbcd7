"""What delivery reads from the state, and what it records there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Held


class ObjectState(StrEnum):
    """Where one object stands on one device (SEMANTICS 9)."""

    PENDING = "Pending"
    PROGRAMMED = "Programmed"
    HELD = "Held"
    QUARANTINED = "Quarantined"
    WITHHELD = "Withheld"
    AWAITING_DEPLOY = "AwaitingDeploy"
    UNSUPPORTED = "Unsupported"


@dataclass(frozen=True, slots=True)
class DesiredRow:
    """One line of the work list. `body` is None for a group with members of its own table; `gone` means: it should not exist.

    `waiting_since` is the time of the oldest change that is not applied, where something is pending.
    """

    key: ObjectKey
    generation: int
    applied_generation: int
    body: DeviceObject | None
    gone: bool
    shards: int
    changed_at: datetime
    cause: str
    waiting_since: datetime | None = None
    revision: int = 0  # of the cluster: all that happened to the object until then is in the reading


@dataclass(frozen=True, slots=True)
class MemberRow:
    """The last thing that happened to an address in a group since the asked revision. `inferred`: nothing proves it."""

    group: ObjectKey
    address: str
    member: bool
    inferred: bool


@dataclass(frozen=True, slots=True)
class Work:
    """One consistent reading: the rows to do, and the members of their groups (changed ones, or all when `complete`).

    `revisions` are what the reading has seen of each cluster; the next reading asks for what came after.
    """

    rows: tuple[DesiredRow, ...]
    members: tuple[MemberRow, ...]
    revisions: Mapping[str, int]
    complete: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one object: the generation that is now true of the device, or why it is not."""

    key: ObjectKey
    generation: int
    state: ObjectState
    digest: str = ""
    message: str = ""
    shards: int = 0
    gone: bool = False
    revision: int = 0  # of the cluster, which that generation goes up to
    back: frozenset[str] = field(
        default=frozenset(), compare=False
    )  # members that are held or withheld: they count as pending


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change on a device: cause, before, after, and how it ended. `lag`: seconds since the change in the cluster that it answers."""

    key: ObjectKey
    op: str
    cause: str
    before: str
    after: str
    outcome: str
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """What is known of a device itself."""

    state: str  # "ok", "busy", "denied", "unreachable", "stopped", "not read yet"
    message: str = ""
    identity: str = ""
    foreign: tuple[tuple[str, str], ...] = ()  # name, why it looks like ours
    attached: Mapping[str, bool] | None = None  # by tier
    attach_by: Mapping[str, str] | None = None  # by tier: how a person attaches what is not
    read: bool = False  # whether it was read, although it is not "ok"


class ListState(StrEnum):
    """Where a list of held steps stands."""

    HELD = "held"  # it waits for a person
    SUPERSEDED = "superseded"  # another list has come in its place; it can still be released or rejected
    RELEASED = "released"  # what of it is still wanted is on its way to the device
    REJECTED = "rejected"  # held for good, as long as it is wanted the same
    DONE = "done"  # nothing of it waits any more


@dataclass(frozen=True, slots=True)
class HeldList:
    """Steps of one cluster's objects on one device that wait for a person, fixed for good; who decided about them, and how it ended.

    `kind` "freeze" are edits that wait for the end of a freeze: delivery leaves those alone.
    """

    cluster: str
    digest: str
    held: tuple[Held, ...]
    since: datetime
    state: ListState = ListState.HELD
    by: str = ""
    reason: str = ""
    message: str = ""
    kind: str = "guard"
