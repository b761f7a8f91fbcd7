"""Two replicas take turns with one cluster that never rests: the record stays whole, nothing is inferred, and no list is sent again."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.cli.standby import Standby
from bridge.cli.tenure import Elsewhere
from bridge.cli.units import ClusterUnit
from bridge.clock import SystemClock
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.intake.intake import Intake
from bridge.lab.apiserver import ApiServer
from bridge.lab.churn import Churn
from bridge.model.capabilities import Capabilities, Form
from bridge.policy.compile import Target
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.intake_store import IntakeStore
from bridge.state.leases import ReplicaLeases
from bridge.state.recognition import Decision, Recognitions
from tests.bench.cluster_process import Load, TimedFleet, build
from tests.bench.stand import DEFAULTS, GOVERNANCE
from tests.cluster.scripted import eventually

CLOCK = SystemClock()


@dataclass
class Turns:
    """Two replicas, one cluster, one record."""

    database: Database
    fleet: TimedFleet
    server: ApiServer
    replicas: list[Standby]

    @contextlib.contextmanager
    def turn(self, number: int) -> Iterator[Intake]:
        """One acts; the end of it is as sudden as a death: what it has taken and not recorded is lost with it."""
        leases, holder, stop = ReplicaLeases(self.database), f"replica-{number}", threading.Event()
        epoch = leases.acquire("cluster", "lab", holder, 60)
        assert epoch is not None
        with self.replicas[number].serving(CLOCK) as intake:
            acting = threading.Thread(target=intake.run, args=(stop, lambda: epoch))
            acting.start()
            try:
                yield intake
            finally:
                stop.set()
                intake.sink(())
                acting.join()
        leases.release("cluster", "lab", holder, epoch)

    def wrong(self) -> dict[str, str]:
        """Addresses whose holder is recorded otherwise than it is."""
        truth = {pod.address: pod.key for workload in self.fleet.workloads for pod in workload.pods}
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT host(address), namespace || '/' || pod FROM lease_open").fetchall()
        return dict(set(rows) ^ set(truth.items()))

    def members(self) -> set[str]:
        """Every member of every group."""
        with self.database.transaction() as connection:
            return {address for (address,) in connection.execute("SELECT host(address) FROM member_open")}

    def inferred(self) -> int:
        """How many ends nobody proved."""
        with self.database.transaction() as connection:
            row = connection.execute("SELECT count(*) FROM member WHERE inferred").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def turns(database: Database) -> Iterator[Turns]:
    fleet = build(Load(pods=300, groups=4))
    store = IntakeStore(database)
    store.register_cluster("lab")
    DeliveryStore(database).register_device("fw", "bigip")
    with ApiServer(fleet.cluster, bookmark_every=0.3) as server:
        config = ClusterConfig("lab", kubeconfig=Path(server.kubeconfig))
        target = Target("fw", Capabilities(Form.TIERED, atomic=True), DEFAULTS)
        unit = ClusterUnit(config, GOVERNANCE, (target,))
        replicas = [Standby(unit, store, CLOCK, ReflectorSettings(), warm=True) for _ in range(2)]
        yield Turns(database, fleet, server, replicas)
        for one in replicas:
            one.close()


def _settled(intake: Intake) -> bool:
    return intake.settled.is_set() and intake.at_rest


@pytest.mark.parametrize("seed", range(2))
def test_taking_turns_without_a_rest(turns: Turns, seed: int) -> None:
    chance = random.Random(seed)
    with turns.turn(0) as intake:
        eventually(lambda: _settled(intake))
        turns.replicas[1].meanwhile(Elsewhere.HELD, CLOCK)
        eventually(lambda: turns.replicas[1].watcher and turns.replicas[1].watcher.all_synced)
    lists = turns.server.requests.counts().get("list pods", 0)
    churn = Churn(turns.fleet, seed=seed)
    churn.start(300)
    try:
        for number in range(12):
            other = turns.replicas[number % 2]
            if chance.random() < 0.6:
                other.meanwhile(Elsewhere.DOUBTED, CLOCK)
            if chance.random() < 0.3:
                other.meanwhile(Elsewhere.HELD, CLOCK)  # it was a false alarm
            with turns.turn(number % 2):
                time.sleep(chance.uniform(0, 0.5))
    finally:
        churn.stop()
    turns.fleet.settle()
    with turns.turn(1) as intake:
        eventually(lambda: _settled(intake) and not turns.wrong())
        assert turns.members() == {pod.address for one in turns.fleet.workloads for pod in one.pods}
    assert turns.inferred() == 0
    assert turns.server.requests.counts().get("list pods", 0) == lists


def test_what_was_made_ready_is_not_used_when_somebody_recorded_since(turns: Turns) -> None:
    first, second = turns.replicas
    with turns.turn(0) as intake:
        eventually(lambda: _settled(intake))
        second.meanwhile(Elsewhere.HELD, CLOCK)
        eventually(lambda: second.watcher and second.watcher.all_synced)
        second.meanwhile(Elsewhere.DOUBTED, CLOCK)
        Churn(turns.fleet, seed=3, only_replace=True).run(20)
        eventually(lambda: _settled(intake) and not turns.wrong())
        revision = intake.revision
    with turns.turn(1) as intake:
        eventually(lambda: _settled(intake))
        assert intake.revision >= revision
        assert not turns.wrong()
        assert turns.inferred() == 0
    assert first.watcher is not None, "who was served once goes on watching"


def test_what_was_seen_of_another_cluster_is_left(turns: Turns) -> None:
    second, decision = turns.replicas[1], Decision("ann", "rebuilt", CLOCK.now())
    with turns.turn(0) as intake:
        eventually(lambda: _settled(intake))
        turns.replicas[1].meanwhile(Elsewhere.HELD, CLOCK)
        eventually(lambda: second.watcher and second.watcher.all_synced)
    second.meanwhile(Elsewhere.DOUBTED, CLOCK)
    before = second.watcher
    Recognitions(turns.database).confirm_cluster("lab", "another", decision)
    with turns.turn(1) as intake:
        assert intake.identity == "another", "what was made ready is of the one before"
        assert second.watcher is not None
        assert second.watcher is not before, "so is what it has seen"


def test_what_was_made_ready_goes_with_who_would_tell_of_it(turns: Turns) -> None:
    second = turns.replicas[1]
    with turns.turn(0) as intake:
        eventually(lambda: _settled(intake))
        second.meanwhile(Elsewhere.HELD, CLOCK)
        eventually(lambda: second.watcher and second.watcher.all_synced)
    second.meanwhile(Elsewhere.DOUBTED, CLOCK)
    second.close()
    with turns.turn(1):
        assert second.watcher is not None
