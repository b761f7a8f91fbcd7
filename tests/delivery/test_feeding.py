"""Groups that change much become feeds where the device takes some, by a step of a plan as everything else."""

from bridge.model.capabilities import Limits
from bridge.model.intent import Group, Intent
from bridge.model.plan import Op
from bridge.model.policy import Action
from bridge.policy.diff import diff
from bridge.policy.feeding import LEAST
from tests.delivery.bench import Bench, addresses, bank, group, line, named, rules

BUSY, QUIET = group("busy"), group("quiet")


def _bench(feeds: int = 1, entries: int | None = None) -> Bench:
    bench = Bench(limits=Limits(shard_members=8, batch=50, feeds=feeds, feed_entries=entries))
    for key in (BUSY, QUIET):
        bench.state.want_group(key)
        bench.state.move(named(key, addresses(20)))
    bench.state.want(bank(), rules(line(BUSY), line(QUIET)))
    bench.settle()
    return bench


def _churn(bench: Bench, turns: int = LEAST) -> None:
    for turn in range(turns):
        joins, leaves = addresses(1, 100 + turn), addresses(1, 99 + turn)
        bench.state.move(named(BUSY, joins), named(BUSY, leaves) if turn else [])
        bench.settle()


def _held(bench: Bench, key: object) -> Group:
    (found,) = [one for one in bench.memory.objects.values() if isinstance(one, Group) and one.key == key]
    return found


def test_a_group_is_pushed_once_it_has_changed_often_and_then_it_is_whole() -> None:
    bench = _bench()
    assert (_held(bench, BUSY).pushed, _held(bench, BUSY).shards) == (False, 4)
    _churn(bench)
    now = _held(bench, BUSY)
    assert (now.pushed, now.shards, len(now.members)) == (True, 0, 21)
    assert not [key for key in bench.memory.objects if key.part and key.group == BUSY]
    assert (_held(bench, QUIET).pushed, _held(bench, QUIET).shards) == (False, 4)
    assert bench.members(BUSY) == bench.state.members[BUSY].keys()


def test_a_device_without_feeds_is_never_given_one() -> None:
    bench = _bench(feeds=0)
    _churn(bench)
    assert not any(one.pushed for one in bench.memory.objects.values() if isinstance(one, Group))


def test_a_restart_changes_nothing() -> None:
    bench = _bench()
    _churn(bench)
    before = bench.memory.writes
    bench.restart()
    bench.settle()
    assert bench.memory.writes == before
    assert _held(bench, BUSY).pushed


def test_a_setting_that_takes_feeds_away_takes_the_group_back_in_one_plan() -> None:
    bench = _bench()
    _churn(bench)
    bench.limits = Limits(shard_members=8, batch=50)
    bench.restart()
    bench.settle()
    assert (_held(bench, BUSY).pushed, _held(bench, BUSY).shards) == (False, 4)
    assert bench.members(BUSY) == bench.state.members[BUSY].keys()


def test_a_device_that_refuses_the_feed_has_the_group_as_objects_again() -> None:
    bench = _bench()
    bench.memory.refuses_feeds = True
    _churn(bench, LEAST + 3)
    assert not _held(bench, BUSY).pushed
    assert bench.members(BUSY) == bench.state.members[BUSY].keys()


def test_there_must_be_room_for_its_members() -> None:
    bench = _bench(entries=25)
    _churn(bench)
    assert not _held(bench, BUSY).pushed


def test_a_move_is_a_step_that_a_person_can_read() -> None:
    before, after = Group(BUSY, frozenset({"10.0.0.1"})), Group(BUSY, frozenset({"10.0.0.1"}), pushed=True)
    (step,) = diff({BUSY: before}, Intent("edge", {BUSY: after}))
    assert step.op is Op.UPDATE
    assert str(step).endswith("{10.0.0.1} -> {pushed, 10.0.0.1}")


def test_a_group_that_a_deny_names_is_no_feed_and_one_that_comes_to_be_named_by_one_is_none_any_longer() -> None:
    """A device may lose what was pushed without a word: then nobody would be stopped."""
    bench = _bench()
    bench.state.want(rules(line(BUSY, action=Action.DENY), line(QUIET)))
    _churn(bench)
    assert not _held(bench, BUSY).pushed
    bench.state.want(rules(line(BUSY), line(QUIET)))
    _churn(bench, LEAST)
    assert _held(bench, BUSY).pushed
    bench.state.want(rules(line(BUSY, action=Action.DENY), line(QUIET)))
    bench.settle()
    assert not _held(bench, BUSY).pushed
    assert bench.members(BUSY) == bench.state.members[BUSY].keys()
