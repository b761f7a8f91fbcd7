"""A reader that adds up what `work` tells holds, after any history, exactly what the groups hold."""

import random

import pytest

from bridge.model.identity import ObjectKey
from bridge.state.batch import Batch, MemberChange
from bridge.state.database import Database
from bridge.state.desired import Applied, ObjectState, Work
from tests.state.builders import Stores, at, group, selected

GROUPS = [group(name) for name in ("web", "pay", "cart")]
ADDRESSES = [f"10.0.0.{number}" for number in range(1, 9)] + ["2001:db8::1", "10.9.0.0/16"]


class World:
    """What the groups of the cluster hold and which the device wants, in plain sets: batches change both this and the database."""

    def __init__(self, stores: Stores, seed: int) -> None:
        self.stores = stores
        self.chance = random.Random(seed)
        self.groups: dict[ObjectKey, set[str]] = {}
        self.wanted: set[ObjectKey] = set()
        self.steps = 0

    def change(self) -> None:
        """One random batch; several bear the same time."""
        self.steps += 1
        batch = Batch(at(self.steps // 3))
        for key in GROUPS:
            self._exist(batch, key)
            if key in self.groups and key not in batch.groups_gone:
                self._move(batch, key)
        self.stores.commit(batch)

    def _exist(self, batch: Batch, key: ObjectKey) -> None:
        roll = self.chance.random()
        if key not in self.groups and roll < 0.5:
            batch.groups.append(key)
            self.groups[key] = set()
        elif key in self.groups and roll < 0.08:
            batch.groups_gone.append(key)
            del self.groups[key]
        if key in self.wanted and (key not in self.groups or self.chance.random() < 0.1):
            batch.desired_gone.append(("edge", key))
            self.wanted.remove(key)
        elif key in self.groups and self.chance.random() < 0.5:
            batch.desired.append(selected("edge", key))
            self.wanted.add(key)

    def _move(self, batch: Batch, key: ObjectKey) -> None:
        members = self.groups[key]
        for address in self.chance.sample(ADDRESSES, self.chance.randint(0, 3)):
            if address not in members:
                batch.joined.append(MemberChange(key, address))
                members.add(address)
                continue
            batch.left.append(MemberChange(key, address))
            if self.chance.random() < 0.2:  # from one pod to another of the same group
                batch.joined.append(MemberChange(key, address))
            else:
                members.remove(address)


class Reader:
    """A worker in small: it adds up changes, and begins anew with a complete reading."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.held: dict[ObjectKey, set[str]] = {}
        self.seen: dict[str, int] = {}

    def begin(self) -> None:
        self.held = {}
        self._take(self.stores.delivery.complete_work("edge"))

    def go_on(self) -> None:
        self._take(self.stores.delivery.work("edge", self.seen))

    def _take(self, work: Work) -> None:
        self.seen = dict(work.revisions)
        for row in work.rows:
            if row.gone:
                self.held.pop(row.key, None)
        for change in work.members:
            members = self.held.setdefault(change.group, set())
            (members.add if change.member else members.discard)(change.address)
        done = [Applied(row.key, row.generation, ObjectState.PROGRAMMED, gone=row.gone) for row in work.rows]
        self.stores.delivery.record("edge", 1, done, [], "plan", at(0))


@pytest.mark.parametrize("seed", range(6))
def test_the_reader_holds_what_the_groups_hold(database: Database, seed: int) -> None:
    stores = Stores(database)
    world, reader = World(stores, seed), Reader(stores)
    reader.begin()
    for _ in range(60):
        for _ in range(world.chance.randint(1, 3)):
            world.change()
        reader.begin() if world.chance.random() < 0.1 else reader.go_on()
        assert {key: reader.held.get(key, set()) for key in world.wanted} == {
            key: world.groups[key] for key in world.wanted
        }
    assert stores.intake.load_cluster("east").members == {key: frozenset(found) for key, found in world.groups.items()}
    assert stores.delivery.work("edge", reader.seen).rows == ()
