"""What the state tells reports, status and people: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Held
from bridge.state.desired import AuditEntry, DeviceHealth, ObjectState


@dataclass(frozen=True, slots=True)
class ObjectStanding:
    """One object on one device: what is wanted, and how far it got. `waiting_since` is None when it is applied."""

    device: str
    cluster: str
    key: ObjectKey
    body: DeviceObject | None
    gone: bool
    generation: int
    digest: str
    applied_generation: int
    applied_digest: str
    state: ObjectState
    message: str
    shards: int
    cause: str
    changed_at: datetime
    waiting_since: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeviceStanding:
    """One device as last heard of."""

    name: str
    kind: str
    health: DeviceHealth
    last_read: datetime | None
    last_verified: datetime | None


@dataclass(frozen=True, slots=True)
class ClusterStanding:
    """One cluster: its identity, its last batch, and the resource version of the last complete list of each resource."""

    name: str
    uid: str
    revision: int
    changed_at: datetime | None
    synced: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HeldPlan:
    """What of a device's plan waits, or waited, for a person."""

    device: str
    digest: str
    held: tuple[Held, ...]
    since: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Audited:
    """One change on a device, as recorded."""

    id: int
    at: datetime
    plan_digest: str
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Who held an address from `t1` to `t2` (None: still). A `since` bounds an end that was not observed."""

    cluster: str
    address: str
    uid: str
    namespace: str
    pod: str
    service_account: str
    owner: str
    node: str
    t1: datetime
    t1_since: datetime | None
    t2: datetime | None
    t2_since: datetime | None
    t2_inferred: bool


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as it was kept: JSON text."""

    id: int
    at: datetime
    body: str
