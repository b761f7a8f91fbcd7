"""The loop that follows the names of one cluster: a few threads ask, one concludes."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.model.resolution import Resolution
from bridge.names.answer import Answer, Family, Found, Unanswered
from bridge.names.book import Book, Figures
from bridge.names.forbidden import Forbidden
from bridge.names.settings import NamesSettings

log = structlog.get_logger(__name__)

_LONGEST_WAIT = 1.0


class Asking(Protocol):
    """Who wants names resolved. What of it changes, changes in another thread."""

    @property
    def names_wanted(self) -> Mapping[str, int] | None:
        """The names, each with a number that is another one whenever the name is wanted anew. Replaced whole, never changed.

        None until it is known which they are."""
        ...

    @property
    def resolutions(self) -> Mapping[str, Resolution]:
        """What names stand for by what is recorded, at the beginning."""
        ...

    def on_names(self, wake: Callable[[], None]) -> None:
        """Call this whenever the names change."""
        ...

    def sink(self, events: Sequence[Resolution]) -> None:
        """Take what names stand for."""
        ...


class Resolving(Protocol):
    """Who asks the servers."""

    def resolve(self, name: str) -> Found:
        """What is found out about a name; from several threads."""
        ...

    def close(self) -> None:
        """Come to an end soon."""
        ...


class Follower:
    """Says of each wanted name what it stands for, as often as it was asked about, whether or not that is new.

    At most `settings.threads` names are asked about at a time. Names that fail delay each other and not those that are answered.
    """

    def __init__(
        self,
        cluster: str,
        resolver: Resolving,
        internal: Iterable[str],
        asking: Asking,
        clock: Clock,
        settings: NamesSettings,
    ) -> None:
        self._cluster = cluster
        self._resolver = resolver
        self._wanting = asking
        self._clock = clock
        self._settings = settings
        self._series = metrics.cluster(cluster)
        self._book = Book(settings, Forbidden(internal), asking.resolutions)
        self._seen: Mapping[str, int] | None = None
        self._answers: deque[tuple[str, int, Found]] = deque()
        self._arrived = threading.Event()
        self._failing: set[str] = set()
        asking.on_names(self.wake)

    def wake(self) -> None:
        """Something changed: look at once. From any thread."""
        self._arrived.set()

    def figures(self) -> Figures:
        """How it goes. From any thread."""
        return self._book.figures(self._clock.elapsed())

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set and somebody wakes us."""
        with ThreadPoolExecutor(self._settings.threads, f"names {self._cluster}") as pool:
            while not stop.is_set():
                self._arrived.clear()
                told = self.turn(pool)
                if told:
                    self._wanting.sink(told)
                left = self._book.next_at() - self._clock.elapsed()
                self._clock.wait(self._arrived, min(max(left, 0.0), _LONGEST_WAIT))
            self._resolver.close()
            pool.shutdown(wait=False, cancel_futures=True)

    def turn(self, pool: ThreadPoolExecutor) -> list[Resolution]:
        """Take what arrived, let go of what is over, ask what is due. Returns what there is to say."""
        now = self._clock.elapsed()
        told: list[Resolution] = []
        numbers = self._wanting.names_wanted
        if numbers is not None and numbers is not self._seen:
            self._seen = numbers
            told += self._book.want(numbers, now)
            self._failing &= numbers.keys()
        while self._answers:
            name, number, found = self._answers.popleft()
            said = self._book.take(name, number, found, now)
            if said is not None:
                told.append(said)
                self._note(said)
        told += self._book.expire(now)
        for name, number in self._book.due(now):
            pool.submit(self._resolver.resolve, name).add_done_callback(self._receiver(name, number))
        return told

    def _receiver(self, name: str, number: int) -> Callable[[Future[Found]], None]:
        def receive(done: Future[Found]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            if error is not None:
                log.error("a name could not be asked about", cluster=self._cluster, name=name, exc_info=error)
            fault: Found = dict.fromkeys(Family, Unanswered("a fault of the bridge"))
            found = done.result() if error is None else fault
            for said in found.values():
                self._series.questions["answered" if isinstance(said, Answer) else "failed"].inc()
            self._answers.append((name, number, found))
            self._arrived.set()

        return receive

    def _note(self, said: Resolution) -> None:
        """A line of the log when a name begins to fail, and one when it ceases to."""
        failing = bool(said.problem)
        if failing is (said.name in self._failing):
            return
        if failing:
            self._failing.add(said.name)
            log.warning("name not resolved", cluster=self._cluster, name=said.name, problem=said.problem)
        else:
            self._failing.discard(said.name)
            log.info("name resolved again", cluster=self._cluster, name=said.name)
