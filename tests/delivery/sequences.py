"""Small named states of a cluster, and a line of all that stands between its events and a device of any form.

From events through intake and delivery to devices of each form that take one write at a time. `state` stands for the database.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random
from typing import Any

from bridge.contract import Adapter, DeviceConfig
from bridge.delivery.worker import Worker, WorkerSettings
from bridge.lab.devices.memory import MemoryDevice, factory, memory_device
from bridge.model.capabilities import Form, Limits
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, Objects
from bridge.model.observed import Change, Namespace, Observed, Pod
from bridge.model.policy import (
    DefaultAction,
    Defaults,
    IcmpType,
    Protocol,
    UnknownAddresses,
)
from bridge.policy.compile import ClusterPolicy, Target
from bridge.policy.evaluate import Packet, Verdict, evaluate
from bridge.policy.guard import GuardLimits, Threshold
from bridge.state.batch import Batch
from tests.delivery.bench import FakeClock
from tests.delivery.memory import MemoryAdapter, tampered
from tests.delivery.memory import MemoryDevice as TieredDevice
from tests.delivery.state import State
from tests.intake import fold
from tests.intake.objects import namespace, pod, policy, service, service_rule
from tests.policy import device

Picture = Mapping[str, Observed]
DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
GUARD = GuardLimits(Threshold(100, 1000), Threshold(100, 1000), Threshold(100, 10_000))
MANY_TURNS = 60


def _cluster_rule(name: str, action: str, to: str, priority: int, **source: Any) -> Observed:  # noqa: ANN401
    spec: dict[str, Any] = {"action": action, "to": [{"name": to}], "priority": priority}
    if source:
        spec["from"] = source
    return policy("ClusterEgressRule", name, **spec)


def _namespace_rule(name: str, action: str, priority: int = 1000, place: str = "shop") -> Observed:
    to = [{"name": "bank"}]
    return policy("NamespaceEgressRule", name, place=place, action=action, to=to, priority=priority)


SOME = [{"protocol": "TCP", "port": "Any"}, {"protocol": "ICMP"}]


def _partner(name: str, *addresses: str, ports: object = SOME) -> Observed:
    """Not all traffic: what is left of that without one port is no short list where a device only allows."""
    return policy("ClusterExternalService", name, addresses=list(addresses), ports=ports)


def _bank(*addresses: str) -> Observed:
    return policy("ExternalService", "bank", addresses=list(addresses), ports=SOME)


APP = {"matchLabels": {"app": "pay"}}
WEB = [{"protocol": "TCP", "port": 443}]
BEGINNING: Picture = {
    "shop": namespace("shop"),
    "bank": namespace("bank"),
    "free": namespace("free", governed=False),
    "pay": service("pay", app="pay"),
    "pay-0": pod("pay-0", "10.0.0.1", "fd00::1"),
    "cart-0": pod("cart-0", "10.0.0.2"),
    "bank-0": pod("pay-bank", "10.0.0.3", namespace="bank"),
    "free-0": pod("pay-free", "10.0.0.4", namespace="free"),
    "partner": _partner("partner", "192.0.2.0/29"),
    "dark": _partner("dark", "192.0.2.4/31", ports=WEB),
    "to-bank": _bank("192.0.2.0/30", "fd01::/64"),
    "deny-dark": _cluster_rule("deny-dark", "Deny", "dark", 10),
    "pass-pay": _cluster_rule("pass-pay", "Pass", "partner", 20, podSelector=APP, namespaceSelector={}),
    "allow-all": _cluster_rule("allow-all", "Allow", "partner", 30),
    "pay-out": service_rule("pay-out"),
}


def _but(*gone: str, **changed: Observed) -> Picture:
    return {key: value for key, value in {**BEGINNING, **changed}.items() if key not in gone}


def _all_at_once() -> Picture:
    found = dict(BEGINNING)
    for name in ("moved", "relabelled", "selected", "edited", "widened", "stopped"):
        changed = STATES[name]
        found.update({key: value for key, value in changed.items() if BEGINNING.get(key) != value})
        for key in BEGINNING.keys() - changed.keys():
            found.pop(key, None)
    return found


STATES: dict[str, Picture] = {
    "beginning": BEGINNING,
    "moved": _but("pay-0", moved=pod("pay-1", "10.0.0.5")),
    "reused": _but("pay-0", **{"bank-1": pod("pay-9", "10.0.0.1", "fd00::1", namespace="bank", started=9)}),
    "swapped": _but(
        **{
            "pay-0": pod("pay-0", "10.0.0.2", started=5),
            "cart-0": pod("cart-0", "10.0.0.1", "fd00::1", started=5),
        }
    ),
    "relabelled": _but(**{"cart-0": replace(pod("cart-0", "10.0.0.2"), labels={"app": "pay"})}),
    "selected": _but(pay=service("pay", app="cart")),
    "ungoverned": _but(shop=namespace("shop", governed=False)),
    "governed": _but(free=namespace("free")),
    "edited": _but(
        **{"allow-all": _cluster_rule("allow-all", "Allow", "dark", 30), "pay-out": service_rule("pay-out")}
    ),
    "stopped": _but(**{"stop": _namespace_rule("stop", "Deny"), "pay-out": service_rule("pay-out", action="Reject")}),
    "passed": _but(
        "pass-pay",
        **{
            "pass-all": _cluster_rule("pass-all", "Pass", "partner", 5),
            "allow-shop": _namespace_rule("allow-shop", "Allow", 7),
            "pass-shop": _namespace_rule("pass-shop", "Pass", 3),
        },
    ),
    "turned": _but(
        **{
            "deny-dark": _cluster_rule("deny-dark", "Allow", "dark", 10),
            "allow-all": _cluster_rule("allow-all", "Deny", "partner", 30),
        }
    ),
    "widened": _but(**{"to-bank": _bank("192.0.2.0/28", "fd01::/48"), "dark": _partner("dark", "192.0.2.5")}),
    "narrowed": _but(**{"to-bank": _bank("192.0.2.1"), "partner": _partner("partner", "192.0.2.6")}),
    "deleted": _but("deny-dark", "pass-pay", "pay-out"),
    "empty": {key: BEGINNING[key] for key in ("shop", "pay-0")},
}
STATES["all-at-once"] = _all_at_once()

SOURCES = tuple(f"10.0.0.{last}" for last in (1, 2, 3, 4, 5, 9))
DESTINATIONS = tuple(f"192.0.2.{last}" for last in (1, 4, 6, 9))
WAYS = (*product(SOURCES, DESTINATIONS), ("fd00::1", "fd01::1"), ("fd00::1", "fd01:0:0:1::1"))
PACKETS = [
    Packet(source, destination, protocol, port, icmp)
    for source, destination in WAYS
    for protocol, port, icmp in ((Protocol.TCP, 443, None), (Protocol.ICMP, 0, IcmpType(8, 0)))
]


class Box:
    """A device of one form, and how it stood after each of its changes."""

    def __init__(self, form: Form, name: str) -> None:
        self.form = form
        self.tiered = TieredDevice()
        self.memory: MemoryDevice | None = None
        if form is not Form.TIERED:
            self.memory = memory_device(f"sequences-{name}", form)
            self.memory.wipe()
            self.memory.form = form
        self.forget()

    def adapter(self) -> Adapter:
        if self.memory is None:
            return MemoryAdapter(self.tiered, atomic=False, limits=Limits(shard_members=2, batch=4))
        config = DeviceConfig(
            "edge",
            "memory",
            f"memory://{self.memory.name}",
            "fb",
            _NoSecrets(),
            {"form": self.form.value},
            {"mode": "ifEmpty"},
        )
        return factory.open(config)

    def forget(self) -> None:
        """Begin the list of moments anew."""
        self.tiered.history.clear()
        if self.memory is not None:
            self.memory.history = []

    def now(self) -> Callable[[Packet], Verdict]:
        return self._verdicts(self.tiered.objects) if self.memory is None else self.memory.verdict

    def moments(self) -> Sequence[Callable[[Packet], Verdict]]:
        if self.memory is None:
            return [self._verdicts(objects) for objects in self.tiered.history]
        from bridge.lab.devices.memory import referee

        return [_bound(referee.verdict, held) for held in self.memory.history or ()]

    def writes(self) -> int:
        return self.tiered.writes if self.memory is None else self.memory.contents.version

    def tamper(self, random: Random) -> None:
        """Somebody changes a group of ours by hand."""
        if self.memory is None:
            tampered(self.tiered, lambda objects: _add_member(objects, random))
        else:
            _add_address(self.memory, random)

    @staticmethod
    def _verdicts(objects: Objects) -> Callable[[Packet], Verdict]:
        return lambda packet: Verdict(device.decide(objects, packet).value)  # type: ignore[arg-type]


class _NoSecrets:
    def value(self, name: str) -> str:
        raise KeyError(name)


def _bound(decide: Callable[..., Verdict], held: object) -> Callable[[Packet], Verdict]:
    return lambda packet: decide(held, packet)


def _add_member(objects: dict[ObjectKey, Any], random: Random) -> None:
    groups = sorted(key for key, one in objects.items() if isinstance(one, Group) and not one.shards)
    if groups:
        key = random.choice(groups)
        objects[key] = replace(objects[key], members=objects[key].members | {"10.0.0.77"})


def _add_address(memory: MemoryDevice, random: Random) -> None:
    from bridge.lab.devices.memory import AddressSet

    sets = sorted(name for name, one in memory.contents.objects.items() if isinstance(one.body, AddressSet))
    if sets:
        name = random.choice(sets)
        stored = memory.contents.objects[name]
        assert isinstance(stored.body, AddressSet)
        memory.edit(name, stored.tag, AddressSet(tuple(sorted({*stored.body.addresses, "10.0.0.77"}))))


@dataclass
class Line:
    """One cluster, one device, and all that stands between them."""

    form: Form
    random: Random
    state: State = field(default_factory=State)
    clock: FakeClock = field(default_factory=FakeClock)
    there: dict[str, Observed] = field(default_factory=dict)
    guard: GuardLimits = GUARD

    def __post_init__(self) -> None:
        self.box = Box(self.form, str(id(self)))
        self._dropped: dict[str, set[str]] = {}  # addresses that a pod gave up while it lived on
        can = self.box.adapter().capabilities
        self.target = Target("edge", can, DENY)
        self.intake = fold.Bench(self.target)
        self.restart_delivery()
        self._record(self.intake.commit())

    def restart_delivery(self) -> None:
        settings = WorkerSettings(guard=self.guard)
        self.worker = Worker(self.box.adapter(), self.state, self.clock, "installation", settings)

    def go(self, picture: Picture, *, split: float, restart: float) -> None:
        """Everything that happens between here and there, in any order; batches, deliveries and restarts in between."""
        events = [(key, value) for key, value in picture.items() if self.there.get(key) != value]
        gone = [(key, None) for key in self.there if key not in picture]
        steps: list[tuple[str, Observed | None]] = [*events, *gone]
        self.random.shuffle(steps)
        for key, value in steps:
            change = Change.DELETED if value is None else Change.UPSERT
            self.intake.take([fold.event(change, value or self.there[key])])
            if self.random.random() < split:
                self.commit(restart)
        self.there = dict(picture)
        self.commit(restart)

    def commit(self, restart: float) -> None:
        self._record(self.intake.commit())
        if self.random.random() < restart:
            self.intake.restart()
            self._record(self.intake.commit())
        if self.random.random() < restart:
            self.restart_delivery()
        if self.random.random() < 0.5:
            self.worker.turn(1)

    def settle(self) -> None:
        for _ in range(MANY_TURNS):
            pause = self.worker.turn(1)
            self.clock.seconds += pause
            if self.worker.in_step.is_set() and pause >= self.worker_poll:
                return
        raise AssertionError(f"not in step: {self.worker.pacing.state}: {self.worker.pacing.message}")

    @property
    def worker_poll(self) -> float:
        return WorkerSettings().poll_interval

    def _record(self, batch: Batch) -> None:
        """As the database would take it."""
        self.state.no_longer(*(key for _, key in batch.desired_gone))
        for one in batch.desired:
            if one.body is None:
                self.state.want_group(one.key)
            else:
                self.state.want(one.body)
        joined = {(one.group, one.address): one.unproven for one in batch.joined}
        left = {(one.group, one.address): one.unproven or one.inferred for one in batch.left}
        self.state.prove(self._proven(batch))
        doubtful = [one for one, unproven in joined.items() if unproven]
        self.state.move(joined, left, inferred=[one for one, unproven in left.items() if unproven], doubtful=doubtful)

    def _proven(self, batch: Batch) -> list[str]:
        """The addresses that others have now, or whose workload was seen to end."""
        found = [start.address for start in batch.leases]
        for end in batch.leases_ended:
            pod = self.intake.record.pods.get(end.uid)
            if pod is not None and not pod.terminal:
                self._dropped.setdefault(end.uid, set()).add(end.address)
            elif not end.inferred:
                found.append(end.address)
        for uid in batch.pods_gone:
            found += self._dropped.pop(uid, ())
        return found


class _Scene:
    """Who is where in one picture."""

    def __init__(self, bench: fold.Bench) -> None:
        self._index = bench.index

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        found = self._index.workloads.owner(address)
        return None if found is None else (found, self._index.landscape.namespaces.get(found.namespace))

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        known = self._index.landscape.services.get((namespace, service))
        return known is not None and bool(known.selector) and known.selector.items() <= pod.labels.items()


def meant_by(picture: Picture, target: Target) -> Mapping[Packet, Verdict]:
    """What the evaluator says of each packet, from a picture that nothing happened to."""
    bench = fold.Bench(target)
    bench.see(*picture.values())
    landscape = bench.index.landscape
    accepted = bench.index.policies.settle(landscape.governs)
    written = ClusterPolicy(fold.CLUSTER, landscape.governance, accepted.rules, accepted.externals)
    return {packet: evaluate(written, target.defaults, _Scene(bench), packet).verdict for packet in PACKETS}


def _allows(form: Form, verdict: Verdict) -> bool:
    """Whether a packet gets through; what nothing matches goes on where the device is a list, and is dropped where it only allows."""
    return verdict is Verdict.ALLOW or (verdict is Verdict.UNMATCHED and form is not Form.ALLOW_ONLY)


def check_end(line: Line, meant: Mapping[Packet, Verdict]) -> None:
    decide = line.box.now()
    for packet, verdict in meant.items():
        found = decide(packet)
        if line.form is Form.ALLOW_ONLY:
            assert (found is Verdict.ALLOW) == (verdict is Verdict.ALLOW), packet
        else:
            assert found is verdict, packet


def check_way(line: Line, before: Mapping[Packet, Verdict], after: Mapping[Packet, Verdict]) -> None:
    stopped = [one for one in PACKETS if not _allows(line.form, before[one]) and not _allows(line.form, after[one])]
    for number, decide in enumerate(line.box.moments()):
        for packet in stopped:
            assert not _allows(line.form, decide(packet)), (number, packet)


def check_quiet(line: Line) -> None:
    """Nothing more to do: neither for a new process of intake nor for one of delivery."""
    writes = line.box.writes()
    line.intake.restart()
    assert not fold.substance(line.intake.commit())
    line.restart_delivery()
    line.settle()
    assert line.box.writes() == writes
