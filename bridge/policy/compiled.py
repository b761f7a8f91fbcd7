"""What a compiler is given, and what it makes of that."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.capabilities import Capabilities
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.policy import AS_POD, AddressGroupSpec, Defaults, ExternalService, Governance, Ref, Rule, Source, View
from bridge.policy.freeze import Freeze


@dataclass(frozen=True, slots=True)
class Remark:
    """Why an object of the cluster is not on one device as written; `reason` is a word of SEMANTICS 9, "" for what is there otherwise."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """Everything written in one cluster that is accepted, and how it is governed.

    `at` is the moment that is asked about; only without rules that count at times only may it be left out. `names` is what the bridge
    resolved, a name that it does not hold being unknown yet; None where the bridge resolves nothing. `shared` tells of groups as a device
    sees them, not as Pod, who else stands behind their addresses, in words: "" where nobody does; a group that it does not hold has not
    been counted yet. `barred` are rules that are not in force for a reason found elsewhere, `partial` those of which only a part is;
    `ends` tells of rules when they will be over, where the device is to know it; `outside` is every destination that there is, `meant` the
    external services with names that nobody resolved yet, which may be anywhere.
    """

    cluster: str
    governance: Governance
    rules: tuple[Rule, ...]
    externals: Mapping[Ref, ExternalService]
    address_groups: tuple[AddressGroupSpec, ...] = ()
    annotation_groups: Mapping[tuple[str, str], tuple[Source, ...]] = field(default_factory=dict)
    annotation_carriers: Mapping[Ref, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # who asked for them
    at: datetime | None = None
    names: Mapping[str, tuple[str, ...]] | None = None
    shared: Mapping[ObjectKey, str] = field(default_factory=dict)
    barred: Mapping[Ref, Remark] = field(default_factory=dict)
    partial: Mapping[Ref, Remark] = field(default_factory=dict)
    ends: Mapping[Ref, datetime] = field(default_factory=dict)
    outside: tuple[str, ...] | None = None  # None: all that is not internal
    meant: Mapping[Ref, ExternalService] | None = None  # None: as in `externals`


@dataclass(frozen=True, slots=True)
class Target:
    """One device as the compiler sees it. `views` are how it sees workloads, each for other destinations.

    `accept_shared` says that the default Deny may meet addresses that others share.
    """

    name: str
    capabilities: Capabilities
    defaults: Defaults
    namespaces: frozenset[str] | None = None  # None: every namespace
    views: tuple[View, ...] = (AS_POD,)
    accept_shared: bool = False
    freezes: tuple[
        Freeze, ...
    ] = ()  # windows in which it keeps to the policy of their beginning; compilers do not look at them


@dataclass(slots=True)
class Compiled:
    """What one cluster asks of one device: groups by selection, fixed objects, and remarks on what was written.

    `placed` names each object of the cluster that concerns the device, with the keys of all that it becomes there. For an external service
    these are what rules use of it. `watched` are groups that decide whether a rule may stand there; the device holds them only where they
    are in `groups` too. `notes` is what there is to say about no object in particular.
    """

    groups: dict[ObjectKey, tuple[Source, ...]] = field(default_factory=dict)
    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    remarks: dict[Ref, Remark] = field(default_factory=dict)
    placed: dict[Ref, AbstractSet[ObjectKey]] = field(default_factory=dict)
    watched: dict[ObjectKey, tuple[Source, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def place(self, ref: Ref, *keys: ObjectKey) -> None:
        """The object becomes these too."""
        self.placed[ref] = frozenset(
            (*self.placed.get(ref, ()), *keys)
        )  # never in place: a part of it may be remembered
