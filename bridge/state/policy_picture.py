"""How the policy of one cluster stands on its devices, and what people were told of it: plain values, read as of one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.decisions import DecisionRecord, StopRecord
from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleList
from bridge.model.policy import Ref
from bridge.state.desired import ObjectState


@dataclass(frozen=True, slots=True)
class Markers:
    """What moves whenever somebody may have to be told something; the same markers: nothing happened.

    `waiting` says for each device since when its oldest change waits to be applied, or to be enforced where that comes later; a device
    where nothing waits is not in it.
    """

    policy_revision: int
    standing: Mapping[str, int]
    waiting: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one object that a person wrote. `in_force` is the generation that counts, None when none was ever accepted."""

    uid: str
    generation: int
    ok: bool
    reason: str
    message: str
    in_force: int | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Placed:
    """What one object becomes on one device: the texts of the keys that must stand there, or why not (`reason`). `tier`: of rules."""

    device: str
    keys: tuple[str, ...]
    tier: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One object of one device that is not simply programmed. `waiting_since` is None when every change of it is applied."""

    state: ObjectState
    message: str
    applied: bool  # some version of it
    waiting_since: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device as last heard of. `stopped_by` are the uids of the stops that it obeys."""

    state: str
    message: str = ""
    mode: str = "apply"
    attached: Mapping[str, bool] = field(default_factory=dict)  # by tier
    attach_by: Mapping[str, str] = field(default_factory=dict)
    last_read: datetime | None = None
    stopped_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyPicture:
    """Everything about the policy of one cluster that people are to be told.

    `unfinished` holds, by device and text of the key, what is not simply in force: whatever is not in it is. Also in it are the rule
    lists that are younger than the last reading of their device. `lists` are the rule lists of devices that refused something. `uids`
    are those of Namespaces, Services and pods. Of decisions and stops those are there whose objects are.
    """

    judged: Mapping[Ref, Judged]
    placed: Mapping[Ref, tuple[Placed, ...]]
    unfinished: Mapping[tuple[str, str], Unfinished]
    devices: Mapping[str, DeviceRow]
    lists: Mapping[str, Mapping[ObjectKey, RuleList]]
    uids: Mapping[Ref, str]
    decisions: Mapping[Ref, DecisionRecord] = field(default_factory=dict)
    stops: Mapping[Ref, StopRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What was told about an object of this uid, as JSON, and when."""

    ref: Ref
    uid: str
    body: str
    at: datetime
