"""Delivery: the work list says exactly what is to be done, and only the owner of a device writes down what was."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bridge.errors import LostLease, StateError, StateUnavailable
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Ports
from bridge.model.plan import Held, HoldKind
from bridge.model.policy import PortRange
from bridge.state.audit_store import AuditStore
from bridge.state.batch import Batch, DesiredObject, MemberChange
from bridge.state.database import Connection, Database
from bridge.state.desired import (
    Applied,
    AuditEntry,
    DeviceHealth,
    HeldList,
    ListState,
    MemberRow,
    ObjectState,
    Work,
)
from bridge.state.report_store import ReportStore
from tests.state.builders import Stores, at, batch, group, selected

PORTS = ObjectKey(Kind.PORTS, "east", Scope.EXTERNAL, "shop", "https")
WEB, PAY = group("web"), group("pay")


def wanted(stores: Stores) -> Work:
    """A group with one member and a set of ports are wanted on the device."""
    changes = Batch(at(0), groups=[WEB], joined=[MemberChange(WEB, "10.0.0.1")])
    changes.desired = [
        selected("edge", WEB),
        DesiredObject("edge", PORTS, Ports(PORTS, (PortRange(443, 443),)), "d1", "why"),
    ]
    stores.commit(changes)
    return stores.delivery.work("edge", {})


def apply(stores: Stores, work: Work, state: ObjectState = ObjectState.PROGRAMMED, **said: object) -> None:
    """Record everything of the reading as done."""
    done = [Applied(row.key, row.generation, state, digest=f"of {row.generation}", gone=row.gone) for row in work.rows]
    stores.delivery.record("edge", 1, done, [], "plan", at(1))


def keys(work: Work) -> set[ObjectKey]:
    return {row.key for row in work.rows}


def test_what_is_wanted_is_work_until_it_is_applied(database: Database) -> None:
    stores = Stores(database)
    work = wanted(stores)
    assert {row.key: row.body for row in work.rows} == {WEB: None, PORTS: Ports(PORTS, (PortRange(443, 443),))}
    assert [(row.generation, row.applied_generation, row.gone, row.cause) for row in work.rows if row.key == PORTS] == [
        (1, 0, False, "why")
    ]
    assert work.members == (MemberRow(WEB, "10.0.0.1", member=True, inferred=False),)
    assert (work.revisions, work.complete) == ({"east": 1}, False)

    apply(stores, work)

    rest = stores.delivery.work("edge", work.revisions)
    assert (rest.rows, rest.members) == ((), ())
    everything = stores.delivery.complete_work("edge")
    assert keys(everything) == {WEB, PORTS}
    assert (everything.members, everything.complete) == (work.members, True)


def test_a_change_during_an_apply_stays_work(database: Database) -> None:
    stores = Stores(database)
    work = wanted(stores)
    stores.commit(Batch(at(2), joined=[MemberChange(WEB, "10.0.0.2")]))
    apply(stores, work)
    rest = stores.delivery.work("edge", work.revisions)
    assert keys(rest) == {WEB}
    assert rest.members == (MemberRow(WEB, "10.0.0.2", member=True, inferred=False),)
    standing = {one.key: one for one in ReportStore(database).device_objects("edge")}
    assert (standing[WEB].applied_generation, standing[WEB].generation) == (1, 2)
    assert ReportStore(database).lag("edge") == at(2)


def test_each_address_comes_as_it_is_now(database: Database) -> None:
    stores = Stores(database)
    work = wanted(stores)
    apply(stores, work)
    stores.commit(
        Batch(at(2), left=[MemberChange(WEB, "10.0.0.1", inferred=True)], joined=[MemberChange(WEB, "10.0.0.2")])
    )
    stores.commit(Batch(at(3), left=[MemberChange(WEB, "10.0.0.2")], joined=[MemberChange(WEB, "10.0.0.3")]))
    stores.commit(Batch(at(4), joined=[MemberChange(WEB, "10.0.0.2")]))
    assert {
        (row.address, row.member, row.inferred) for row in stores.delivery.work("edge", work.revisions).members
    } == {
        ("10.0.0.1", False, True),
        ("10.0.0.2", True, False),
        ("10.0.0.3", True, False),
    }


def test_a_group_that_is_new_to_a_device_comes_whole(database: Database) -> None:
    stores = Stores(database)
    stores.delivery.register_device("inner", "bigip")
    work = wanted(stores)
    seen = stores.delivery.work("inner", {}).revisions
    stores.commit(Batch(at(2), desired=[selected("inner", WEB)]))
    assert stores.delivery.work("inner", seen).members == work.members
    assert keys(stores.delivery.work("edge", seen)) == {WEB, PORTS}


def test_a_group_that_comes_back_says_what_left_meanwhile(database: Database) -> None:
    stores = Stores(database)
    stores.delivery.register_device("inner", "bigip")
    stores.commit(Batch(at(0), desired=[selected("inner", WEB)]))
    work = wanted(stores)
    stores.commit(Batch(at(2), desired_gone=[("edge", WEB)]))
    stores.commit(Batch(at(3), left=[MemberChange(WEB, "10.0.0.1")], joined=[MemberChange(WEB, "10.0.0.2")]))
    stores.commit(Batch(at(4), desired=[selected("edge", WEB)]))
    found = stores.delivery.work("edge", work.revisions)
    assert {(row.address, row.member) for row in found.members} == {("10.0.0.1", False), ("10.0.0.2", True)}


def test_a_group_that_was_deleted_and_made_again_forgets_its_members(database: Database) -> None:
    stores = Stores(database)
    work = wanted(stores)
    stores.commit(Batch(at(2), groups_gone=[WEB], desired_gone=[("edge", WEB)]))
    stores.commit(Batch(at(3), groups=[WEB], desired=[selected("edge", WEB)], joined=[MemberChange(WEB, "10.0.0.7")]))
    found = stores.delivery.work("edge", work.revisions)
    assert {(row.address, row.member) for row in found.members} == {("10.0.0.1", False), ("10.0.0.7", True)}


def test_what_should_go_is_work_and_is_forgotten_once_it_has_gone(database: Database) -> None:
    stores = Stores(database)
    apply(stores, wanted(stores))
    stores.commit(Batch(at(2), desired_gone=[("edge", PORTS)]))
    work = stores.delivery.work("edge", {})
    assert [(row.key, row.gone, row.body) for row in work.rows] == [(PORTS, True, None)]
    stores.delivery.record("edge", 1, [Applied(PORTS, 2, ObjectState.HELD, gone=False)], [], "plan", at(3))
    assert PORTS in {one.key for one in ReportStore(database).device_objects("edge")}
    apply(stores, work)
    assert {one.key for one in ReportStore(database).device_objects("edge")} == {WEB}


def test_what_is_wanted_again_while_it_goes_is_not_forgotten(database: Database) -> None:
    stores = Stores(database)
    apply(stores, wanted(stores))
    stores.commit(Batch(at(2), desired_gone=[("edge", WEB)]))
    work = stores.delivery.work("edge", {})
    stores.commit(Batch(at(3), desired=[selected("edge", WEB)]))
    apply(stores, work)
    assert [(row.key, row.gone) for row in stores.delivery.work("edge", {}).rows] == [(WEB, False)]


def test_the_same_wish_twice_is_no_work(database: Database) -> None:
    stores = Stores(database)
    apply(stores, wanted(stores))
    stores.commit(Batch(at(2), desired=[selected("edge", WEB)]))
    assert stores.delivery.work("edge", {}).rows == ()


def test_the_applied_generation_never_falls_and_never_passes_the_desired(database: Database) -> None:
    stores = Stores(database)
    apply(stores, wanted(stores))
    for generation, expected in ((0, 1), (99, 1)):
        stores.delivery.record("edge", 1, [Applied(WEB, generation, ObjectState.PROGRAMMED)], [], "plan", at(2))
        assert {one.applied_generation for one in ReportStore(database).device_objects("edge")} == {expected}


def test_what_is_not_in_force_keeps_digest_shards_and_time(database: Database) -> None:
    stores = Stores(database)
    wanted(stores)
    good = Applied(WEB, 1, ObjectState.PROGRAMMED, digest="good", shards=4)
    stores.delivery.record("edge", 1, [good], [], "plan", at(1))
    bad = Applied(WEB, 1, ObjectState.QUARANTINED, digest="bad", message="01070712: too long\0", shards=9)
    stores.delivery.record("edge", 1, [bad], [], "plan", at(2))
    found = {one.key: one for one in ReportStore(database).device_objects("edge")}[WEB]
    assert (found.applied_digest, found.shards, found.verified_at) == ("good", 4, at(1))
    assert (found.state, found.message) == (ObjectState.QUARANTINED, "01070712: too long\ufffd")


def test_a_former_owner_records_nothing(database: Database) -> None:
    stores = Stores(database)
    work = wanted(stores)
    stores.leases.release("device", "edge", "me", 1)
    assert stores.leases.acquire("device", "edge", "other", 60) == 2
    with pytest.raises(LostLease, match="epoch 1 does not own device edge"):
        apply(stores, work)
    assert keys(stores.delivery.work("edge", {})) == keys(work)


def test_every_change_is_audited(database: Database) -> None:
    stores = Stores(database)
    wanted(stores)
    entries = [AuditEntry(WEB, "create", "members +1 -0", "-", "{10.0.0.1}", "applied")]
    entries.append(replace(entries[0], op="update", before="{10.0.0.1}", after="{}"))
    stores.delivery.record("edge", 1, [], entries, "4711", at(1))
    found = ReportStore(database).audit("edge")
    assert [one.entry for one in found] == entries[::-1]
    assert {(one.plan_digest, one.at) for one in found} == {("4711", at(1))}
    assert len(ReportStore(database).audit("edge", limit=1)) == 1
    assert ReportStore(database).audit("elsewhere") == ()


@pytest.mark.parametrize("committed", [True, False])
def test_a_record_whose_commit_nobody_confirmed_is_told_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    stores = Stores(database)
    entries = [AuditEntry(PORTS, "update", "why", f"{n}", f"{n + 1}", "done") for n in range(2)]
    stores.delivery.record("edge", 1, [], entries, "p0", at(0))
    healthy = database.transaction

    @contextmanager
    def broken() -> Iterator[Connection]:
        with healthy() as connection:
            yield connection
            if not committed:
                raise StateUnavailable("away")
        raise StateUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(database, "transaction", broken)
        for _ in range(2):
            with pytest.raises(StateUnavailable):
                stores.delivery.record("edge", 1, [], entries, "p1", at(1))
    stores.delivery.record("edge", 1, [], entries, "p1", at(1))
    stores.delivery.record("edge", 1, [], entries, "p1", at(1))  # said twice by somebody who knows of the first
    audit = AuditStore(database)
    assert [row.number for row in audit.rows("edge")] == [6, 5, 4, 3, 2, 1]
    assert audit.verify("edge").sound


def test_health_is_what_was_last_heard(database: Database) -> None:
    stores = Stores(database)
    assert ReportStore(database).devices()[0].health == DeviceHealth("not read yet")
    read = DeviceHealth("ok", "", "serial-1", (("/Common/fb_x", "no mark"),), {"cluster": True})
    stores.delivery.record_health("edge", read, at(1))
    stores.delivery.record_health("edge", DeviceHealth("unreachable", "timed out"), at(2))
    found = ReportStore(database).devices()[0]
    assert found.health == replace(read, state="unreachable", message="timed out")
    assert (found.name, found.kind, found.last_read) == ("edge", "bigip", at(1))
    with pytest.raises(StateError, match="device nowhere is not registered"):
        stores.delivery.record_health("nowhere", read)


def test_lists_of_held_steps_keep_their_steps_and_are_held_since_they_were_first_held(database: Database) -> None:
    stores = Stores(database)
    store = stores.delivery
    one = HeldList("east", "a", (Held(WEB, frozenset({"10.0.0.1"}), "removals", HoldKind.WIDENING),), at(1))
    store.record_held("edge", 1, [one], at(1))
    store.record_held("edge", 1, [replace(one, since=at(2), held=())], at(2))
    assert store.held_lists("edge") == (one,)
    other = replace(one, digest="b", since=at(3))
    store.record_held("edge", 1, [replace(one, state=ListState.SUPERSEDED), other], at(3))
    assert store.held_lists("edge") == (other,)
    assert store.held_list("edge", "a") == replace(one, state=ListState.SUPERSEDED), "it can still be released"
    released = replace(other, state=ListState.RELEASED, by="ann", reason="meant")
    store.record_held("edge", 1, [released], at(4))
    assert store.held_lists("edge") == (released,)
    store.record_held("edge", 1, [replace(released, state=ListState.DONE)], at(5))
    assert store.held_lists("edge") == ()
    store.record_held("edge", 1, [replace(one, since=at(6))], at(6))
    assert [found.since for found in store.held_lists("edge")] == [at(6)], "held again, from then on"
    with pytest.raises(LostLease):
        store.record_held("edge", 2, [one], at(7))


def test_verification_of_some_or_of_all(database: Database) -> None:
    stores = Stores(database)
    apply(stores, wanted(stores))
    stores.delivery.touch_verified("edge", [WEB], at(5))
    assert {one.key: one.verified_at for one in ReportStore(database).device_objects("edge")} == {
        WEB: at(5),
        PORTS: at(1),
    }
    stores.delivery.touch_verified("edge", None, at(6))
    assert {one.verified_at for one in ReportStore(database).device_objects("edge")} == {at(6)}
    assert ReportStore(database).devices()[0].last_verified == at(6)


def test_lag_is_the_age_of_the_oldest_change(database: Database) -> None:
    stores = Stores(database)
    report = ReportStore(database)
    assert report.lag("edge") is None
    apply(stores, wanted(stores))
    assert report.lag("edge") is None
    for seconds in (2, 3, 4):
        changes = batch(seconds)
        changes.joined = [MemberChange(WEB, f"10.0.0.{seconds}")]
        stores.commit(changes)
    assert report.lag("edge") == at(2)


def test_members_for_reports(database: Database) -> None:
    stores = Stores(database)
    wanted(stores)
    assert ReportStore(database).members([WEB, PAY]) == {WEB: frozenset({"10.0.0.1"}), PAY: frozenset()}


def test_intake_and_delivery_never_wait_for_each_other_in_a_circle(database: Database) -> None:
    """Both write to the same rows, each with an order of its own. Both are stopped halfway: a deadlock would cost one its transaction."""
    stores = Stores(database)
    groups = [group(f"g{number:02}") for number in range(9)]
    stores.commit(Batch(at(0), groups=groups, desired=[selected("edge", key) for key in groups]))
    applied = [Applied(key, 1, ObjectState.PROGRAMMED) for key in groups]
    changes = Batch(at(1), joined=[MemberChange(key, "10.0.0.1") for key in reversed(groups)])
    failed: list[Exception] = []

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except StateError as error:
            failed.append(error)

    threads = [
        threading.Thread(target=run, args=[lambda: stores.commit(changes)]),
        threading.Thread(target=run, args=[lambda: stores.delivery.record("edge", 1, applied, [], "plan", at(2))]),
    ]
    with database.transaction() as connection:
        connection.execute("SELECT FROM device_object WHERE key = %s FOR UPDATE", [str(groups[4])])
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_for_waiting(database, number)
    for thread in threads:
        thread.join()
    assert failed == []
    assert {one.generation for one in ReportStore(database).device_objects("edge")} == {2}


def wait_for_waiting(database: Database, count: int) -> None:
    """Until so many connections of this database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(1000):
        with database.transaction() as connection:
            row = connection.execute(query).fetchone()
        if row == (count,):
            return
        time.sleep(0.02)
    pytest.fail(f"never {count} waiting")
