"""Who sends, cut into classes: two addresses of one class are in the same sets, and so meet the same lines."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bridge.policy import reach_spans
from bridge.policy.reach_lines import Members
from bridge.policy.reach_spans import Spans, family, meet, merged

Sets = tuple[int, ...]
"""Which of the sets, by their place in the sequence that was given."""


@dataclass(slots=True)
class Class:
    """Addresses of one family that are in exactly these sets: one by one, and all of these stretches that are not told one by one."""

    sets: Sets
    family: int
    points: list[str]
    rest: Spans = ()


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of everyone of interest; `told` are the addresses that stand in one of them by themselves."""

    found: Sequence[Class]
    told: frozenset[str]


def classes(sets: Sequence[Members], interesting: Iterable[int]) -> Classes:
    """Cut everyone who is in one of the interesting sets by all of the sets. Exact; the effort grows with who is of interest."""
    chosen = list(interesting)
    spans = merged(one for index in chosen for one in sets[index].spans)
    points = {one for index in chosen for one in sets[index].points}
    if spans:
        points |= _inside({one for each in sets for one in each.points}, spans)
    numbers = {one: reach_spans.point(one) for one in points} if any(each.spans for each in sets) else {}
    signs: dict[str, list[int]] = {one: [] for one in points}
    _by_points(sets, points, signs)
    _by_spans(sets, numbers, signs)
    found: dict[tuple[Sets, int], Class] = {}
    for one, sign in signs.items():
        place = (tuple(sorted(set(sign))), 6 if ":" in one else 4)
        found.setdefault(place, Class(*place, [])).points.append(one)
    _add_rest(found, sets, spans, sorted(numbers.values()))
    return Classes(list(found.values()), frozenset(points))


def _inside(points: Iterable[str], spans: Spans) -> set[str]:
    starts = [first for first, _ in spans]
    found = set()
    for one in points:
        number = reach_spans.point(one)
        at = bisect_right(starts, number) - 1
        if at >= 0 and number <= spans[at][1]:
            found.add(one)
    return found


def _by_points(sets: Sequence[Members], points: set[str], signs: Mapping[str, list[int]]) -> None:
    for index, each in enumerate(sets):
        for one in points & each.points:
            signs[one].append(index)


def _by_spans(sets: Sequence[Members], numbers: Mapping[str, int], signs: Mapping[str, list[int]]) -> None:
    if not numbers:
        return
    ordered = sorted(numbers.items(), key=lambda pair: pair[1])
    keys = [number for _, number in ordered]
    for index, each in enumerate(sets):
        for first, last in each.spans:
            for one, _ in ordered[bisect_left(keys, first) : bisect_right(keys, last)]:
                signs[one].append(index)


def _add_rest(
    found: dict[tuple[Sets, int], Class], sets: Sequence[Members], spans: Spans, numbers: Sequence[int]
) -> None:
    """The stretches between the addresses that are told one by one, as far as there is anybody left in them."""
    if not spans:
        return
    rest: dict[tuple[Sets, int], list[tuple[int, int]]] = {}
    for first, last, sign in _cells(sets, spans):
        told = bisect_right(numbers, last) - bisect_left(numbers, first)
        if last - first + 1 > told:
            rest.setdefault((sign, family(first)), []).append((first, last))
    for place, cells in rest.items():
        found.setdefault(place, Class(*place, [])).rest = merged(cells)


def _cells(sets: Sequence[Members], spans: Spans) -> Iterable[tuple[int, int, Sets]]:
    """The stretches cut wherever a set begins or ends, each with the sets that it is in."""
    edges: dict[int, list[int]] = {}
    for index, each in enumerate(sets):
        for first, last in meet(each.spans, spans):
            edges.setdefault(first, []).append(index)
            edges.setdefault(last + 1, []).append(~index)
    for first, last in spans:
        edges.setdefault(first, [])
        edges.setdefault(last + 1, [])
    inside: set[int] = set()
    places = sorted(edges)
    for place, following in pairwise(places):
        for one in edges[place]:
            if one >= 0:
                inside.add(one)
            else:
                inside.discard(~one)
        if inside:
            yield place, following - 1, tuple(sorted(inside))
