"""What was made last time and of what, so that one edit costs the edit and not the policy.

There is one rule: what would be made of the same once more is taken as it was made. So whoever makes something names all that it is made
of, and no result depends on whether anything was remembered. All of one kind are made together, and those that are not asked for again are
forgotten.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, TypeVarTuple

A = TypeVar("A")
T = TypeVar("T")
Given = TypeVarTuple("Given")

_ONE = object()
_RUN = 64  # items, about


class Memory:
    """For the policy of one cluster and one thread."""

    def __init__(self) -> None:
        self._parts: dict[str, Memory] = {}
        self._made: dict[str, dict[int, tuple[tuple[Any, ...], Any]]] = {}

    def within(self, name: str) -> "Memory":
        """The part for this name: for one device, or for one way in which it sees workloads."""
        return self._parts.setdefault(name, Memory())

    def one(self, kind: str, make: Callable[[*Given], T], *given: *Given) -> T:
        """`make` of these values alone."""
        return self.each(kind, [(_ONE, *given)], lambda _, *values: make(*values))[0]

    def keep(self, kinds: Container[str]) -> None:
        """Forget all other kinds."""
        self._made = {kind: made for kind, made in self._made.items() if kind in kinds}

    def each(self, kind: str, given: Iterable[tuple[A, *Given]], make: Callable[[A, *Given], T]) -> list[T]:
        """`make` of each, in order: a function of these values alone, which are never changed.

        What was made is found by the first of its values, as the very object that it is, and taken if the others are equal. So what a rule
        becomes is remembered for as long as nobody edits the rule: an edit makes another object of it.
        """
        known = self._made.get(kind, {})
        fresh: dict[int, tuple[tuple[Any, ...], Any]] = {}
        found: list[T] = []
        for values in given:
            place = id(values[0])  # held by what is remembered, so no other object has it
            one = known.get(place)
            if one is None or one[0] != values:
                one = (values, make(*values))
            fresh[place] = one
            found.append(one[1])
        self._made[kind] = fresh
        return found


def runs(items: Sequence[A], name: Callable[[A], Hashable]) -> Iterator[tuple[A, ...]]:
    """The items in short runs, cut where names say so: an edit makes another run of the one that it is in, and of no other."""
    start = 0
    for end in [at for at, found in enumerate(map(hash, map(name, items)), 1) if not found % _RUN] + [len(items)]:
        if end > start:
            yield tuple(items[start:end])
            start = end
