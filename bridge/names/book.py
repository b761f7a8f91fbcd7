"""All names of one cluster: whom to ask about when, and what became of it. Pure but for the chance that spreads questions in time."""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from random import SystemRandom

from bridge.model.resolution import Resolution
from bridge.names.answer import Found
from bridge.names.settings import NamesSettings
from bridge.names.tracked import Standing, Tracked

Uniform = Callable[[float, float], float]
uniform: Uniform = SystemRandom().uniform

_SPREAD = 30.0  # seconds over which the names that are known already are first asked about
_LATE = (0.1, 3.0)  # how late a question may come: a part of its wait, and seconds at most
_TOO_MANY = "the cluster has more names than the settings let the bridge resolve (names.mostNames)"


@dataclass(frozen=True, slots=True)
class Figures:
    """How it goes. `stale` is the age of the oldest answer that should have been replaced by now, in seconds; 0 while there is none."""

    names: int = 0
    failing: int = 0
    stale: float = 0.0


_Question = tuple[float, str, int]  # when, about which name, and its number


class Book:
    """Follows the names that are wanted. One thread at a time; times are seconds of one clock. Costs grow with the names that are due.

    `known` is what is recorded: it stands until answers say otherwise. At most `settings.threads` names are out at a time: those that fail
    have at most half of the places, and one is left to names that are answered, however many others wait; a question that nobody
    answers takes long.
    """

    def __init__(
        self,
        settings: NamesSettings,
        why_not: Callable[[str], str],
        known: Mapping[str, Resolution],
        uniform: Uniform = uniform,
    ) -> None:
        self._settings = settings
        self._why_not = why_not
        self._known = dict(known)
        self._uniform = uniform
        self._wanted: Mapping[str, int] = {}
        self._tracked: dict[str, Tracked] = {}
        self._left_out: set[str] = set()
        self._questions: dict[Standing, list[_Question]] = {standing: [] for standing in Standing}
        self._out: dict[tuple[str, int], Standing] = {}
        self._ends: list[_Question] = []
        self._end_of: dict[str, float] = {}  # of each name, the one entry among the ends that counts

    def want(self, wanted: Mapping[str, int], now: float) -> list[Resolution]:
        """From now on these names are followed, and no others. A name with another number than before is forgotten and begun anew.

        Returns what there is to say about names that are too many."""
        for name in [name for name in self._tracked if wanted.get(name) != self._wanted.get(name)]:
            del self._tracked[name]
            self._end_of.pop(name, None)
        self._wanted = dict(wanted)
        fresh = sorted(
            (name for name in wanted if name not in self._tracked), key=lambda one: (one not in self._known, one)
        )
        room = max(0, self._settings.names - len(self._tracked))
        for name in islice(fresh, room):
            self._begin(name, now)
        left_out, self._left_out = self._left_out, set(fresh[room:])
        self._known.clear()
        return [Resolution(name, answered=False, problem=_TOO_MANY) for name in sorted(self._left_out - left_out)]

    def _begin(self, name: str, now: float) -> None:
        known = self._known.get(name)
        self._tracked[name] = Tracked.begun(name, self._settings, self._why_not, now, known)
        wait = self._uniform(0, min(_SPREAD, self._settings.longest)) if known is not None and known.answered else 0.0
        self._ask_at(now + wait, name)

    def _ask_at(self, at: float, name: str) -> None:
        heapq.heappush(self._questions[self._tracked[name].standing], (at, name, self._wanted[name]))

    def due(self, now: float) -> list[tuple[str, int]]:
        """Names to ask about now, each with its number; every one of them is to be handed to `take` afterwards."""
        found: list[tuple[str, int]] = []
        while (standing := self._first()) is not None and self._questions[standing][0][0] <= now:
            _, name, number = heapq.heappop(self._questions[standing])
            if self._current(name, number):
                self._out[name, number] = standing
                found.append((name, number))
        return found

    def _first(self) -> Standing | None:
        """Whose turn is next, of those for whom there is a place."""
        waiting = [one for one, heap in self._questions.items() if heap and self._has_place(one)]
        return min(waiting, key=lambda one: self._questions[one][0], default=None)

    def _has_place(self, standing: Standing) -> bool:
        """With a single thread there is nothing to share."""
        threads = self._settings.threads
        out = Counter(self._out.values())
        if standing is Standing.FAILING and out[Standing.FAILING] >= max(1, threads // 2):
            return False
        if standing is not Standing.ANSWERED and out.total() - out[Standing.ANSWERED] >= max(1, threads - 1):
            return False
        return out.total() < threads

    def take(self, name: str, number: int, found: Found, now: float) -> Resolution | None:
        """What the name stands for by what was found out; None where it is wanted no more."""
        self._out.pop((name, number), None)
        if not self._current(name, number):
            return None
        one = self._tracked[name]
        wait = one.take(found, now)
        part, most = _LATE
        self._ask_at(now + wait + self._uniform(0, min(part * wait, most)), name)
        self._note_end(one)
        return one.resolution

    def expire(self, now: float) -> list[Resolution]:
        """What names stand for of which something was let go of now."""
        found = []
        while self._ends and self._ends[0][0] <= now:
            at, name, number = heapq.heappop(self._ends)
            if not self._current(name, number) or self._end_of.get(name) != at:
                continue
            del self._end_of[name]
            one = self._tracked[name]
            one.expire(now)
            self._note_end(one)
            found.append(one.resolution)
        return found

    def _note_end(self, one: Tracked) -> None:
        """When to look again for what is to go: once for each name, and never too late."""
        end = one.expires
        if end is not None and end < self._end_of.get(one.name, float("inf")):
            self._end_of[one.name] = end
            heapq.heappush(self._ends, (end, one.name, self._wanted[one.name]))

    def next_at(self) -> float:
        """When there is next something to do; infinite when there is nothing, or nothing before an answer comes."""
        first = self._first()
        heaps = [self._ends] if first is None else [self._ends, self._questions[first]]
        return min((heap[0][0] for heap in heaps if heap), default=float("inf"))

    def figures(self, now: float) -> Figures:
        """How it goes; looks at every name. From any thread."""
        every = list(self._tracked.values())
        late = [now - one.good_until for one in every if one.failures]
        return Figures(len(every), len(late) + len(self._left_out), max(0.0, *late) if late else 0.0)

    def _current(self, name: str, number: int) -> bool:
        return name in self._tracked and self._wanted.get(name) == number
