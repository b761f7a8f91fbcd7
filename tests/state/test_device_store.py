"""How devices stand and what they hold, on real tables."""

from datetime import timedelta

import pytest

from bridge.model.identity import ObjectKey
from bridge.model.plan import Held
from bridge.state import device_store
from bridge.state.batch import MemberChange
from bridge.state.database import Database
from bridge.state.desired import Applied, AuditEntry, DeviceHealth, HeldList, ListState, ObjectState
from bridge.state.device_store import DeviceStore, DeviceView
from bridge.state.report_archive import ReportArchive
from tests.state.builders import Stores, at, batch, group, selected

WEB, API, OLD = group("web"), group("api"), group("old")
DAY = 86_400.0


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database)


def wanted(stores: Stores, *keys: ObjectKey, seconds: float = 0) -> None:
    """Groups that the device is to hold from then on."""
    made = batch(seconds)
    made.groups = list(keys)
    made.desired = [selected("edge", key) for key in keys]
    stores.commit(made)


def edge(database: Database, seconds: float = 100) -> DeviceView:
    (found,) = DeviceStore(database).devices(at(seconds), name="edge")
    return found


def audited(stores: Stores, rows: int, *, drift: int = 0, first: int = 1, lag: float | None = 0.5) -> None:
    """Rows of the audit, one a second; every `drift`th says what somebody else did."""
    for number in range(first, first + rows):
        op = "drift" if drift and number % drift == 0 else "update"
        stores.delivery.record("edge", 1, [], [AuditEntry(WEB, op, "", "-", "{}", "done", lag)], "plan", at(number))


def test_a_device_of_which_nothing_is_known_yet(stores: Stores, database: Database) -> None:
    found = edge(database)
    assert (found.state, found.objects, found.waiting, found.oldest) == ("not read yet", {}, 0, None)
    assert (found.drift.count, found.drift.since, found.drift.whole) == (0, at(100 - DAY), True)


def test_what_waits_what_is_held_and_in_which_state_objects_are(stores: Stores, database: Database) -> None:
    wanted(stores, WEB, API, OLD)
    changes = batch(5)
    changes.joined = [MemberChange(API, "10.1.0.1")]
    applied = [Applied(WEB, 1, ObjectState.PROGRAMMED), Applied(OLD, 1, ObjectState.QUARANTINED, message="too long")]
    stores.delivery.record("edge", 1, applied, [], "", at(30))
    stores.commit(changes)
    steps = (Held(WEB, frozenset({"10.1.0.1", "10.1.0.2"}), "removals"), Held(API, frozenset({"10.1.0.3"}), "removals"))
    rejected = HeldList("east", "b", steps[:1], at(1), ListState.REJECTED)
    stores.delivery.record_held("edge", 1, [HeldList("east", "a", steps, at(1)), rejected], at(2))
    stores.delivery.record_health("edge", DeviceHealth("busy", "wait", attached=None), at(40))
    found = edge(database)
    assert found.objects == {"Pending": 1, "Programmed": 1, "Quarantined": 1}
    assert (found.waiting, found.oldest, found.held, found.rejected) == (1, at(0), 2, 1)
    assert (found.state, found.message, found.last_read) == ("busy", "wait", None)


def test_drift_counts_from_the_last_report_of_the_device(stores: Stores, database: Database) -> None:
    audited(stores, 10, drift=5)
    assert (edge(database).drift.count, edge(database).drift.report) == (2, None)
    archive = ReportArchive(database)
    archive.keep(at(6), "{}", '{"audit": {"edge": 6}}')
    second = archive.keep(at(7), "{}", '{"audit": {"edge": 7}}')
    archive.keep(at(8), "{}", '{"audit": {"core": 10}}')
    found = edge(database, 20).drift
    assert (found.count, found.report, found.since, found.whole) == (1, second, at(7), True)


def test_drift_of_a_day_alone_where_no_report_is_kept(stores: Stores, database: Database) -> None:
    audited(stores, 10, drift=5)
    assert edge(database, DAY + 7).drift.count == 1


def test_drift_says_when_it_was_not_looked_for_everywhere(
    stores: Stores, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_store, "LOOKED_AT", 4)
    audited(stores, 10, drift=5)
    assert (edge(database).drift.count, edge(database).drift.whole) == (1, False)
    of_a_day = edge(database, DAY + 7.5).drift
    assert (of_a_day.count, of_a_day.whole) == (1, True)


def test_devices_come_by_name_a_page_at_a_time(stores: Stores, database: Database) -> None:
    for name in ("core", "lab", "a"):
        stores.delivery.register_device(name, "fortigate")
    store = DeviceStore(database)
    assert [one.name for one in store.devices(at(0))] == ["a", "core", "edge", "lab"] == list(store.names())
    assert [one.name for one in store.devices(at(0), 2, "core")] == ["edge", "lab"]
    assert store.devices(at(0), 2, "lab") == store.devices(at(0), name="none") == ()


def test_objects_come_by_key_those_that_were_asked_for(stores: Stores, database: Database) -> None:
    keys = [group(f"web-{number}") for number in range(5)]
    wanted(stores, *keys)
    stores.delivery.record("edge", 1, [Applied(keys[1], 1, ObjectState.HELD, message="a third")], [], "", at(1))
    store = DeviceStore(database)
    first = store.objects("edge", 2)
    assert [one.key for one in (*first, *store.objects("edge", 9, str(first[-1].key)))] == keys
    (held,) = store.objects("edge", 9, state="Held")
    assert (held.key, held.message, held.generation) == (keys[1], "a third", 1)
    assert [one.key for one in store.objects("edge", 9, words="WEB-3")] == [keys[3]]
    assert (
        store.objects("edge", 9, kind="rules") == store.objects("core", 9) == store.objects("edge", 9, words="%") == ()
    )


def test_lag_is_told_in_stretches_of_time(stores: Stores, database: Database) -> None:
    audited(stores, 30, drift=10)
    found = DeviceStore(database).lag("edge", at(10), timedelta(seconds=10))
    told = [(one.at, one.changes, one.drift) for one in found.buckets]
    assert told == [(at(10), 9, 1), (at(20), 9, 1), (at(30), 0, 1)]
    assert (found.one_in, found.buckets[0].median, found.buckets[0].worst) == (1, 0.5, 0.5)


def test_lag_of_very_many_changes_is_told_by_a_sample(
    stores: Stores, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_store, "LOOKED_AT", 10)
    monkeypatch.setattr(device_store, "_SAMPLE", 8)
    audited(stores, 40)
    found = DeviceStore(database).lag("edge", at(9), timedelta(seconds=60))
    assert found.one_in == 4
    assert sum(one.changes for one in found.buckets) == 8


def test_lag_of_a_device_that_nothing_was_done_to(stores: Stores, database: Database) -> None:
    assert DeviceStore(database).lag("edge", at(0), timedelta(seconds=60)).buckets == ()
    audited(stores, 5, lag=None)
    (only,) = DeviceStore(database).lag("edge", at(0), timedelta(seconds=60)).buckets
    assert (only.changes, only.median, only.p99, only.worst) == (5, None, None, None)
    assert DeviceStore(database).lag("edge", at(50), timedelta(seconds=60)).buckets == ()
