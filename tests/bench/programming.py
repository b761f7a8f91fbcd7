"""What it costs to bring policy onto one device: one member, a thousand changes, everything, nothing; the same for every kind."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bridge.contract import Adapter
from bridge.lab.device import Exchange
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import (
    EVERYTHING,
    DeviceObject,
    Group,
    Intent,
    Objects,
    Policy,
    Ports,
    RuleEntry,
    RuleList,
    Shard,
)
from bridge.model.plan import Fence, Plan
from bridge.model.policy import Action, PortRange, Protocol
from bridge.policy.diff import diff, plan
from bridge.policy.shard import shard_count, spread
from tests.bench.row import Row

DEVICE, FENCE = "edge", Fence(3, "bench")
_NAMESPACE = "shop"
_LIST = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, _NAMESPACE)
_POLICY = ObjectKey(Kind.POLICY, "", Scope.SERVICE)
_WEB = ObjectKey(Kind.PORTS, "east", Scope.EXTERNAL, _NAMESPACE, "web.tcp")


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of device on the bench: a fresh one with an adapter for it, which tells its calls. `rules`: the most that it takes."""

    kind: str
    fresh: Callable[[], AbstractContextManager[tuple[Adapter, Callable[[], Sequence[Exchange]]]]]
    rules: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The calls of one piece of work, and how long it took."""

    calls: Sequence[Exchange]
    seconds: float

    @property
    def volume(self) -> int:
        """Bytes in both directions."""
        return sum(one.bytes_in + one.bytes_out for one in self.calls)

    @property
    def writes(self) -> int:
        """How many calls were no question; where every call is a POST, the log says which ask."""
        return sum(one.method != "GET" and not one.path.startswith("/read/") for one in self.calls)

    @property
    def waiting(self) -> float:
        """The share of the time in which the device worked."""
        return sum(one.seconds for one in self.calls) / self.seconds


class Bed:
    """An adapter on a device, and the bridge's part: read, plan, apply."""

    def __init__(self, adapter: Adapter, requests: Callable[[], Sequence[Exchange]]) -> None:
        self._adapter = adapter
        self._requests = requests
        self.have: Objects = adapter.read(EVERYTHING).objects
        adapter.raise_fence(FENCE)

    def reach(self, wanted: Objects) -> tuple[Plan, Cost]:
        """Bring it onto the device; the plan, and what applying it cost."""
        meant = self._adapter.normalize(Intent(DEVICE, wanted))
        can, limits = self._adapter.capabilities, self._adapter.limits
        made = plan(DEVICE, diff(self.have, Intent(DEVICE, meant)), self.have, can, limits)
        cost = self._timed(lambda: self._adapter.apply(made, FENCE))
        self.have = meant
        return made, cost

    def audit(self) -> Cost:
        """Read everything and plan, as an audit does."""

        def work() -> None:
            found = self._adapter.read(EVERYTHING).objects
            if diff(found, Intent(DEVICE, self.have)):
                raise AssertionError("what was written is not what is read")

        return self._timed(work)

    def parts(self, key: ObjectKey, members: Collection[str]) -> Iterable[Group | Shard]:
        """A group as the device takes one of that size."""
        return spread(key, members, shard_count(len(members), 0, self._adapter.limits.shard_members))

    def _timed(self, work: Callable[[], object]) -> Cost:
        before, began = len(self._requests()), time.perf_counter()
        work()
        return Cost(self._requests()[before:], time.perf_counter() - began)


def rows(subject: Subject) -> Iterator[Row]:
    """The rows that every kind of device has."""
    yield from _member(subject)
    yield from _changes(subject)
    yield from _everything(subject)


def policy(rules: int, sources: int, destinations: int) -> dict[ObjectKey, DeviceObject]:
    """So many rules, from so many groups of ten to so many destinations."""
    froms = [_group(Scope.SERVICE, f"app-{number}") for number in range(sources)]
    tos = [_group(Scope.EXTERNAL, f"out-{number}") for number in range(destinations)]
    lines = tuple(
        RuleEntry(
            f"r{number}", Action.ALLOW, (froms[number % sources],), (tos[number % destinations],), Protocol.TCP, _WEB
        )
        for number in range(rules)
    )
    objects: list[DeviceObject] = [
        *(
            Group(key, frozenset(f"10.{at // 250 + 1}.{at % 250}.{n + 1}" for n in range(10)))
            for at, key in enumerate(froms)
        ),
        *(Group(key, frozenset({f"198.51.{at // 250 + 100}.{at % 250 + 1}"})) for at, key in enumerate(tos)),
        Ports(_WEB, (PortRange(443, 443),)),
        RuleList(_LIST, lines),
        Policy(_POLICY, (_LIST,)),
    ]
    return {one.key: one for one in objects}


def _group(scope: Scope, name: str) -> ObjectKey:
    return ObjectKey(Kind.GROUP, "east", scope, _NAMESPACE, name)


def _pods(at: int, count: int) -> list[str]:
    return [f"10.{at + 1}.{number // 250}.{number % 250 + 1}" for number in range(count)]


def _member(subject: Subject) -> Iterator[Row]:
    with subject.fresh() as (adapter, requests):
        bed, site, key = Bed(adapter, requests), policy(1, 1, 1), _group(Scope.SERVICE, "app-0")
        members = _pods(0, 10_000)
        bed.reach(site | {one.key: one for one in bed.parts(key, members)})
        _, cost = bed.reach(site | {one.key: one for one in bed.parts(key, [*members[1:], "10.250.0.1"])})
    figure = f"{len(cost.calls)} calls, {cost.volume / 1024:.1f} KiB, {cost.seconds * 1000:.0f} ms"
    reached = len(cost.calls) <= 2 and cost.volume <= 8 * 1024
    what = f"{subject.kind}: one member replaced in a group of 10,000"
    yield Row(what, "≤ 2 calls and ≤ 8 KiB for a change of one member", figure, reached)


def _changes(subject: Subject) -> Iterator[Row]:
    """A thousand changes over 20 groups, as they come in the ten batches of a second."""
    with subject.fresh() as (adapter, requests):
        bed, site = Bed(adapter, requests), policy(20, 20, 1)
        members = {_group(Scope.SERVICE, f"app-{at}"): _pods(at, 500) for at in range(20)}
        bed.reach(site | _held(bed, members))
        worst, calls, seconds = -(10**6), 0, 0.0
        for batch in range(10):
            for at, key in enumerate(members):
                members[key] = members[key][5:] + [f"10.{at + 101}.{batch}.{number + 1}" for number in range(5)]
            made, cost = bed.reach(site | _held(bed, members))
            worst = max(worst, len(cost.calls) - len({step.key for step in made.steps}))
            calls, seconds = calls + len(cost.calls), seconds + cost.seconds
    figure = f"{worst:+} calls at worst; {calls} calls, {seconds:.2f} s"
    what = f"{subject.kind}: 1,000 changes over 20 groups in 10 batches"
    yield Row(what, "calls of a batch ≤ touched objects + 3", figure, worst <= 3)


def _everything(subject: Subject) -> Iterator[Row]:
    with subject.fresh() as (adapter, requests):
        bed = Bed(adapter, requests)
        site = policy(subject.rules, max(1, subject.rules // 10), max(1, subject.rules // 50))
        made, cost = bed.reach(site)
        told = f"{len(cost.calls)} calls, {cost.seconds:.1f} s, {cost.waiting:.0%} of it in the device"
        notes = {"bytes": cost.volume, "steps": len(made.steps)}
        yield Row(
            f"{subject.kind}: first programming of {subject.rules:,} rules",
            "shown only",
            told,
            reached=True,
            notes=notes,
        )
        audit = bed.audit()
    told = f"{len(audit.calls)} calls, {audit.seconds:.2f} s, {audit.writes} writes"
    yield Row(f"{subject.kind}: audit of the same with nothing changed", "0 writes", told, reached=audit.writes == 0)


def _held(bed: Bed, members: dict[ObjectKey, list[str]]) -> dict[ObjectKey, DeviceObject]:
    return {one.key: one for key, held in members.items() for one in bed.parts(key, held)}
