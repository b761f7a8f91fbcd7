"""The configuration that is in force, what was pushed to feeds, and every write that made them what they are."""

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5

from bridge.lab.device import Write
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.draft import Draft, Mentions
from bridge.lab.devices.fortigate.factory import factory
from bridge.lab.devices.fortigate.integrity import check
from bridge.lab.devices.fortigate.item import FEED, Entries, Item, Key, Place, State


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, as the history shows it."""

    user: str
    agent: str
    method: str
    path: str


LAB = Author("lab", "", "", "")


@dataclass(frozen=True, slots=True)
class Push:
    """A change of what a feed holds: these go, then those come."""

    remove: tuple[str, ...] = ()
    add: tuple[str, ...] = ()


@dataclass(slots=True)
class _Entry:
    write: Write
    items: Mapping[Key, Item | None] = field(default_factory=dict)
    pushes: Mapping[Key, Push] = field(default_factory=dict)


class Store:
    """Holds the state; every change goes through `commit`, `push` or `replace`, and can be undone by the history."""

    def __init__(
        self, clock: LabClock, limits: Limits, *, vdoms: tuple[str, ...] = ("root",), keep: int = 20_000
    ) -> None:
        self.limits = limits
        self.vdoms = vdoms
        self.state = factory(vdoms)
        self._clock = clock
        self._mentions = Mentions(self.state)
        self._revisions: dict[Place, int] = {}
        self._history: deque[_Entry] = deque(maxlen=keep)
        self._count = 0
        self._ranks = itertools.count(10_000)

    def draft(self) -> Draft:
        """A draft on the state of now."""
        return Draft(self.state, self._mentions, self.limits, self._ranks)

    def revision(self, place: Place) -> str:
        """A hash of the table that changes with every write to it."""
        return md5(f"{place}{self._revisions.get(place, 0)}".encode(), usedforsecurity=False).hexdigest()

    def commit(self, draft: Draft, author: Author) -> None:
        """Make the draft the configuration, or refuse it and change nothing. A draft that changes nothing is no write."""
        check(draft, list(draft.changes))
        changes = {key: item for key, item in draft.changes.items() if self.state.get(key) is not item}
        pushes = {key: Push(remove=tuple(held)) for key, held in self.state.entries.items() if _gone(changes, key)}
        for old, new in draft.renamed.items():
            if old in self.state.entries:
                pushes[new] = Push(add=tuple(self.state.entries[old]))
        if changes:
            self._apply(changes, pushes, author)

    def push(self, pushes: Mapping[Key, Push], author: Author) -> None:
        """Change what feeds hold."""
        self._apply({}, pushes, author)

    def replace(self, state: State, author: Author) -> None:
        """Another state at once."""
        changes: dict[Key, Item | None] = {item.key: None for item in self.state.items() if state.get(item.key) is None}
        changes |= {item.key: item for item in state.items() if self.state.get(item.key) is not item}
        pushes = {}
        for key in self.state.entries.keys() | state.entries.keys():
            before, after = self.state.entries.get(key, {}), state.entries.get(key, {})
            pushes[key] = Push(tuple(one for one in before if one not in after), tuple(after))
        self._apply(changes, pushes, author)

    def wipe(self) -> None:
        """The factory's configuration."""
        self.replace(factory(self.vdoms), Author("lab", "", "WIPE", ""))

    def writes(self) -> list[Write]:
        """Every change still remembered, oldest first."""
        return [entry.write for entry in self._history]

    def timeline(self) -> list[tuple[Write, State]]:
        """Every change still remembered, oldest first, each with the state right after it."""
        state = self.state.copy()
        told: list[tuple[Write, State]] = []
        for entry in reversed(self._history):
            told.append((entry.write, state.copy()))
            _undo(state, entry)
        return told[::-1]

    def digests(self) -> list[tuple[Write, str]]:
        """Every change still remembered, oldest first, each with the digest of the state right after it."""
        state = self.state.copy()
        told: list[tuple[Write, str]] = []
        for entry in reversed(self._history):
            told.append((entry.write, state.digest()))
            _undo(state, entry)
        return told[::-1]

    def at(self, number: int) -> State:
        """The state right after that write; 0 is the state before the first. LookupError when it is no longer remembered."""
        oldest = self._count - len(self._history)
        if not oldest <= number <= self._count:
            raise LookupError(f"writes {oldest} to {self._count} are remembered")
        state = self.state.copy()
        for entry in reversed(self._history):
            if entry.write.number <= number:
                break
            _undo(state, entry)
        return state

    def _apply(self, changes: Mapping[Key, Item | None], pushes: Mapping[Key, Push], author: Author) -> None:
        self._count += 1
        touched = {f"{vdom}:{path}/{name}" for vdom, path, name in (*changes, *pushes)}
        write = Write(
            self._count,
            self._clock.now(),
            author.user,
            author.agent,
            author.method,
            author.path,
            tuple(sorted(touched)),
        )
        undo = {key: self.state.get(key) for key in changes}
        for key, item in changes.items():
            self._mentions.change(undo[key], item)
        self.state.merge(changes)
        for key in changes:
            self._revisions[key[:2]] = self._revisions.get(key[:2], 0) + 1
        back = {key: _push(self.state.entries, key, one) for key, one in pushes.items()}
        self._history.append(_Entry(write, undo, back))


def _gone(changes: Mapping[Key, Item | None], key: Key) -> bool:
    return key[1] == FEED and key in changes and changes[key] is None


def _push(entries: dict[Key, Entries], key: Key, one: Push) -> Push:
    """Do it; what undoes it."""
    held = entries.setdefault(key, {})
    removed = tuple(entry for entry in one.remove if entry in held)
    for entry in removed:
        del held[entry]
    added = tuple(entry for entry in dict.fromkeys(one.add) if entry not in held)
    held.update(dict.fromkeys(added))
    if not held:
        del entries[key]
    return Push(remove=added, add=removed)


def _undo(state: State, entry: _Entry) -> None:
    state.merge(entry.items)
    for key, one in entry.pushes.items():
        _push(state.entries, key, one)
