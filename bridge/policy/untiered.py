"""What the compilers for flat and for allow-only devices have in common: rounds, the cap, and lists made of lines and of pieces.

What such a device cannot hold is often seen only when it is about to be written. Then the rule is refused, and everything is judged anew
with that in mind, so that what lies below it is withheld (SEMANTICS 4).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleEntry, RuleList
from bridge.model.policy import Action, Ref, Rule
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.ground import Ground
from bridge.policy.lines import Lines, add_lines, list_key, short
from bridge.policy.memory import Memory
from bridge.policy.parts import Draft, compile_parts, drafted, provinces
from bridge.policy.pieces import EVERYBODY, Inexpressible, Piece, Writing, numbered
from bridge.policy.region import Region, what
from bridge.policy.remainder import EVERYONE, builtin, fixed_group, outside
from bridge.policy.standing import Standing, standing
from bridge.policy.who import everyone

CAP, LEAST = 4, 64
"""The lines that expansion may add to a list: so many for each rule of its reach, and in any case so many."""

Attempt = Callable[[ClusterPolicy, Target, Standing, "Lists"], None]
"""One round: fills the lists and their result, and names the rules that must be refused for it to be right."""

Part = tuple[Ref, Region]
"""Packets to one external service."""


def compile_untiered(policy: ClusterPolicy, target: Target, attempt: Attempt, memory: Memory) -> Compiled:
    """All of it but a default; rules that have nothing to do with each other apart."""

    draft = partial(_in_rounds, attempt)
    return compile_parts(policy, target, provinces(policy, target, memory), draft, memory)


def _in_rounds(attempt: Attempt, policy: ClusterPolicy, target: Target, memory: Memory) -> Draft:
    """The result of the first round in which nothing more is refused."""
    refused: dict[Ref, Remark] = {}
    while True:
        result = Compiled()
        judged = standing(replace(policy, barred={**policy.barred, **refused}), target, result, memory)
        if not target.capabilities.log:
            judged = replace(judged, rules=tuple(_not_logged(rule, result) for rule in judged.rules))
        lists = Lists(Ground(policy), judged, result, memory)
        attempt(policy, target, judged, lists)
        more = {ref: remark for ref, remark in lists.refused.items() if ref not in refused}
        if not more:
            return drafted(result, lists.made)
        refused.update(more)


def unsupported(words: str) -> Remark:
    """Why a rule is refused."""
    return Remark("Unsupported", words)


class Lists:
    """The rule lists of one round."""

    def __init__(self, ground: Ground, judged: Standing, result: Compiled, memory: Memory) -> None:
        self.ground = ground
        self.withheld = judged.withheld
        self.result = result
        self.refused: dict[Ref, Remark] = {}
        self._memory = memory
        self._writing = Writing(ground, judged.rules, result)
        self._count = len(judged.rules)
        self._reach = Counter(self.key(rule).namespace for rule in judged.rules)
        self._whole: dict[Ref, Lines] = {}
        self.made: list[Lines] = []
        self._names: dict[ObjectKey, set[str]] = {}
        self._added: Counter[ObjectKey] = Counter()

    def key(self, rule: Rule) -> ObjectKey:
        """The list that a rule stands in."""
        return list_key(self.ground.policy.cluster, rule)

    def end(self, rule: Rule) -> datetime | None:
        """When a device that knows schedules is to end this by itself."""
        return self.ground.policy.ends.get(rule.ref)

    def cap(self, rule: Rule) -> int:
        """How many lines expansion may add to the list of this rule: a namespace answers for its own rules only."""
        namespace = self.key(rule).namespace
        return max(LEAST, CAP * (self._reach[namespace] if namespace else self._count))

    def write(self, rules: Iterable[Rule]) -> None:
        """Write these as they are, just as a tiered device has them; they stand where they are added."""
        meant = self._memory.each("meant", ((rule,) for rule in rules), _meant)
        for one in add_lines(meant, self.withheld, self.ground.policy, self.result, self._memory):
            self._whole[one.rule.ref] = one
        everybody = builtin(self.ground.policy.cluster, EVERYONE)
        if everybody in self.result.groups:
            self.result.groups[everybody] = (EVERYBODY,)  # whoever names it, it is the same group

    def add(self, rule: Rule) -> None:
        """A rule that is written as it is."""
        self.made.append(self._whole[rule.ref])

    def add_pieces(self, rule: Rule, pieces: Iterable[Piece], involved: Iterable[Rule] = ()) -> None:
        """The rule as these pieces; whoever is `involved` in them is there only with them. Inexpressible beyond the cap."""
        key = self.key(rule)
        found = tuple(numbered((line for one in pieces for line in self._writing.lines(one)), self._taken(key)))
        self._added[key] += len(found)
        if self._added[key] > self.cap(rule):
            raise Inexpressible(f"more than {self.cap(rule)} lines would be added to its list")
        if found:
            refs = frozenset((key, *(ref for line in found for ref in line.references())))
            self.made.append(Lines(_meant(rule), key, found, (), refs, rule.order))
            for one in (rule, *involved):
                self.result.place(one.ref, *refs)

    def _taken(self, key: ObjectKey) -> set[str]:
        if key not in self._names:
            self._names[key] = {line.name for one in self._whole.values() if one.key == key for line in one.entries}
        return self._names[key]

    def add_default(self, region: Region) -> None:
        """The Deny of these packets, outside the cluster, after the last tier."""
        cluster = self.ground.policy.cluster
        key, away = ObjectKey(Kind.RULE_LIST, cluster, Scope.DEFAULT), builtin(cluster, "outside")
        fixed_group(away, outside(self.ground.policy), self.result)
        sides = ((self._writing.group(region.who),), (away,))
        self.result.objects[key] = RuleList(key, (RuleEntry("default-deny", Action.DENY, *sides, log=True),))

    def tell(self, rule: Rule) -> None:
        """What there is to say of a rule that is not written as it is: its services count, and may lie inside altogether."""
        for service in self.ground.services(rule):
            self.result.place(service.ref)
            if not service.fqdns and not self.ground.outside(service):
                words = "every address of it lies inside the cluster"
                self.result.remarks[service.ref] = Remark("NoDestination", words)
        if not self.ground.regions(rule) and not self.ground.named(rule):
            known = self.result.remarks.get(rule.ref)
            if known is None or known.reason in ("", "Withheld"):
                words = "every destination lies inside the cluster: the rule has no effect"
                self.result.remarks[rule.ref] = Remark("NoDestination", words)


def parts_less(parts: Iterable[Part], holes: Iterable[Part], most: int, *, ordered: bool) -> tuple[Part, ...]:
    """What is left of them (one for each external service) in parts that share no packet with the holes, and of these what is needed.

    Inexpressible where one falls into more than so many. Where the parts are `ordered`, the first that holds a packet decides it: needed
    is what none before it holds. Else it is what no other holds.
    """
    out = [hole for _, hole in holes]
    found: list[Part] = []
    for ref, region in dict(parts).items():
        left = [region]
        for hole in out:
            left = [piece for one in left for piece in one.without(hole)]
            if len(left) > most:
                raise Inexpressible(f"what is left of it falls into more than {most} pieces")
        found += [(ref, piece) for piece in left]
    return tuple(_needed(found, ordered=ordered))


def _needed(found: list[Part], *, ordered: bool) -> Iterator[Part]:
    """Of these without whatever line would be within others. Those to one external service share no packet to begin with."""
    left, kept = list(found), list[Part]()
    while left:
        ref, region = left.pop()
        others = chain(left, () if ordered else kept)
        rest = _less_lines(region, [one for other, one in others if other != ref and one.both(region)])
        if rest is not None:
            kept.append((ref, rest))
    return reversed(kept)


def _less_lines(region: Region, others: list[Region]) -> Region | None:
    """The region without each line of which all is in others; None where nothing remains."""
    lines = region.what.traffic() if others else None
    if lines is None:
        return None if others and _within(region, others) else region
    needed = [line for line in lines if not _within(replace(region, what=what([line])), others)]
    if len(needed) == len(lines):
        return region
    return replace(region, what=what(needed)) if needed else None


def pieces(
    rule: Rule, parts: Iterable[Part], holes: Iterable[Part], *, withheld: bool, end: datetime | None
) -> Iterator[Piece]:
    """Parts of a rule as pieces; the services of the holes may give their destinations a name."""
    others = tuple(dict.fromkeys(ref for ref, _ in holes))
    for ref, region in parts:
        services = (ref, *(one for one in others if one != ref))
        yield Piece(rule, f"{rule.ref.label}_{short(ref)}", region, services, withheld, rule.log, end)


def _within(region: Region, others: Iterable[Region]) -> bool:
    left = [region]
    for one in others:
        left = [rest for each in left for rest in each.without(one)]
    return not left


def _meant(rule: Rule) -> Rule:
    """The rule with the pod ranges less the exempt as a group, where it is about the whole cluster."""
    return replace(rule, source=EVERYBODY) if everyone(rule.source) else rule


def _not_logged(rule: Rule, result: Compiled) -> Rule:
    if not rule.log:
        return rule
    result.remarks.setdefault(rule.ref, Remark("", "the device cannot log: matches of this rule are not logged there"))
    return replace(rule, log=False)
