"""The guard's edges beyond plain removals and growth: edits to everything, what complements regain, what passed lately."""

import pytest

from bridge.model.addresses import subtract
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.plan import Held, HoldKind, Plan, held_digest
from bridge.policy.complement import Complement
from bridge.policy.guard import GroupChange, GuardLimits, Threshold, count_addresses, count_left_out, guard, widened

GROUP = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")
OTHER = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "cart")
LIMITS = GuardLimits()
NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "everything", [("0.0.0.0/0",), ("::/0",), subtract(["0.0.0.0/0"], ["10.0.0.0/8", "172.16.0.0/12"])]
)
def test_only_an_edit_that_widens_to_everything_is_held(everything: tuple[str, ...]) -> None:
    """Also when the inside of the cluster has been taken out of it."""
    had = frozenset({"192.0.2.7"})
    held = widened(GROUP, had, frozenset({*everything, "192.0.2.8"}), LIMITS)
    assert held is not None
    assert (held.members, held.kind) == (frozenset(everything), HoldKind.DESTINATION)
    assert widened(GROUP, had, frozenset({"192.0.2.0/24", "2001:db8::/32"}), LIMITS) is None
    assert widened(GROUP, frozenset(everything), frozenset({*everything, "10.0.0.0/8"}), LIMITS) is None, "it was"


def test_two_halves_one_after_the_other_are_everything() -> None:
    one, both = frozenset({"0.0.0.0/1"}), frozenset({"0.0.0.0/1", "128.0.0.0/1"})
    assert widened(GROUP, frozenset({"192.0.2.7"}), one, LIMITS) is None
    held = widened(GROUP, one, both, LIMITS)
    assert held is not None
    assert held.members == {"128.0.0.0/1"}


def test_how_wide_is_too_wide_can_be_set() -> None:
    tight = GuardLimits(destination=0.1)
    held = widened(GROUP, frozenset({"192.0.2.7"}), frozenset({"10.0.0.0/8"}), tight)
    assert held is not None
    assert widened(GROUP, frozenset({"192.0.2.7"}), frozenset({"10.0.0.0/16"}), tight) is None


def test_what_passed_lately_counts() -> None:
    leaving = frozenset({"10.0.0.1"})
    assert not guard([GroupChange(GROUP, 100, NOBODY, leaving, passed=19)], 10_000, LIMITS)
    (held,) = guard([GroupChange(GROUP, 100, NOBODY, leaving, passed=20)], 10_000, LIMITS)
    assert held.members == leaving
    assert not guard([GroupChange(GROUP, 100, NOBODY, NOBODY, passed=50)], 10_000, LIMITS), "nobody is up now"


@pytest.mark.parametrize(("exempt", "back", "held"), [(300, 20, False), (300, 40, True), (1000, 40, False)])
def test_what_a_complement_regains_is_measured_by_whom_it_leaves_out(exempt: int, back: int, held: bool) -> None:
    out = [f"10.0.{number // 8}.{number % 8 * 32 + 5}" for number in range(exempt)]
    before, after = Complement(["10.0.0.0/16"], out).members, Complement(["10.0.0.0/16"], out[back:]).members
    joins, leaves = after - before, before - after
    gained = count_addresses(joins) - count_addresses(leaves)
    assert gained == back
    assert abs(count_left_out(before) - exempt) <= 1
    change = GroupChange(
        GROUP, len(before), joins, NOBODY, doubtful=joins, gained=gained, left_out=count_left_out(before)
    )
    found = guard([change], len(before), LIMITS)
    assert [(one.kind, one.members) for one in found] == ([(HoldKind.WIDENING, joins)] if held else [])


def test_a_digest_is_of_what_waits_and_not_of_the_words() -> None:
    one, other = Held(GROUP, frozenset({"10.0.0.1", "10.0.0.2"}), "why"), Held(OTHER, frozenset({"10.0.0.3"}), "why")
    again = Held(GROUP, frozenset({"10.0.0.2", "10.0.0.1"}), "other words")
    assert held_digest("edge", "east", [one, other]) == held_digest("edge", "east", [other, again])
    different = [
        ("edge2", "east", [one, other]),
        ("edge", "west", [one, other]),
        ("edge", "east", [one]),
        ("edge", "east", [Held(GROUP, one.members, "why", HoldKind.GROWTH), other]),
    ]
    found = {held_digest(*each) for each in different}
    assert len(found) == len(different)
    assert held_digest("edge", "east", [one, other]) not in found
    assert Plan("edge", held=(one, other)).digest == Plan("edge", held=(other, again)).digest


def test_every_limit_can_be_set() -> None:
    leaving = frozenset(f"10.0.0.{number}" for number in range(5))
    strict = GuardLimits(Threshold(1, 2), Threshold(1, 2), Threshold(1, 2))
    assert not guard([GroupChange(GROUP, 10, leaving, leaving)], 10, LIMITS)
    assert {one.kind for one in guard([GroupChange(GROUP, 10, leaving, leaving)], 10, strict)} == {
        HoldKind.REMOVAL,
        HoldKind.GROWTH,
    }
