"""From steps to calls: the fewest writes that turn one object into the other, and how a phase is cut into transactions. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar
from urllib.parse import quote

from adapters.bigip.names import COLLECTIONS
from adapters.bigip.translate import ODD, Json, Translator
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Policy, RuleEntry, RuleList
from bridge.model.plan import Op, Step

_Line = TypeVar("_Line", RuleEntry, ObjectKey)


class Shape(Enum):
    """What the answer of a write shows."""

    OBJECT = "object"
    LINE = "line"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Write:
    """One call that changes the device. `want` is what its answer has to show."""

    key: ObjectKey
    method: str
    path: str
    body: Json | None
    shape: Shape
    want: DeviceObject | RuleEntry | ObjectKey | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A step and the writes that make it."""

    step: Step
    writes: tuple[Write, ...]


def rest(translator: Translator, key: ObjectKey) -> str:
    """The object's place below /mgmt/tm."""
    return f"{COLLECTIONS[key.kind]}/{translator.names.path(key).replace('/', '~')}"


def change_of(step: Step, translator: Translator) -> Change:
    """The writes of one step, in the order in which they must come."""
    return Change(step, tuple(_writes(step, translator)))


def _writes(step: Step, translator: Translator) -> Iterator[Write]:
    key, before, after = step.key, step.before, step.after
    if step.op is Op.DELETE or after is None:
        yield Write(key, "DELETE", rest(translator, key), None, Shape.NOTHING)
        return
    holder = isinstance(after, RuleList | Policy)
    if before is None:
        shell = replace(after, entries=()) if isinstance(after, RuleList) else after
        shell = replace(shell, lists=()) if isinstance(shell, Policy) else shell
        yield Write(key, "POST", COLLECTIONS[key.kind], translator.creation(after), Shape.OBJECT, shell)
    elif not holder:
        yield Write(key, "PATCH", rest(translator, key), translator.change(before, after), Shape.OBJECT, after)
    if isinstance(after, RuleList):
        entries = before.entries if isinstance(before, RuleList) else ()
        lines = _Lines(
            key, f"{rest(translator, key)}/rules", lambda e: e.name, translator.line, lambda e: not e.sources
        )
        yield from edits(entries, after.entries, lines)
    elif isinstance(after, Policy):
        listed = before.lists if isinstance(before, Policy) else ()
        yield from edits(listed, after.lists, _references(key, translator))


def _references(key: ObjectKey, translator: Translator) -> "_Lines[ObjectKey]":
    def name(listed: ObjectKey) -> str:
        return listed.name if listed.cluster == ODD else translator.names.name(listed)

    return _Lines(
        key,
        f"{rest(translator, key)}/rules",
        name,
        lambda listed, _: {"ruleList": translator.names.path(listed)},
        lambda listed: listed.cluster == ODD,
    )


@dataclass(frozen=True, slots=True)
class _Lines(Generic[_Line]):
    """How the lines of one holder are named and written; an odd one is none of ours and is replaced, never changed."""

    key: ObjectKey
    path: str
    name: Callable[[_Line], str]
    body: Callable[[_Line, _Line | None], Json]
    odd: Callable[[_Line], bool]

    def insert(self, line: _Line, place: Json) -> Write:
        """A new line in its place."""
        body = {"name": self.name(line)} | self.body(line, None) | place
        return Write(self.key, "POST", self.path, body, Shape.LINE, line)

    def alter(self, line: _Line, before: _Line, place: Json) -> Write:
        """Other content, another place, or both, for a line that is there."""
        body = (self.body(line, before) if line != before else {}) | place
        return Write(self.key, "PATCH", f"{self.path}/{quote(self.name(line))}", body, Shape.LINE, line)

    def remove(self, name: str) -> Write:
        """A line that goes."""
        return Write(self.key, "DELETE", f"{self.path}/{quote(name)}", None, Shape.NOTHING)


def edits(before: Sequence[_Line], after: Sequence[_Line], lines: _Lines[_Line]) -> Iterator[Write]:
    """The fewest writes from one order of lines to the other: new ones go in from the top, old ones out from the bottom.

    A line that only moves is moved; the longest run of lines that keep their order stays where it is.
    """
    had = {lines.name(line): line for line in before if not lines.odd(line)}
    wanted = {lines.name(line): line for line in after}
    for line in before:
        # What we could not have written goes first: its name may be needed.
        if lines.odd(line):
            yield lines.remove(lines.name(line))
    order = {name: at for at, name in enumerate(wanted)}
    staying = _longest_rising([(name, order[name]) for name in had if name in order])
    previous = ""
    for name, line in wanted.items():
        place = {"placeAfter": previous} if previous else {"placeBefore": "first"}
        if name not in had:
            yield lines.insert(line, place)
        elif name not in staying or had[name] != line:
            yield lines.alter(line, had[name], {} if name in staying else place)
        previous = name
    for name in reversed(had):
        if name not in wanted:
            yield lines.remove(name)


def _longest_rising(places: Sequence[tuple[str, int]]) -> frozenset[str]:
    """The names of a longest rising run of places."""
    ends: list[int] = []
    at_end: list[int] = []
    came_from: list[int] = []
    for index, (_, place) in enumerate(places):
        length = bisect_left(ends, place)
        came_from.append(at_end[length - 1] if length else -1)
        if length == len(ends):
            ends.append(place)
            at_end.append(index)
        else:
            ends[length], at_end[length] = place, index
    found, index = set(), at_end[-1] if at_end else -1
    while index >= 0:
        found.add(places[index][0])
        index = came_from[index]
    return frozenset(found)


def batches(changes: Iterable[Change], size: int) -> list[list[Change]]:
    """A phase cut into transactions, at no place where the device would let a wrong packet through.

    All in one where it fits. Else new objects first, to which nothing refers yet, and deletions last, to which nothing refers any more,
    each in chunks; between them what changes enforcement, in one unless the plan itself has more steps than fit (its phases are then
    made to be cut). New policies belong to the middle, for they refer to the lists. A new list that is too long for one chunk is made in
    several: until it is whole nothing refers to it.
    """
    listed = list(changes)
    if sum(len(one.writes) for one in listed) <= size:
        return [listed] if listed else []
    early, middle, late = ([one for one in listed if _rank(one.step) == rank] for rank in ("early", "middle", "late"))
    cut = list(_chunks(middle, size)) if len(listed) > size else [middle]
    parts = [part for one in early for part in _parts(one, size)]
    return [one for one in [*_chunks(parts, size), *cut, *_chunks(late, size)] if one]


def _rank(step: Step) -> str:
    if step.op is Op.DELETE:
        return "late"
    return "early" if step.op is Op.CREATE and step.key.kind is not Kind.POLICY else "middle"


def _parts(change: Change, size: int) -> Iterator[Change]:
    for at in range(0, len(change.writes), size):
        yield replace(change, writes=change.writes[at : at + size])


def _chunks(changes: Sequence[Change], size: int) -> Iterator[list[Change]]:
    """Runs of at most `size` writes; a change with more stands alone."""
    chunk: list[Change] = []
    for change in changes:
        if chunk and sum(len(one.writes) for one in chunk) + len(change.writes) > size:
            yield chunk
            chunk = []
        chunk.append(change)
    if chunk:
        yield chunk


def index_after(index: Mapping[str, str], changes: Iterable[Change], translator: Translator) -> dict[str, str]:
    """The keys of long names after these changes."""
    found = dict(index)
    for change in changes:
        key = change.step.key
        if not translator.names.is_long(key):
            continue
        if change.step.op is Op.DELETE:
            found.pop(translator.names.name(key), None)
        else:
            found[translator.names.name(key)] = str(key)
    return found
