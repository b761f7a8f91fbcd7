"""Rules to what a flat device holds: one ordered list, first match, Allow final (SEMANTICS 5).

The lists are those of a tiered device, one after the other, and the default last. What has no line there is a Pass, and whoever is exempt:
the whole cluster is a group of exact prefixes instead. A Pass that skips something is brought to bear in two ways. Where the default denies
what nobody decides, it becomes what the lower tiers and the default say of its packets, in front of what it skips. Where such packets go
on unmatched, no line can say so: there they are taken out of what it skips.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

from bridge.model import addresses
from bridge.model.policy import (
    Action,
    DefaultAction,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.ground import Ground, Meeting
from bridge.policy.memory import Memory
from bridge.policy.pieces import Inexpressible, Piece
from bridge.policy.region import Region, what
from bridge.policy.remainder import GOVERNED, KNOWN, outside
from bridge.policy.standing import Standing
from bridge.policy.untiered import Lists, Part, compile_untiered, parts_less, pieces, unsupported
from bridge.policy.who import Who

_EVERYONE = Source(SourceKind.CLUSTER)
_ANYTHING = what([Traffic(Protocol.ANY)])
_MOST = 64  # pieces of what a Pass has left to decide; beyond it lines are no longer looked at whether they are dead


def compile_flat(policy: ClusterPolicy, target: Target, memory: Memory | None = None) -> Compiled:
    """What `policy` asks of a device that holds one ordered list without Pass."""
    result = compile_untiered(policy, target, _attempt, memory or Memory())
    default = _default(target)
    if default is not None and outside(policy):
        Lists(Ground(policy), Standing((), frozenset()), result, Memory()).add_default(default)
    return result


def _attempt(policy: ClusterPolicy, target: Target, judged: Standing, lists: Lists) -> None:
    _Flat(policy, target, judged, lists).build()


class _Flat:
    """One round."""

    def __init__(self, policy: ClusterPolicy, target: Target, judged: Standing, lists: Lists) -> None:
        self._policy = policy
        self._ground = lists.ground
        self._rules = tuple(sorted(judged.rules, key=lambda rule: (rule.tier.rank, lists.key(rule))))
        self._place = {rule.ref: place for place, rule in enumerate(self._rules)}
        self._lists = lists
        self._default = _default(target)
        self._skipped: dict[Ref, list[Rule]] = {}
        self._skipped_by: dict[Ref, list[Rule]] = {}
        self._pieces: dict[Ref, tuple[Piece, ...]] = {}

    @cached_property
    def _meeting(self) -> Meeting:
        return Meeting(self._rules, self._ground)

    def build(self) -> None:
        """Fill the lists."""
        for rule in self._rules:
            if rule.action is Action.PASS:
                self._look_behind(rule)
        whole = [rule for rule in self._rules if rule.action is not Action.PASS and rule.ref not in self._skipped_by]
        self._lists.write(whole)
        for rule in self._rules:
            if rule.action is Action.PASS or rule.ref in self._skipped_by:
                self._add_pieces(rule)
            else:
                self._lists.add(rule)

    def _look_behind(self, one: Rule) -> None:
        """What a Pass skips. By name it cannot be brought to bear on anything, nor on what is by name."""
        later = [rule for rule in self._meeting.of(one) if self._place[rule.ref] > self._place[one.ref]]
        skipped = [rule for rule in later if rule.tier is one.tier]
        if not skipped:
            return
        decided, unmatched = self._parts(one)
        by_name = [rule for rule in later if self._ground.named(rule) and (unmatched if rule in skipped else decided)]
        if self._ground.named(one) or by_name:
            whose = one if self._ground.named(one) else by_name[0]
            self._refuse(one, f"a Pass here needs to know what the names of {whose.ref} stand for; state addresses")
            return
        self._skipped[one.ref] = skipped
        if unmatched:
            for rule in skipped:
                self._skipped_by.setdefault(rule.ref, []).append(one)

    def _parts(self, one: Rule) -> tuple[list[Part], list[Part]]:
        """The packets of a Pass that the default denies where nothing decides them, and those that then go on unmatched."""
        regions = self._ground.regions(one)
        if self._default is None:
            return [], list(regions)
        both = ((ref, region.both(self._default)) for ref, region in regions)
        decided = [(ref, region) for ref, region in both if region]
        return decided, [(ref, piece) for ref, region in regions for piece in region.without(self._default)]

    def _add_pieces(self, rule: Rule) -> None:
        causes = [rule] if rule.action is Action.PASS else self._skipped_by[rule.ref]
        try:
            made = tuple(self._placed(rule)) if rule.action is Action.PASS else self._pieces_of(rule)
            self._lists.add_pieces(rule, made, {*causes, *(piece.rule for piece in made if piece.rule)})
        except Inexpressible as why:
            for one in causes:
                self._refuse(one, f"a Pass here becomes what it lets decide, and is taken out of what it skips: {why}")
            return
        self._lists.tell(rule)
        if not made and rule.action is not Action.PASS:
            words = "a Pass before it takes every packet of it: nothing of it is there"
            self._lists.result.remarks.setdefault(rule.ref, Remark("", words))

    def _pieces_of(self, rule: Rule) -> tuple[Piece, ...]:
        found = self._pieces.get(rule.ref)
        if found is None:
            made = self._expanded(rule) if rule.action is Action.PASS else self._left(rule)
            found = self._pieces[rule.ref] = tuple(made)
        return found

    def _left(self, rule: Rule) -> Iterator[Piece]:
        """A rule without what goes on unmatched because of the Passes before it."""
        holes = [part for one in self._skipped_by.get(rule.ref, ()) for part in self._parts(one)[1]]
        parts = parts_less(self._ground.regions(rule), holes, self._lists.cap(rule), ordered=True)
        return pieces(rule, parts, holes, withheld=rule.ref in self._lists.withheld, end=self._lists.end(rule))

    def _expanded(self, one: Rule) -> Iterator[Piece]:
        """What a Pass becomes: the lower tiers and the default, as far as they meet it and something of it is left to decide."""
        decided = self._parts(one)[0] if one.ref in self._skipped else []
        if not decided:
            return
        most, meeting = self._lists.cap(one), self._meeting.of(one)
        left = self._undecided(one, (rule for rule in meeting if rule.tier is one.tier))
        below = self._below(one, (rule for rule in meeting if rule.tier.rank > one.tier.rank), decided)
        for number, piece in enumerate(_alive(below, left)):
            if number >= most:
                raise Inexpressible(f"more than {most} lines would be added to its list")
            yield piece

    def _placed(self, one: Rule) -> Iterable[Piece]:
        """The pieces of a Pass that decide anything behind all that stands before them on the device."""
        above = [rule for rule in self._meeting.of(one) if rule.tier.rank < one.tier.rank]
        made = self._pieces_of(one)
        return _alive(made, self._undecided(one, above)) if above else made

    def _below(self, one: Rule, rules: Iterable[Rule], decided: Iterable[Part]) -> Iterator[Piece]:
        """The pieces of lower rules as far as they are in a Pass, then the default: one for each line."""
        for rule in rules:
            for piece in self._pieces_of(rule):
                for ref, region in decided:
                    both = region.both(piece.region)
                    if both:
                        name = f"{one.ref.label}_{_whose(rule)}_{piece.name}"
                        services = tuple(dict.fromkeys((*piece.services[:1], ref, *piece.services)))
                        log = one.log or piece.log
                        # A Pass that is over lets nobody through any more; what else it brought goes on denying.
                        end = min(filter(None, (self._lists.end(one), piece.end)), default=None)
                        yield from Piece(piece.rule, name, both, services, piece.withheld, log, end).by_line()
        for ref, region in decided:
            yield from Piece(None, f"{one.ref.label}_default-deny", region, (ref,), log=True).by_line()

    def _undecided(self, one: Rule, others: Iterable[Rule]) -> list[Region]:
        """What of a Pass those of the others that stand before it do not decide."""
        left = [region for _, region in self._parts(one)[0]]
        for rule in others:
            if self._place[rule.ref] > self._place[one.ref]:
                break
            if rule.action is Action.PASS:
                holes = [region for _, region in self._parts(rule)[0]] if rule.ref in self._skipped else []
            elif rule.ref in self._lists.withheld or self._ground.named(rule) or self._lists.end(rule):
                holes = []
            else:
                holes = [piece.region for piece in self._pieces_of(rule)]
            for hole in holes:
                left = _less(left, hole)
        return left

    def _refuse(self, rule: Rule, words: str) -> None:
        self._lists.refused[rule.ref] = unsupported(words)


def _default(target: Target) -> Region | None:
    """Which packets the default denies; None when it denies none."""
    defaults = target.defaults
    known, none_of = frozenset((_EVERYONE,)), frozenset[Source]()
    if defaults.unknown_addresses is UnknownAddresses.PASS:
        if defaults.action is DefaultAction.NONE:
            return None
        known = frozenset((Source(SourceKind.BUILTIN, service=GOVERNED),))
    elif defaults.action is DefaultAction.NONE:
        none_of = frozenset((Source(SourceKind.BUILTIN, service=KNOWN),))
    return Region(Who(known, none_of), addresses.ALL, _ANYTHING)


def _alive(found: Iterable[Piece], left: list[Region]) -> Iterator[Piece]:
    """Those that decide something of what is left when their turn comes; what is withheld, or ends, may not be there."""
    for piece in found:
        if any(part.both(piece.region) for part in left):
            yield piece
            if not piece.withheld and piece.end is None:
                left = _less(left, piece.region)


def _less(left: list[Region], hole: Region) -> list[Region]:
    rest = [piece for one in left for piece in one.without(hole)]
    return rest if len(rest) <= _MOST else left


def _whose(rule: Rule) -> str:
    return "_".join(part for part in (rule.tier.value, rule.ref.namespace) if part)
