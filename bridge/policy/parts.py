"""Policy in parts that have nothing to do with each other, each compiled by itself: an edit costs the part that it is in (ADR 9).

Rules have to do with each other where they can meet in one packet and one of them stops or passes on. All others are scattered, so that no
part is large.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import TypeVar
from zlib import crc32

from bridge.model import addresses
from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleEntry, RuleList
from bridge.model.policy import ALWAYS, Action, AddressSource, ExternalService, Governance, Ref, Rule, SourceKind
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.lines import Lines
from bridge.policy.memory import Memory
from bridge.policy.remainder import exempt

_LOCAL = (SourceKind.SERVICE, SourceKind.NAMESPACE)  # of pods of one namespace, whose addresses are nobody else's
_SMALL = 16  # rules, about, of a part where rules are parted by name
_V6 = 1 << 33  # IPv6 addresses are counted from here on, apart from those of IPv4

T = TypeVar("T")
Rules = tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A part compiled, but for its lists: what each of them will hold. Not `alone`: other parts must know what is not in force here."""

    result: Compiled
    lists: Mapping[ObjectKey, tuple[Lines, ...]]
    wide: Mapping[ObjectKey, tuple[Ref, ...]]  # the rules of a list that are about the whole cluster
    alone: bool


Drafting = Callable[[ClusterPolicy, Target, Memory], Draft]


def drafted(result: Compiled, lines: Iterable[Lines], *, alone: bool = True) -> Draft:
    """A part of which these are the lines."""
    lists: dict[ObjectKey, list[Lines]] = {}
    for one in lines:
        if one.entries:
            lists.setdefault(one.key, []).append(one)
    wide = {key: tuple(one.rule.ref for one in each if one.rule.source.whole_cluster) for key, each in lists.items()}
    return Draft(
        result,
        {key: tuple(each) for key, each in lists.items()},
        {key: refs for key, refs in wide.items() if refs},
        alone,
    )


def compile_parts(
    policy: ClusterPolicy, target: Target, parts: Sequence[Rules], draft: Drafting, memory: Memory
) -> Compiled:
    """Every part by itself, and all together. Where parts turn out to have to do with each other, all are drafted as one."""

    def compiled(_: Rule, rules: Rules, around: _Around, target: Target) -> Draft:
        return draft(around.policy(rules), target, Memory())

    given = ((rules[0], rules, around, target) for rules, around in _around(policy, parts, memory))
    made = memory.each("parts", given, compiled)
    if len(made) > 1 and not all(one.alone for one in made):
        made = [draft(policy, target, memory.within("whole"))]
    result = Compiled()
    for one in made:
        _add(result, one.result)
    _add_lists(made, policy, result, memory)
    return result


def scattered(together: Iterable[Rules]) -> list[Rules]:
    """Rules in small parts, these mostly together. Others that come and go move none of them."""
    by_home: dict[str, list[Rules]] = {}
    for rules in together:
        by_home.setdefault(rules[0].ref.namespace, []).append(rules)
    found: list[Rules] = []
    for here in by_home.values():
        for part in _scattered(here, sum(map(len, here)), _whither):
            rules = tuple(chain.from_iterable(part))
            found += [rules] if len(rules) <= 4 * _SMALL else _scattered(rules, len(rules), _called)
    return found


def _whither(rules: Rules) -> str:
    """Where these rules lead to."""
    return " ".join([ref.name for ref in rules[0].destinations])


def _called(rule: Rule) -> str:
    return rule.ref.name


def _scattered(items: Iterable[T], count: int, name: Callable[[T], str]) -> list[tuple[T, ...]]:
    """In parts by name: by a sum that is the same in every process, for `hash` is not."""
    most = (1 << (count // _SMALL).bit_length()) - 1
    parts: dict[int, list[T]] = {}
    for item in items:
        parts.setdefault(crc32(name(item).encode()) & most, []).append(item)
    return [tuple(part) for part in parts.values()]


def alike(rules: Iterable[Rule]) -> list[Rules]:
    """The rules with the same destinations, together."""
    found: defaultdict[tuple[Ref, ...], list[Rule]] = defaultdict(list)
    for rule in rules:
        found[rule.destinations].append(rule)
    return [tuple(some) for some in found.values()]


def provinces(policy: ClusterPolicy, target: Target, memory: Memory) -> list[Rules]:
    """The rules in parts such that none can meet one of another part in a packet that either of them stops or passes on."""
    if not policy.rules:
        return []
    known = policy.externals if policy.meant is None else policy.meant
    lands = memory.one("lands", _lands, *known.values())
    aims: dict[tuple[str, tuple[Ref, ...]], list[Rule]] = {}
    for rule in policy.rules:
        aims.setdefault((_home(rule), rule.destinations), []).append(rule)
    wide = {lands.get(ref) for home, refs in aims if not home for ref in refs}
    lost = {home for home, refs in aims for ref in refs if ref not in lands}  # where nobody knows where a rule leads
    shared = any(view.source is not AddressSource.POD for view in target.views)
    if shared or "" in lost or (lost and wide):
        return [policy.rules]
    joined = _Joined()
    found: dict[object, list[Rule]] = {}
    places = {}
    for home, refs in aims:
        lies = (lands.get(ref) for ref in refs)
        places[home, refs] = [land if land in wide else (home, None if home in lost else land) for land in lies]
        joined.together(places[home, refs])
    for one, rules in aims.items():
        found.setdefault(joined.root(places[one][0]), []).extend(rules)
    stopped = [rules for rules in found.values() if any(rule.action is not Action.ALLOW for rule in rules)]
    free = [rules for rules in found.values() if all(rule.action is Action.ALLOW for rule in rules)]
    return [*map(tuple, stopped), *scattered(map(tuple, free))]


def _home(rule: Rule) -> str:
    """The namespace that the rule is of, where it can be about no workload of another; prefixes may hold anybody's."""
    own = rule.source.kind in _LOCAL and rule.source.namespace == rule.ref.namespace
    return rule.ref.namespace if own else ""


class _Joined:
    """Things that belong together."""

    def __init__(self) -> None:
        self._above: dict[object, object] = {}

    def together(self, things: Iterable[object]) -> None:
        """These belong together."""
        first, *others = map(self.root, things)
        for other in others:
            if other != first:
                self._above[other] = first

    def root(self, thing: object) -> object:
        """What stands for all that belong together with this one."""
        while (above := self._above.get(thing, thing)) != thing:
            thing = above
        return thing


def _lands(*services: ExternalService) -> dict[Ref, object]:
    """Where each external service lies: in one land with all that overlap it. Those with names may lie anywhere, and are left out."""
    spans = sorted(
        (int(net[0]) + _V6 * (net.version == 6), int(net[-1]) + _V6 * (net.version == 6), service.ref)
        for service in services
        for net in addresses.networks(service.addresses)
    )
    joined, top, latest = _Joined(), -1, None
    for first, last, ref in spans:
        if first <= top:
            joined.together((latest, ref))
        top, latest = max(top, last), ref
    return {service.ref: joined.root(service.ref) for service in services if not service.fqdns}


@dataclass(frozen=True, slots=True)
class _Around:
    """What of a policy makes a difference to one part of its rules."""

    cluster: str
    governance: Governance
    outside: tuple[str, ...] | None
    at: datetime | None
    externals: tuple[ExternalService, ...]
    meant: tuple[ExternalService, ...] | None
    barred: tuple[tuple[Ref, Remark], ...]
    partial: tuple[tuple[Ref, Remark], ...]
    ends: tuple[tuple[Ref, datetime], ...]

    def policy(self, rules: Rules) -> ClusterPolicy:
        """The policy of that part alone."""
        return ClusterPolicy(
            self.cluster,
            self.governance,
            rules,
            {one.ref: one for one in self.externals},
            at=self.at,
            barred=dict(self.barred),
            partial=dict(self.partial),
            ends=dict(self.ends),
            outside=self.outside,
            meant=None if self.meant is None else {one.ref: one for one in self.meant},
        )


def _around(policy: ClusterPolicy, parts: Iterable[Rules], memory: Memory) -> Iterator[tuple[Rules, _Around]]:
    for rules, refs, timed in memory.each("named", ((rules[0], rules) for rules in parts), _named):
        yield (
            rules,
            _Around(
                policy.cluster,
                policy.governance,
                policy.outside,
                policy.at if timed else None,
                _found(policy.externals, refs),
                None if policy.meant is None else _found(policy.meant, refs),
                _about(policy.barred, rules),
                _about(policy.partial, rules),
                _about(policy.ends, rules),
            ),
        )


def _named(_: Rule, rules: Rules) -> tuple[Rules, tuple[Ref, ...], bool]:
    """Rules, what they name, and whether some of them count at times only."""
    refs = dict.fromkeys(ref for rule in rules for ref in rule.destinations)
    return rules, tuple(refs), any(rule.validity is not ALWAYS for rule in rules)


def _found(services: Mapping[Ref, ExternalService], refs: Iterable[Ref]) -> tuple[ExternalService, ...]:
    return tuple(filter(None, map(services.get, refs)))


def _about(told: Mapping[Ref, T], rules: Rules) -> tuple[tuple[Ref, T], ...]:
    return tuple((rule.ref, told[rule.ref]) for rule in rules if rule.ref in told) if told else ()


def _add(result: Compiled, part: Compiled) -> None:
    """Rules are in one part, external services may be in several."""
    result.groups.update(part.groups)
    result.objects.update(part.objects)
    result.remarks.update(part.remarks)
    shared = part.placed.keys() & result.placed.keys()
    before = [(ref, result.placed[ref]) for ref in shared]
    result.placed.update(part.placed)
    for ref, keys in before:
        if not keys <= result.placed[ref]:
            result.place(ref, *keys)


def _add_lists(made: Iterable[Draft], policy: ClusterPolicy, result: Compiled, memory: Memory) -> None:
    """The lists; before the lines who is exempt, where one of them is about the whole cluster."""
    found: dict[ObjectKey, list[tuple[Lines, ...]]] = {}
    wide: dict[ObjectKey, list[Ref]] = {}
    for one in made:
        for key, lines in one.lists.items():
            found.setdefault(key, []).append(lines)
        for key, refs in one.wide.items():
            wide.setdefault(key, []).extend(refs)
    first = (exempt(policy, result),) if wide else ()
    given = ((some[0][0], tuple(some), first if key in wide else ()) for key, some in found.items())
    result.objects.update((each.key, each) for each in memory.each("lists", given, _list))
    more = [key for entry in first for key in entry.references()]
    for ref in chain.from_iterable(wide.values()):
        result.place(ref, *more)


def _list(head: Lines, parts: tuple[tuple[Lines, ...], ...], first: tuple[RuleEntry, ...]) -> RuleList:
    lines = sorted(chain.from_iterable(parts), key=attrgetter("order"))
    return RuleList(head.key, (*first, *chain.from_iterable(one.entries for one in lines)))
