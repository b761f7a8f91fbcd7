"""A trial of a device: what holds is said to hold, what does not is found out, and nothing of it stays."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from bridge.cli.canary import Canary, Leave, canary_owner
from bridge.cli.trial import GROUP
from bridge.clock import SystemClock
from bridge.contract import AdapterFactory, DeviceConfig
from bridge.errors import Refused, Stopped
from bridge.lab.devices.memory import factory
from bridge.lab.devices.memory.adapter import MemoryAdapter
from bridge.lab.devices.memory.contents import AddressSet
from bridge.lab.devices.memory.device import MemoryDevice, memory_device
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Condition, Finding
from bridge.model.flows import Flow
from bridge.model.intent import EVERYTHING, Group, Intent, Ports, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Protocol, Tier

_NUMBERS = count(1)


class Unlocked:
    """The device asks for no token."""

    def value(self, name: str) -> str:
        raise KeyError(name)


class Hurried(SystemClock):
    """Nobody waits."""

    def wait(self, event: threading.Event, seconds: float) -> bool:  # noqa: ARG002
        return event.is_set()


class ReadsOneMore(MemoryAdapter):
    def read(self, scope: ReadScope) -> Snapshot:
        found = super().read(scope)
        objects = dict(found.objects)
        if isinstance(group := objects.get(GROUP), Group):
            objects[GROUP] = replace(group, members=group.members | {"192.0.2.99"})
        return replace(found, objects=objects)


class WritesForAnybody(MemoryAdapter):
    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        return super().apply(plan, replace(fence, replaces=self.read(EVERYTHING).fence))


class DeletesNothing(MemoryAdapter):
    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        kept = tuple(tuple(step for step in phase if step.op is not Op.DELETE) for phase in plan.phases)
        return super().apply(replace(plan, phases=kept), fence)


class IsInForceAtOnce(MemoryAdapter):
    def read(self, scope: ReadScope) -> Snapshot:
        return replace(super().read(scope), attached={Tier.SERVICE: True})


class SaysThatItTakesNames(MemoryAdapter):
    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, fqdn=True)


class SaysThatItIsAtomic(MemoryAdapter):
    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, atomic=True)

    @property
    def limits(self) -> Limits:
        return replace(super().limits, batch=100)


class SaysThatItTriesBefore(MemoryAdapter):
    """And leaves out without a word what cannot be."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, dry_run=True)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        phases = tuple(tuple(step for step in phase if _possible(step)) for phase in plan.phases)
        return super().apply(replace(plan, phases=phases), fence)


def _possible(step: Step) -> bool:
    return not isinstance(step.after, Ports) or all(port.last < 65536 for port in step.after.ports)


class LosesDeltas(MemoryAdapter):
    """It says that it sends what changes alone, and sends what joins alone."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, member_deltas=True)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        phases = tuple(tuple(map(self._joined, phase)) for phase in plan.phases)
        return super().apply(replace(plan, phases=phases), fence)

    def _joined(self, step: Step) -> Step:
        before, after = step.before, step.after
        if isinstance(before, Group) and isinstance(after, Group) and len(before.members) > 50:
            return replace(step, after=replace(after, members=before.members | after.members))
        return step


class TellsFlowsOfOthers(MemoryAdapter):
    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, close_flows=True)

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:  # noqa: ARG002
        return [Flow("192.0.2.99", "198.51.100.1", Protocol.TCP, 40000, 443)]


class ClosesForAnybody(TellsFlowsOfOthers):
    def flows(self, sources: Collection[str]) -> Sequence[Flow]:  # noqa: ARG002
        return []

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:  # noqa: ARG002
        return 0


class TakesWhatIsNotIts(MemoryAdapter):
    """As the owner of the settings, it takes what the trial has made for its own."""

    def read(self, scope: ReadScope) -> Snapshot:
        found = super().read(scope)
        mine = found.objects if self._config.owner.endswith("c") else {GROUP: Group(GROUP)}
        return replace(found, objects=mine)


@dataclass
class Opens:
    """A factory of one kind of adapter."""

    adapter: type[MemoryAdapter]
    kind: str = "memory"

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        return self.adapter(config).capabilities

    def limits(self, config: DeviceConfig) -> Limits:
        return self.adapter(config).limits

    def problems(self, config: DeviceConfig) -> Mapping[str, str]:
        return factory.problems(config)

    def open(self, config: DeviceConfig) -> MemoryAdapter:
        return self.adapter(config)


@dataclass
class Stand:
    """A device in memory with what others own on it, and trials of it."""

    form: Form = Form.FLAT
    asked: int = 0
    device: MemoryDevice = field(init=False)
    config: DeviceConfig = field(init=False)

    def __post_init__(self) -> None:
        name = f"canary-{next(_NUMBERS)}"
        self.device = memory_device(name, self.form)
        self.device.edit("site-hosts", "", AddressSet(("172.16.0.0/12",)))
        scope = {"form": self.form.value}
        attach = {"mode": "ifEmpty"}
        self.config = DeviceConfig("edge", "memory", f"memory://{name}", "acme", Unlocked(), scope, attach)

    def canary(
        self,
        adapter: type[MemoryAdapter] = MemoryAdapter,
        check: Callable[[], None] | None = None,
        *,
        clean: bool = False,
    ) -> Canary:
        made: AdapterFactory = Opens(adapter)
        return Canary(made, self.config, Leave(Hurried(), 60.0, check or self._count), Hurried(), clean=clean)

    def found(self, adapter: type[MemoryAdapter] = MemoryAdapter) -> dict[str, Finding]:
        return {one.subject: one for one in self.canary(adapter).run()}

    def _count(self) -> None:
        self.asked += 1


@pytest.fixture(params=[Form.FLAT, Form.ALLOW_ONLY])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    made = Stand(request.param)
    yield made
    made.device.wipe()


def wrong(found: Mapping[str, Finding]) -> set[str]:
    return {one.subject for one in found.values() if one.condition is not Condition.OK}


def test_what_holds_is_said_to_hold_and_nothing_of_it_stays(stand: Stand) -> None:
    version = stand.device.contents.version
    found = stand.found()
    assert wrong(found) == set(), found
    tried = {"deny", "reject", "log"} if stand.form is Form.FLAT else set()
    always = {"fence", "create", "unattached", "restart", "member change", "fenced off", "delete", "foreign"}
    more = {"sctp_ports", "not tried"}
    assert set(found) == tried | always | more | {"ipv6", "icmp_types", "protocols", "schedules"}
    left = {"fqdn", "wildcards", "bandwidth", "atomic", "dry_run", "member_deltas", "close_flows", "compiles_later"}
    left |= {"deny", "reject", "log"} - tried
    told, swap = found["not tried"].message.split("; ")
    assert set(told.removeprefix("not declared: ").split(", ")) == left
    assert swap.startswith("compare_and_swap: nobody outside")
    assert set(stand.device.contents.objects) == {"site-hosts"}
    assert set(stand.device.contents.claims) == {"acmec"}
    assert not stand.device.contents.places, "it was attached, though the settings say that it may be"
    assert stand.asked >= stand.device.contents.version - version > 10, "a change without a permit"


def test_it_can_be_tried_again(stand: Stand) -> None:
    assert wrong(stand.found()) == set()
    assert wrong(stand.found()) == set()
    assert stand.device.contents.claims["acmec"].epoch == 2


@pytest.mark.parametrize(
    ("adapter", "claims"),
    [
        (ReadsOneMore, {"create", "restart"}),
        (WritesForAnybody, {"fenced off"}),
        (DeletesNothing, {"delete"}),
        (IsInForceAtOnce, {"unattached"}),
        (SaysThatItTakesNames, {"fqdn"}),
        (SaysThatItIsAtomic, {"atomic"}),
        (TakesWhatIsNotIts, {"foreign"}),
        (SaysThatItTriesBefore, {"dry_run"}),
        (LosesDeltas, {"member_deltas"}),
        (TellsFlowsOfOthers, {"close_flows"}),
        (ClosesForAnybody, {"close_flows"}),
    ],
)
def test_what_does_not_hold_is_found_out(adapter: type[MemoryAdapter], claims: Collection[str]) -> None:
    found = Stand().found(adapter)
    assert set(claims) <= wrong(found), found
    assert all(found[claim].condition is Condition.ERROR for claim in claims)


def test_an_owner_who_has_something_there_is_left_alone(stand: Stand) -> None:
    theirs = replace(stand.config, owner="acmec", attach={})
    adapter = factory.open(theirs)
    group = Group(GROUP, frozenset({"10.0.0.1"}))
    (wanted,) = adapter.normalize(Intent("edge", {GROUP: group})).values()
    adapter.apply(Plan("edge", ((Step(Op.CREATE, GROUP, None, wanted),),)), Fence(7, "another-bridge"))
    before = stand.device.contents
    with pytest.raises(Refused, match="has 1 objects there"):
        list(stand.canary().run())
    adapter.apply(Plan("edge", ((Step(Op.DELETE, GROUP, wanted, None),),)), Fence(7, "another-bridge"))
    with pytest.raises(Refused, match="installation another-bridge"):
        list(stand.canary().run())
    assert stand.device.contents.objects.keys() == before.objects.keys() - {f"acmec_{GROUP}"}


def test_what_an_interrupted_trial_left_is_taken_back_when_it_is_asked_for(stand: Stand) -> None:
    asked = count()

    def check() -> None:
        if next(asked) >= 6:
            raise Stopped("edge: stopped by dana")

    list(stand.canary(check=check).run())
    assert len(stand.device.contents.objects) > 1
    with pytest.raises(Refused, match="--clean takes back"):
        list(stand.canary().run())
    found = {one.subject: one for one in stand.canary(clean=True).run()}
    assert found["clean"].condition is Condition.OK
    assert wrong(found) == set(), found
    assert set(stand.device.contents.objects) == {"site-hosts"}


def test_what_is_not_of_a_trial_is_never_cleaned(stand: Stand) -> None:
    adapter = factory.open(replace(stand.config, owner="acmec", attach={}))
    key = replace(GROUP, cluster="east")
    group = Group(key, frozenset({"10.0.0.1"}))
    adapter.apply(Plan("edge", ((Step(Op.CREATE, key, None, group),),)), Fence(7, "canary"))
    before = stand.device.contents
    with pytest.raises(Refused):
        list(stand.canary(clean=True).run())
    assert stand.device.contents == before


def test_whoever_stops_the_device_stops_the_trial(stand: Stand) -> None:
    asked = count()

    def check() -> None:
        if next(asked) >= 4:
            raise Stopped("edge: stopped by dana")

    found = {one.subject: one for one in stand.canary(check=check).run()}
    assert found["stop"].message == "edge: stopped by dana"
    assert "by hand" in found["delete"].message
    assert len(stand.device.contents.objects) == 1 + 3, "written after the stop"


@pytest.mark.parametrize(
    ("owner", "under"), [("acme", "acmec"), ("c", "cc"), ("a" * 12, "a" * 11 + "c"), ("a" * 11 + "c", "a" * 11 + "k")]
)
def test_it_is_never_tried_under_the_owner_of_the_settings(owner: str, under: str) -> None:
    assert canary_owner(owner) == under
    assert len(under) <= 12
