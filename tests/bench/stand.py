"""A cluster, a database and a device around the real loops, for one measurement."""

import contextlib
import multiprocessing
import resource
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import psutil

from adapters.bigip import factory
from bridge.cli.controller import Controller
from bridge.cli.units import ClusterUnit, DeviceUnit
from bridge.clock import SystemClock
from bridge.cluster.settings import ClusterConfig
from bridge.contract import Adapter, DeviceConfig
from bridge.delivery.worker import WorkerSettings
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, Intent, Objects, ReadScope, Shard, Snapshot
from bridge.model.plan import Fence, Outcome, Plan
from bridge.model.policy import DefaultAction, Defaults, Governance, Operator, Requirement, Selector, UnknownAddresses
from bridge.policy.compile import Target
from bridge.policy.guard import GuardLimits
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.embedded import EmbeddedPostgres
from tests.bench import cluster_process, device_process
from tests.bench.cluster_process import POD_RANGE, Load

GOVERNANCE = Governance(
    (POD_RANGE,),
    (POD_RANGE, "10.96.0.0/12"),
    Selector((Requirement("fusionbridge.io/egress", Operator.IN, ("governed",)),)),
)
DEFAULTS = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
SETTLE_SECONDS = 600.0


class FixedCredentials:
    """The simulator's own."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def value(self, name: str) -> str:
        """The secret of this name."""
        return str(self._values[name])


@dataclass
class Watched:
    """An adapter that notes when an address was acknowledged as a member, and what each apply cost."""

    inner: Adapter
    acknowledged: list[tuple[float, str]] = field(default_factory=list)
    applies: list[tuple[int, int, float]] = field(default_factory=list)  # objects touched, calls, seconds

    @property
    def device(self) -> str:
        """As the adapter says."""
        return self.inner.device

    @property
    def capabilities(self) -> Capabilities:
        """As the adapter says."""
        return self.inner.capabilities

    @property
    def limits(self) -> Limits:
        """As the adapter says."""
        return self.inner.limits

    @property
    def calls(self) -> int:
        """As the adapter says."""
        return self.inner.calls

    def normalize(self, intent: Intent) -> Objects:
        """As the adapter does."""
        return self.inner.normalize(intent)

    def read(self, scope: ReadScope) -> Snapshot:
        """As the adapter does."""
        return self.inner.read(scope)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """As the adapter does, with the time at which it was true."""
        began = time.monotonic()
        outcome = self.inner.apply(plan, fence)
        done = time.monotonic()
        for step in plan.steps:
            if isinstance(step.after, Group | Shard):
                before = step.before.members if isinstance(step.before, Group | Shard) else frozenset()
                self.acknowledged += [(done, member) for member in step.after.members - before]
        self.applies.append((len({step.key for step in plan.steps}), outcome.calls, done - began))
        return outcome

    def raise_fence(self, fence: Fence) -> None:
        """As the adapter does."""
        self.inner.raise_fence(fence)

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """As the adapter does."""
        self.inner.adopt(keys, fence)

    def active(self) -> bool:
        """As the adapter says."""
        return self.inner.active()

    def save(self) -> None:
        """As the adapter does."""
        self.inner.save()

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """As the adapter does."""
        return self.inner.flows(sources)

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """As the adapter does."""
        return self.inner.close_flows(flows, fence)

    def examine(self) -> Sequence[Finding]:
        """As the adapter does."""
        return self.inner.examine()

    def close(self) -> None:
        """As the adapter does."""
        self.inner.close()


class WatchedFactory:
    """Opens watched adapters and keeps the last."""

    kind = "bigip"

    def __init__(self) -> None:
        self.opened: Watched | None = None

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the real one."""
        return factory.capabilities(config)

    def limits(self, config: DeviceConfig) -> Limits:
        """As the real one."""
        return factory.limits(config)

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """As the real one."""
        return dict(factory.problems(config))

    def open(self, config: DeviceConfig) -> Adapter:
        """A watched one."""
        self.opened = Watched(factory.open(config))
        return self.opened


@dataclass
class Stand:
    """What a measurement talks to."""

    database: Database
    postmaster: int
    cluster: Pipe
    device: Pipe | None
    controller: Controller
    adapters: WatchedFactory
    document: dict[str, Any]

    def ask(self, *order: Any) -> Any:
        """Have the cluster do something; its answer."""
        self.cluster.send(order)
        answer = self.cluster.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask_device(self, order: str) -> Any:
        """Have the device tell something."""
        assert self.device is not None
        self.device.send(order)
        return self.device.recv()

    def start(self) -> None:
        """Start the loops."""
        self.controller.start()

    def wait_settled(self) -> None:
        """Until the first picture is recorded and, with a device, on it."""
        await_(lambda: "lab" in self.controller.intakes and self.controller.intakes["lab"].settled.is_set())
        if self.device is not None:
            await_(lambda: "fw" in self.controller.workers and self.in_step())

    def in_step(self) -> bool:
        """Whether nothing is left to deliver."""
        with self.database.transaction() as connection:
            row = connection.execute(
                "SELECT count(*) FROM device_object WHERE desired_generation > applied_generation"
            ).fetchone()
        return row == (0,) and self.controller.workers["fw"].in_step.is_set()

    def holder(self, address: str) -> str:
        """Who holds one address, as recorded; "" for nobody."""
        query = "SELECT namespace || '/' || pod FROM lease_open WHERE cluster = 'lab' AND address = %s::inet"
        with self.database.transaction() as connection:
            row = connection.execute(query, [address]).fetchone()
        return str(row[0]) if row else ""

    def leases(self) -> dict[str, str]:
        """Who holds what, as recorded."""
        query = "SELECT host(address), namespace || '/' || pod FROM lease_open"
        with self.database.transaction() as connection:
            return {str(address): str(key) for address, key in connection.execute(query)}

    def cpu(self) -> float:
        """CPU seconds of this process and of the database's."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        times = [own.ru_utime + own.ru_stime]
        main = psutil.Process(self.postmaster)
        for process in [main, *main.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                spent = process.cpu_times()
                times.append(spent.user + spent.system)
        return sum(times)

    def own_cpu(self) -> float:
        """CPU seconds of this process."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        return own.ru_utime + own.ru_stime


def await_(condition: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
    """Wait until it holds; TimeoutError when it never does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not so within {seconds:g} s")
        time.sleep(0.02)


@contextlib.contextmanager
def spawned(target: Callable[..., None], *arguments: Any) -> Iterator[tuple[Pipe, dict[str, Any]]]:
    """A child process that serves one end of a pipe; the other end and its first message."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours, ours.recv()
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.terminate()
            process.join()


@contextlib.contextmanager
def stand(folder: Path, load: Load, *, device: bool) -> Iterator[Stand]:
    """Everything of one measurement but the started loops."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(folder))
        cluster, document = stack.enter_context(spawned(cluster_process.serve, load))
        pipe: Pipe | None = None
        units: list[DeviceUnit] = []
        adapters = WatchedFactory()
        if device:
            pipe, found = stack.enter_context(spawned(device_process.serve))
            config = DeviceConfig("fw", "bigip", found["url"], "bench", FixedCredentials(found))
            settings = WorkerSettings(guard=GuardLimits())
            units = [DeviceUnit(adapters, config, ("lab",), settings)]
        target = Target("fw", Capabilities(Form.TIERED, atomic=True), DEFAULTS)
        database = Database(postgres.url)
        stack.callback(database.close)
        database.upgrade()
        DeliveryStore(database).register_device("fw", "bigip")
        unit = ClusterUnit(ClusterConfig("lab", kubeconfig=Path(document["kubeconfig"])), GOVERNANCE, (target,))
        controller = Controller(database, [unit], units, SystemClock())
        stack.callback(controller.stop)
        assert postgres.pid is not None
        yield Stand(database, postgres.pid, cluster, pipe, controller, adapters, document)
