"""What a compiler is given, and what it makes of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.capabilities import Capabilities
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.policy import AddressGroupSpec, Defaults, ExternalService, Governance, Ref, Rule, Source


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """Everything written in one cluster that is accepted, and how it is governed.

    `at` is the moment that is asked about; only without rules that count at times only may it be left out.
    """

    cluster: str
    governance: Governance
    rules: tuple[Rule, ...]
    externals: Mapping[Ref, ExternalService]
    address_groups: tuple[AddressGroupSpec, ...] = ()
    annotation_groups: Mapping[tuple[str, str], tuple[Source, ...]] = field(default_factory=dict)
    annotation_carriers: Mapping[Ref, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # who asked for them
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One device as the compiler sees it."""

    name: str
    capabilities: Capabilities
    defaults: Defaults
    namespaces: frozenset[str] | None = None  # None: every namespace


@dataclass(frozen=True, slots=True)
class Remark:
    """Why an object of the cluster is not on one device as written; `reason` is a word of SEMANTICS 9, "" for what is there otherwise."""

    reason: str
    message: str


@dataclass(slots=True)
class Compiled:
    """What one cluster asks of one device: groups by selection, fixed objects, and remarks on what was written.

    `placed` names each object of the cluster that concerns the device, with the keys of all that it becomes there. For an external service
    these are what rules use of it.
    """

    groups: dict[ObjectKey, tuple[Source, ...]] = field(default_factory=dict)
    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    remarks: dict[Ref, Remark] = field(default_factory=dict)
    placed: dict[Ref, set[ObjectKey]] = field(default_factory=dict)

    def place(self, ref: Ref, *keys: ObjectKey) -> None:
        """The object becomes these too."""
        self.placed.setdefault(ref, set()).update(keys)
