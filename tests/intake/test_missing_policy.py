"""Policy that lists show no longer and nobody saw going: a little goes, much of it stays in force until somebody knows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from bridge.model.identity import Scope
from bridge.model.observed import Change, Event, PolicyObject, Undecodable
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.state.encoding import place_of
from tests.intake.fold import Bench, substance
from tests.intake.objects import external, namespace, pod, service, service_rule

ONE, TWO = "10.0.0.1", "10.0.0.2"
FEW, MANY = 3, 8


def _rules(count: int, start: int = 0) -> list[PolicyObject]:
    actions = ("Deny", "Allow")
    return [service_rule(f"rule-{one}", action=actions[one % 2], to="bank") for one in range(start, start + count)]


def _others(count: int) -> list[PolicyObject]:
    return [external(f"other-{one}") for one in range(count)]


def _shop(*more: PolicyObject) -> Bench:
    bench = Bench()
    bench.see(namespace(), service("pay", app="pay"), external(), pod("pay-1", ONE), *more)
    return bench


def _gone(bench: Bench, *values: PolicyObject) -> None:
    bench.see(*values, change=Change.GONE)


def _doubted(bench: Bench) -> set[str]:
    found = bench.record.verdicts.values()
    return {one.ref.name for one in found if one.reason == Reason.DOUBTED and not one.ok and one.accepted}


def _recorded(bench: Bench) -> set[str]:
    return {value.name for value in bench.record.objects.values() if isinstance(value, PolicyObject)}


def _names(values: Iterable[PolicyObject]) -> set[str]:
    return {one.name for one in values}


def _devices(bench: Bench) -> object:
    return dict(bench.record.bodies), {key: set(members) for key, members in bench.record.members.items()}


def test_a_few_of_many_go() -> None:
    rules = _rules(20)
    bench = _shop(*rules)
    _gone(bench, *rules[:2])
    assert _doubted(bench) == set()
    assert _recorded(bench) == _names(rules[2:]) | {"bank"}
    assert Ref("ServiceEgressRule", "shop", "rule-0") not in bench.record.verdicts


def test_many_stay_in_force_while_membership_goes_on() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    before = _devices(bench)
    _gone(bench, *rules)
    assert _devices(bench) == before
    assert _doubted(bench) == _names(rules)
    bench.see(pod("pay-2", TWO))
    bench.see(pod("pay-1", ONE), change=Change.DELETED)
    assert bench.record.group(Scope.SERVICE, "pay") == {TWO}
    assert _doubted(bench) == _names(rules)


def test_a_deny_below_an_allow_stays_when_the_list_is_emptied() -> None:
    rules = _rules(4)
    bench = _shop(*rules, *_others(60))
    before = _devices(bench)
    _gone(bench, *rules)
    assert _devices(bench) == before
    assert _doubted(bench) == _names(rules)


def test_the_last_few_of_a_kind_go() -> None:
    rules = _rules(FEW)
    bench = _shop(*rules, *_others(60))
    _gone(bench, *rules)
    assert _doubted(bench) == set()
    assert not _names(rules) & _recorded(bench)


@pytest.mark.parametrize("seconds", [1, 120])
def test_what_went_lately_counts_with_what_follows(seconds: int) -> None:
    rules = _rules(20)
    bench = _shop(*rules)
    _gone(bench, *rules[:5])
    bench.pass_time(seconds)
    _gone(bench, *rules[5:8])
    assert _doubted(bench) == (_names(rules[5:8]) if seconds < 60 else set())


def test_all_kinds_count_together() -> None:
    rules, others = _rules(5), _others(5)
    bench = _shop(*rules, *others)
    _gone(bench, *rules[:3], *others[:3])
    assert _doubted(bench) == _names([*rules[:3], *others[:3]])


def test_a_doubt_ends_when_it_is_listed_again() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    before = _devices(bench)
    _gone(bench, *rules)
    bench.see(*(replace(one, resource_version="7") for one in rules))
    assert _doubted(bench) == set()
    assert all(one.ok for one in bench.record.verdicts.values())
    assert _devices(bench) == before


def test_a_doubted_rule_that_is_listed_otherwise_is_taken_as_it_is() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules, external("other", "198.51.100.1"))
    _gone(bench, *rules)
    bench.see(service_rule("rule-0", action="Deny", to="other", generation=2))
    assert _doubted(bench) == _names(rules[1:])
    verdict = bench.record.verdicts[Ref("ServiceEgressRule", "shop", "rule-0")]
    assert verdict.accepted is not None
    assert verdict.accepted.spec["to"] == [{"name": "other"}]


def test_a_doubt_ends_when_a_deletion_is_seen() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    _gone(bench, *rules)
    bench.see(rules[0], change=Change.DELETED)
    assert _doubted(bench) == _names(rules[1:])
    bench.see(namespace(), change=Change.DELETED)
    assert _doubted(bench) == set()
    assert not _names(rules) & _recorded(bench)


def test_what_is_missing_of_a_namespace_that_was_seen_going_is_gone() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    bench.see(namespace(), change=Change.DELETED)
    _gone(bench, *rules)
    assert _doubted(bench) == set()
    assert not _names(rules) & _recorded(bench)


def test_an_object_of_the_same_name_ends_the_doubt_of_the_one_before() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    _gone(bench, *rules)
    bench.see(service_rule("rule-0", action="Allow", to="bank", uid="another"))
    assert _doubted(bench) == _names(rules[1:])


def test_a_rule_that_could_not_be_read_any_more_is_doubted_as_others() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    broken = [Undecodable(place_of(one)[0], one.uid, "shop", one.name, "9", "no such field") for one in rules]

    def see(change: Change) -> None:
        bench.take([Event(change, one.resource, one) for one in broken])
        bench.commit()

    see(Change.UPSERT)
    before = _devices(bench)
    see(Change.GONE)
    assert _devices(bench) == before
    assert _doubted(bench) == _names(rules)
    see(Change.DELETED)
    assert not _names(rules) & _recorded(bench)


def test_the_doubt_is_found_again_by_another_process() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    before = _devices(bench)
    _gone(bench, *rules)
    bench.restart()
    _gone(bench, *rules)
    assert _devices(bench) == before
    assert _doubted(bench) == _names(rules)
    bench.restart()
    bench.see()
    assert _doubted(bench) == set(), "the lists show them again"
    assert _devices(bench) == before


def test_what_went_while_nobody_watched_is_doubted_too() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    bench.restart()
    _gone(bench, *rules)
    assert _doubted(bench) == _names(rules)


def _let_go(bench: Bench, values: Sequence[PolicyObject]) -> None:
    """As a person does it in the record."""
    for value in values:
        ref = Ref("ServiceEgressRule", "shop", value.name)
        bench.record.verdicts[ref] = replace(bench.record.verdicts[ref], reason=str(Reason.LET_GO))


def test_a_person_lets_exactly_those_go() -> None:
    rules = _rules(MANY + 2)
    bench = _shop(*rules)
    _gone(bench, *rules[:MANY])
    assert bench.index.let_go([Ref("ServiceEgressRule", "shop", one.name) for one in rules])
    bench.commit()
    assert _doubted(bench) == set()
    assert _recorded(bench) == _names(rules[MANY:]) | {"bank"}


def test_what_a_person_let_go_before_the_process_ended_goes_and_nothing_else() -> None:
    rules = _rules(MANY + 6)
    bench = _shop(*rules)
    _gone(bench, *rules[:MANY])
    _let_go(bench, rules[:MANY])
    bench.restart()
    _gone(bench, *rules)
    assert _doubted(bench) == _names(rules[MANY:])
    assert _recorded(bench) == _names(rules[MANY:]) | {"bank"}


def test_what_a_person_let_go_and_is_listed_again_stays() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    before = _devices(bench)
    _gone(bench, *rules)
    _let_go(bench, rules)
    bench.restart()
    bench.see()
    assert all(one.ok for one in bench.record.verdicts.values())
    _gone(bench, *rules)
    assert _devices(bench) == before
    assert _doubted(bench) == _names(rules)


def test_nothing_more_is_told_of_a_doubt_that_lasts() -> None:
    rules = _rules(MANY)
    bench = _shop(*rules)
    _gone(bench, *rules)
    bench.take([])
    assert not substance(bench.commit())
    _gone(bench, *rules)
    assert _doubted(bench) == _names(rules)
