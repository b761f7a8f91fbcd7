"""What the controller is handed: the clusters, the devices and the times that the settings come to."""

from dataclasses import dataclass, field

from bridge.cli.tenure import LeaseTimes
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.contract import AdapterFactory, DeviceConfig
from bridge.delivery.worker import WorkerSettings
from bridge.dialects.dialect import Dialects
from bridge.feedback.gatekeeper import GateSettings
from bridge.intake.policies import NATIVE
from bridge.model.observed import ALWAYS_WATCHED, Resource
from bridge.model.policy import Governance
from bridge.names.settings import NamesSettings
from bridge.policy.compile import Target
from bridge.policy.guard import GuardLimits


@dataclass(frozen=True, slots=True)
class ClusterUnit:
    """One cluster to watch, and how it is compiled for each of its devices."""

    config: ClusterConfig
    governance: Governance
    targets: tuple[Target, ...]
    dialects: Dialects = NATIVE
    gates: GateSettings = field(default_factory=GateSettings)
    guard: GuardLimits = field(default_factory=GuardLimits)

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What is watched there."""
        return (*ALWAYS_WATCHED, *self.dialects.kinds)


@dataclass(frozen=True, slots=True)
class DeviceUnit:
    """One device to keep in step, and the clusters that it serves."""

    factory: AdapterFactory
    config: DeviceConfig
    clusters: tuple[str, ...]
    settings: WorkerSettings = field(default_factory=WorkerSettings)
    audit_interval: float = 300.0


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Seconds, and days of history to keep."""

    lease: LeaseTimes = field(default_factory=LeaseTimes)
    retry: float = 2.0
    refused_retry: float = 30.0
    history_days: int = 400
    watch: ReflectorSettings = field(default_factory=ReflectorSettings)
    warm_standby: bool = True
    names: NamesSettings = field(default_factory=NamesSettings)
