"""What the state adds to a report: who holds an address, what was done since the last one, and the reports themselves."""

import threading
from datetime import timedelta

import msgspec
import pytest

from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, Snapshot
from bridge.model.plan import Held, Plan
from bridge.report.evidence import Witness, addresses_of, bucket_width
from bridge.report.model import Summary
from bridge.state.batch import Batch, LeaseEnd, LeaseStart
from bridge.state.change_store import After, ChangeStore
from bridge.state.database import Database
from bridge.state.desired import AuditEntry
from bridge.state.report_archive import ReportArchive
from bridge.state.report_store import ReportStore
from bridge.state.reported import Holder
from tests.report.samples import PAY
from tests.state.builders import Stores, at, group, pod

WEB, API = group("web"), group("api")


def done(
    stores: Stores,
    seconds: float,
    key: ObjectKey = WEB,
    op: str = "update",
    outcome: str = "done",
    lag: float | None = 0.5,
) -> None:
    """A row of the audit."""
    entry = AuditEntry(key, op, f"{key.name} at {seconds:g}", "before", "after", outcome, lag)
    stores.delivery.record("edge", 1, [], [entry], "plan", at(seconds))


def summary(**audit: int) -> str:
    """As a report that covers these devices has it."""
    return msgspec.json.encode(Summary(devices=tuple(audit), audit=audit)).decode()


def test_who_holds_an_address_now(database: Database) -> None:
    stores = Stores(database)
    stores.commit(Batch(at(0), leases=[LeaseStart("10.0.0.1", pod("web-1")), LeaseStart("fd00::1", pod("web-2"))]))
    stores.commit(Batch(at(1), leases=[LeaseStart("10.0.0.2", pod("gone-1"))]))
    stores.commit(Batch(at(2), leases_ended=[LeaseEnd("10.0.0.2", "uid-gone-1")]))
    asked = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1")
    assert ReportStore(database).holders("east", asked) == {
        "10.0.0.1": Holder("shop", "web-1", "ReplicaSet/web"),
        "fd00::1": Holder("shop", "web-2", "ReplicaSet/web"),
    }
    assert ReportStore(database).holders("west", asked) == {}


def test_only_single_addresses_have_holders() -> None:
    members = frozenset({"10.0.0.1", "fd00::1", "10.0.0.0/8", "10.0.0.1-10.0.0.9"})
    held = Held(PAY, frozenset({"10.0.0.7"}), "growth")
    snapshot = Snapshot("edge", {PAY: Group(PAY, members, frozenset({"api.example"}))})
    assert addresses_of(snapshot, Plan("edge", held=(held,))) == {"east": {"10.0.0.1", "fd00::1", "10.0.0.7"}}


def test_changes_since_a_row_or_a_time(database: Database) -> None:
    stores, changes = Stores(database), ChangeStore(database)
    assert changes.first("edge") is None
    for seconds, key, lag in ((10, WEB, 0.1), (20, WEB, 0.2), (30, API, 0.9)):
        done(stores, seconds, key, lag=lag)
    done(stores, 40, API, op="create", outcome="refused: no", lag=None)
    done(stores, 50, API, op="drift", outcome="repaired", lag=None)
    found = changes.numbers("edge", After())
    assert (found.total, found.refused, found.by_op) == (4, 1, {"create": 1, "update": 3})
    assert (found.lag_median, found.lag_max) == (0.2, 0.9)
    assert changes.numbers("edge", After(number=3)).total == 1
    assert changes.numbers("edge", After(at=at(20))).total == 2
    assert changes.numbers("other", After()).total == 0
    assert changes.drifts("edge", After()) == 1
    assert changes.drifts("edge", After(number=5)) == 0
    (drift,) = changes.last("edge", After(), 10, drift=True)
    assert (drift.entry.op, drift.entry.outcome, drift.number) == ("drift", "repaired", 5)
    assert len(drift.hash) == 64
    assert [one.number for one in changes.last("edge", After(), 2, drift=False)] == [4, 3]
    assert [(one.key, one.changes, one.last, one.cause) for one in changes.most("edge", After(), 10)] == [
        (API, 2, at(40), "api at 40"),
        (WEB, 2, at(20), "web at 20"),
    ]
    assert changes.first("edge") == at(10)


def test_changes_over_time(database: Database) -> None:
    stores, changes = Stores(database), ChangeStore(database)
    for seconds, lag in ((1, 0.1), (2, 0.3), (3, 0.2), (61, 5.0)):
        done(stores, seconds, lag=lag)
    done(stores, 62, op="drift", lag=None)
    found = changes.buckets("edge", After(), at(0), timedelta(minutes=1))
    assert [(one.at, one.changes, one.drift) for one in found] == [(at(0), 3, 0), (at(60), 1, 1)]
    assert [(one.lag_median, one.lag_max) for one in found] == [(0.2, 0.3), (5.0, 5.0)]


def test_a_report_goes_on_where_the_last_one_of_the_device_ended(database: Database) -> None:
    stores, archive = Stores(database), ReportArchive(database)
    done(stores, 1)
    first = archive.keep(at(10), "{}", summary(edge=1))
    done(stores, 2)  # recorded after the report, as of before it
    archive.keep(at(20), "{}", summary(other=7))
    done(stores, 30, op="drift", lag=None)
    found = Witness(database, at(40)).evidence("edge", {})
    assert found.since is not None
    assert (found.since.number, found.since.at) == (first, at(10))
    assert [one.number for one in found.changes.latest] == [2]
    assert (found.drift_total, [one.number for one in found.drift]) == (1, [3])
    assert found.standing is not None
    assert found.standing.audit_number == 3


def test_the_first_report_looks_back_a_day(database: Database) -> None:
    stores = Stores(database)
    done(stores, 0)
    done(stores, 86_400)
    found = Witness(database, at(86_500)).evidence("edge", {})
    assert found.since is None
    assert [one.at for one in found.changes.latest] == [at(86_400)]
    assert found.picture is not None
    assert sum(one.changes for one in found.picture.buckets) == 1


def test_the_picture_begins_with_the_first_change_there_is(database: Database) -> None:
    stores = Stores(database)
    assert Witness(database, at(100)).evidence("edge", {}).picture is None
    done(stores, 50)
    done(stores, 98)
    picture = Witness(database, at(100)).evidence("edge", {}).picture
    assert picture is not None
    assert (picture.since, picture.until, picture.width) == (at(50), at(100), 2.0)
    assert [one.at for one in picture.buckets] == [at(50), at(98)]


@pytest.mark.parametrize(("hours", "seconds"), [(0, 1), (1, 120), (24, 1800), (24 * 30, 86_400), (24 * 4000, 604_800)])
def test_about_fifty_buckets_of_round_width(hours: float, seconds: float) -> None:
    assert bucket_width(timedelta(hours=hours)) == seconds


def test_kept_reports(database: Database) -> None:
    archive = ReportArchive(database)
    one = archive.keep(at(1), '{"a": 1}', summary(edge=1))
    two = archive.keep(at(2), '{"a": 2}', summary(edge=2), origin="scheduled", slot=at(0))
    assert one is not None
    assert two is not None
    assert archive.keep(at(3), "{}", "{}", slot=at(0)) is None
    assert [(kept.number, kept.at, kept.origin, kept.slot) for kept in archive.kept()] == [
        (two, at(2), "scheduled", at(0)),
        (one, at(1), "asked", None),
    ]
    assert [kept.number for kept in archive.kept(1)] == [two]
    assert [kept.number for kept in archive.kept(before=two)] == [one]
    assert (archive.body(one), archive.body(two + 1)) == ('{"a": 1}', None)


def test_a_slot_is_one_replicas_to_make(database: Database) -> None:
    archive = ReportArchive(database)
    others: list[bool] = []

    def also() -> None:
        with archive.slot(at(0)) as ours:
            others.append(ours)

    with archive.slot(at(0)) as ours:
        assert ours
        thread = threading.Thread(target=also)
        thread.start()
        thread.join()
        archive.keep(at(1), "{}", "{}", origin="scheduled", slot=at(0))
    also()
    with archive.slot(at(60)) as ours:
        assert ours
    assert others == [False, False]
