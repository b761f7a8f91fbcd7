"""What the account holds as it was after the last write, and every write that made it so."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.lab.device import Write
from bridge.lab.devices.aws.backend import Backend
from bridge.lab.devices.aws.item import Item, Rule, State
from bridge.lab.devices.clock import LabClock


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, as the history shows it."""

    user: str
    agent: str
    action: str


@dataclass(slots=True)
class _Entry:
    write: Write
    before: Mapping[str, Item | None]


class Store:
    """Follows moto: after each change the touched objects are looked at again. Reads are answered from here."""

    def __init__(self, backend: Backend, clock: LabClock, keep: int) -> None:
        self._backend = backend
        self._clock = clock
        self._history: deque[_Entry] = deque(maxlen=keep)
        self._count = 0
        self.state = State({one.id: one for one in backend.observe(backend.ids())})

    def record(self, touched: Iterable[str], author: Author) -> None:
        """Look again at these lists, groups and rules, and note the write, even where nothing is changed."""
        names = dict.fromkeys(self._whole(name) for name in touched)
        now = {one.id: one for one in self._backend.observe(names)}
        gone = [name for name in self._known(names) if name not in now]
        self._backend.forget(gone)
        after: dict[str, Item | None] = now | dict.fromkeys(gone)
        before = {name: self.state.get(name) for name, one in after.items() if self.state.get(name) != one}
        self._count += 1
        write = Write(
            self._count, self._clock.now(), author.user, author.agent, "POST", author.action, tuple(sorted(names))
        )
        self._history.append(_Entry(write, before))
        _merge(self.state, {name: after[name] for name in before})

    def wipe(self) -> None:
        """The account as it was at first."""
        before = list(self.state)
        self._backend.wipe()
        self.record([*before, *self._backend.ids()], Author("lab", "", "wipe"))

    def writes(self) -> list[Write]:
        """Every change still remembered, oldest first."""
        return [entry.write for entry in self._history]

    def timeline(self) -> list[tuple[Write, State]]:
        """Every change still remembered, oldest first, each with the state right after it."""
        state = State(self.state)
        told: list[tuple[Write, State]] = []
        for entry in reversed(self._history):
            told.append((entry.write, State(state)))
            _merge(state, entry.before)
        return told[::-1]

    def digests(self) -> list[tuple[Write, str]]:
        """Every change still remembered, oldest first, each with the digest of the state right after it."""
        return [(write, state.digest()) for write, state in self.timeline()]

    def at(self, number: int) -> State:
        """The state right after that write. LookupError when it is no longer remembered."""
        oldest = self._count - len(self._history)
        if not oldest <= number <= self._count:
            raise LookupError(f"writes {oldest} to {self._count} are remembered")
        state = State(self.state)
        for entry in reversed(self._history):
            if entry.write.number <= number:
                break
            _merge(state, entry.before)
        return state

    def _whole(self, name: str) -> str:
        found = self.state.get(name)
        return found.group if isinstance(found, Rule) else name

    def _known(self, names: Iterable[str]) -> list[str]:
        wanted = set(names)
        return [
            name
            for name, one in self.state.items()
            if name in wanted or (isinstance(one, Rule) and one.group in wanted)
        ]


def _merge(state: State, changes: Mapping[str, Item | None]) -> None:
    for name, one in changes.items():
        if one is None:
            state.pop(name, None)
        else:
            state[name] = one
