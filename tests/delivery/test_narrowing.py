"""Who loses a Deny though nobody saw them end: those who leave a group of everyone but some, and those who become exempt."""

from collections.abc import Callable, Iterable
from random import Random

import pytest

from bridge.model.addresses import overlap
from bridge.model.capabilities import Form, Limits
from bridge.model.decisions import Choice, Decision
from bridge.model.identity import Scope
from bridge.model.observed import Namespace, Observed
from bridge.model.plan import HoldKind
from bridge.model.policy import Action
from bridge.policy.complement import Complement
from bridge.policy.guard import GuardLimits, Threshold
from bridge.state.desired import ListState
from tests.delivery.bench import Bench, addresses, bank, group, line, named, rules
from tests.delivery.sequences import PACKETS, STATES, meant_by
from tests.delivery.sequences import _allows as allows
from tests.delivery.test_guarded_sequences import Guarded, check_named
from tests.intake.objects import pod
from tests.state.builders import START

EVERYONE = group("everyone", scope=Scope.BUILTIN)
EXEMPT = group("exempt", scope=Scope.BUILTIN)
PAY = group("pay")
PODS = "10.0.0.0/16"
WARY = GuardLimits(
    Threshold(0, 0), Threshold(0, 0), Threshold(100, 10_000)
)  # of whatever nothing proves; new pods are welcome
Again = Callable[[Bench], None]


def _nothing(_bench: Bench) -> None:
    """Goes on as it is."""


AGAIN = pytest.mark.parametrize("again", [_nothing, lambda bench: bench.worker.audit(), lambda bench: bench.restart()])


def _bench(out: Iterable[str] = ()) -> Bench:
    """A Deny for everyone but these, in step."""
    bench = Bench(limits=Limits(shard_members=500, batch=50))
    bench.state.want_group(EVERYONE)
    bench.state.want(bank(), rules(line(EVERYONE, Action.DENY)))
    bench.state.move(named(EVERYONE, Complement([PODS], out).members))
    bench.settle()
    return bench


def _become(bench: Bench, out: Iterable[str], *, proven: bool = False) -> None:
    """Everyone but these, from now on."""
    now, before = Complement([PODS], out).members, bench.state.members[EVERYONE].keys()
    bench.state.move(named(EVERYONE, now - before), named(EVERYONE, before - now), inferred=not proven)
    bench.settle()


def _release(bench: Bench) -> None:
    (about,) = [one for one in bench.state.lists.values() if one.state is ListState.HELD]
    decision = Decision("east", "d", "d", "edge", about.digest, Choice.RELEASE, "ann", "as agreed", START)
    bench.state.order(decisions=[decision])
    bench.settle()


@AGAIN
def test_many_addresses_wait_as_one_prefix_with_the_parts_that_come_for_it(again: Again) -> None:
    bench = _bench()
    out = addresses(21)
    _become(bench, out)
    for _ in range(2):
        assert [(one.key, one.kind, one.members) for one in bench.state.held] == [
            (EVERYONE, HoldKind.REMOVAL, frozenset({PODS}))
        ]
        assert bench.members(EVERYONE) == {PODS}
        again(bench)
        bench.settle()
    _release(bench)
    assert bench.members(EVERYONE) == Complement([PODS], out).members
    assert bench.state.held == ()


def test_addresses_count_and_not_prefixes_those_too_that_went_in_small_pieces() -> None:
    bench = _bench()
    _become(bench, addresses(20))
    assert bench.members(EVERYONE) == Complement([PODS], addresses(20)).members
    _become(bench, addresses(21))
    assert overlap(bench.members(EVERYONE), addresses(1, 20))
    assert not overlap(bench.members(EVERYONE), addresses(20))


def test_few_of_many_that_are_left_out_pass() -> None:
    bench = _bench(addresses(500))
    _become(bench, addresses(530))
    assert bench.state.held == ()
    _become(bench, addresses(600))
    assert overlap(bench.members(EVERYONE), addresses(1, 599))


def test_who_is_proven_passes_at_once() -> None:
    bench = _bench(["10.0.128.5"])
    _become(bench, ["10.0.128.5", *addresses(30)])
    assert bench.state.held
    _become(bench, ["10.0.200.1", *addresses(30)], proven=True)
    assert bench.members(EVERYONE) == {"10.0.0.0/17", *Complement(["10.0.128.0/17"], ["10.0.200.1"]).members}


@AGAIN
def test_an_address_that_is_handed_over_leaves_a_prefix_that_waits(again: Again) -> None:
    """Its new holder has nothing of what the old one had; the others wait on."""
    bench = _bench()
    out = addresses(30)
    _become(bench, out)
    again(bench)
    bench.settle()
    _become(bench, [*out, "10.0.0.200"], proven=True)
    assert bench.members(EVERYONE) == Complement([PODS], ["10.0.0.200"]).members
    again(bench)
    bench.settle()
    assert bench.members(EVERYONE) == Complement([PODS], ["10.0.0.200"]).members
    _release(bench)
    assert bench.members(EVERYONE) == Complement([PODS], [*out, "10.0.0.200"]).members


@AGAIN
def test_what_was_to_go_and_is_wanted_again_within_more_waits_no_longer(again: Again) -> None:
    bench = _bench(["10.0.128.5"])
    _become(bench, ["10.0.128.5", *addresses(30)])
    assert bench.state.held
    again(bench)
    _become(bench, [], proven=True)
    assert bench.members(EVERYONE) == {PODS}
    assert bench.state.held == ()


def test_who_becomes_exempt_without_proof_is_held_as_a_removal_is() -> None:
    bench = Bench(limits=Limits(shard_members=500, batch=50))
    bench.state.want_group(EXEMPT)
    bench.state.want(bank(), rules(line(EXEMPT)))
    bench.state.move(named(EXEMPT, addresses(100)))
    bench.settle()
    for first, count in ((100, 15), (115, 5)):
        some = named(EXEMPT, addresses(count, first))
        bench.state.move(some, doubtful=some)
        bench.settle()
    assert len(bench.members(EXEMPT)) == 120
    more = named(EXEMPT, [*addresses(1, 120)])
    bench.state.move([*more, *named(EXEMPT, addresses(300, 200))], doubtful=more)
    bench.settle()
    assert [(one.kind, one.members) for one in bench.state.held] == [(HoldKind.WIDENING, frozenset(addresses(1, 120)))]
    assert len(bench.members(EXEMPT)) == 420, "new ones are nobody who escaped"
    _release(bench)
    assert len(bench.members(EXEMPT)) == 421


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("seed", range(3))
def test_nobody_escapes_by_a_label(form: Form, seed: int) -> None:
    """A namespace that is governed no longer: its living pods pass nowhere they did not, until a person says so."""
    guarded = Guarded(form, Random(seed), guard=WARY)
    guarded.go(STATES["beginning"], split=0.0, restart=0.0)
    guarded.rest()
    before = {packet: guarded.box.now()(packet) for packet in PACKETS}
    free: dict[str, Observed] = {
        key: value
        for key, value in STATES["ungoverned"].items()
        if isinstance(value, Namespace) or key in guarded.there
    }
    for again in ("audit", "restart", "audit"):
        guarded.go(free, split=0.3, restart=0.3)
        guarded.rest()
        after = {packet: guarded.box.now()(packet) for packet in PACKETS}
        assert not [one for one in PACKETS if allows(form, after[one]) and not allows(form, before[one])]
        check_named(guarded)
        held = {(key.name.partition("-.")[0], kind) for key, kind in guarded.held(ListState.HELD)}
        assert (("exempt", HoldKind.WIDENING) if form is Form.TIERED else ("everyone", HoldKind.REMOVAL)) in held
        guarded.act(again)
    free["new"] = pod("pay-7", "10.0.0.9", namespace="free")
    guarded.go(free, split=0.0, restart=0.0)
    guarded.rest()
    meant = meant_by(free, guarded.target)
    new = [one for one in PACKETS if one.source == "10.0.0.9"]
    assert [allows(form, guarded.box.now()(one)) for one in new] == [allows(form, meant[one]) for one in new]
    while waiting := [one for one in guarded.state.lists.values() if one.state is ListState.HELD]:
        guarded.decide(waiting[0], Choice.RELEASE)
        guarded.rest()
    now = guarded.box.now()
    assert [allows(form, now(one)) for one in PACKETS] == [allows(form, meant[one]) for one in PACKETS]


def test_who_is_kept_out_by_a_withheld_allow_is_not_counted_again_and_again() -> None:
    bench = Bench(limits=Limits(shard_members=500, batch=50))
    bench.state.want_group(PAY)
    bench.state.want(bank(), rules(line(PAY)))
    bench.state.move(named(PAY, addresses(100)))
    bench.settle()
    bench.state.want(rules(line(PAY, withheld=True)))
    bench.settle()
    for number in range(10):
        one = named(PAY, addresses(1, 200 + number))
        bench.state.move(one, doubtful=one)
        bench.turn()
    bench.settle()
    assert bench.state.held == ()
    assert bench.members(PAY) == set(addresses(100))
