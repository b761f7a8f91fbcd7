"""From one order of policies to another, in single calls none of which opens anything (SEMANTICS 6). Pure.

What is to be live goes to its place from the top, new policies disabled until they stand there; then what is live no more goes from the
bottom; then what decides nothing is put in order. While this lasts, the first match of any packet is that of the new block or of the old.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.fortigate.client import place
from adapters.fortigate.rows import POLICY, UNSAID, Placed, Row, Rows
from bridge.model.identity import ObjectKey

_LAST = 4_294_967_294
_REPLACED = "replaced_"  # and its number: what a policy is called while another one takes its place


@dataclass(frozen=True, slots=True)
class Write:
    """One call that changes the unit, and the object that it is for."""

    key: ObjectKey
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None


class Block:
    """Our policies as they stand: `numbers` are those of all policies in their order, `anchor` that of the one next to which ours stand.

    With `at_once` the calls take effect together, and what a policy says may be changed where it stands.
    """

    def __init__(
        self,
        rows: Rows,
        placed: Sequence[Placed],
        numbers: Sequence[int],
        anchor: int | None,
        *,
        before: bool,
        at_once: bool,
    ) -> None:
        self.rows = rows
        self.placed = placed
        self.anchor = anchor
        self.before = before
        self.at_once = at_once
        self.writes: list[Write] = []
        self._order = list(numbers)
        self._next = max(numbers, default=0) + 1
        self._kept: dict[int, Placed] = {}
        self._staying: frozenset[int] = frozenset()
        self._at: dict[int, int] = {}  # what stands in its place, by the index of its row

    def become(self, wanted: Sequence[Row]) -> list[Write]:
        """The calls that make these rows out of what stands."""
        for one in self.placed:
            if self._is_apart(one):
                self._rename(one)
        self._kept = self._matched(wanted)
        self._at = self._still()
        self._staying = frozenset(self._at.values())
        live = [index for index, row in enumerate(wanted) if row.live]
        end = (live[-1] + 1) if live else 0
        ending = {index for index, one in self._kept.items() if one.live and one.about[1] and not wanted[index].live}
        self._put(wanted, [index for index in range(end) if index not in ending])
        self._retire({one.number: wanted[index] for index, one in self._kept.items()})
        self._put(wanted, sorted(ending.union(range(end, len(wanted)))))
        return self.writes

    def _matched(self, wanted: Sequence[Row]) -> dict[int, Placed]:
        """Which policy stands for which row: alike in all, else alike in what it says, else the one about the same."""
        kept: dict[int, Placed] = {}
        left = {one.number: one for one in self.placed}
        for way in (self._exactly, self._alike, self._about):
            found: dict[object, list[Placed]] = {}
            for one in left.values():
                name = way(one.about, one.row, one)
                if name is not None:
                    found.setdefault(name, []).append(one)
            for index, row in enumerate(wanted):
                name = None if index in kept else way(row.about, row, None)
                if name is not None and found.get(name):
                    kept[index] = found[name].pop(0)
                    del left[kept[index].number]
        return kept

    def _exactly(self, about: tuple[ObjectKey, str], row: Row | None, _one: Placed | None) -> object:
        return None if row is None else (about, self.rows.content(row))

    def _alike(self, about: tuple[ObjectKey, str], row: Row | None, _one: Placed | None) -> object:
        return None if row is None or row.entry is None else (about[0], self.rows.content(row))

    def _about(self, about: tuple[ObjectKey, str], row: Row | None, one: Placed | None) -> object:
        """A header, what is to be repaired, and where all takes effect together whatever does the same to packets."""
        if one is not None and self._is_apart(one):
            return None
        if not about[1]:
            return about
        if one is not None and row is None:
            return about
        if row is None or row.entry is None:
            return None
        if one is None:
            return about
        return about if self.at_once else None

    def _is_apart(self, one: Placed) -> bool:
        """Whether it decides and is not what we would write: call by call another one takes its place, from the top, before it goes.

        Put right where it stands, it would no longer decide what the old block lets it, while lines below it are still the old ones.
        """
        return one.row is None and one.live and not self.at_once

    def _rename(self, one: Placed) -> None:
        """Its name is free then for the policy that takes its place, for FortiOS wants each name once."""
        name = {"name": f"{self.rows.names.prefix}{_REPLACED}{one.number}"}
        self.writes.append(Write(one.about[0], "PUT", place(POLICY, str(one.number)), name))

    def _still(self) -> dict[int, int]:
        """The policies that need not move, by the index of their row: as many as can be; call by call only so many that all others go up.

        One that went down past others would let them decide what neither the old block nor the new lets them decide.
        """
        place_of = {one.number: index for index, one in self._kept.items()}
        run = [one.number for one in self.placed if one.number in place_of and not one.astray]
        places = [place_of[number] for number in run]
        still = longest_rising(places) if self.at_once else _highest_so_far(places)
        return {places[at]: run[at] for at in still}

    def _put(self, wanted: Sequence[Row], indices: Iterable[int]) -> None:
        for index in indices:
            row, one = wanted[index], self._kept.get(index)
            if one is None:
                number = self._create(row)
                self._move(row, number, index)
                if row.live and not self.at_once:
                    self._set(row, number, {"status": "enable"})
            else:
                number = one.number
                self._adjust(row, one)
                if number not in self._staying:
                    self._move(row, number, index)
                if row.live and not one.live:
                    self._set(row, number, {"status": "enable"})
            self._at[index] = number

    def _create(self, row: Row) -> int:
        number = self._free()
        body = self.rows.body(row) | {"policyid": number}
        if not self.at_once:
            body["status"] = "disable"
        self.writes.append(Write(row.key, "POST", place(POLICY), body))
        self._order.append(number)
        return number

    def _free(self) -> int:
        if self._next <= _LAST:
            self._next += 1
            return self._next - 1
        taken = set(self._order)
        return next(number for number in range(1, _LAST) if number not in taken)

    def _adjust(self, row: Row, one: Placed) -> None:
        """Make a policy say what it should, its status left for later."""
        if one.row is None:
            body = self.rows.repaired(row)
        else:
            was, wanted = self.rows.body(one.row), self.rows.body(row)
            body = {name: value for name, value in wanted.items() if was.get(name) != value}
            body |= {name: UNSAID[name] for name in was.keys() - wanted.keys() & UNSAID.keys()}
            if was.get("action") != wanted.get("action"):
                body = self.rows.repaired(row)
        body.pop("status", None)
        if body:
            self._set(row, one.number, body)

    def _move(self, row: Row, number: int, index: int) -> None:
        """Behind the nearest before it that stands in its place; else in front of the nearest behind it, or where the block begins."""
        others = [one for one in self._order if one != number]
        lower = max((at for at in self._at if at < index), default=None)
        higher = min((at for at in self._at if at > index), default=None)
        if lower is not None:
            side, target = "after", self._at[lower]
        elif higher is not None:
            side, target = "before", self._at[higher]
        elif self.anchor is not None:
            side, target = ("before" if self.before else "after"), self.anchor
        else:
            return
        at = others.index(target) + (side == "after")
        if [*others[:at], number, *others[at:]] == self._order:
            return
        self._order = [*others[:at], number, *others[at:]]
        query = {"action": "move", side: str(target)}
        self.writes.append(Write(row.key, "PUT", place(POLICY, str(number)), None, query))

    def _retire(self, kept: Mapping[int, Row]) -> None:
        for one in reversed(self.placed):
            row = kept.get(one.number)
            if row is None:
                self.writes.append(Write(one.about[0], "DELETE", place(POLICY, str(one.number))))
                self._order.remove(one.number)
            elif one.live and not row.live:
                self._set(row, one.number, {"status": "disable"})

    def _set(self, row: Row, number: int, body: Mapping[str, Any]) -> None:
        self.writes.append(Write(row.key, "PUT", place(POLICY, str(number)), body))


def _highest_so_far(places: Sequence[int]) -> list[int]:
    """The indices of those that no higher one stands before."""
    found: list[int] = []
    for index, one in enumerate(places):
        if not found or one > places[found[-1]]:
            found.append(index)
    return found


def longest_rising(places: Sequence[int]) -> list[int]:
    """The indices of a longest rising run of these."""
    ends: list[int] = []
    at_end: list[int] = []
    came_from: list[int] = []
    for index, one in enumerate(places):
        length = bisect_left(ends, one)
        came_from.append(at_end[length - 1] if length else -1)
        if length == len(ends):
            ends.append(one)
            at_end.append(index)
        else:
            ends[length], at_end[length] = one, index
    found, index = [], at_end[-1] if at_end else -1
    while index >= 0:
        found.append(index)
        index = came_from[index]
    return found[::-1]
