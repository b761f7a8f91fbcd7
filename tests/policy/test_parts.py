"""The small pieces of policy: parts of groups, guard, withheld lines, selection."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, RuleEntry, RuleList, Shard
from bridge.model.observed import Namespace
from bridge.model.policy import Action, Operator, Requirement, Selector
from bridge.policy.guard import GroupChange, GuardLimits, guard
from bridge.policy.select import governed, service_selects
from bridge.policy.shard import shard_count, spread
from bridge.policy.withhold import frozen, settle, with_withheld
from tests.policy.world import GOVERNANCE
from tests.state.builders import pod

GROUP = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")
OTHER = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "cart")
LIMITS = GuardLimits()


def _members(count: int, first: int = 0) -> frozenset[str]:
    return frozenset(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(first, first + count))


def _parts(members: frozenset[str], of: int) -> dict[ObjectKey, Group | Shard]:
    return {one.key: one for one in spread(GROUP, members, of)}


@given(st.integers(0, 300), st.sampled_from((0, 2, 4, 16)))
def test_parts_hold_the_group_exactly(count: int, of: int) -> None:
    parts = _parts(_members(count), of)
    held = [member for part in parts.values() for member in part.members]
    assert sorted(held) == sorted(_members(count))
    assert len(parts) == of + 1


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from((2, 4, 16)))
def test_one_changed_member_touches_one_part(count: int, extra: int, of: int) -> None:
    before, after = _parts(_members(count), of), _parts(_members(count) | _members(1, 1000 + extra), of)
    assert sum(before[key] != after[key] for key in before) == 1


@given(st.integers(0, 5000), st.sampled_from((0, 2, 4, 8, 64)), st.integers(1, 128))
def test_a_number_of_parts_is_stable_and_fits(members: int, current: int, size: int) -> None:
    count = shard_count(members, current, size)
    assert shard_count(members, count, size) == count
    assert count == 0 or count >= 2
    assert members <= max(count, 1) * size
    assert shard_count(members, current, None) == 0


@given(st.integers(0, 2000), st.integers(2, 128))
def test_a_group_that_hovers_is_not_split_and_joined_again(members: int, size: int) -> None:
    count = shard_count(members, 0, size)
    for _ in range(4):
        up = shard_count(members + 1, count, size)
        assert shard_count(members, up, size) == up
        count = up


@pytest.mark.parametrize(
    ("members", "unproven", "held"),
    [(200, 20, False), (200, 21, True), (210, 21, False), (20, 20, False), (21, 21, True)],
)
def test_inferred_removals_of_a_group_at_the_edge(members: int, unproven: int, held: bool) -> None:
    change = GroupChange(GROUP, members, frozenset(), _members(unproven))
    found = guard([change], 1_000_000, LIMITS)
    assert [one.members for one in found] == ([_members(unproven)] if held else [])


@pytest.mark.parametrize(("total", "each", "held"), [(4000, 20, False), (4019, 20.1, True), (4021, 20.1, False)])
def test_inferred_removals_of_a_device_at_the_edge(total: int, each: float, held: bool) -> None:
    """Over many groups, of which none offends for itself; what is held is all that no event proves."""
    unproven = round(each * 10)
    shares = [unproven // 10 + (index < unproven % 10) for index in range(10)]
    changes = [
        GroupChange(replace(GROUP, name=f"g{i}"), 1000, frozenset(), _members(count)) for i, count in enumerate(shares)
    ]
    found = guard(changes, total, LIMITS)
    assert sum(len(one.members) for one in found) == (unproven if held else 0)


@pytest.mark.parametrize(
    ("members", "joins", "first", "held"),
    [
        (10, 1000, False, False),
        (10, 1001, False, True),
        (2002, 1001, False, False),
        (2001, 1001, False, True),
        (0, 9999, True, False),
    ],
)
def test_growth_at_the_edge(members: int, joins: int, first: bool, held: bool) -> None:
    change = GroupChange(GROUP, members, _members(joins), frozenset(), first)
    assert bool(guard([change], members, LIMITS)) == held


def test_proven_removals_are_never_counted() -> None:
    assert not guard([GroupChange(GROUP, 5000, frozenset(), frozenset())], 5000, LIMITS)


RULES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
ALLOW = RuleEntry("allow", Action.ALLOW, (GROUP,), (OTHER,))
DENY = RuleEntry("deny", Action.DENY, (GROUP,), (OTHER,))
WITHHELD = replace(ALLOW, withheld=True)


def test_a_withheld_line_stays_as_the_device_has_it_or_away() -> None:
    wanted, older = RuleList(RULES, (DENY, WITHHELD)), replace(ALLOW, log=True)
    assert settle(wanted, {}).entries == (DENY,)
    assert settle(wanted, {RULES: RuleList(RULES, (older,))}).entries == (DENY, older)
    assert settle(RuleList(RULES, (ALLOW,)), {}).entries == (ALLOW,)


def test_groups_of_withheld_lines_are_frozen() -> None:
    assert frozen({RULES: RuleList(RULES, (WITHHELD,))}, {RULES: RuleList(RULES, (ALLOW,))}) == {GROUP, OTHER}
    assert frozen({RULES: RuleList(RULES, (WITHHELD,))}, {}) == frozenset()


def test_what_a_refused_deny_could_have_stopped_is_withheld() -> None:
    above = replace(RULES, scope=Scope.CLUSTER, namespace="")
    elsewhere = replace(RULES, cluster="west")
    lists = {
        above: RuleList(above, (ALLOW, replace(DENY, sources=(OTHER,)), replace(ALLOW, name="below"))),
        RULES: RuleList(RULES, (ALLOW,)),
        elsewhere: RuleList(elsewhere, (ALLOW,)),
    }
    found = with_withheld(lists, [OTHER.shard(0, 2).group])
    assert [entry.withheld for entry in found[above].entries] == [False, False, True]
    assert [entry.withheld for entry in found[RULES].entries] == [True]
    assert [entry.withheld for entry in found[elsewhere].entries] == [False]
    assert with_withheld(lists, []) == lists


def _namespace(name: str, **labels: str) -> Namespace:
    return Namespace("uid", name, "1", labels, {}, deleting=False)


def test_who_is_governed() -> None:
    assert governed(_namespace("shop", egress="governed"), GOVERNANCE)
    assert not governed(_namespace("shop"), GOVERNANCE)
    assert not governed(None, GOVERNANCE)
    assert not governed(_namespace("kube-system", egress="governed"), GOVERNANCE)
    assert governed(_namespace("kube-system"), replace(GOVERNANCE, named=frozenset({"kube-system"})))


def test_an_empty_selector_of_a_service_selects_nobody() -> None:
    assert not service_selects({}, pod("pay-1"))
    assert service_selects({"app": "pay"}, pod("pay-1"))


@given(st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")), st.sampled_from(Operator), st.booleans())
def test_requirements_are_those_of_kubernetes(labels: dict[str, str], operator: Operator, both: bool) -> None:
    values = ("x", "y") if both else ("x",)
    needed = {
        Operator.IN: labels.get("a") in values,
        Operator.NOT_IN: labels.get("a") not in values,
        Operator.EXISTS: "a" in labels,
        Operator.DOES_NOT_EXIST: "a" not in labels,
    }[operator]
    assert Requirement("a", operator, values).matches(labels) == needed
    assert Selector((Requirement("a", operator, values), Requirement("b", Operator.EXISTS))).matches(labels) == (
        needed and "b" in labels
    )
