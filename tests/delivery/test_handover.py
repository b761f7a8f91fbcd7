"""Which addresses change hands in a plan, for how long, and whether the order of its steps could let both owners' permissions stand."""

from datetime import timedelta

import pytest

from bridge.delivery.handover import HandoverWatch
from bridge.errors import LostLease
from bridge.model.handover import Bucket, Handed
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Objects, RuleEntry, RuleList, Shard
from bridge.model.plan import Op, Plan, Step
from bridge.model.policy import Action
from bridge.state import handovers
from bridge.state.database import Database
from bridge.state.desired import DesiredRow
from tests.state.builders import Stores, at

OLD, NEW, STOP = (ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", name) for name in ("old", "new", "stop"))
LINES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
A, B = "10.0.0.1", "10.0.0.2"


def step(key: ObjectKey, before: str, after: str) -> Step:
    """Members, each one letter."""
    was, will = (Group(key, frozenset({"a": A, "b": B}[one] for one in some)) for some in (before, after))
    return Step(Op.UPDATE, key, was, will)


def rows(*keys: ObjectKey, since: float = 0) -> dict[ObjectKey, DesiredRow]:
    return {key: DesiredRow(key, 2, 1, None, False, 0, at(since), "", at(since)) for key in keys}


LEAVES, JOINS = step(OLD, "a", ""), step(NEW, "", "a")


def seen(*phases: tuple[Step, ...], objects: Objects | None = None) -> list[Handed]:
    watch = HandoverWatch()
    watch.sends(Plan("edge", phases), objects or {})
    return list(watch.seen(rows(OLD, NEW, STOP), (), at(3)))


def test_in_one_transaction_or_first_out_then_in_nobody_has_both() -> None:
    assert seen((JOINS, LEAVES)) == seen((LEAVES,), (JOINS,)) == [Handed(3.0)]


def test_first_in_then_out_is_told() -> None:
    assert seen((JOINS,), (LEAVES,)) == [Handed(3.0, both=True)]


def test_what_is_stopped_gives_nothing() -> None:
    """Into the group of a Deny an address goes first."""
    lines = RuleList(LINES, (RuleEntry("no", Action.DENY, (STOP,), (OLD,)),))
    joins = step(STOP, "", "a")
    assert seen((joins,), (LEAVES,), objects={LINES: lines}) == [Handed(3.0)]
    assert seen((joins,), (LEAVES,)) == [Handed(3.0, both=True)]


def test_who_only_leaves_or_stays_or_comes_changes_no_hands() -> None:
    assert seen((step(OLD, "ab", "b"),), (step(NEW, "", ""),)) == []
    assert seen((step(OLD, "a", "a"), JOINS)) == []


def test_another_part_of_the_same_group_is_no_other_owner() -> None:
    one, two = OLD.shard(0, 2), OLD.shard(1, 2)
    out = Step(Op.UPDATE, one, Shard(one, frozenset({A})), Shard(one, frozenset()))
    into = Step(Op.UPDATE, two, Shard(two, frozenset()), Shard(two, frozenset({A})))
    assert seen((out, into)) == []


def test_a_plan_that_breaks_off_is_followed_into_the_next_and_told_once() -> None:
    watch = HandoverWatch()
    watch.sends(Plan("edge", ((LEAVES,), (JOINS,))), {})
    watch.sends(Plan("edge", ((JOINS,),)), {})
    assert list(watch.seen(rows(NEW, since=1), (), at(9))) == [Handed(8.0)]
    assert list(watch.seen(rows(NEW), (), at(10))) == []


def test_what_the_device_refuses_is_not_handed_over_yet() -> None:
    watch = HandoverWatch()
    watch.sends(Plan("edge", ((LEAVES, JOINS),)), {})
    assert list(watch.seen(rows(NEW), {OLD}, at(5))) == []
    assert list(watch.seen(rows(NEW), (), at(7))) == [Handed(7.0)]


def two_plans(begun: float) -> list[Handed]:
    """The old permission goes with one plan, at 5; the new one comes with the next, of a change that was recorded at that time."""
    watch = HandoverWatch()
    watch.sends(Plan("edge", ((LEAVES,),)), {})
    assert list(watch.seen(rows(OLD), (), at(5))) == []
    watch.sends(Plan("edge", ((JOINS,),)), {})
    return list(watch.seen(rows(NEW, since=begun), (), at(9)))


def test_a_new_holder_who_came_while_the_old_one_was_on_his_way_out_had_a_window() -> None:
    assert two_plans(begun=3) == [Handed(2.0)]


def test_a_new_holder_who_came_after_that_had_none() -> None:
    assert two_plans(begun=5) == two_plans(begun=8) == []


def test_they_are_counted_by_the_minute_by_the_owner_alone(database: Database) -> None:
    stores = Stores(database)
    for second, found in (
        (0, {3: Bucket(2, 0.1)}),
        (30, {3: Bucket(1, 0.2, 1), 9: Bucket(1, 5.0)}),
        (90, {3: Bucket(1, 0.1)}),
    ):
        stores.delivery.record_handovers("edge", 1, at(second), found)
    with pytest.raises(LostLease):
        stores.delivery.record_handovers("edge", 2, at(95), {3: Bucket(1, 0.1)})
    with database.transaction() as connection:
        whole = handovers.since(connection, at(0) - timedelta(days=1))["edge"]
        last = handovers.since(connection, at(60), "edge")["edge"]
    assert (whole.count, whole.p50, whole.p99, whole.worst, whole.both) == (5, 0.2, 5.0, 5.0, 1)
    assert (last.count, last.both) == (1, 0)
