"""What the audit tells of a device: every change once, with its cause, and together the whole life of each object."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given

from bridge.delivery.auditor import BY_OTHERS
from bridge.delivery.worker import WorkerSettings
from bridge.errors import Busy, NotOwned
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, FenceState, Group, Objects
from bridge.model.rendering import digest_in, digest_of
from bridge.state.desired import AuditEntry
from tests.delivery.bench import ABOVE, BANK, LIST, Bench, addresses, bank, group, line, named, rules
from tests.delivery.memory import tampered
from tests.delivery.test_random import ONE, SEEDS, _calm, _desire, _disturb
from tests.policy import device
from tests.policy.world import World

PAY, CART = group("pay"), group("cart")
POLICY = ObjectKey(Kind.POLICY, "", Scope.SERVICE)


def _shop(**more: object) -> Bench:
    """Two Services that may reach the bank, in step."""
    bench = Bench(**more)  # type: ignore[arg-type]
    bench.state.want_group(PAY)
    bench.state.want_group(CART)
    bench.state.want(bank(), rules(line(PAY), line(CART)))
    bench.state.move(named(PAY, addresses(3)))
    bench.settle()
    return bench


def _news(bench: Bench) -> list[AuditEntry]:
    """The entries since the last time."""
    found = list(bench.state.audit)
    bench.state.audit.clear()
    return found


def _put(bench: Bench, *objects: DeviceObject) -> None:
    """Somebody else writes these."""
    tampered(bench.memory, lambda held: held.update({one.key: one for one in objects}))


def told(audit: list[AuditEntry]) -> dict[ObjectKey, str]:
    """The digest of every object as the audit ends; AssertionError where an entry does not go on from the one before."""
    now: dict[ObjectKey, str] = {}
    for entry in audit:
        if entry.key.kind is Kind.FENCE:
            continue
        life = "\n".join(
            f"{one.op} {one.before} -> {one.after}: {one.outcome}" for one in audit if one.key == entry.key
        )
        assert digest_in(entry.before) == now.get(entry.key, ""), life
        now[entry.key] = digest_in(entry.after)
    return {key: digest for key, digest in now.items() if digest}


def _digests(objects: Objects) -> dict[ObjectKey, str]:
    return {key: digest_of(value) for key, value in objects.items()}


# ---- what we do


def test_a_first_load_has_an_entry_for_each_object_and_for_the_fence() -> None:
    bench = _shop()
    fence, *rest = _news(bench)
    assert (fence.key, fence.op, fence.before, fence.after) == (
        ObjectKey.fence(),
        "take-over",
        "-",
        "epoch 1 of installation",
    )
    assert {entry.key for entry in rest} == bench.memory.objects.keys()
    assert {(entry.op, entry.outcome) for entry in rest} == {("create", "done")}
    assert {entry.cause for entry in rest if entry.key.kind is not Kind.POLICY} == {"test"}
    assert all(entry.cause for entry in rest)
    assert told(rest) == _digests(bench.memory.objects)


def test_the_lag_is_counted_from_the_oldest_change_that_was_waiting() -> None:
    bench = _shop()
    _news(bench)
    bench.clock.seconds += 100
    bench.state.move(named(PAY, ["10.0.9.9"]))
    row = bench.state.rows[PAY]
    bench.state.rows[PAY] = replace(row, changed_at=bench.clock.now(), waiting_since=bench.clock.now())
    bench.clock.seconds += 0.25
    bench.settle()
    (entry,) = _news(bench)
    assert (entry.key, entry.op, entry.cause, entry.outcome) == (PAY, "update", "test", "done")
    assert entry.lag == pytest.approx(0.25)
    assert "10.0.9.9" in entry.after


def test_a_take_over_is_told_even_if_the_answer_of_the_device_was_lost() -> None:
    bench = _shop()
    _news(bench)
    bench.epoch = 7
    bench.restart()
    adapter = bench.worker._enforcement.adapter
    raise_fence = adapter.raise_fence

    def lost(fence: object) -> None:
        raise_fence(fence)  # type: ignore[arg-type]
        adapter.raise_fence = raise_fence  # type: ignore[method-assign]
        raise Busy("edge", "no answer")

    adapter.raise_fence = lost  # type: ignore[method-assign]
    bench.settle()
    (entry,) = _news(bench)
    assert (entry.op, entry.before, entry.after) == (
        "take-over",
        "epoch 1 of installation",
        "epoch 7 of installation",
    )
    assert bench.memory.fence == FenceState(7, "installation")


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("after", range(8))
def test_a_plan_that_broke_off_is_told_as_far_as_it_came(atomic: bool, after: int) -> None:
    bench = _shop(atomic=atomic)
    bench.memory.failures, bench.memory.fail_after = [Busy("edge", "no answer")], after
    bench.state.move(named(CART, addresses(3)), named(PAY, addresses(3)))
    bench.state.want(bank("192.0.2.7"), rules(line(CART)))
    bench.state.no_longer(PAY)
    bench.settle()
    audit = bench.state.audit
    assert told(audit) == _digests(bench.memory.objects)
    assert all(entry.cause for entry in audit)
    ends = {entry.outcome for entry in audit}
    assert ends <= {"done", "done, then interrupted", "done in part, then interrupted"}
    assert (len(ends) > 1) == (not atomic and 0 < after < 6)
    assert not [entry for entry in audit if entry.op == "drift"]


def test_what_was_taken_for_lost_and_comes_late_is_no_drift() -> None:
    bench = _shop()
    bench.memory.failures, bench.memory.fail_after = [Busy("edge", "no answer")], 0
    bench.state.want(bank("192.0.2.7"))
    bench.turn()
    bench.state.want(bank("192.0.2.8"))
    bench.settle()
    _news(bench)
    _put(bench, bank("192.0.2.7"))
    bench.worker.audit()
    bench.settle()
    late, repair = _news(bench)
    assert (late.op, late.outcome) == ("update", "done, after it was taken for lost")
    assert repair.outcome == "done"
    assert bench.memory.objects[BANK] == bank("192.0.2.8")


def test_a_refusal_is_told_once_with_the_words_of_the_device_and_what_stands() -> None:
    bench = _shop()
    _news(bench)
    bench.memory.refuses[BANK] = "not like this"
    bench.state.want(bank("192.0.2.9"))
    bench.settle()
    for _ in range(3):
        bench.worker.audit()
        bench.settle()
    (entry,) = _news(bench)
    assert (entry.key, entry.op, entry.cause) == (BANK, "update", "test")
    assert entry.outcome.startswith("refused: not like this; asked for: ")
    assert "192.0.2.9" in entry.outcome
    assert digest_in(entry.after) == digest_of(bank())
    bench.memory.refuses.clear()
    bench.worker.audit()
    bench.settle()
    assert [(one.key, one.outcome) for one in _news(bench)] == [(BANK, "done")]


def test_an_object_that_is_not_ours_is_told_as_refused() -> None:
    bench = _shop()
    _news(bench)
    bench.memory.failures = [NotOwned("edge", ["/Common/x"], {str(BANK): "stands there without our mark"})]
    bench.memory.fail_after = 0
    bench.state.want(bank("192.0.2.9"))
    bench.settle()
    (entry,) = _news(bench)
    assert entry.outcome.startswith("refused: stands there without our mark")


def test_what_nothing_asks_for_is_taken_off_with_a_cause() -> None:
    bench = _shop()
    stray = group("stray")
    _put(bench, Group(stray))
    bench.restart()
    bench.state.seen[stray] = digest_of(Group(stray))
    _news(bench)
    bench.settle()
    (entry,) = _news(bench)
    assert (entry.key, entry.op, entry.cause) == (stray, "delete", "nothing that is recorded asks for it")


def test_a_policy_changes_for_the_sake_of_its_lists() -> None:
    bench = _shop()
    _news(bench)
    bench.state.want(rules(line(CART), key=ABOVE))
    bench.state.rows[ABOVE] = replace(bench.state.rows[ABOVE], cause="ClusterEgressRule everyone at 7 by kubectl")
    bench.settle()
    causes = {entry.key.kind: entry.cause for entry in _news(bench)}
    assert causes[Kind.POLICY] == causes[Kind.RULE_LIST] == "ClusterEgressRule everyone at 7 by kubectl"


# ---- drift


def test_drift_is_told_with_what_was_and_what_was_found_and_that_it_was_repaired() -> None:
    bench = _shop()
    _news(bench)
    _put(bench, bank("0.0.0.0/0"))
    bench.worker.audit()
    bench.settle()
    drift, repair = _news(bench)
    assert (drift.key, drift.op, drift.cause, drift.outcome) == (BANK, "drift", BY_OTHERS, "repaired")
    assert (digest_in(drift.before), digest_in(drift.after)) == (digest_of(bank()), digest_of(bank("0.0.0.0/0")))
    assert "0.0.0.0/0" in drift.after
    assert (repair.key, repair.op, repair.outcome) == (BANK, "update", "done")
    assert "repair" in repair.cause
    assert (drift.lag, repair.lag) == (None, None)
    bench.worker.audit()
    bench.settle()
    assert _news(bench) == []


def test_in_mode_plan_drift_is_told_once_and_left() -> None:
    bench = _shop()
    bench.settings = WorkerSettings(write=False)
    bench.restart()
    _news(bench)
    _put(bench, bank("0.0.0.0/0"))
    for again in (bench.worker.audit, bench.worker.audit, bench.restart):
        bench.turn()
        again()
    bench.turn()
    (drift,) = _news(bench)
    assert (drift.op, drift.outcome) == ("drift", "left: the device is in mode plan")
    assert bench.memory.objects[BANK] == bank("0.0.0.0/0")
    bench.settings = WorkerSettings()
    bench.restart()
    bench.settle()
    assert bench.memory.objects[BANK] == bank()
    assert [one.outcome for one in _news(bench) if one.key == BANK] == ["done"]


def test_drift_that_cannot_be_repaired_yet_says_so_and_the_repair_comes_later() -> None:
    bench = _shop()
    _news(bench)
    _put(bench, bank("0.0.0.0/0"))
    bench.memory.failures, bench.memory.fail_after = [Busy("edge", "later")], 0
    bench.worker.audit()
    bench.turn()
    (drift,) = _news(bench)
    assert drift.outcome == "not repaired yet: edge: later"
    bench.settle()
    (repair,) = _news(bench)
    assert (repair.outcome, repair.cause) == ("done", "repair of what was changed on the device")


def test_what_waits_for_a_person_is_left_and_says_so() -> None:
    bench = _shop()
    bench.state.want(bank("192.0.2.1", "192.0.2.2"))
    bench.settle()
    bench.state.want(bank("192.0.2.1", "192.0.2.2", "0.0.0.0/0"))
    bench.settle()
    assert bench.state.held
    _news(bench)
    _put(bench, bank("192.0.2.1"))
    bench.worker.audit()
    bench.settle()
    drift = next(one for one in _news(bench) if one.op == "drift")
    assert drift.outcome in ("repaired", f"left: it waits for a person: {bench.state.held[0].reason}")


@pytest.mark.parametrize("gone", [False, True])
def test_drift_is_found_after_a_restart(gone: bool) -> None:
    bench = _shop()
    _news(bench)
    before = dict(bench.memory.objects)
    if gone:
        bench.memory.objects = {key: one for key, one in bench.memory.objects.items() if key not in (LIST, POLICY)}
    else:
        _put(bench, bank("0.0.0.0/0"))
    bench.restart()
    bench.settle()
    assert bench.memory.objects == before
    drifts = [one for one in _news(bench) if one.op == "drift"]
    assert {one.outcome for one in drifts} == {"repaired"}
    assert {one.cause for one in drifts} == {"changed on the device while no bridge was watching it"}
    assert len(drifts) == (2 if gone else 1)


def test_a_bridge_that_was_killed_before_it_recorded_is_not_taken_for_somebody_else() -> None:
    bench = _shop()
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.worker._ledger.write = lambda *_: None  # type: ignore[method-assign]
    bench.turn()
    assert "10.0.9.9" in bench.members(PAY)
    _news(bench)
    bench.restart()
    bench.settle()
    (entry,) = _news(bench)
    assert (entry.op, entry.cause) == ("update", "test")
    assert entry.outcome == "done, and not recorded before the bridge ended"
    assert not bench.state.pending


def test_a_repair_is_told_even_if_the_bridge_was_killed_before_it_recorded() -> None:
    bench = _shop()
    _put(bench, bank("0.0.0.0/0"))
    bench.worker.audit()
    bench.worker._ledger.write = lambda *_: None  # type: ignore[method-assign]
    bench.turn()
    assert bench.memory.objects[BANK] == bank()
    _news(bench)
    bench.restart()
    bench.settle()
    (entry,) = _news(bench)
    assert (entry.op, entry.key) == ("update", BANK)
    assert digest_in(entry.before) == digest_of(bank("0.0.0.0/0"))
    assert digest_in(entry.after) == digest_of(bank())
    assert "repair of what was changed on the device" in entry.cause


def test_what_cannot_be_told_is_not_blamed_on_anybody() -> None:
    bench = _shop()
    bench.state.want(bank("192.0.2.7"))
    _put(bench, bank("192.0.2.66"))
    bench.restart()
    _news(bench)
    bench.settle()
    drift = _news(bench)[0]
    assert drift.op == "drift"
    assert "by one that ended in the middle of a plan, or by somebody else" in drift.cause


def test_what_stands_there_when_the_audit_begins_is_told_as_found() -> None:
    bench = _shop()
    bench.state.seen.clear()
    bench.state.audit.clear()
    bench.restart()
    bench.settle()
    audit = bench.state.audit
    assert {entry.op for entry in audit} == {"found"}
    assert told(audit) == _digests(bench.memory.objects)


@pytest.mark.parametrize("down", [True, False])
def test_members_added_by_hand_go_at_once_however_many(down: bool) -> None:
    bench = _shop(limits=Limits(shard_members=300, batch=50))
    added = addresses(200, 1000)
    if not down:
        bench.worker.audit()
    _put(bench, Group(PAY, frozenset([*addresses(3), *added])))
    if down:
        bench.restart()
    bench.settle()
    assert bench.members(PAY) == set(addresses(3))
    assert bench.state.held == ()


def test_members_of_a_lost_database_are_still_guarded() -> None:
    """Nothing is known of what was verified: whoever is on the device may be ours."""
    bench = _shop(limits=Limits(shard_members=300, batch=50))
    _put(bench, Group(PAY, frozenset([*addresses(3), *addresses(200, 1000)])))
    bench.state.seen.clear()
    bench.restart()
    bench.settle()
    assert [len(one.members) for one in bench.state.held] == [200]


# ---- whatever happens


@given(ONE, ONE, SEEDS)
def test_the_audit_tells_the_whole_life_of_every_object(before: World, after: World, seed: int) -> None:
    """Through failures, drift, refusals, restarts: each entry goes on where the last one ended, and the last ones are the device."""
    random = Random(seed)
    bench = Bench(atomic=random.random() < 0.5, limits=Limits(shard_members=2, batch=4))
    for world in (before, after, before):
        _desire(bench, world)
        refused = [key for key in bench.memory.objects if random.random() < 0.05]
        bench.memory.refuses.update(dict.fromkeys(refused, "not like this"))
        for _ in range(random.randrange(4)):
            _disturb(bench, random)
            bench.turn()
        bench.memory.refuses.clear()
    _calm(bench)
    assert told(bench.state.audit) == _digests(bench.memory.objects)
    assert all(entry.cause and entry.outcome for entry in bench.state.audit)
    assert not device.dangling(bench.memory.objects)
