"""How a worker behaves, case by case."""

import threading
from dataclasses import replace
from unittest.mock import patch

import pytest

from bridge.errors import Busy, Denied, Drifted, FencedOff, LostLease, NotOwned, StateUnavailable
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import FenceState, Group, RuleEntry, RuleList
from bridge.model.plan import Fence, Outcome, Plan
from bridge.model.policy import Action
from bridge.state.desired import ObjectState
from tests.delivery.bench import (
    ABOVE,
    BANK,
    LIST,
    Bench,
    addresses,
    allowed_to,
    bank,
    group,
    line,
    named,
    rules,
)
from tests.delivery.memory import MemoryAdapter, tampered

PAY, CART = group("pay"), group("cart")
POLICY = ObjectKey(Kind.POLICY, "", Scope.SERVICE)


def _shop(members: int = 3, **settings: object) -> Bench:
    """Two Services that may reach the bank, in step."""
    bench = Bench(**settings)  # type: ignore[arg-type]
    bench.state.want_group(PAY)
    bench.state.want_group(CART)
    bench.state.want(bank(), rules(line(PAY), line(CART)))
    bench.state.move(named(PAY, addresses(members)))
    bench.settle()
    assert bench.members(PAY) == set(addresses(members))
    return bench


def test_a_restart_with_nothing_changed_writes_nothing() -> None:
    bench = _shop(50)
    writes = bench.memory.writes
    bench.restart()
    bench.settle()
    assert bench.memory.writes == writes
    assert not bench.state.pending


def test_one_member_is_one_write_and_no_read() -> None:
    bench = _shop(300)
    writes, reads = bench.memory.writes, bench.memory.reads
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.settle()
    assert "10.0.9.9" in bench.members(PAY)
    assert (bench.memory.writes, bench.memory.reads) == (writes + 1, reads)


def test_an_empty_group_matches_nothing_and_stays() -> None:
    bench = _shop()
    bench.state.move(leave=named(PAY, addresses(3)))
    bench.settle()
    assert bench.memory.objects[PAY] == Group(PAY)


@pytest.mark.parametrize("atomic", [True, False])
def test_an_address_is_never_in_two_allow_groups_when_it_moves(atomic: bool) -> None:
    bench = _shop(40, atomic=atomic)
    bench.memory.history.clear()
    for number, address in enumerate(addresses(40)):
        bench.state.move(named(CART, [address]), named(PAY, [address]))
        if number % 7 == 0:
            bench.settle()
    bench.settle()
    assert bench.members(CART) == set(addresses(40))
    for objects in bench.memory.history:
        assert all(len(allowed_to(objects, address)) <= 1 for address in addresses(40))


@pytest.mark.parametrize(
    "failure",
    [
        Busy("edge", "busy", 7),
        Denied("edge", "no"),
        Drifted("edge", "moved"),
        RuntimeError("a fault of ours"),
        NotOwned("edge", ["/Common/theirs"]),
    ],
)
@pytest.mark.parametrize("after", [None, 0, 1, 3])
@pytest.mark.parametrize("atomic", [True, False])
def test_no_failure_ends_it(failure: Exception, after: int | None, atomic: bool) -> None:
    bench = _shop(atomic=atomic)
    bench.memory.failures, bench.memory.fail_after = [failure], after
    bench.state.move(named(PAY, addresses(20, 100)), named(PAY, addresses(2)))
    bench.state.want(bank("192.0.2.7"))
    bench.worker.audit()
    bench.settle()
    bench.memory.failures.clear()
    bench.memory.fail_after = None
    assert bench.members(PAY) == {*addresses(20, 100), addresses(3)[2]}
    assert not bench.state.pending
    assert bench.worker.pacing.state == "ok"


def test_denied_leaves_the_device_alone_for_a_while() -> None:
    bench = _shop()
    bench.memory.failures = [Denied("edge", "wrong password")]
    bench.worker.audit()
    assert bench.turn() >= 60
    assert bench.state.health[-1].state == "denied"
    bench.settle()
    assert bench.state.health[-1].state == "ok"


@pytest.mark.parametrize("failure", [Denied("edge", "wrong password"), Busy("edge", "silent", retry_after=60)])
def test_changes_do_not_cut_short_how_long_a_device_that_failed_is_left_alone(failure: Exception) -> None:
    bench, stop, tried = _shop(), threading.Event(), list[float]()
    bench.memory.failures = [failure]
    bench.worker.audit()

    def busy_cluster(event: threading.Event, seconds: float) -> bool:
        tried.append(bench.clock.seconds)
        bench.worker.wake()
        if not event.is_set():
            bench.clock.seconds += seconds
        if len(tried) == 3:
            stop.set()
        return event.is_set()

    with patch.object(bench.clock, "wait", busy_cluster):
        bench.worker.run(stop, lambda: bench.epoch)
    assert bench.worker.pacing.state == "ok"
    assert tried[1] - tried[0] >= 60
    assert tried[2] == tried[1]  # a device that is well is looked after at once


def test_whoever_lost_the_device_stops() -> None:
    bench = _shop()
    bench.memory.fence = FenceState(9, "installation")
    bench.worker.audit()
    with pytest.raises(FencedOff):
        bench.turn()
    bench = _shop()
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.state.failures = [LostLease("epoch 1 is over")]
    with pytest.raises(LostLease):
        bench.turn()


def test_a_new_owner_raises_the_fence_once() -> None:
    bench = _shop()
    assert bench.memory.fence == FenceState(1, "installation")
    bench.restart()
    bench.epoch = 4
    bench.settle()
    assert bench.memory.fence == FenceState(4, "installation")


@pytest.mark.parametrize("calls", range(1, 8))
def test_the_database_goes_away_anywhere(calls: int) -> None:
    """Between any two calls, and above all between apply and record."""
    bench = _shop()
    bench.state.move(named(PAY, ["10.0.9.9"]))
    healthy = bench.state._fail
    left = iter(range(calls))

    def fail() -> None:
        if next(left, None) is None and not bench.state.failures:
            bench.state._fail = healthy  # type: ignore[method-assign]
            raise StateUnavailable("away")

    bench.state._fail = fail  # type: ignore[method-assign]
    bench.settle()
    bench.settle()
    assert "10.0.9.9" in bench.members(PAY)
    assert not bench.state.pending
    assert [entry.outcome for entry in bench.state.audit if "10.0.9.9" in entry.after] == ["done"]
    bench.clock.seconds += 60
    bench.settle()
    assert bench.memory.saved, "what was applied is saved although recording failed"


def test_drift_is_repaired_at_the_audit() -> None:
    bench = _shop(30)
    before = dict(bench.memory.objects)
    tampered(bench.memory, lambda objects: objects.update({BANK: bank("0.0.0.0/0")}))
    tampered(bench.memory, lambda objects: objects.update({LIST: rules(line(CART))}))
    shard = next(key for key in before if key.kind is Kind.SHARD)
    tampered(bench.memory, lambda objects: objects.update({shard: type(before[shard])(shard, frozenset({"10.9.9.9"}))}))  # type: ignore[arg-type]
    bench.settle()
    bench.worker.audit()
    bench.settle()
    assert bench.memory.objects == before


def test_reading_and_planning_only() -> None:
    bench = Bench()
    bench.settings = type(bench.settings)(write=False)
    bench.restart()
    bench.state.want(bank())
    bench.turn()
    assert bench.memory.writes == 0
    assert bench.memory.fence == FenceState()


# ---- refusals


def test_one_refused_object_does_not_hold_up_the_rest() -> None:
    bench = _shop()
    bad = group("bad", scope=Scope.EXTERNAL)
    bench.memory.refuses[bad] = "not like this"
    bench.state.want(
        Group(bad, frozenset({"198.51.100.1"})), rules(line(PAY), line(CART), line(PAY, Action.REJECT, to=bad))
    )
    bench.state.move(named(CART, ["10.0.9.9"]))
    bench.state.want(bank("192.0.2.7"))
    assert bench.settle() < 10
    assert bench.memory.objects[BANK] == bank("192.0.2.7")
    assert bench.state.state_of(bad) is ObjectState.QUARANTINED
    assert bench.state.applied[bad].message == "not like this"
    applies = bench.memory.applies
    bench.settle()
    assert bench.memory.applies == applies, "what is refused is left alone"
    bench.memory.refuses.clear()
    bench.worker.audit()
    bench.settle()
    assert bad in bench.memory.objects
    assert bench.state.state_of(bad) is ObjectState.PROGRAMMED


@pytest.mark.parametrize("calls", range(1, 5))
def test_a_refusal_counts_though_the_database_goes_away_before_it_is_recorded(calls: int) -> None:
    """A device that takes the rest of a plan may have taken an Allow below a Deny that it refuses."""
    bench = _shop()
    adapter = bench.worker._enforcement.adapter
    assert isinstance(adapter, MemoryAdapter)
    whole = adapter.apply

    def apply(plan: Plan, fence: Fence) -> Outcome:
        done = whole(replace(plan, phases=tuple(tuple(s for s in one if s.key != BANK) for one in plan.phases)), fence)
        refused = {BANK: "no"} if any(step.key == BANK for step in plan.steps) else {}
        return replace(done, refused=refused)

    adapter.apply = apply  # type: ignore[method-assign]
    reads = bench.memory.reads
    bench.state.want(bank("192.0.2.7"))
    left = iter(range(calls))

    def fail() -> None:
        if next(left, None) is None:
            bench.state._fail = lambda: None  # type: ignore[method-assign]
            raise StateUnavailable("away")

    bench.state._fail = fail  # type: ignore[method-assign]
    bench.settle()
    assert bench.memory.reads > reads, "everything is looked at again"
    assert bench.state.state_of(BANK) is ObjectState.QUARANTINED


def test_a_refused_list_stays_as_it_was_and_a_new_one_stays_out_of_its_policy() -> None:
    bench = _shop()
    before = bench.memory.objects[LIST]
    elsewhere = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "bank")
    bench.memory.refuses.update({LIST: "too long", elsewhere: "too long"})
    third = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "third")
    bench.state.want(rules(line(PAY)), rules(line(CART), key=elsewhere), rules(line(CART, Action.DENY), key=third))
    assert bench.settle() < 10
    assert bench.memory.objects[LIST] == before
    assert third in set(bench.memory.objects[POLICY].references())
    assert elsewhere not in bench.memory.objects


def test_what_was_refused_is_tried_again_when_it_changes_and_the_withheld_comes_back_with_it() -> None:
    bench = _shop()
    bench.memory.refuses[ABOVE] = "no"
    bench.state.want(rules(line(CART, Action.DENY), key=ABOVE))
    bench.state.want(rules(line(PAY), line(CART), line(PAY, Action.ALLOW, to=PAY)))
    bench.settle()
    listed = bench.memory.objects[LIST]
    assert isinstance(listed, RuleList)
    assert len(listed.entries) == 2, "no Allow is added below a Deny that is not in force"
    bench.memory.refuses.clear()
    bench.state.want(rules(line(CART, Action.REJECT), key=ABOVE))
    bench.settle()
    listed = bench.memory.objects[LIST]
    assert isinstance(listed, RuleList)
    assert ABOVE in bench.memory.objects
    assert len(listed.entries) == 3


def test_nobody_joins_an_allow_below_a_refused_deny() -> None:
    bench = _shop()
    bench.memory.refuses[ABOVE] = "no"
    bench.state.want(rules(line(CART, Action.DENY), key=ABOVE))
    bench.settle()
    bench.state.move(named(PAY, ["10.0.9.9"]), named(PAY, addresses(1)))
    bench.settle()
    assert bench.members(PAY) == set(addresses(2, 1))
    bench.memory.refuses.clear()
    bench.worker.audit()
    bench.settle()
    assert bench.members(PAY) == {*addresses(2, 1), "10.0.9.9"}


def test_no_allow_is_added_that_names_what_is_refused() -> None:
    """The device has an older meaning of it, wider perhaps than what the new line should allow."""
    bench = _shop()
    bench.memory.refuses[BANK] = "no"
    bench.state.want(
        bank("192.0.2.9"),
        rules(
            line(PAY), line(CART), line(PAY, Action.ALLOW, to=PAY), RuleEntry("x", Action.ALLOW, (CART, PAY), (BANK,))
        ),
    )
    bench.settle()
    listed = bench.memory.objects[LIST]
    assert isinstance(listed, RuleList)
    assert [entry.destinations for entry in listed.entries] == [(BANK,), (BANK,), (PAY,)]


def test_nor_does_its_destination_widen() -> None:
    bench = _shop()
    bench.state.want(rules(line(PAY, withheld=True)))
    bench.state.want(bank("192.0.2.1", "192.0.2.2"))
    bench.settle()
    assert bench.memory.objects[BANK] == bank("192.0.2.1")
    bench.state.want(rules(line(PAY)))
    bench.settle()
    assert bench.memory.objects[BANK] == bank("192.0.2.1", "192.0.2.2")


def test_a_deny_takes_who_joins_though_an_allow_of_the_same_group_is_withheld() -> None:
    bench = _shop()
    bench.state.want(rules(line(PAY, Action.DENY), line(PAY, withheld=True)))
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.settle()
    assert "10.0.9.9" in bench.members(PAY)
    assert not allowed_to(bench.memory.objects, "10.0.9.9")


def test_what_the_device_cannot_express_is_told() -> None:
    bench = _shop()
    bench.memory.unsupported[BANK] = "no such thing"
    bench.state.want(bank("192.0.2.9"))
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.settle()
    assert bench.memory.objects[BANK] == bank()
    assert "10.0.9.9" in bench.members(PAY)
    assert bench.state.state_of(BANK) is ObjectState.QUARANTINED


def test_states_are_right_again_after_a_restart() -> None:
    bench = _shop()
    bench.memory.refuses[BANK] = "no"
    bench.state.want(bank("192.0.2.9"))
    bench.settle()
    assert bench.state.state_of(BANK) is ObjectState.QUARANTINED
    bench.memory.refuses.clear()
    bench.restart()
    bench.settle()
    assert bench.memory.objects[BANK] == bank("192.0.2.9")
    assert bench.state.state_of(BANK) is ObjectState.PROGRAMMED


def test_stored_is_not_yet_enforced() -> None:
    bench = _shop()
    bench.memory.active = False
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.turn()
    assert bench.state.state_of(PAY) is ObjectState.AWAITING_DEPLOY
    bench.memory.active = True
    bench.settle()
    assert bench.state.state_of(PAY) is ObjectState.PROGRAMMED


# ---- the guard


def test_a_mass_removal_that_no_event_proves_is_held_and_the_rest_flows() -> None:
    bench = _shop(100)
    bench.state.move(named(CART, ["10.0.9.9"]), named(PAY, addresses(30)), inferred=True)
    bench.state.move(leave=named(PAY, addresses(5, 90)))
    bench.settle()
    left = set(addresses(100)) - set(addresses(5, 90))
    assert bench.members(PAY) == left
    assert bench.members(CART) == {"10.0.9.9"}
    assert [(one.key, one.members) for one in bench.state.held] == [(PAY, frozenset(addresses(30)))]
    assert bench.state.state_of(PAY) is ObjectState.HELD
    for again in (bench.worker.audit, bench.restart):
        again()
        bench.settle()
        assert bench.members(PAY) == left
        assert [one.members for one in bench.state.held] == [frozenset(addresses(30))]


def test_proven_removals_flow_however_many() -> None:
    bench = _shop(300)
    bench.state.move(leave=named(PAY, addresses(300)))
    bench.settle()
    assert bench.members(PAY) == frozenset()
    assert bench.state.held == ()


def test_a_held_address_that_another_workload_has_now_is_let_go() -> None:
    bench = _shop(100)
    bench.state.move(leave=named(PAY, addresses(30)), inferred=True)
    bench.settle()
    bench.memory.history.clear()
    bench.state.move(named(CART, addresses(1)))
    bench.state.prove(addresses(1))
    bench.settle()
    assert bench.members(CART) == set(addresses(1))
    assert bench.members(PAY) == set(addresses(99, 1))
    assert all(len(allowed_to(objects, addresses(1)[0])) <= 1 for objects in bench.memory.history)
    assert [one.members for one in bench.state.held] == [frozenset(addresses(30))], "a list is fixed"


def test_who_lives_on_and_joins_elsewhere_still_waits_to_leave() -> None:
    bench = _shop(100)
    bench.state.move(named(CART, addresses(30)), named(PAY, addresses(30)), inferred=True)
    bench.settle()
    assert bench.members(CART) == set(addresses(30))
    assert bench.members(PAY) == set(addresses(100))


def test_what_was_held_and_comes_back_is_held_no_more() -> None:
    bench = _shop(100)
    bench.state.move(leave=named(PAY, addresses(30)), inferred=True)
    bench.settle()
    bench.state.move(named(PAY, addresses(30)))
    bench.settle()
    assert bench.members(PAY) == set(addresses(100))
    assert bench.state.held == ()
    assert bench.state.state_of(PAY) is ObjectState.PROGRAMMED


def test_what_was_held_and_is_proven_later_goes() -> None:
    bench = _shop(100)
    bench.state.move(leave=named(PAY, addresses(30)), inferred=True)
    bench.settle()
    bench.state.move(named(PAY, addresses(30)))
    bench.state.move(leave=named(PAY, addresses(30)))
    bench.settle()
    assert bench.members(PAY) == set(addresses(70, 30))
    assert bench.state.held == ()


def test_what_is_held_adds_up_and_goes_with_its_group() -> None:
    bench = _shop(100)
    bench.state.move(leave=named(PAY, addresses(30)), inferred=True)
    bench.settle()
    bench.state.move(leave=named(PAY, addresses(30, 30)), inferred=True)
    bench.settle()
    assert [one.members for one in bench.state.held] == [frozenset(addresses(60))]
    bench.state.want(rules(line(CART)))
    bench.state.no_longer(PAY)
    bench.settle()
    assert bench.state.held == ()
    assert PAY not in bench.memory.objects
    assert not bench.state.pending


def test_small_removals_one_after_another_are_counted_with_what_is_held() -> None:
    """The guard must not be passed by in small pieces while it holds something."""
    bench = _shop(100)
    bench.state.move(leave=named(PAY, addresses(30)), inferred=True)
    bench.settle()
    bench.state.move(leave=named(PAY, addresses(5, 30)), inferred=True)
    bench.settle()
    assert bench.members(PAY) == set(addresses(100))


def test_a_destination_widened_to_everything_waits_over_audit_and_restart() -> None:
    bench = _shop()
    bench.state.want(bank("192.0.2.1", "192.0.2.2", "0.0.0.0/0"))
    for again in (bench.worker.wake, bench.worker.audit, bench.restart):
        again()
        bench.settle()
        assert bench.memory.objects[BANK] == bank("192.0.2.1", "192.0.2.2")
        assert bench.state.state_of(BANK) is ObjectState.HELD
    bench.state.want(bank("192.0.2.3"))
    bench.settle()
    assert bench.memory.objects[BANK] == bank("192.0.2.3")
    assert bench.state.held == ()


def test_a_group_grows_in_parts_and_shrinks_again() -> None:
    bench = _shop(3, limits=Limits(shard_members=8, batch=50))
    for count in (9, 40, 100, 5, 0):
        bench.state.move(named(PAY, addresses(count)), named(PAY, addresses(100 - count, count)))
        bench.settle()
        assert bench.members(PAY) == set(addresses(count))
        assert all(key.group in bench.memory.objects for key in bench.memory.objects)
    assert not [key for key in bench.memory.objects if key.kind is Kind.SHARD]
