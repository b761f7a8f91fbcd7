"""What happened while nobody watched is recorded with the two times between which it did."""

from datetime import datetime

from bridge.model.observed import Change, Event, Pod, Resource, Synced
from bridge.state.batch import Batch, LeaseEnd, LeaseStart
from tests.intake.fold import Bench
from tests.intake.objects import pod
from tests.intake.test_times import Stage, Wall
from tests.state.builders import at

ONE = "10.0.0.1"
LONG_AGO, SEEN = at(-600), at(-60)


def late(change: Change, value: Pod, since: datetime = SEEN) -> Event:
    return Event(change, Resource.PODS, value, since)


def ends(batch: Batch) -> list[LeaseEnd]:
    return batch.leases_ended


def starts(batch: Batch) -> list[tuple[str, datetime | None]]:
    return [(one.pod.name, one.since) for one in batch.leases]


def bench_with(*pods: Pod) -> Bench:
    bench = Bench()
    bench.commit()
    bench.see(*pods)
    return bench


def test_what_is_watched_is_exact() -> None:
    bench = bench_with(pod("pay-1", ONE))
    batch = bench.see(pod("pay-1", ONE), change=Change.DELETED)
    assert ends(batch) == [LeaseEnd(ONE, "uid-pay-1")]
    assert starts(bench.see(pod("pay-2", ONE))) == [("pay-2", None)]


def test_an_address_that_changed_hands_unwatched_ended_and_began_in_between() -> None:
    bench = bench_with(pod("pay-1", ONE))
    bench.take([late(Change.UPSERT, pod("cart-1", ONE, started=-30)), late(Change.GONE, pod("pay-1", ONE))])
    batch = bench.commit()
    assert ends(batch) == [LeaseEnd(ONE, "uid-pay-1", inferred=True, since=SEEN)]
    assert starts(batch) == [("cart-1", at(-30))], "not before it started"


def test_a_pod_that_took_the_name_of_another_unwatched_proves_its_end_but_not_when() -> None:
    bench = bench_with(pod("db-0", ONE, uid="old"))
    bench.take(
        [
            late(Change.UPSERT, pod("db-0", ONE, uid="new", started=-300)),
            late(Change.DELETED, pod("db-0", ONE, uid="old")),
        ]
    )
    batch = bench.commit()
    assert ends(batch) == [LeaseEnd(ONE, "old", inferred=True, since=SEEN)]
    assert starts(batch) == [("db-0", SEEN)], "the old one was seen to hold it until then"
    assert not any(one.inferred for one in batch.left)


def test_a_pod_found_ended_by_a_list_ended_some_time_before() -> None:
    bench = bench_with(pod("job-1", ONE))
    bench.take([late(Change.UPSERT, pod("job-1", ONE, phase="Succeeded"))])
    assert ends(bench.commit()) == [LeaseEnd(ONE, "uid-job-1", inferred=True, since=SEEN)]


def test_of_several_unwatched_changes_the_earliest_time_counts() -> None:
    bench = bench_with(pod("pay-1", ONE))
    bench.take([late(Change.DELETED, pod("pay-1", ONE), LONG_AGO), late(Change.UPSERT, pod("pay-2", ONE))])
    batch = bench.commit()
    assert ends(batch) == [LeaseEnd(ONE, "uid-pay-1", inferred=True, since=LONG_AGO)]


def test_the_next_batch_is_watched_again() -> None:
    bench = bench_with(pod("pay-1", ONE))
    bench.take([late(Change.UPSERT, pod("pay-1", ONE, labels={"app": "other"}))])
    bench.commit()
    assert ends(bench.see(pod("pay-1", ONE), change=Change.DELETED)) == [LeaseEnd(ONE, "uid-pay-1")]


def test_the_first_picture_of_a_cluster_says_since_when_at_the_earliest() -> None:
    bench = Bench()
    bench.take([Event(Change.UPSERT, Resource.PODS, pod("pay-1", ONE, started=-500))])
    batch = bench.commit()
    assert batch.leases == [LeaseStart(ONE, pod("pay-1", ONE, started=-500), at(-500))]


def test_lists_that_wait_together_leave_one_outage_from_the_first_of_them() -> None:
    stage = Stage(Wall(at(0)))
    stage.start()
    stage.until(at(60))
    stage.intake.sink([Synced(Resource.PODS, version, since) for version, since in (("2", SEEN), ("3", at(-10)))])
    stage.intake.sink([Synced(Resource.PODS, "4")])
    stage.until(at(120))
    assert [batch.unwatched_since for _, batch in stage.written if batch.unwatched_since] == [SEEN]
