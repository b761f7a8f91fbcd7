"""The configuration: objects by collection and full path, drafts that become it whole or not at all, and its history.

An item is never changed in place, so that a state is a plain mapping, a copy of it costs little, and any earlier state can
be had again by undoing the writes that came after.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bridge.lab.device import Write
from bridge.lab.devices.bigip.answers import not_found
from bridge.lab.devices.bigip.compile import Compiler
from bridge.lab.devices.bigip.fields import Json, Key, Limits
from bridge.lab.devices.bigip.integrity import check, check_unscheduled
from bridge.lab.devices.bigip.item import Item, State
from bridge.lab.devices.bigip.kinds import FOLDER, KINDS, LONE, PARTITION, ROUTE_DOMAIN
from bridge.lab.devices.clock import LabClock


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, as the history shows it."""

    user: str
    agent: str
    method: str
    path: str


LAB = Author("lab", "", "", "")


class Draft:
    """Changes on top of a state that nobody else sees yet."""

    def __init__(self, base: State, generation: int) -> None:
        self.base = base
        self.generation = generation
        self.changes: dict[Key, Item | None] = {}

    def get(self, key: Key) -> Item | None:
        """The object, or None."""
        return self.changes[key] if key in self.changes else self.base.get(key)

    def require(self, key: Key) -> Item:
        """The object, or 404."""
        item = self.get(key)
        if item is None:
            raise not_found(KINDS[key[0]].title, key[1])
        return item

    def put(self, item: Item) -> Item:
        """Create or replace."""
        self.changes[item.key] = item
        return item

    def drop(self, key: Key) -> None:
        """Delete; 404 where there is none."""
        self.require(key)
        self.changes[key] = None

    def items(self) -> Iterator[Item]:
        """Every object of the state as it would be."""
        for key, item in self.base.items():
            if key not in self.changes:
                yield item
        yield from (item for item in self.changes.values() if item is not None)

    def of(self, collection: str) -> list[Item]:
        """The objects of one collection, in the order of their full paths."""
        return sorted((item for item in self.items() if item.kind.collection == collection), key=lambda item: item.path)


@dataclass(frozen=True, slots=True)
class _Entry:
    write: Write
    undo: Mapping[Key, Item | None]


class Store:
    """The stored configuration, what was saved of it, what is compiled of it, and every write that made it."""

    def __init__(self, clock: LabClock, limits: Limits, *, keep: int = 20_000) -> None:
        self.limits = limits
        self.generation = 1
        self._clock = clock
        self.state: dict[Key, Item] = _factory()
        self.saved: dict[Key, Item] = dict(self.state)
        self.compiler = Compiler(clock, self.state)
        self.on_change: Callable[[], None] = lambda: None
        self._history: deque[_Entry] = deque(maxlen=keep)
        self._count = 0

    def draft(self) -> Draft:
        """A draft on the state of now."""
        return Draft(self.state, self.generation + 1)

    def validate(self, draft: Draft) -> None:
        """Refuse a draft that the device would refuse; changes nothing."""
        check(draft.base, draft.changes, self.limits, by_hand=self.compiler.manual)

    def commit(self, draft: Draft, author: Author) -> None:
        """Make the draft the configuration, or refuse it and change nothing."""
        if draft.base is not self.state:
            raise RuntimeError("the draft stands on another state")
        if draft.changes:
            self.validate(draft)
            self._apply(draft.changes, author)

    def compile_by_hand(self, manual: bool) -> None:
        """From now on, or no more; refused while a rule names a schedule."""
        for item in self.state.values() if manual else ():
            check_unscheduled(item)
        self.compiler.manual = manual

    def save(self) -> None:
        """What survives a reboot from now on."""
        self.saved = dict(self.state)

    def replace(self, state: Mapping[Key, Item], author: Author) -> None:
        """Another configuration at once: reboot and wipe. Compiled at once, as a device does before it forwards."""
        changes: dict[Key, Item | None] = dict.fromkeys(self.state.keys() - state.keys())
        changes.update({key: item for key, item in state.items() if self.state.get(key) is not item})
        self._apply(changes, author)
        self.compiler.restart(self.state)

    def wipe(self) -> None:
        """The factory's configuration, saved."""
        self.replace(_factory(), Author("lab", "", "WIPE", ""))
        self.save()

    def digest(self) -> str:
        """Equal for equal configurations."""
        return digest(self.state)

    def writes(self) -> list[Write]:
        """Every change still remembered, oldest first."""
        return [entry.write for entry in self._history]

    def timeline(self) -> list[tuple[Write, State]]:
        """Every change still remembered, oldest first, each with the state right after it."""
        state = dict(self.state)
        told: list[tuple[Write, State]] = []
        for entry in reversed(self._history):
            told.append((entry.write, dict(state)))
            _merge(state, entry.undo)
        return told[::-1]

    def digests(self) -> list[tuple[Write, str]]:
        """Every change still remembered, oldest first, each with the digest of the state right after it."""
        state = dict(self.state)
        total = _total(state)
        told: list[tuple[Write, str]] = []
        for entry in reversed(self._history):
            told.append((entry.write, _hex(total)))
            for key, before in entry.undo.items():
                after = state.get(key)
                total ^= (before.stamp if before else 0) ^ (after.stamp if after else 0)
            _merge(state, entry.undo)
        return told[::-1]

    def at(self, number: int) -> State:
        """The state right after that write; 0 is the state before the first. LookupError when it is no longer remembered."""
        oldest = self._count - len(self._history)
        if not oldest <= number <= self._count:
            raise LookupError(f"writes {oldest} to {self._count} are remembered")
        state = dict(self.state)
        for entry in reversed(self._history):
            if entry.write.number <= number:
                break
            _merge(state, entry.undo)
        return state

    def _apply(self, changes: Mapping[Key, Item | None], author: Author) -> None:
        undo = {key: self.state.get(key) for key in changes}
        _merge(self.state, changes)
        self.generation += 1
        self._count += 1
        touched = tuple(f"{collection}{path}" for collection, path in sorted(changes))
        write = Write(self._count, self._clock.now(), author.user, author.agent, author.method, author.path, touched)
        self._history.append(_Entry(write, undo))
        self.compiler.stored(changes)
        self.on_change()


def digest(state: State) -> str:
    """Equal for equal configurations, whatever the order and the generations."""
    return _hex(_total(state))


def _total(state: State) -> int:
    total = 0
    for item in state.values():
        total ^= item.stamp
    return total


def _hex(total: int) -> str:
    return f"{total:032x}"


def _merge(state: dict[Key, Item], changes: Mapping[Key, Item | None]) -> None:
    for key, item in changes.items():
        if item is None:
            state.pop(key, None)
        else:
            state[key] = item


def _factory() -> dict[Key, Item]:
    plain: list[tuple[str, str, Json]] = [
        (FOLDER, "/", {}),
        (FOLDER, "/Common", {}),
        (PARTITION, "/Common", {}),
        (ROUTE_DOMAIN, "/Common/0", {"id": 0}),
        *((collection, path, {}) for collection, path in LONE.items()),
    ]
    items = [Item(KINDS[name], path, dict(KINDS[name].defaults) | body, 1, frozenset()) for name, path, body in plain]
    return {item.key: item for item in items}
