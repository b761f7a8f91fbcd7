"""What the compilers for flat and for allow-only devices have in common: rounds, the cap, and lists made of lines and of pieces.

What such a device cannot hold is often seen only when it is about to be written. Then the rule is refused, and everything is judged anew
with that in mind, so that what lies below it is withheld (SEMANTICS 4).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleEntry, RuleList
from bridge.model.policy import Action, Ref, Rule
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.ground import Ground
from bridge.policy.lines import entries, list_key, short
from bridge.policy.pieces import EVERYBODY, Inexpressible, Piece, Writing, numbered
from bridge.policy.region import Region, everyone
from bridge.policy.remainder import EVERYONE, builtin, fixed_group, outside
from bridge.policy.standing import Standing, standing

CAP, LEAST = 4, 64
"""The lines that expansion may add to a list: so many for each rule of its reach, and in any case so many."""

Attempt = Callable[[Standing, Compiled], Mapping[Ref, Remark]]
"""One round: fills the result, and returns the rules that must be refused for it to be right."""

Part = tuple[Ref, Region]
"""Packets to one external service."""


def in_rounds(policy: ClusterPolicy, target: Target, attempt: Attempt) -> Compiled:
    """The result of the first round in which nothing more is refused."""
    refused: dict[Ref, Remark] = {}
    while True:
        result = Compiled()
        judged = standing(replace(policy, barred={**policy.barred, **refused}), target, result)
        if not target.capabilities.log:
            judged = replace(judged, rules=tuple(_not_logged(rule, result) for rule in judged.rules))
        more = {ref: remark for ref, remark in attempt(judged, result).items() if ref not in refused}
        if not more:
            return result
        refused.update(more)


def unsupported(words: str) -> Remark:
    """Why a rule is refused."""
    return Remark("Unsupported", words)


@dataclass(slots=True)
class Lists:
    """The rule lists of one round."""

    ground: Ground
    rules: tuple[Rule, ...]
    withheld: frozenset[Ref]
    result: Compiled
    refused: dict[Ref, Remark] = field(default_factory=dict)
    _lines: dict[ObjectKey, list[RuleEntry]] = field(default_factory=dict)
    _names: defaultdict[ObjectKey, set[str]] = field(default_factory=lambda: defaultdict(set))
    _added: Counter[ObjectKey] = field(default_factory=Counter)
    _writing: Writing = field(init=False)
    _reach: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        self._writing = Writing(self.ground, self.rules, self.result)
        self._reach = Counter(rule.ref.namespace for rule in self.rules)

    def key(self, rule: Rule) -> ObjectKey:
        """The list that a rule stands in."""
        return list_key(self.ground.policy.cluster, rule)

    def cap(self, rule: Rule) -> int:
        """How many lines expansion may add to the list of this rule: a namespace answers for its own rules only."""
        namespace = rule.ref.namespace
        return max(LEAST, CAP * (self._reach[namespace] if namespace else len(self.rules)))

    def add_whole(self, rule: Rule) -> None:
        """The rule as it is written, just as a tiered device has it."""
        meant = replace(rule, source=EVERYBODY) if everyone(rule.source) else rule
        found = tuple(entries(meant, self.ground.policy, self.result, withheld=rule.ref in self.withheld))
        if found and everyone(rule.source):
            self.result.groups[builtin(self.ground.policy.cluster, EVERYONE)] = (EVERYBODY,)
        self._put(rule, numbered(found, self._names[self.key(rule)]))

    def add_pieces(self, rule: Rule, pieces: Iterable[Piece], involved: Iterable[Rule] = ()) -> None:
        """The rule as these pieces; whoever is `involved` in them is there only with them. Inexpressible beyond the cap."""
        key = self.key(rule)
        found = tuple(numbered((line for one in pieces for line in self._writing.lines(one)), self._names[key]))
        self._added[key] += len(found)
        if self._added[key] > self.cap(rule):
            raise Inexpressible(f"more than {self.cap(rule)} lines would be added to its list")
        self._put(rule, found)
        if found:
            for one in involved:
                self.result.place(one.ref, *self.result.placed[rule.ref])

    def add_default(self, region: Region) -> None:
        """The Deny of these packets, outside the cluster, after the last tier."""
        cluster = self.ground.policy.cluster
        key, away = ObjectKey(Kind.RULE_LIST, cluster, Scope.DEFAULT), builtin(cluster, "outside")
        fixed_group(away, outside(self.ground.policy), self.result)
        sides = ((self._writing.group(region.who),), (away,))
        self.result.objects[key] = RuleList(key, (RuleEntry("default-deny", Action.DENY, *sides, log=True),))

    def finish(self) -> None:
        """Put the lists into the result."""
        for key, lines in self._lines.items():
            self.result.objects[key] = RuleList(key, tuple(lines))

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

    def _put(self, rule: Rule, found: Iterable[RuleEntry]) -> None:
        key, lines = self.key(rule), tuple(found)
        if lines:
            self._lines.setdefault(key, []).extend(lines)
            self.result.place(rule.ref, key, *(ref for line in lines for ref in line.references()))


def parts_less(parts: Iterable[Part], holes: Iterable[Part], most: int) -> tuple[Part, ...]:
    """What is left of them, in parts that share no packet with the holes; each once. Inexpressible where that are more than so many."""
    out = [hole for _, hole in holes]
    found: list[Part] = []
    for ref, region in parts:
        left = [region]
        for hole in out:
            left = [piece for one in left for piece in one.without(hole)]
            if len(left) > most:
                raise Inexpressible(f"what is left of it falls into more than {most} pieces")
        found += [(ref, piece) for piece in left if not _within(piece, found)]
    return tuple(found)


def pieces(rule: Rule, parts: Iterable[Part], holes: Iterable[Part], *, withheld: bool) -> Iterator[Piece]:
    """Parts of a rule as pieces; the services of the holes may give their destinations a name."""
    others = tuple(dict.fromkeys(ref for ref, _ in holes))
    for ref, region in parts:
        services = (ref, *(one for one in others if one != ref))
        yield Piece(rule, f"{rule.ref.label}_{short(ref)}", region, services, withheld, rule.log)


def _within(piece: Region, found: Iterable[Part]) -> bool:
    left = [piece]
    for _, one in found:
        left = [rest for each in left for rest in each.without(one)]
    return not left


def _not_logged(rule: Rule, result: Compiled) -> Rule:
    if not rule.log:
        return rule
    result.remarks.setdefault(rule.ref, Remark("", "the device cannot log: matches of this rule are not logged there"))
    return replace(rule, log=False)
