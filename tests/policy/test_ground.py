"""Which rules can meet, found by index, against every pair of them asked."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.policy import Rule
from bridge.policy.compiled import ClusterPolicy
from bridge.policy.ground import Ground, Meeting
from tests.policy.world import crowded

NAME = "db.example.com"


def _policy(start: int) -> ClusterPolicy:
    """Destinations far apart, beside each other and within each other, some of them by name."""
    random = Random(start)
    world = crowded(start)
    externals = {
        ref: replace(
            one,
            addresses=tuple(
                random.choice(
                    (f"198.51.100.{random.randrange(64) * 4}/30", f"198.51.100.{random.randrange(4) * 64}/26")
                )
                for _ in range(random.randrange(4))
            ),
            fqdns=(NAME,) if random.random() < 0.15 else (),
        )
        for ref, one in world.externals.items()
    }
    return replace(world.policy, externals=externals)


def _meet(ground: Ground, one: Rule, other: Rule) -> bool:
    mine, theirs = ground.regions(one), ground.regions(other)
    return any(a.both(b) for _, a in mine for _, b in theirs)


@given(st.integers(0, 1 << 32))
def test_rules_that_can_meet_are_found_and_no_others(start: int) -> None:
    policy = _policy(start)
    ground = Ground(policy)
    by_address = [rule for rule in policy.rules if not ground.named(rule)]
    meeting = Meeting(policy.rules, ground)
    for rule in by_address:
        found = [one for one in meeting.of(rule) if one in by_address]
        assert found == [one for one in by_address if one is not rule and _meet(ground, rule, one)]


@given(st.integers(0, 1 << 32))
def test_a_name_may_be_anywhere(start: int) -> None:
    """Nobody is left out because of where a name leads."""
    policy = _policy(start)
    everywhere = replace(
        policy,
        externals={
            ref: replace(one, addresses=("0.0.0.0/0",), fqdns=()) if one.fqdns else one
            for ref, one in policy.externals.items()
        },
    )
    named, plain = Ground(policy), Ground(everywhere)
    meeting = Meeting(policy.rules, named)
    for rule in policy.rules:
        found = meeting.of(rule)
        assert all(one in found for one in policy.rules if one is not rule and _meet(plain, rule, one))
