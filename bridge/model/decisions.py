"""What people decide about a device, each with a name and a reason: to release or reject held steps, and to stop it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Choice(StrEnum):
    """What somebody wants done with held steps. UNREADABLE stands where nobody can tell, and is never acted on."""

    RELEASE = "Release"
    REJECT = "Reject"
    UNREADABLE = ""


class Settled(StrEnum):
    """What became of a decision. All but WAITING are for good."""

    WAITING = "Waiting"  # the device has not been heard
    DONE = "Done"
    NOTHING_HELD = "NothingHeld"  # no steps of that cluster are held on that device under that digest
    NOT_HERE = "NotHere"  # no such device serves the cluster in which it was written
    MALFORMED = "Malformed"
    WITHDRAWN = "Withdrawn"  # deleted before it was done


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, as it was written in a cluster; it counts for steps of that cluster's objects alone. `at` is when it was written."""

    cluster: str
    name: str
    uid: str
    device: str
    digest: str
    verdict: Choice
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is to be written to these `devices` (none named: to every device that serves the cluster), since then, until it is lifted."""

    cluster: str
    name: str
    uid: str
    devices: tuple[str, ...]
    by: str
    reason: str
    since: datetime

    def __str__(self) -> str:
        return f"stopped by {self.by}: {self.reason} (Stop {self.name} in cluster {self.cluster})"


@dataclass(frozen=True, slots=True)
class Lifted:
    """Who ended a stop, and why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision and what became of it, in words for people."""

    decision: Decision
    state: Settled = Settled.WAITING
    message: str = ""


@dataclass(frozen=True, slots=True)
class StopRecord:
    """A stop, and who lifted it; None while it is in force. `message` says what of it could not be read."""

    stop: Stop
    lifted: Lifted | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """What a device is to obey: the stops in force for it, and the decisions that wait for it, oldest first."""

    stops: tuple[Stop, ...] = ()
    decisions: tuple[Decision, ...] = ()
