"""What intake records in one transaction, and what it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.baseline import Baseline, FrozenList
from bridge.model.decisions import DecisionRecord, StopRecord
from bridge.model.gate import Need
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.observed import EndpointSlice, Namespace, Node, Order, Pod, PolicyObject, Resource, Service
from bridge.model.policy import Ref, Tier
from bridge.model.resolution import Resolution

Slim = Namespace | Service | EndpointSlice | Node | PolicyObject | Order


@dataclass(frozen=True, slots=True)
class LeaseStart:
    """A workload began to hold an address at the batch's time; `since` bounds it from below when it was not watched begin."""

    address: str
    pod: Pod
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeaseEnd:
    """A workload no longer holds an address. Inferred: it was seen gone after an outage, some time after `since`."""

    address: str
    uid: str
    inferred: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberChange:
    """An address joined or left a group.

    `inferred` marks a leave that was not seen, but found. `unproven` is a leave of which nothing proves that the workload is gone, and a
    join that follows from such a leave elsewhere: the guard counts those.
    """

    group: ObjectKey
    address: str
    inferred: bool = False
    unproven: bool = False


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """What one device should hold of one object. `body` is None for a group whose members are in the member table."""

    device: str
    key: ObjectKey
    body: DeviceObject | None
    digest: str
    cause: str = ""
    members_of: ObjectKey | None = None  # the group whose members it has, where that is not its own


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an object that a person wrote. On acceptance `accepted` is the version now in force."""

    ref: Ref
    uid: str
    generation: int
    ok: bool
    reason: str
    message: str
    accepted: PolicyObject | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """What one policy object, or one object with an annotation, becomes on one device: the objects that must stand there.

    `tier` is set for rules, which need their tier's policy attached. `reason` is a word of SEMANTICS 9 where the compiler could not
    place it as written, with a `message`; empty otherwise.
    """

    ref: Ref
    device: str
    keys: tuple[ObjectKey, ...]
    tier: Tier | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class GateStart:
    """A pod that waits until the firewalls know it, or need not (`open`).

    `needs` are the groups that its addresses are in. `reason` is why it need not wait; of one that waits, why no device can help it.
    `told`: the pod says already that it need not wait.
    """

    pod: Pod
    needs: tuple[Need, ...] = ()
    open: bool = False
    reason: str = ""
    told: bool = False

    @property
    def addresses(self) -> frozenset[str]:
        """Its own, and those by which a device sees it."""
        return frozenset(self.pod.addresses) | {need.address for need in self.needs} if not self.open else frozenset()


@dataclass(slots=True)
class Batch:
    """Everything that one intake batch changes; committed whole or not at all. `at` is the time of all its changes."""

    at: datetime
    pods: list[Pod] = field(default_factory=list)
    pods_gone: list[str] = field(default_factory=list)  # uids
    objects: list[Slim] = field(default_factory=list)
    objects_gone: list[tuple[Resource, str, str]] = field(default_factory=list)  # resource, namespace, name
    leases: list[LeaseStart] = field(default_factory=list)
    leases_ended: list[LeaseEnd] = field(default_factory=list)
    groups: list[ObjectKey] = field(default_factory=list)  # groups that come to exist
    groups_gone: list[ObjectKey] = field(default_factory=list)
    groups_parted: list[tuple[ObjectKey, ObjectKey]] = field(
        default_factory=list
    )  # a group of these that begins with the members that another has
    joined: list[MemberChange] = field(default_factory=list)
    left: list[MemberChange] = field(default_factory=list)
    desired: list[DesiredObject] = field(default_factory=list)
    desired_gone: list[tuple[str, ObjectKey]] = field(default_factory=list)  # device, key
    verdicts: list[Verdict] = field(default_factory=list)
    verdicts_gone: list[Ref] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    placements_gone: list[tuple[Ref, str]] = field(default_factory=list)  # object, device
    names: list[Resolution] = field(default_factory=list)  # each as it stands now
    names_gone: list[str] = field(default_factory=list)  # followed no more
    decisions: list[DecisionRecord] = field(default_factory=list)
    decisions_gone: list[str] = field(default_factory=list)  # uids
    stops: list[StopRecord] = field(default_factory=list)
    stops_deleted: list[str] = field(default_factory=list)  # names, of those that were seen going
    gates: list[GateStart] = field(default_factory=list)
    gates_opened: list[str] = field(default_factory=list)  # uids, of those that say so themselves
    gates_gone: list[str] = field(default_factory=list)  # uids
    frozen: list[Baseline] = field(default_factory=list)  # devices in a freeze, from now on or otherwise than before
    thawed: list[str] = field(default_factory=list)  # devices
    frozen_lists: list[FrozenList] = field(default_factory=list)
    causes: dict[ObjectKey, str] = field(
        default_factory=dict
    )  # why the members of a group change, or an object is to go
    synced: dict[Resource, str] = field(
        default_factory=dict
    )  # resource -> the newest version of it that is recorded now
    unwatched_since: datetime | None = None  # who came and went between then and `at` was not seen

    @property
    def of_policy(self) -> bool:
        """Whether more changes than pods and members: policy, what it becomes on the devices, orders, or what is said about them."""
        parts = (
            self.verdicts,
            self.verdicts_gone,
            self.placements,
            self.placements_gone,
            self.desired,
            self.desired_gone,
            self.decisions,
            self.decisions_gone,
            self.stops,
            self.stops_deleted,
        )
        return any(parts)

    @property
    def empty(self) -> bool:
        """Nothing to record."""
        return not any(getattr(self, name) for name in self.__dataclass_fields__ if name != "at")


@dataclass(slots=True, unsafe_hash=True)
class OpenLease:
    """Who holds an address now, as recorded. Never changed, and not frozen because there are as many as pods."""

    address: str
    uid: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database knows of one cluster when intake starts: the base that the first lists are compared with."""

    revision: int
    uid: str
    pods: Mapping[str, Pod]  # by uid; enough to say who it was
    objects: Mapping[tuple[Resource, str, str], Slim]
    leases: Mapping[str, OpenLease]  # by address
    members: Mapping[ObjectKey, frozenset[str]]
    desired: Mapping[tuple[str, ObjectKey], str]  # device, key -> digest
    verdicts: Mapping[Ref, Verdict]
    placements: Mapping[tuple[Ref, str], Placement] = field(default_factory=dict)  # object, device
    seen_at: datetime | None = None  # up to when all that happened is in it
    versions: Mapping[Resource, int] = field(default_factory=dict)  # up to which version of each resource it is in it
    names: Mapping[str, Resolution] = field(default_factory=dict)
    baselines: Mapping[str, Baseline] = field(default_factory=dict)  # by device, of those in a freeze
    frozen_lists: Mapping[str, FrozenList] = field(default_factory=dict)  # by device
    gates: Mapping[str, bool] = field(default_factory=dict)  # uid -> whether it waits
