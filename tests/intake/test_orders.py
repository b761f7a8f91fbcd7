"""Orders in the record of a cluster: each recorded once with the batch that saw it, and nothing ended by what nobody saw."""

from dataclasses import replace
from typing import Any

from bridge.intake.intake import required
from bridge.model.decisions import Settled
from bridge.model.observed import Change, Event, Order, Resource, Undecodable
from bridge.state.batch import Batch
from tests.intake.fold import EDGE, Bench, event
from tests.intake.objects import namespace, pod

DECISION = {"device": "edge", "digest": "0123456789abcdef", "verdict": "Release", "by": "ann", "reason": "seen"}
STOP = {"by": "ann", "reason": "a fire"}


def order(resource: Resource, name: str, spec: Any, uid: str = "") -> Order:  # noqa: ANN401
    return Order(resource, uid or f"uid-{name}", name, "1", spec, "2026-03-01T12:00:00Z")


def _bench() -> Bench:
    bench = Bench()
    bench.see(namespace(), pod("pay-1", "10.0.0.1"))
    return bench


def _orders(batch: Batch) -> tuple[list[str], list[str], list[str], list[str]]:
    return (
        [one.decision.name for one in batch.decisions],
        batch.decisions_gone,
        [one.stop.name for one in batch.stops],
        batch.stops_deleted,
    )


def test_nothing_is_concluded_before_the_orders_were_listed() -> None:
    assert {Resource.DECISIONS, Resource.STOPS} <= required([EDGE])


def test_an_order_is_recorded_once_and_our_own_status_is_no_news() -> None:
    bench = _bench()
    one = order(Resource.DECISIONS, "one", DECISION)
    batch = bench.see(one, order(Resource.STOPS, "halt", STOP))
    assert _orders(batch) == (["one"], [], ["halt"], [])
    assert batch.of_policy, "feedback looks"
    echo = bench.see(replace(one, resource_version="2", state="Done"))
    assert _orders(echo) == ([], [], [], [])
    bench.restart()
    assert _orders(bench.commit()) == ([], [], [], []), "the record knows them"


def test_a_decision_about_another_device_is_settled_in_the_same_batch() -> None:
    batch = _bench().see(order(Resource.DECISIONS, "one", DECISION | {"device": "core"}))
    assert [one.state for one in batch.decisions] == [Settled.NOT_HERE]


def test_a_stop_ends_by_a_deletion_that_was_seen_and_not_by_absence() -> None:
    bench = _bench()
    halt, pause = order(Resource.STOPS, "halt", STOP), order(Resource.STOPS, "pause", STOP)
    bench.see(halt, pause)
    assert _orders(bench.see(halt, change=Change.GONE)) == ([], [], [], [])
    assert _orders(bench.see(pause, change=Change.DELETED)) == ([], [], [], ["pause"])


def test_the_end_of_a_predecessor_ends_nothing() -> None:
    bench = _bench()
    old, new = (order(Resource.STOPS, "halt", STOP, uid) for uid in ("old", "new"))
    bench.see(old)
    bench.take([event(Change.UPSERT, new), event(Change.DELETED, old)])
    batch = bench.commit()
    assert _orders(batch) == ([], [], ["halt"], [])
    assert [one.stop.uid for one in batch.stops] == ["new"]


def test_a_decision_that_goes_in_whatever_way_waits_no_longer() -> None:
    bench = _bench()
    for change in (Change.DELETED, Change.GONE):
        one = order(Resource.DECISIONS, f"one-{change}", DECISION)
        bench.see(one)
        assert _orders(bench.see(one, change=change)) == ([], [one.uid], [], [])


def test_a_stop_that_cannot_be_decoded_stops_every_device() -> None:
    bench = _bench()
    odd = Undecodable(Resource.STOPS, "uid", "", "halt", "1", "metadata: generation is no number")
    bench.take([Event(Change.UPSERT, Resource.STOPS, odd)])
    (found,) = bench.commit().stops
    assert (found.stop.name, found.stop.devices, found.lifted) == ("halt", (), None)
    assert found.message
