# ruff: noqa: ARG002 (a device in memory needs no settings)
"""Replicas of the bridge in this process, with their endpoints, and what a test does to their device and their database."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from bridge.cli.controller import Controller
from bridge.cli.monitoring import Monitoring
from bridge.cli.units import ClusterUnit, ControllerSettings, DeviceUnit
from bridge.clock import SystemClock
from bridge.cluster.settings import ClusterConfig
from bridge.contract import Adapter, DeviceConfig
from bridge.model.capabilities import Capabilities, Limits
from bridge.model.intent import ReadScope, Snapshot
from bridge.model.policy import Governance, Selector
from bridge.state.database import Database
from tests.delivery.memory import MemoryAdapter, MemoryDevice

GOVERNANCE = Governance(("10.0.0.0/8",), ("10.0.0.0/8",), Selector())


class NoCredentials:
    """None are needed."""

    def value(self, name: str) -> str:
        raise KeyError(name)


@dataclass
class Device:
    """A device in memory, whose readings do what a test says first."""

    memory: MemoryDevice = field(default_factory=MemoryDevice)
    before_reading: Callable[[], None] = lambda: None
    kind: str = "memory"

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        return MemoryAdapter(self.memory).capabilities

    def limits(self, config: DeviceConfig) -> Limits:
        return MemoryAdapter(self.memory).limits

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        return {}

    def open(self, config: DeviceConfig) -> Adapter:
        device = self

        class Read(MemoryAdapter):
            def read(self, scope: ReadScope) -> Snapshot:
                device.before_reading()
                return super().read(scope)

        return Read(self.memory, config.name)


@dataclass
class Replica:
    """A controller and its endpoint."""

    controller: Controller
    client: httpx.Client

    def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        answer = self.client.get(path)
        return answer.status_code, answer.text.strip()

    def value(self, series: str, **labels: str) -> float:
        """One figure of a scrape."""
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                if sample.name == f"fusion_bridge_{series}" and sample.labels == labels:
                    return sample.value
        raise AssertionError(f"no {series} with {labels}")


@contextlib.contextmanager
def replica(
    database: Database, kubeconfig: Path | None = None, device: Device | None = None, *, hang_after: float = 600
) -> Iterator[Replica]:
    """A replica that is not started, and stopped at the end."""
    clusters = [ClusterUnit(ClusterConfig("east", kubeconfig=kubeconfig), GOVERNANCE, ())] if kubeconfig else []
    config = DeviceConfig("edge", "memory", "", "test", NoCredentials())
    devices = [DeviceUnit(device, config, ())] if device else []
    controller = Controller(database, clusters, devices, SystemClock(), ControllerSettings(retry=0.2))
    endpoint = Monitoring(controller, "127.0.0.1", 0, hang_after)
    endpoint.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{endpoint.port}", trust_env=False, timeout=5) as client:
        try:
            yield Replica(controller, client)
        finally:
            if controller.running:
                controller.stop()
            endpoint.stop()


@contextlib.contextmanager
def away(database: Database) -> Iterator[None]:
    """The database takes no connection, and those that stood are cut."""
    name = database.engine.url.database
    url = psycopg.conninfo.make_conninfo(database.conninfo, dbname="postgres")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
