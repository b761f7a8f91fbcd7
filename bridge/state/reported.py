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
    """One device as last heard of. `audit_number` and `audit_head` are number and hash of the last row of its audit chain."""

    name: str
    kind: str
    health: DeviceHealth
    last_read: datetime | None
    last_verified: datetime | None
    mode: str = "apply"
    attach_by: Mapping[str, str] | None = None
    audit_number: int = 0
    audit_head: str = ""


@dataclass(frozen=True, slots=True)
class ClusterStanding:
    """One cluster: its identity, its last batch, the resource version of the last complete list of each resource, why nothing is
    taken from it, and how many policy objects stay in force that its lists do not show.
    """

    name: str
    uid: str
    revision: int
    changed_at: datetime | None
    synced: Mapping[str, str]
    problem: str = ""
    doubted: int = 0


@dataclass(frozen=True, slots=True)
class HeldPlan:
    """What of a device's plan waits, or waited, for a person. `by` and `reason` are of whoever decided, `message` says how it ended."""

    device: str
    digest: str
    held: tuple[Held, ...]
    since: datetime
    state: str
    cluster: str = ""
    kind: str = "guard"
    by: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """One change on a device, as recorded: the row `number` of its audit, whose hash stands in the chain."""

    id: int
    at: datetime
    plan_digest: str
    entry: AuditEntry
    number: int = 0
    hash: str = ""


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
class Holder:
    """Who holds an address now: the pod, and the workload that owns it; in place of a pod "Node …" for the address of a node."""

    namespace: str
    pod: str
    workload: str

    @property
    def node(self) -> str:
        """The node that the address is of; "" for a pod, which has a namespace."""
        return "" if self.namespace else self.pod.removeprefix("Node ")


@dataclass(frozen=True, slots=True)
class ChangeNumbers:
    """What was done to a device in some time, drift apart: how often in all, refused, by operation; lag in seconds where it is known;
    and how many live flows were closed.
    """

    total: int
    refused: int
    by_op: Mapping[str, int]
    lag_median: float | None
    lag_max: float | None
    flows_closed: int = 0


@dataclass(frozen=True, slots=True)
class ChangeBucket:
    """The same in one stretch of time, which begins at `at`."""

    at: datetime
    changes: int
    drift: int
    lag_median: float | None
    lag_max: float | None


@dataclass(frozen=True, slots=True)
class TouchedObject:
    """How often one object was changed, when for the last time, and why then."""

    key: ObjectKey
    changes: int
    last: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report that was kept, without its body; `summary` is JSON as it was given."""

    number: int
    at: datetime
    origin: str
    slot: datetime | None
    summary: str
