"""What history tells: plain values. All times are with zone; an open end is None."""

from dataclasses import dataclass
from datetime import datetime

from bridge.model.identity import ObjectKey
from bridge.model.policy import Ref
from bridge.state.reported import LeaseRecord


@dataclass(frozen=True, slots=True)
class Watched:
    """One cluster and what is known of its past: all of it since `kept_from` (None: nothing yet), up to `seen_at`."""

    cluster: str
    kept_from: datetime | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a cluster was not watched: who came and went within it was not seen."""

    t1: datetime
    t2: datetime


@dataclass(frozen=True, slots=True)
class Around:
    """The leases of one address around one time: some that ended later, in order, and the last that ended by then."""

    after: tuple[LeaseRecord, ...]
    before: LeaseRecord | None
    outage: Outage | None  # the one in which the time lies


@dataclass(frozen=True, slots=True)
class Membership:
    """An address in a group from `t1` to `t2`. `holders` are the workloads that it stood for, in order; `more` of them were left out.

    `inferred`: no event proved that it left.
    """

    group: ObjectKey
    address: str
    t1: datetime
    t2: datetime | None
    inferred: bool
    holders: tuple[LeaseRecord, ...] = ()
    more: bool = False

    @property
    def changed_at(self) -> datetime:
        """When it joined, or once it left, when it left."""
        return self.t2 or self.t1


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A row of the audit, with the device it is about."""

    device: str
    number: int
    at: datetime
    key: str
    op: str
    cause: str
    before: str
    after: str
    outcome: str
    plan_digest: str
    id: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of one policy object of one cluster, as it stands now."""

    cluster: str
    ref: Ref
    ok: bool
    reason: str
    message: str
    changed_at: datetime
