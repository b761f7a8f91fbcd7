"""Every rule that a packet, or a kind of traffic, meets on its way: whether it matched, why not, and what was decided in the end.

The reference evaluator decides one packet of which everything is known. This tells the same for a whole kind of traffic, in pieces, and
where something is not known says what hangs on it. Whether a rule matches is True, False, or None: nobody knows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    Protocol,
    Ref,
    Rule,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.region import What, what
from bridge.policy.validity import Rest

Meant = Mapping[Ref, bool | None]
"""Of each external service whether the destination is one of its."""


_NOTHING = What({})


class Verdict(StrEnum):
    """What becomes of the traffic."""

    ALLOW = "Allow"
    DENY = "Deny"
    REJECT = "Reject"
    UNMATCHED = "unmatched"  # it goes on to whatever the device's owner has behind our rules
    UNKNOWN = "unknown"

    @property
    def stops(self) -> bool:
        """Whether the traffic goes no further."""
        return self in (Verdict.DENY, Verdict.REJECT)


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule with what is known of it. Of the traffic its destinations take `carried` for certain and `perhaps` maybe."""

    rule: Rule
    rest: Rest | None
    source: bool | None
    destination: bool | None
    carried: What
    perhaps: What
    reached: tuple[Ref, ...] = ()  # the destinations that match, or may

    @property
    def certain(self) -> What:
        """The traffic that it surely decides where it is the first."""
        return self.carried if self.rest is None and self.source else _NOTHING

    @property
    def doubtful(self) -> What:
        """The traffic of which nobody knows whether it does."""
        if self.rest is not None or self.source is False:
            return _NOTHING
        return self.perhaps if self.source else together(self.carried, self.perhaps)

    @property
    def matches(self) -> bool | None:
        """Whether it matches some of the traffic."""
        if not self.certain.empty:
            return True
        return False if self.doubtful.empty else None

    @property
    def meets(self) -> bool:
        """Whether it matches, or may, but for its sender and its times."""
        return not (self.carried.empty and self.perhaps.empty)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the traffic and what is decided of it, by which rule (None: the default, or nothing of ours).

    `passed` are the Passes on the way, `doubts` rules of which nobody knows whether they match; `otherwise` is what holds when they do not.
    """

    what: What
    verdict: Verdict
    rule: Rule | None = None
    passed: tuple[Ref, ...] = ()
    why: str = ""
    doubts: tuple[Ref, ...] = ()
    otherwise: Verdict | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    what: What
    passed: tuple[Ref, ...] = ()
    doubts: tuple[Rule, ...] = ()


def consider(
    rules: Iterable[tuple[Rule, Rest | None]],
    externals: Mapping[Ref, ExternalService],
    sources: Mapping[Ref, bool | None],
    meant: Meant,
    asked: What,
) -> tuple[Considered, ...]:
    """What is known of each rule, in their order."""
    found = (_considered(rule, rest, externals, sources[rule.ref], meant, asked) for rule, rest in rules)
    return tuple(sorted(found, key=lambda one: one.rule.order))


def decide(considered: Sequence[Considered], asked: What, defaults: Defaults, *, known: bool) -> tuple[Piece, ...]:
    """What becomes of the traffic, in pieces that share nothing. `known`: somebody is known to hold the sender's address."""
    left, done = [_Open(asked)], list[Piece]()
    for tier in Tier:
        passed: list[_Open] = []
        for one in considered:
            if one.rule.tier is tier and one.matches is not False:
                left = list(_met(left, one, passed, done))
        left += passed
    return tuple(_joined([*done, *(_remaining(one, defaults, known=known) for one in left)]))


def _considered(
    rule: Rule,
    rest: Rest | None,
    externals: Mapping[Ref, ExternalService],
    source: bool | None,
    meant: Meant,
    asked: What,
) -> Considered:
    there = [ref for ref in rule.destinations if ref in externals and meant[ref] is not False]
    sure = [ref for ref in there if meant[ref]]
    carried = what(line for ref in sure for line in externals[ref].traffic).both(asked)
    perhaps = what(line for ref in there if ref not in sure for line in externals[ref].traffic).both(asked)
    destination = bool(sure) or (None if there else False)
    taken = tuple(ref for ref in there if not what(externals[ref].traffic).both(asked).empty)
    return Considered(rule, rest, source, destination, carried, perhaps.without(carried), taken)


def _met(left: Iterable[_Open], one: Considered, passed: list[_Open], done: list[Piece]) -> Iterator[_Open]:
    """What of the traffic goes on behind the rule in its tier."""
    rule, certain, doubtful = one.rule, one.certain, one.doubtful
    for each in left:
        hit, maybe = each.what.both(certain), each.what.both(doubtful)
        if not hit.empty:
            if rule.action is Action.PASS:
                passed.append(replace(each, what=hit, passed=(*each.passed, rule.ref)))
            else:
                done.append(_ended(replace(each, what=hit), Verdict(rule.action), rule))
        if not maybe.empty:
            yield replace(each, what=maybe, doubts=(*each.doubts, rule))
        rest = each.what.without(certain).without(doubtful)
        if not rest.empty:
            yield replace(each, what=rest)


def _remaining(one: _Open, defaults: Defaults, *, known: bool) -> Piece:
    if known:
        denies, why = defaults.action is DefaultAction.DENY, "the default for governed workloads"
    else:
        denies, why = defaults.unknown_addresses is UnknownAddresses.DENY, "the default for addresses nobody holds"
    return _ended(one, Verdict.DENY if denies else Verdict.UNMATCHED, None, why)


def _ended(one: _Open, verdict: Verdict, rule: Rule | None, why: str = "") -> Piece:
    """A doubt matters where the rule would have decided otherwise."""
    doubts = tuple(each.ref for each in one.doubts if each.action.value != verdict.value)
    if doubts:
        return Piece(one.what, Verdict.UNKNOWN, rule, one.passed, why, doubts, verdict)
    return Piece(one.what, verdict, rule, one.passed, why)


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Pieces that differ in nothing but the traffic, as one."""
    found: list[Piece] = []
    for piece in pieces:
        same = next((at for at, one in enumerate(found) if replace(one, what=piece.what) == piece), None)
        if same is None:
            found.append(piece)
        else:
            found[same] = replace(piece, what=together(found[same].what, piece.what))
    return iter(found)


def together(one: What, other: What) -> What:
    """The traffic of both."""
    everything = what([Traffic(Protocol.ANY)])
    return everything.without(everything.without(one).both(everything.without(other)))
