"""The policy that a device keeps to in a freeze: that of an earlier time, with what the settings said of the device then."""

from dataclasses import dataclass
from datetime import datetime

from bridge.model.identity import ObjectKey
from bridge.model.observed import Namespace, PolicyObject
from bridge.model.plan import Held
from bridge.model.policy import Defaults

KEPT = "kept."  # how the parts of keys begin by which such groups are told


@dataclass(frozen=True, slots=True)
class Stance:
    """What of the settings is policy, of one device about one cluster. `namespaces` None: all of them."""

    defaults: Defaults
    accept_shared: bool = False
    namespaces: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """One device in a freeze, by the windows of these names, as it is recorded.

    `policy` are the versions that were accepted then, `surroundings` the namespaces as they were. A baseline that is to be recorded goes
    without them: they are the versions recorded up to `as_of`; None: up to, and without, the batch that brings the baseline.
    """

    device: str
    names: tuple[str, ...]
    until: datetime | None
    stance: Stance
    as_of: datetime | None = None
    policy: tuple[PolicyObject, ...] = ()
    surroundings: tuple[Namespace, ...] = ()


@dataclass(frozen=True, slots=True)
class FrozenList:
    """What is kept from a device, as one list; without `edits`: nothing is any more. `rejected`: by whom, and why."""

    device: str
    digest: str
    edits: tuple[Held, ...]
    rejected: tuple[str, str] | None = None
    released: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class FreezeStanding:
    """A device in a freeze as people are told: what it keeps to, and what of one cluster waits for the end. `digest`: "" for nothing."""

    cluster: str
    names: tuple[str, ...]
    until: datetime | None
    as_of: datetime
    digest: str = ""
    edits: tuple[Held, ...] = ()
    rejected: tuple[str, str] | None = None


def kept_tag(device: str) -> str:
    """The part by which a group that a device keeps as it was defined earlier is told from the group as it is defined now."""
    return f"{KEPT}{device}"


def kept_key(key: ObjectKey, device: str) -> ObjectKey:
    """The group of that key as the device keeps it, where it is defined otherwise now."""
    return ObjectKey(key.kind, key.cluster, key.scope, key.namespace, key.name, kept_tag(device))


def plain_key(key: ObjectKey) -> ObjectKey:
    """The group that a device knows, of one that is kept for it."""
    return ObjectKey(key.kind, key.cluster, key.scope, key.namespace, key.name) if key.part else key
