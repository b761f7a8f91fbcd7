"""Groups whose members are prefixes: what comes instead of others goes with them, whoever must wait."""

from collections.abc import Iterable
from ipaddress import ip_network

import pytest

from bridge.model.addresses import overlap, subtract
from bridge.model.identity import ObjectKey, Scope
from bridge.model.intent import Group
from bridge.model.policy import Action
from bridge.policy.complement import Complement
from tests.delivery.bench import BANK, Bench, bank, group, line, named, rules

EVERYONE = group(".prefixes", scope=Scope.NAMESPACE)
PODS = "10.0.0.0/16"


def _exempt(count: int) -> list[str]:
    """Apart from each other, so that each leaves many prefixes behind."""
    return [f"10.0.{number // 16}.{number % 16 * 16 + 5}" for number in range(count)]


def _bench(action: Action, *, exempt: Iterable[str] = (), withheld: bool = False, atomic: bool = True) -> Bench:
    """Everyone in some prefixes but the exempt, in step."""
    bench = Bench(atomic=atomic)
    bench.state.want_group(EVERYONE)
    bench.state.want(bank(), rules(line(EVERYONE, action)))
    bench.state.move(named(EVERYONE, Complement([PODS], exempt).members))
    bench.settle()
    if withheld:
        bench.state.want(rules(line(EVERYONE, action, withheld=True)))
        bench.settle()
    return bench


def _become(bench: Bench, exempt: Iterable[str]) -> None:
    """Others are exempt from now on, as events prove."""
    now, before = Complement([PODS], exempt).members, bench.state.members[EVERYONE].keys()
    bench.state.move(named(EVERYONE, now - before), named(EVERYONE, before - now))
    bench.settle()


def _addresses(members: Iterable[str]) -> int:
    return sum(ip_network(one).num_addresses for one in members)


def test_a_namespace_that_becomes_exempt_takes_nobody_else_out() -> None:
    """Thousands of prefixes come where one was: that is no growth, and a Deny goes on for all others."""
    bench = _bench(Action.DENY)
    exempt = _exempt(400)
    _become(bench, exempt)
    assert bench.state.held == ()
    assert bench.members(EVERYONE) == Complement([PODS], exempt).members


def test_who_becomes_exempt_leaves_an_allow_that_waits_and_nobody_else_does() -> None:
    bench = _bench(Action.ALLOW, withheld=True)
    _become(bench, ["10.0.7.7"])
    assert bench.members(EVERYONE) == Complement([PODS], ["10.0.7.7"]).members


def test_who_is_exempt_no_longer_waits_with_the_allow_and_the_others_stay() -> None:
    bench = _bench(Action.ALLOW, exempt=["10.0.7.7", "10.0.9.9"], withheld=True)
    _become(bench, ["10.0.9.9"])
    assert bench.members(EVERYONE) == Complement([PODS], ["10.0.7.7", "10.0.9.9"]).members
    _become(bench, ["10.0.9.9", "10.0.3.3"])
    assert not subtract(bench.members(EVERYONE), Complement([PODS], ["10.0.7.7", "10.0.9.9", "10.0.3.3"]).members)
    assert _addresses(bench.members(EVERYONE)) == 2**16 - 3
    bench.state.want(rules(line(EVERYONE)))
    bench.settle()
    assert bench.members(EVERYONE) == Complement([PODS], ["10.0.9.9", "10.0.3.3"]).members


def test_growth_that_waits_for_a_person_takes_nobody_out_meanwhile() -> None:
    """Many more prefixes than there were, each in the place of the addresses around one that was exempt."""
    blocks = [f"10.{second}.{third}.0/24" for second in range(1, 9) for third in range(0, 256, 2)]
    halves = [f"10.{second}.{third}.0/25" for second in range(1, 9) for third in range(0, 256, 2)]
    bench = _bench(Action.DENY)
    bench.state.move(named(EVERYONE, halves[:600]))
    bench.settle()
    bench.state.move(named(EVERYONE, blocks), named(EVERYONE, halves[:600]))
    bench.settle()
    assert [one.key for one in bench.state.held] == [EVERYONE]
    assert bench.members(EVERYONE) == {PODS, *halves[:600]}
    bench.state.move(named(EVERYONE, halves[:600]), named(EVERYONE, blocks))
    bench.settle()
    assert bench.state.held == ()
    assert bench.members(EVERYONE) == {PODS, *halves[:600]}


def test_a_removal_that_waits_for_a_person_brings_no_parts_of_itself() -> None:
    bench = _bench(Action.ALLOW)
    blocks = [f"10.1.{third}.0/24" for third in range(0, 60, 2)]
    bench.state.move(named(EVERYONE, blocks))
    bench.settle()
    bench.state.move(named(EVERYONE, ["10.1.0.0/25"]), named(EVERYONE, blocks), inferred=True)
    bench.settle()
    assert bench.members(EVERYONE) == {PODS, *blocks}


@pytest.mark.parametrize("action", [Action.ALLOW, Action.DENY])
def test_a_destination_keeps_what_it_had_while_everything_waits_for_a_person(action: Action) -> None:
    """A Deny, too, goes on where it was."""
    bench = Bench()
    bench.state.want_group(EVERYONE)
    bench.state.want(bank("192.0.2.0/24", "198.51.100.1"), rules(line(EVERYONE, action)))
    bench.settle()
    bench.state.want(bank("0.0.0.0/0"))
    for again in (bench.worker.wake, bench.worker.audit, bench.restart):
        again()
        bench.settle()
        assert bench.memory.objects[BANK] == bank("192.0.2.0/24", "198.51.100.1")


def test_a_destination_of_an_allow_that_waits_keeps_what_both_versions_have() -> None:
    bench = _bench(Action.ALLOW)
    bench.state.want(bank("192.0.2.0/24"))
    bench.settle()
    bench.state.want(rules(line(EVERYONE, withheld=True)))
    bench.state.want(bank("192.0.2.0/25", "203.0.113.0/24"))
    bench.settle()
    assert bench.memory.objects[BANK] == bank("192.0.2.0/25")
    bench.state.want(bank("192.0.0.0/16"))
    bench.settle()
    assert bench.memory.objects[BANK] == bank("192.0.2.0/25")


def test_on_the_way_an_allow_keeps_who_is_allowed_before_and_after() -> None:
    """One exempt pod more, and another change with it, are no moment without any permission."""
    other: ObjectKey = group("cart")
    bench = _bench(Action.ALLOW, atomic=False)
    bench.state.want_group(other)
    bench.state.want(rules(line(EVERYONE), line(other)))
    bench.settle()
    bench.memory.history.clear()
    bench.state.move(named(other, ["10.0.8.8"]))
    _become(bench, ["10.0.7.7"])
    assert bench.members(EVERYONE) == Complement([PODS], ["10.0.7.7"]).members
    for objects in bench.memory.history:
        everyone = objects[EVERYONE]
        assert isinstance(everyone, Group)
        shards = [objects[key] for key in everyone.references()]
        there = {one for part in (everyone, *shards) for one in part.members}  # type: ignore[union-attr]
        assert overlap(there, ["10.0.200.1"])
