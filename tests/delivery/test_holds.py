"""What people decide about held steps, and stops: exactly that and no more, over restarts in every state."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import StateUnavailable
from bridge.model.capabilities import Limits
from bridge.model.decisions import Choice, Control, Decision, Settled, Stop
from bridge.model.identity import ObjectKey
from bridge.model.plan import HoldKind
from bridge.state.desired import HeldList, ListState, ObjectState
from tests.delivery.bench import BANK, Bench, addresses, bank, group, line, named, rules
from tests.state.builders import START

PAY, CART = group("pay"), group("cart")
Again = Callable[[Bench], None]


def _nothing(bench: Bench) -> None:
    """Goes on as it is."""


def _audit(bench: Bench) -> None:
    bench.worker.audit()


def _restart(bench: Bench) -> None:
    bench.restart()


AGAIN = pytest.mark.parametrize("again", [_nothing, _audit, _restart])


def _shop(members: int = 100) -> Bench:
    bench = Bench(limits=Limits(shard_members=500, batch=50))
    bench.state.want_group(PAY)
    bench.state.want_group(CART)
    bench.state.want(bank(), rules(line(PAY), line(CART)))
    bench.state.move(named(PAY, addresses(members)))
    bench.settle()
    return bench


def _lose(bench: Bench, count: int, first: int = 0, key: ObjectKey = PAY) -> None:
    """Members leave, and nothing proves it."""
    bench.state.move(leave=named(key, addresses(count, first)), inferred=True)
    bench.settle()


def _list(bench: Bench) -> HeldList:
    (found,) = [one for one in bench.state.lists.values() if one.state is ListState.HELD]
    return found


def _decide(bench: Bench, about: HeldList, verdict: Choice, cluster: str = "east") -> tuple[str, Settled, str]:
    decision = Decision(cluster, verdict.lower(), "u", "edge", about.digest, verdict, "ann", "as agreed", START)
    bench.state.order(stops=bench.state.orders.stops, decisions=[decision])
    bench.settle()
    return bench.state.settlements[-1]


def _state(bench: Bench, about: HeldList) -> ListState:
    return bench.state.lists[about.digest].state


STOP = Stop("east", "maintenance", "s", (), "bob", "the datacentre moves", START)


@AGAIN
def test_release_lets_pass_exactly_that_list(again: Again) -> None:
    bench = _shop()
    _lose(bench, 30)
    first = _list(bench)
    again(bench)
    _lose(bench, 2, 30)
    second = _list(bench)
    assert _state(bench, first) is ListState.SUPERSEDED
    again(bench)
    told = _decide(bench, first, Choice.RELEASE)
    assert told[1:] == (Settled.DONE, "released: 30 of 30 members, which is all that was still wanted")
    assert bench.members(PAY) == set(addresses(70, 30)), "the two are in no list that was released"
    assert (_state(bench, first), _state(bench, second)) == (ListState.DONE, ListState.HELD)
    again(bench)
    bench.settle()
    assert bench.members(PAY) == set(addresses(70, 30))
    assert _decide(bench, second, Choice.RELEASE)[1] is Settled.DONE
    assert bench.members(PAY) == set(addresses(68, 32))
    assert bench.state.held == ()
    assert bench.state.state_of(PAY) is ObjectState.PROGRAMMED
    assert any("released by ann: as agreed" in entry.cause for entry in bench.state.audit)


def test_release_applies_what_is_still_wanted() -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    bench.state.move(named(PAY, addresses(10)))
    bench.settle()
    assert _list(bench).digest == about.digest, "a list is fixed, whatever of it is still wanted"
    assert "20 of 30" in _decide(bench, about, Choice.RELEASE)[2]
    assert bench.members(PAY) == {*addresses(10), *addresses(70, 30)}
    bench.state.move(leave=named(PAY, addresses(10)), inferred=True)
    bench.state.move(leave=named(PAY, addresses(20, 30)), inferred=True)
    bench.settle()
    assert len(bench.members(PAY)) == 80, "the release was for once"


@AGAIN
def test_rejected_stays_for_good_and_without_alarm(again: Again) -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    assert _decide(bench, about, Choice.REJECT)[1] is Settled.DONE
    for _ in range(2):
        again(bench)
        bench.settle()
        assert bench.members(PAY) == set(addresses(100))
        assert bench.state.held == ()
        assert _state(bench, about) is ListState.REJECTED
        assert bench.state.applied[PAY].state is ObjectState.HELD
        assert bench.state.applied[PAY].message.endswith("rejected by ann: as agreed")
    _lose(bench, 3, 30)
    assert bench.members(PAY) == {*addresses(30), *addresses(67, 33)}, "what was decided counts no more"
    _lose(bench, 30, 40)
    assert sum(len(one.members) for one in _list(bench).held) == 30
    bench.state.move(named(PAY, addresses(30)))
    bench.settle()
    assert _state(bench, about) is ListState.DONE
    assert _decide(bench, about, Choice.RELEASE)[1] is Settled.NOTHING_HELD


def test_a_rejected_list_can_be_released_after_all_and_not_the_other_way_round() -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    _decide(bench, about, Choice.REJECT)
    assert _decide(bench, about, Choice.RELEASE)[1] is Settled.DONE
    assert bench.members(PAY) == set(addresses(70, 30))
    assert _decide(bench, about, Choice.REJECT)[1] is Settled.NOTHING_HELD


@AGAIN
def test_part_of_a_list_is_rejected_through_an_older_one(again: Again) -> None:
    bench = _shop()
    _lose(bench, 30)
    first = _list(bench)
    _lose(bench, 5, 30)
    assert _decide(bench, first, Choice.REJECT)[1] is Settled.DONE
    bench.settle()
    for _ in range(2):
        assert [one.members for one in _list(bench).held] == [frozenset(addresses(5, 30))]
        again(bench)
        bench.settle()


def test_proof_lets_the_rest_wait() -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    bench.state.prove(addresses(25))
    bench.settle()
    assert bench.members(PAY) == {*addresses(5, 25), *addresses(70, 30)}
    assert _list(bench).digest == about.digest
    bench.restart()
    bench.settle()
    assert len(bench.members(PAY)) == 75, "few enough to pass the guard now, and still for a person to decide"


def test_proof_is_asked_for_again_where_the_database_went_away_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = _shop()
    _lose(bench, 30)
    bench.state.prove(addresses(10))

    def away(*_: object) -> None:
        monkeypatch.undo()
        raise StateUnavailable("away")

    monkeypatch.setattr(bench.state, "unproven", away)
    bench.settle()
    bench.settle()
    assert len(bench.members(PAY)) == 90


@pytest.mark.parametrize("moment", range(8))
def test_the_database_goes_away_while_it_is_decided(moment: int) -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    decision = Decision("east", "d", "u", "edge", about.digest, Choice.RELEASE, "ann", "", START)
    bench.state.order(decisions=[decision])
    working = bench.state.failures
    working += [StateUnavailable("gone")] if not moment else []
    calls = 0
    original = bench.state._fail

    def fail() -> None:
        nonlocal calls
        calls += 1
        if calls == moment:
            raise StateUnavailable("gone")
        original()

    bench.state._fail = fail  # type: ignore[method-assign]
    bench.turn()
    if moment % 2:
        bench.restart()
    bench.settle()
    assert bench.members(PAY) == set(addresses(70, 30))
    assert (_state(bench, about), bench.state.orders.decisions) == (ListState.DONE, ())
    assert bench.state.settlements[0][1] is Settled.DONE


def test_two_decisions_of_which_the_second_fails_to_be_written() -> None:
    bench = _shop()
    _lose(bench, 30)
    first = _list(bench)
    _lose(bench, 2, 30)
    second = _list(bench)
    decisions = [
        Decision("east", name, name, "edge", about.digest, Choice.RELEASE, "ann", "", START)
        for name, about in (("one", first), ("two", second))
    ]
    bench.state.order(decisions=decisions)
    done = bench.state.decide

    def decide(*asked: Any) -> None:  # noqa: ANN401 (as the state has it)
        if asked[2].name == "two":
            bench.state.decide = done  # type: ignore[method-assign]
            raise StateUnavailable("gone")
        done(*asked)

    bench.state.decide = decide  # type: ignore[method-assign, assignment]
    bench.turn()
    assert len(bench.members(PAY)) == 100
    bench.settle()
    assert len(bench.members(PAY)) == 68


def test_a_release_survives_a_device_that_fails_and_a_restart() -> None:
    from bridge.errors import Busy

    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    decision = Decision("east", "d", "u", "edge", about.digest, Choice.RELEASE, "ann", "", START)
    bench.state.order(decisions=[decision])
    bench.memory.fail_after = 0
    bench.memory.failures = [Busy("edge", "busy")]
    bench.turn()
    assert _state(bench, about) is ListState.RELEASED
    assert len(bench.members(PAY)) == 100
    bench.restart()
    bench.settle()
    assert bench.members(PAY) == set(addresses(70, 30))
    assert _state(bench, about) is ListState.DONE


def test_decisions_about_nothing_are_told_so() -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    assert _decide(bench, about, Choice.RELEASE, "west")[1] is Settled.NOTHING_HELD
    assert _decide(bench, replace(about, digest="0" * 16), Choice.RELEASE)[1] is Settled.NOTHING_HELD
    assert len(bench.members(PAY)) == 100
    _decide(bench, about, Choice.RELEASE)
    assert _decide(bench, about, Choice.RELEASE)[1] is Settled.NOTHING_HELD


def test_a_list_of_edits_in_a_freeze_that_intake_left_undone_is_told_to_be_over() -> None:
    bench = _shop()
    freeze = HeldList("east", "f" * 16, (), START, kind="freeze")
    bench.state.lists[freeze.digest] = freeze
    decision = Decision("east", "d", "u", "edge", freeze.digest, Choice.RELEASE, "ann", "", START)
    bench.state.order(decisions=[decision])
    bench.settle()
    assert bench.state.orders.decisions == ()
    assert [(state, "is over" in words) for _, state, words in bench.state.settlements] == [
        (Settled.NOTHING_HELD, True)
    ]
    assert bench.state.lists[freeze.digest] == freeze


def test_each_cluster_has_a_list_of_its_own() -> None:
    west = replace(PAY, cluster="west")
    bench = _shop()
    bench.state.want_group(west)
    bench.state.move(named(west, addresses(100, 1000)))
    bench.settle()
    bench.state.move(leave=[*named(PAY, addresses(30)), *named(west, addresses(40, 1000))], inferred=True)
    bench.settle()
    lists = {one.cluster: one for one in bench.state.lists.values()}
    assert {name: len(one.held[0].members) for name, one in lists.items()} == {"east": 30, "west": 40}
    _decide(bench, lists["west"], Choice.RELEASE, "west")
    assert (len(bench.members(PAY)), len(bench.members(west))) == (100, 60)


@AGAIN
def test_a_destination_widened_to_everything_is_released(again: Again) -> None:
    bench = _shop()
    wide = bank("192.0.2.1", "0.0.0.0/0")
    bench.state.want(wide)
    bench.settle()
    about = _list(bench)
    assert [(one.key, one.kind) for one in about.held] == [(BANK, HoldKind.DESTINATION)]
    again(bench)
    _decide(bench, about, Choice.RELEASE)
    again(bench)
    bench.settle()
    assert bench.memory.objects[BANK] == wide
    assert bench.state.state_of(BANK) is ObjectState.PROGRAMMED


@AGAIN
def test_growth_is_released(again: Again) -> None:
    bench = _shop()
    bench.state.move(named(PAY, addresses(1200, 100)))
    bench.settle()
    about = _list(bench)
    assert [(one.kind, len(one.members)) for one in about.held] == [(HoldKind.GROWTH, 1200)]
    bench.state.move(named(CART, addresses(2000, 2000)))
    again(bench)
    bench.settle()
    assert len(bench.members(CART)) == 0, "growth from nothing of a group that stands there is growth"
    _decide(bench, about, Choice.RELEASE)
    assert len(bench.members(PAY)) == 1300
    assert len(bench.members(CART)) == 0


def test_a_first_load_that_was_cut_short_goes_on_and_is_no_growth() -> None:
    bench = _shop()
    bench.state.move(named(CART, addresses(1500, 3000)))
    row = bench.state.rows[CART]
    bench.state.rows[CART] = replace(row, applied_generation=0)
    bench.restart()
    bench.settle()
    assert len(bench.members(CART)) == 1500


def test_a_complement_widens_only_with_the_removal() -> None:
    """Who left one group without proof, joins what is left of the others: both wait, and both go."""
    bench = _shop()
    bench.state.move(
        named(CART, addresses(30)),
        named(PAY, addresses(30)),
        inferred=True,
        doubtful=named(CART, addresses(30)),
    )
    bench.settle()
    about = _list(bench)
    assert {(one.key, one.kind) for one in about.held} == {(PAY, HoldKind.REMOVAL), (CART, HoldKind.WIDENING)}
    assert (len(bench.members(PAY)), len(bench.members(CART))) == (100, 0)
    bench.restart()
    bench.settle()
    assert _list(bench).digest == about.digest
    bench.state.prove(addresses(10))
    bench.settle()
    assert (len(bench.members(PAY)), len(bench.members(CART))) == (90, 10)
    _decide(bench, about, Choice.RELEASE)
    assert (len(bench.members(PAY)), len(bench.members(CART))) == (70, 30)


def test_a_mass_change_in_small_pieces_is_held_from_the_point_where_it_is_one() -> None:
    bench = _shop()
    for number in range(30):
        bench.state.move(leave=named(PAY, addresses(1, number)), inferred=True)
        bench.turn()
        bench.clock.seconds -= 4
    bench.settle()
    assert len(bench.members(PAY)) == 80
    assert sum(len(one.members) for one in _list(bench).held) == 10


def test_small_pieces_of_many_groups_are_one_mass_change_of_the_device() -> None:
    bench = Bench(limits=Limits(shard_members=500, batch=50))
    keys = [group(f"team-{number}") for number in range(30)]
    for number, key in enumerate(keys):
        bench.state.want_group(key)
        bench.state.move(named(key, addresses(50, 50 * number)))
    bench.state.want(bank(), rules(*map(line, keys)))
    bench.settle()
    for number, key in enumerate(keys):
        bench.state.move(leave=named(key, addresses(15, 50 * number)), inferred=True)
        bench.turn()
        bench.clock.seconds -= 4
    bench.settle()
    assert sum(len(bench.members(key)) for key in keys) == 1500 - 195, "200 of the device, in pieces of 15"


def test_what_left_long_ago_counts_no_more() -> None:
    bench = _shop()
    for number in range(30):
        bench.state.move(leave=named(PAY, addresses(1, number)), inferred=True)
        bench.turn()
        bench.clock.seconds += 4
    bench.settle()
    assert len(bench.members(PAY)) == 70


# ---- stops


@AGAIN
def test_a_stopped_device_is_read_and_compared_and_not_written(again: Again) -> None:
    bench = _shop()
    bench.state.order(stops=[STOP])
    bench.turn()
    writes, fence = bench.memory.writes, bench.memory.fence
    bench.state.move(named(CART, ["10.0.9.9"]), named(PAY, addresses(50)))
    again(bench)
    bench.epoch = 2
    for _ in range(3):
        bench.turn()
    bench.worker.audit()
    bench.turn()
    assert (bench.memory.writes, bench.memory.fence, bench.memory.saved) == (writes, fence, 0)
    last = bench.state.health[-1]
    assert (last.state, last.read) == ("stopped", True)
    assert last.message == (
        "stopped by bob: the datacentre moves (Stop maintenance in cluster east); steps that wait: 2"
    )
    assert list(bench.state.obeyed[-1]) == [STOP]
    assert not bench.worker.in_step.is_set()
    bench.state.order()
    bench.settle()
    assert bench.memory.fence.epoch == 2
    assert bench.members(PAY) == set(addresses(50, 50))
    assert not bench.state.obeyed[-1]
    assert bench.state.health[-1].state == "ok"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unheard for two seconds"])
def test_a_stop_takes_effect_before_the_next_call_of_a_plan_on_its_way(announced: bool) -> None:
    bench = Bench(atomic=False)
    for number in range(20):
        bench.state.want_group(group(f"g{number}"))
        bench.state.move(named(group(f"g{number}"), addresses(1, number)))
    bench.state.want(bank(), rules(*(line(group(f"g{number}")) for number in range(20))))
    calls = 0

    def permit() -> None:
        nonlocal calls
        calls += 1
        if calls == 7:
            bench.state.order(stops=[STOP])
            if announced:
                bench.worker.wake()
            bench.clock.seconds += 2
        bench.worker.permit()

    bench.permit = permit
    bench.restart()
    assert bench.turn() == 0
    assert bench.memory.writes == 5, "after the fence"
    for _ in range(3):
        bench.turn()
    assert bench.memory.writes == 5
    assert bench.state.health[-1].state == "stopped"
    bench.state.order()
    bench.settle()
    assert bench.members(group("g19")) == set(addresses(1, 19))


@AGAIN
def test_a_decision_on_a_stopped_device_waits_with_it(again: Again) -> None:
    bench = _shop()
    _lose(bench, 30)
    about = _list(bench)
    decision = Decision("east", "d", "u", "edge", about.digest, Choice.RELEASE, "ann", "", START)
    bench.state.orders = Control((STOP,), (decision,))
    bench.turn()
    again(bench)
    bench.turn()
    assert bench.state.settlements[-1][1] is Settled.DONE
    assert len(bench.members(PAY)) == 100
    assert _state(bench, about) is ListState.RELEASED
    bench.state.order()
    bench.settle()
    assert len(bench.members(PAY)) == 70
    assert _state(bench, about) is ListState.DONE


def test_what_is_held_is_listed_on_a_stopped_device_too() -> None:
    bench = _shop()
    bench.state.order(stops=[STOP])
    bench.turn()
    bench.state.move(leave=named(PAY, addresses(30)), inferred=True)
    bench.turn()
    assert sum(len(one.members) for one in _list(bench).held) == 30
