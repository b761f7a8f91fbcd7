"""A worker over a device in memory and a state in dictionaries, driven turn by turn."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.delivery.worker import Worker, WorkerSettings
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Objects, Ports, RuleEntry, RuleList
from bridge.model.policy import Action, PortRange, Protocol
from tests.delivery.memory import MemoryAdapter, MemoryDevice
from tests.delivery.state import State
from tests.policy import device
from tests.state.builders import START

MANY_TURNS = 60


@dataclass
class FakeClock:
    """Time that passes when a test says so."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.seconds += seconds
        return event.is_set()


@dataclass
class Bench:
    """The worker of one device."""

    state: State = field(default_factory=State)
    memory: MemoryDevice = field(default_factory=MemoryDevice)
    atomic: bool = True
    limits: Limits = field(default_factory=lambda: Limits(shard_members=8, batch=50))
    clock: FakeClock = field(default_factory=FakeClock)
    settings: WorkerSettings = field(default_factory=WorkerSettings)
    epoch: int = 1
    permit: Callable[[], None] = field(default=lambda: None)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process takes over."""
        adapter = MemoryAdapter(self.memory, atomic=self.atomic, limits=self.limits, permit=self.permit)
        self.worker = Worker(adapter, self.state, self.clock, "installation", self.settings)

    def turn(self) -> float:
        """One cycle; time passes as it asks."""
        pause = self.worker.turn(self.epoch)
        self.clock.seconds += pause
        return pause

    def settle(self) -> int:
        """Turn until nothing is left to do; returns how many turns that took."""
        for turns in range(1, MANY_TURNS):
            pause = self.turn()
            if self.worker.in_step.is_set() and pause >= self.settings.poll_interval:
                return turns
        raise AssertionError(
            f"not in step after {MANY_TURNS} turns: {self.worker.pacing.state}: {self.worker.pacing.message}"
        )

    def members(self, key: ObjectKey) -> frozenset[str]:
        """Who is in a group on the device."""
        return device.members(self.memory.objects, key)


def group(name: str, namespace: str = "shop", scope: Scope = Scope.SERVICE) -> ObjectKey:
    return ObjectKey(Kind.GROUP, "east", scope, namespace, name)


BANK = group("bank", scope=Scope.EXTERNAL)
PORTS = ObjectKey(Kind.PORTS, "east", Scope.EXTERNAL, "shop", "bank.tcp")
LIST = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
ABOVE = ObjectKey(Kind.RULE_LIST, "east", Scope.CLUSTER)


def line(
    source: ObjectKey, action: Action = Action.ALLOW, *, to: ObjectKey = BANK, withheld: bool = False
) -> RuleEntry:
    """One line named after its action and source."""
    return RuleEntry(f"{action.lower()}_{source.name}", action, (source,), (to,), Protocol.ANY, None, withheld=withheld)


def rules(*entries: RuleEntry, key: ObjectKey = LIST) -> RuleList:
    return RuleList(key, entries)


def bank(*members: str) -> Group:
    return Group(BANK, frozenset(members or ("192.0.2.1",)))


def ports(first: int, last: int) -> Ports:
    return Ports(PORTS, (PortRange(first, last),))


def addresses(count: int, first: int = 0) -> list[str]:
    return [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(first, first + count)]


def named(key: ObjectKey, members: Iterable[str]) -> list[tuple[ObjectKey, str]]:
    return [(key, member) for member in members]


def allowed_to(objects: Objects, address: str) -> set[ObjectKey]:
    """The groups of Allow lines in force that an address is in."""
    live = [entry for scope in device.TIERS for entry in device.lines(objects, scope)]
    keys = {key for entry in live if entry.action is Action.ALLOW for key in entry.sources}
    return {key for key in keys if address in device.members(objects, key)}
