"""A device in a freeze beside one that is not, through the real tables: groups are counted apart, and nobody is left behind."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest

from bridge.delivery.worker import Worker, WorkerSettings
from bridge.intake.intake import Intake, required
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group
from bridge.model.observed import Change, Observed, Synced
from bridge.model.policy import Validity
from bridge.policy.freeze import Freeze
from bridge.policy.guard import GuardLimits
from bridge.state.database import Database
from tests.delivery.bench import FakeClock
from tests.delivery.memory import MemoryAdapter, MemoryDevice
from tests.delivery.sequences import GUARD, STATES
from tests.intake.fold import EDGE, GOVERNANCE, event
from tests.intake.objects import namespace, pod, policy
from tests.policy import device
from tests.state.builders import Stores, at

NAMES = sorted(STATES)
WEB = ObjectKey(Kind.GROUP, "east", Scope.ADDRESS_GROUP, "", "web")


class Pair:
    """Two devices of one cluster; `edge` has the freeze."""

    def __init__(self, database: Database, begin: int, end: int, guard: GuardLimits = GUARD) -> None:
        self.guard = guard
        self.stores = Stores(database)
        self.stores.delivery.register_device("core", "bigip")
        assert self.stores.leases.acquire("device", "core", "me", 3600) == 1
        self.clock = FakeClock()
        frozen = replace(EDGE, freezes=(Freeze("year end", Validity(at(begin), at(end))),))
        self.targets = (frozen, replace(EDGE, name="core"))
        self.memories = {name: MemoryDevice() for name in ("edge", "core")}
        self.there: Mapping[str, Observed] = {}
        self.restart()

    def restart(self) -> None:
        self.intake = Intake("east", GOVERNANCE, self.targets, self.stores.intake, self.clock)
        self.intake.start_from()
        self.workers = {name: self._worker(name) for name in self.memories}
        self.intake.sink([event(Change.UPSERT, one) for one in self.there.values()])
        self.intake.sink([Synced(resource, "1") for resource in required(())])
        self.step()

    def _worker(self, name: str) -> Worker:
        adapter = MemoryAdapter(self.memories[name], name=name, limits=Limits(shard_members=8, batch=50))
        settings = WorkerSettings(guard=self.guard)
        return Worker(adapter, self.stores.delivery, self.clock, "installation", settings, clusters=("east",))

    def show(self, picture: Mapping[str, Observed]) -> None:
        gone = [event(Change.DELETED, one) for key, one in self.there.items() if key not in picture]
        new = [event(Change.UPSERT, one) for key, one in picture.items() if self.there.get(key) != one]
        self.there = picture
        self.intake.sink([*gone, *new])
        self.step()

    def step(self) -> None:
        self.intake.step(threading.Event(), lambda: 1)

    def deliver(self, name: str) -> None:
        for _ in range(6):
            self.workers[name].turn(1)

    def deliver_all(self) -> None:
        for name in self.workers:
            self.deliver(name)

    def wanted(self, name: str) -> dict[ObjectKey, frozenset[str]]:
        """Whom each group of workloads is to have there, as a whole reading has it."""
        found: dict[ObjectKey, set[str]] = {}
        work = self.stores.delivery.complete_work(name)
        for row in work.rows:
            if row.body is None and not row.gone:
                found[row.key] = set()
        for one in work.members:
            if one.member and one.group in found:
                found[one.group].add(one.address)
        return {key: frozenset(members) for key, members in found.items()}

    def check(self, name: str) -> None:
        """The device, which only ever heard of changes, holds just that."""
        objects = self.memories[name].objects
        wanted = self.wanted(name)
        assert {key: device.members(objects, key) for key in wanted} == wanted
        selected = {key for key, one in objects.items() if isinstance(one, Group)}
        assert wanted.keys() <= selected


@pytest.mark.parametrize("seed", range(4))
def test_a_device_that_hears_of_changes_only_ends_with_whom_it_should(database: Database, seed: int) -> None:
    random = Random(seed)
    begin, end = random.randrange(10, 60), random.randrange(70, 130)
    pair = Pair(database, begin, end)
    for number in range(1, 14):
        pair.clock.seconds = 10 * number
        web = {"matchLabels": {"app": random.choice(["pay", "cart"])}}
        group = policy("AddressGroup", "web", generation=number, podSelector=web)
        pair.show({**STATES[random.choice(NAMES)], "web": group})
        for name in ("edge", "core"):
            if random.random() < 0.5:
                pair.deliver(name)
                pair.check(name)
        if random.random() < 0.2:
            pair.restart()
    pair.clock.seconds = 150
    pair.step()
    for name in ("edge", "core"):
        pair.deliver(name)
        pair.check(name)
    assert pair.wanted("edge") == pair.wanted("core")
    recorded = pair.stores.intake.load_cluster("east")
    assert not recorded.baselines
    assert not recorded.frozen_lists
    assert all(not key.part for key in recorded.members)


def test_the_end_of_a_freeze_proves_no_removal(database: Database) -> None:
    """An edit that takes half a fleet out of a group is held: on a device that was in a freeze, and on one beside it."""
    pair = Pair(database, 15, 100, GuardLimits())
    everybody = policy("AddressGroup", "web", podSelector={})
    pods = {f"pay-{number}": pod(f"pay-{number}", f"10.0.0.{number}") for number in range(1, 61)}
    pair.clock.seconds = 10
    pair.show({"shop": namespace(), **pods, "web": everybody})
    pair.deliver_all()
    pair.clock.seconds = 20
    nobody = policy("AddressGroup", "web", generation=2, podSelector={"matchLabels": {"app": "none"}})
    pair.show({**pair.there, "web": nobody})
    pair.deliver_all()
    pair.clock.seconds = 30
    pair.show({key: one for key, one in pair.there.items() if key != "pay-1"})
    pair.deliver_all()
    pair.clock.seconds = 110
    pair.show({key: one for key, one in pair.there.items() if key != "pay-2"})
    pair.deliver_all()
    for memory in pair.memories.values():
        assert device.members(memory.objects, WEB) == {f"10.0.0.{number}" for number in range(3, 61)}


def test_a_restart_reads_the_policy_of_the_beginning_from_the_versions(database: Database) -> None:
    pair = Pair(database, 15, 100)
    group = policy("AddressGroup", "web", podSelector={"matchLabels": {"app": "pay"}})
    pair.clock.seconds = 10
    pair.show({**STATES["beginning"], "web": group})
    pair.clock.seconds = 20
    pair.show({**STATES["turned"], "web": policy("AddressGroup", "web", generation=2, podSelector={})})
    recorded = pair.stores.intake.load_cluster("east")
    kept = recorded.baselines["edge"]
    assert (kept.names, kept.until, kept.as_of) == (("year end",), at(100), at(20 - 1e-6))
    assert {one.name: one.generation for one in kept.policy}["web"] == 1
    assert {one.name for one in kept.surroundings} == {"shop", "bank", "free"}
    before = pair.wanted("edge")
    pair.restart()
    assert pair.wanted("edge") == before != pair.wanted("core")
    pair.clock.seconds = 30
    pair.show({**pair.there, "pay-2": pod("pay-2", "10.0.0.20")})
    for name in ("edge", "core"):
        pair.deliver(name)
        pair.check(name)
    assert "10.0.0.20" in pair.wanted("edge")[WEB]
    told = pair.stores.intake.load_cluster("east").frozen_lists["edge"]
    assert told.digest
    assert any("AddressGroup web" in one.reason for one in told.edits)
