"""Replica leases: one owner at a time, each with a higher epoch than the one before."""

import math
import threading

from bridge.model.intent import FenceState
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.leases import ReplicaLeases
from bridge.state.recognition import Decision, Recognitions
from tests.state.builders import at


def test_another_waits_until_the_lease_is_given_up(database: Database) -> None:
    leases = ReplicaLeases(database)
    assert leases.acquire("device", "edge", "a", 60) == 1
    assert leases.acquire("device", "edge", "b", 60) is None
    assert leases.acquire("device", "edge", "a", 60) == 1
    leases.release("device", "edge", "a", 1)
    assert leases.acquire("device", "edge", "b", 60) == 2
    assert leases.acquire("device", "edge", "a", 60) is None


def test_a_lease_that_ran_out_is_anybodys(database: Database) -> None:
    leases = ReplicaLeases(database)
    assert leases.acquire("cluster", "east", "a", -1) == 1
    assert not _renewed(leases, "a", 1)
    assert leases.acquire("cluster", "east", "b", 60) == 2
    assert not _renewed(leases, "a", 1)
    assert _renewed(leases, "b", 2)


def test_one_who_comes_back_after_giving_up_has_a_new_epoch(database: Database) -> None:
    leases = ReplicaLeases(database)
    assert leases.acquire("device", "edge", "a", 60) == 1
    leases.release("device", "edge", "a", 1)
    assert leases.acquire("device", "edge", "a", 60) == 2


def test_only_the_owner_gives_up(database: Database) -> None:
    leases = ReplicaLeases(database)
    assert leases.acquire("device", "edge", "a", 60) == 1
    leases.release("device", "edge", "b", 1)
    leases.release("device", "edge", "a", 7)
    assert leases.acquire("device", "edge", "b", 60) is None


def test_the_epoch_stands_above_what_the_device_says(database: Database) -> None:
    leases = ReplicaLeases(database)
    assert leases.acquire("device", "edge", "a", 60, floor=40) == 40
    assert leases.acquire("device", "edge", "a", 60, floor=50) == 50
    assert leases.acquire("device", "edge", "a", 60, floor=3) == 50


def test_of_many_at_once_one_wins(database: Database) -> None:
    leases = ReplicaLeases(database)
    won: list[int | None] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(leases.acquire("device", "edge", f"replica-{n}", 60)))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won, key=str) == [1, None, None, None, None, None]


def test_a_device_whose_fence_was_reset_is_anybodys(database: Database) -> None:
    leases, told = ReplicaLeases(database), Decision("ann", "the other bridge is gone", at(0))
    DeliveryStore(database).register_device("edge", "bigip")
    for epoch in (7, 9):
        Recognitions(database).reset_fence("edge", FenceState(epoch, "another"), told)
        row = leases.survey(60).leases[0]
        assert row.holder == ""
        assert 60 < row.free_for < math.inf, "PostgreSQL 15 and 16 cannot subtract what is infinite"
        assert leases.acquire("device", "edge", "a", 60) == epoch + 1


def _renewed(leases: ReplicaLeases, holder: str, epoch: int) -> bool:
    return leases.renew(holder, {("cluster", "east"): epoch, ("cluster", "nowhere"): 1}, 60) == {("cluster", "east")}
