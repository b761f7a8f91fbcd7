"""How replicas share clusters and devices: keepers on one database, stepped by hand, with the time of the database moved by hand too."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import psycopg
import pytest

from bridge.cli.keeper import Keeper
from bridge.cli.tenure import LeaseTimes, Tenure
from bridge.errors import LostLease, StateUnavailable
from bridge.state.database import Database
from bridge.state.leases import Grant, ReplicaLeases, Role
from tests.delivery.bench import FakeClock

TIMES = LeaseTimes(term=60.0, renewal=15.0, deadline=40.0)
CLUSTERS = tuple(("cluster", f"c{number}") for number in range(4))
DEVICES = tuple(("device", f"d{number}") for number in range(7))
ALL: tuple[Role, ...] = (*CLUSTERS, *DEVICES)


@dataclass
class Member:
    """One replica: a keeper, and a stand-in for whoever serves its tenures."""

    name: str
    database: Database
    roles: Sequence[Role] = ALL
    refuses: frozenset[Role] = frozenset()
    clock: FakeClock = field(default_factory=FakeClock)
    served: int = 0

    def __post_init__(self) -> None:
        leases = ReplicaLeases(self.database)
        self.tenures = {role: Tenure(*role, self.name, leases, self.clock, TIMES) for role in self.roles}
        self.keeper = Keeper(self.name, self.tenures, leases, self.clock, TIMES, ("1", "0003"))

    def round(self) -> None:
        """A round of the keeper, then one of each that serves."""
        self.clock.seconds += TIMES.renewal
        self.keeper.round()
        for role, tenure in self.tenures.items():
            if tenure.held and role in self.refuses:
                self.served += 1
                tenure.release(30.0)
            elif tenure.over.is_set():
                tenure.release()

    def held(self, kind: str = "") -> set[Role]:
        """What it acts for."""
        return {role for role, one in self.tenures.items() if one.held and role[0].startswith(kind)}


def rounds(members: Sequence[Member], count: int = 16) -> None:
    """So many renewals of each, one after the other; at no moment do two hold the same."""
    for _ in range(count):
        for one in members:
            one.round()
            held = [role for each in members for role in each.held()]
            assert len(held) == len(set(held)), "two act for the same"


def later(database: Database, holder: str) -> None:
    """A replica is not heard of for more than a term."""
    with database.transaction() as connection:
        ago = "clock_timestamp() - interval '61 s'"
        connection.execute(f"UPDATE replica SET seen_at = {ago} WHERE holder = %s".encode(), [holder])  # noqa: S608
        connection.execute(f"UPDATE replica_lease SET expires_at = {ago} WHERE holder = %s".encode(), [holder])  # noqa: S608


def epochs(database: Database) -> dict[Role, int]:
    with database.transaction() as connection:
        return {(role, name): epoch for role, name, epoch in connection.execute(_EPOCHS)}


_EPOCHS = "SELECT role, name, epoch FROM replica_lease"


def loads(members: Sequence[Member], kind: str) -> list[int]:
    return sorted(len(one.held(kind)) for one in members)


def test_a_replica_alone_does_everything_at_once(database: Database) -> None:
    alone = Member("a", database)
    alone.round()
    assert alone.held() == set(ALL)
    assert alone.keeper.replicas == 1


def test_each_takes_its_share_and_one_more_gets_his(database: Database) -> None:
    members = [Member(name, database) for name in "abc"]
    rounds(members)
    assert (loads(members, "cluster"), loads(members, "device")) == ([1, 1, 2], [2, 2, 3])
    members.append(Member("d", database))
    rounds(members)
    assert (loads(members, "cluster"), loads(members, "device")) == ([1, 1, 1, 1], [1, 2, 2, 2])
    assert set.union(*(one.held() for one in members)) == set(ALL)
    settled = epochs(database)
    rounds(members, 8)
    assert epochs(database) == settled, "who has his share hands nothing to and fro"


def test_what_a_replica_leaves_behind_is_shared_by_the_others(database: Database) -> None:
    members = [Member(name, database) for name in "abc"]
    rounds(members)
    gone = members.pop()
    lost, before = gone.held(), epochs(database)
    later(database, gone.name)
    members[0].round()
    members[1].round()
    assert set.union(*(one.held() for one in members)) == set(ALL), "a term is over: nobody waits"
    rounds(members)
    assert (loads(members, "cluster"), loads(members, "device")) == ([2, 2], [3, 4])
    after = epochs(database)
    assert all(after[role] > before[role] for role in lost)
    taking_over = {role for one in members for role, tenure in one.tenures.items() if tenure.taking_over}
    assert {role for role in lost if role[0] == "device"} <= taking_over, "he did not give them up"
    assert not any(kind == "cluster" for kind, _ in taking_over), "what is in the database needs no second look"


def test_a_clean_hand_over_needs_no_second_look(database: Database) -> None:
    first = Member("a", database)
    first.round()
    for tenure in first.tenures.values():
        tenure.close()
        tenure.release()
    first.keeper.depart()
    second = Member("b", database)
    second.round()
    assert second.held() == set(ALL)
    assert not any(tenure.taking_over for tenure in second.tenures.values())
    assert set(epochs(database).values()) == {2}


def test_a_take_over_that_is_not_complete_is_handed_on(database: Database) -> None:
    role = DEVICES[0]
    members = [Member(name, database, [role]) for name in "abc"]
    members[0].round()
    later(database, "a")
    members[1].round()
    assert members[1].tenures[role].taking_over
    members[1].tenures[role].release()
    members[2].round()
    assert members[2].tenures[role].taking_over, "b gave it up, and what a may have sent was not made good yet"
    members[2].tenures[role].settle()
    assert not members[2].tenures[role].taking_over
    members[2].tenures[role].release()
    members[1].round()
    assert members[1].held() == {role}
    assert not members[1].tenures[role].taking_over


def test_one_who_cannot_serve_keeps_nothing_from_the_others_for_long(database: Database) -> None:
    well, ill = Member("a", database), Member("b", database, refuses=frozenset(ALL))
    well.round()
    rounds([well, ill], 4 * 40)  # forty minutes
    assert ill.served < 7 * len(ALL), "he asks less and less often"
    rounds([well], 5)
    assert well.held() == set(ALL)


def test_past_the_deadline_nothing_is_permitted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Member("a", database)
    one.round()
    tenure = one.tenures[DEVICES[0]]

    def away(*_: object) -> None:
        raise StateUnavailable("away")

    monkeypatch.setattr(ReplicaLeases, "renew", away)
    one.clock.seconds += TIMES.deadline - 1
    one.keeper.round()
    tenure.permit()
    one.clock.seconds += 2
    with pytest.raises(LostLease):
        tenure.permit()
    assert tenure.current is None


def test_who_was_stopped_past_his_term_finds_it_lost(database: Database) -> None:
    one, other = Member("a", database), Member("b", database)
    one.round()
    later(database, "a")
    other.round()
    one.clock.seconds += 61
    assert not one.held(), "by his own clock, before he asks anybody"
    one.keeper.round()
    assert not one.held()
    assert other.held() == set(ALL)


def test_a_transaction_of_a_stopped_process_does_not_keep_others_out(database: Database, database_url: str) -> None:
    leases, role = ReplicaLeases(database), DEVICES[0]
    assert leases.take(*role, "a", 60)
    with psycopg.connect(database_url.replace("+psycopg", "")) as stopped:
        stopped.execute("SELECT FROM replica_lease WHERE role = %s AND name = %s FOR KEY SHARE", role)
        later(database, "a")
        grant = leases.take(*role, "b", 60)
        assert grant is not None
        assert grant.epoch == 2
        with pytest.raises(psycopg.OperationalError):
            stopped.execute("SELECT 1")


def test_nor_do_several_transactions_of_a_stopped_process(database: Database, database_url: str) -> None:
    leases, role, grants = ReplicaLeases(database), DEVICES[0], list[Grant | None]()
    assert leases.take(*role, "a", 60)
    url, query = (
        database_url.replace("+psycopg", ""),
        "SELECT FROM replica_lease WHERE role = %s AND name = %s FOR KEY SHARE",
    )
    with psycopg.connect(url) as one, psycopg.connect(url) as two:
        one.execute(query, role)
        two.execute(query, role)
        later(database, "a")
        taking = threading.Thread(target=lambda: grants.append(leases.take(*role, "b", 60)), daemon=True)
        taking.start()
        taking.join(10)
        assert [grant and grant.epoch for grant in grants] == [2]
        for each in (one, two):
            with pytest.raises(psycopg.OperationalError):
                each.execute("SELECT 1")


def test_who_lost_a_lease_ends_what_he_serves_even_when_nothing_happens_there(database: Database) -> None:
    one, other, woken = Member("a", database), Member("b", database), list[Role]()
    one.round()
    for role, tenure in one.tenures.items():
        tenure.wake = partial(woken.append, role)
    later(database, "a")
    other.round()
    one.clock.seconds += TIMES.renewal
    one.keeper.round()
    assert all(tenure.over.is_set() for tenure in one.tenures.values())
    assert set(woken) == set(ALL)


def test_what_is_being_given_up_is_not_taken_at_the_same_time(database: Database) -> None:
    one, role, free = Member("a", database, DEVICES[:1]), DEVICES[0], list[bool]()
    tenure = one.tenures[role]

    class Seen(ReplicaLeases):
        def release(self, role: str, name: str, holder: str, epoch: int, ago: float = 0.0) -> None:
            free.append(tenure.free)
            super().release(role, name, holder, epoch, ago)

    tenure = one.tenures[role] = Tenure(*role, "a", Seen(database), one.clock, TIMES)
    one.keeper.round()
    assert tenure.await_grant(one.clock)
    tenure.release()
    assert free == [False], "the release might come after the next grant, and end that"
    assert tenure.free


def test_whoever_waits_for_a_tenure_is_woken(database: Database) -> None:
    one = Member("a", database, DEVICES[:1])
    tenure, got = one.tenures[DEVICES[0]], list[bool]()
    asked: list[str] = []
    waiting = threading.Thread(target=lambda: got.append(tenure.await_grant(Waits())))
    waiting.start()
    one.keeper.round()
    waiting.join(10)
    assert got == [True]
    tenure.wake = lambda: asked.append("woken")
    tenure.give_up()
    assert asked == ["woken"]
    assert tenure.over.is_set()
    tenure.close()
    assert not tenure.await_grant(Waits())


class Waits(FakeClock):
    """For a thread that really waits."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)
