"""What is legal and probably not what its author meant: rules that never decide, Passes that skip nothing, equals that contradict.

For people at their desks (`validate`, pull requests): nothing here changes what is in force. Names are left out of it, because nobody
knows what they stand for: a rule by name is never called dead, and hides nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from bridge.model import addresses
from bridge.model.policy import ALWAYS, Action, ExternalService, Ref, Rule
from bridge.policy.overlap import rules_overlap
from bridge.policy.region import Region, what
from bridge.policy.who import who

_MOST_PIECES = 64  # of one rule; beyond it nothing is said rather than long thought about


@dataclass(frozen=True, slots=True)
class Critique:
    """One remark on one rule: a word, what is wrong, and what else it is about."""

    ref: Ref
    word: str
    message: str
    others: tuple[Ref, ...] = ()


def criticise(
    rules: Iterable[Rule], externals: Mapping[Ref, ExternalService], internal: Sequence[str] = ()
) -> tuple[Critique, ...]:
    """Everything there is to say, in the order of precedence. `internal` are prefixes that no destination reaches."""
    ordered = sorted(rules, key=lambda rule: rule.order)
    regions = {rule.ref: tuple(_regions(rule, externals, internal)) for rule in ordered}
    found: list[Critique] = []
    for place, rule in enumerate(ordered):
        before = [one for one in ordered[:place] if _meets(one, rule, externals)]
        found += _shadowed(rule, before, regions, externals)
        found += _contradicted(rule, before)
        if rule.action is Action.PASS:
            found += _passes_nothing(rule, ordered[place + 1 :], externals)
    return tuple(found)


def _shadowed(
    rule: Rule,
    before: Sequence[Rule],
    regions: Mapping[Ref, Sequence[Region]],
    externals: Mapping[Ref, ExternalService],
) -> Iterator[Critique]:
    """A rule of which no packet is left once those before it have decided."""
    left, own = list(regions[rule.ref]), regions[rule.ref]
    if not own or any(externals[ref].fqdns for ref in rule.destinations if ref in externals):
        return
    by: list[Ref] = []
    for other in before:
        if other.tier is not rule.tier and other.action is Action.PASS:
            continue
        if other.validity not in (ALWAYS, rule.validity):
            continue  # outside of its times it hides nothing
        rest = left
        for hole in regions[other.ref]:
            rest = [piece for one in rest for piece in one.without(hole)]
        if rest != left:
            by.append(other.ref)
        left = rest
        if len(left) > _MOST_PIECES:
            return
        if not left:
            names = ", ".join(str(ref) for ref in by)
            yield Critique(
                rule.ref, "Shadowed", f"it never decides: every packet is taken before it by {names}", tuple(by)
            )
            return


def _contradicted(rule: Rule, before: Sequence[Rule]) -> Iterator[Critique]:
    """Equals with another answer: the order of actions decides, which no author should have to know."""
    equals = [one for one in before if one.tier is rule.tier and one.priority == rule.priority]
    for other in equals:
        if other.action is not rule.action:
            message = f"{other.ref} has the same priority, overlaps and says {other.action}, which comes first"
            advice = "give one of them another priority"
            yield Critique(rule.ref, "Contradicted", f"{message}; {advice}", (other.ref,))


def _passes_nothing(rule: Rule, after: Sequence[Rule], externals: Mapping[Ref, ExternalService]) -> Iterator[Critique]:
    """A Pass matters only for what it skips in its own tier."""
    if not any(one.tier is rule.tier and _meets(rule, one, externals) for one in after):
        yield Critique(rule.ref, "SkipsNothing", "no later rule of its tier overlaps it, so this Pass changes nothing")


def _meets(left: Rule, right: Rule, externals: Mapping[Ref, ExternalService]) -> bool:
    return rules_overlap(left, right, externals)


def _regions(rule: Rule, externals: Mapping[Ref, ExternalService], internal: Sequence[str]) -> Iterator[Region]:
    """The packets that a rule is about, a region for each place to go with its own traffic."""
    places = [externals[ref] for ref in rule.destinations if ref in externals]
    for traffic, services in groupby(sorted(places, key=lambda one: repr(one.traffic)), key=lambda one: one.traffic):
        members = tuple(member for one in services for member in one.addresses)
        where = addresses.subtract(members, internal) if members else ()
        region = Region(who(rule.source), where, what(traffic))
        if not region.empty:
            yield region
