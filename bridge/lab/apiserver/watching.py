"""Watches: each open one is a position in a resource's journal; whatever has gathered since its last write goes out in one."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bridge.lab.apiserver.cluster import LabCluster
from bridge.lab.apiserver.faults import Faults
from bridge.lab.apiserver.listing import number
from bridge.lab.apiserver.objects import Change, Shelf, with_revision
from bridge.lab.apiserver.refusal import Refusal, invalid
from bridge.lab.apiserver.selectors import Selector

Send = Callable[[bytes], Awaitable[None]]
# Under load a watch writes at most this often; a lone change goes at once.
_BREATH: Final = 0.001
_BLOCK: Final = 500


@dataclass(frozen=True, slots=True)
class Query:
    """The query of a watch. `seconds` 0 means the server chooses, as the real one does, half an hour to an hour."""

    namespace: str = ""
    selector: Selector | None = None
    version: str = ""
    match: str = ""
    bookmarks: bool = False
    initial: bool | None = None
    seconds: float = 0.0


def check(query: Query) -> None:
    """Raises Refusal 422 where the real server forbids the combination."""
    if query.initial is not None and query.match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid("ListOptions.meta.k8s.io", "", {"resourceVersionMatch": why})
    if query.initial is None and query.match:
        raise invalid("ListOptions.meta.k8s.io", "", {"resourceVersionMatch": "forbidden for watch"})


class Hub:
    """Wakes the open watches of one server when the cluster changes, from any thread, once per round of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._changed: set[Shelf] = set()
        self._watches: dict[Shelf, set[asyncio.Event]] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """Counts the orders to end all watches; a watch lives as long as it stays what it was at its start."""
        return self._generation

    def changed(self, shelf: Shelf) -> None:
        """A resource changed. Any thread."""
        if not self._watches.get(shelf):
            return
        with self._lock:
            idle = not self._changed
            self._changed.add(shelf)
        if idle:
            self._loop.call_soon_threadsafe(self._wake)

    def end_all(self) -> None:
        """End every open watch, as a restarting server does. Loop thread."""
        self._generation += 1
        self.nudge()

    def nudge(self) -> None:
        """Let every open watch look around. Loop thread."""
        for events in self._watches.values():
            for event in events:
                event.set()

    def open(self) -> int:
        """How many watches are open."""
        return sum(map(len, self._watches.values()))

    def join(self, shelf: Shelf, event: asyncio.Event) -> None:
        """Register a watch. Loop thread."""
        self._watches.setdefault(shelf, set()).add(event)

    def leave(self, shelf: Shelf, event: asyncio.Event) -> None:
        """Forget a watch. Loop thread."""
        self._watches[shelf].discard(event)

    def _wake(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        for shelf in changed:
            for event in self._watches.get(shelf, ()):
                event.set()


@dataclass(slots=True)
class Watch:
    """One open watch. `bookmark_every` in seconds; `version` is the API version of the URL."""

    cluster: LabCluster
    hub: Hub
    faults: Faults
    shelf: Shelf
    version: str
    query: Query
    bookmark_every: float
    event: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    _position: int = 0
    _revision: int = 0
    _header: bytes = b""

    def start(self) -> list[bytes]:
        """Fix the position; returns the bodies to send as initial ADDED events. Raises Refusal 410."""
        self._header = self.shelf.kind.header(self.version)
        asked = number(self.query.version)
        with self.cluster.lock:
            self._revision = self.cluster.revision
            initial = self.query.initial if self.query.initial is not None else not asked
            if not initial:
                self._position = self.shelf.position(asked) if asked else self.shelf.end
                return []
            self._position = self.shelf.end
            snapshot = self.shelf.at(self._revision)
        first, last = snapshot.slice(f"{self.query.namespace}/" if self.query.namespace else "")
        bodies = snapshot.bodies[first:last]
        return [body for body in bodies if self.query.selector is None or self.query.selector.matches(body)]

    async def run(self, initial: list[bytes], send: Send) -> None:
        """Send until the time is over, the history is lost (an ERROR event), or `ended` is set by who sees the client go."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + (self.query.seconds or random.uniform(1800, 3600))
        generation = self.hub.generation
        self.hub.join(self.shelf, self.event)
        try:
            await self._greet(initial, send)
            bookmark = loop.time() + self.bookmark_every
            while not self.ended and self.hub.generation == generation and not self.shelf.closed and loop.time() < ends:
                self.event.clear()
                due = self.query.bookmarks and loop.time() >= bookmark
                if due:
                    bookmark = loop.time() + self.bookmark_every
                if not await self._flush(send, due=due):
                    return
                await self._sleep(loop, min(ends, bookmark if self.query.bookmarks else ends))
            if self.query.bookmarks and not self.ended and self.hub.generation == generation:
                await self._flush(send, due=True)
        finally:
            self.hub.leave(self.shelf, self.event)

    async def _greet(self, initial: list[bytes], send: Send) -> None:
        for start in range(0, len(initial), _BLOCK):
            await send(b"".join(self._line("ADDED", body) for body in initial[start : start + _BLOCK]))
        if self.query.initial and self.query.bookmarks:
            await send(self._bookmark(self._revision, {"k8s.io/initial-events-end": "true"}))

    async def _sleep(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        await asyncio.sleep(_BREATH)
        if not self.event.is_set():
            timer = loop.call_at(until, self.event.set)
            try:
                await self.event.wait()
            finally:
                timer.cancel()

    async def _flush(self, send: Send, *, due: bool) -> bool:
        """Send what has gathered, and a bookmark where one is due; False when the watch cannot go on."""
        fault = self.faults.take_in_watch(self.shelf.kind.plural)
        if fault is not None and fault.fault == "stall":
            return True
        if fault is not None:
            await send(b"{not json\n" if fault.fault == "garbage" else _MALFORMED)
        try:
            with self.cluster.lock:
                changes = self.shelf.since(self._position)
                revision = self.cluster.revision
        except Refusal as refusal:
            await send(error_line(refusal))
            return False
        self._position += len(changes)
        lines = [line for change in changes for line in self._lines(change)]
        if due:
            lines.append(self._bookmark(revision, {}))
        if lines:
            await send(b"".join(lines))
        return True

    def _lines(self, change: Change) -> Iterator[bytes]:
        if self.query.namespace and not change.key.startswith(f"{self.query.namespace}/"):
            return
        if (selector := self.query.selector) is None:
            yield self._line(change.type, change.body)
            return
        before = change.old is not None and selector.matches(change.old)
        after = change.type != "DELETED" and selector.matches(change.body)
        if after:
            yield self._line("MODIFIED" if before else "ADDED", change.body)
        elif before and change.old is not None:
            yield self._line("DELETED", with_revision(change.old, change.revision))

    def _line(self, kind: str, body: bytes) -> bytes:
        return b'{"type":"%b","object":%b%b}\n' % (kind.encode(), self._header, body[1:])

    def _bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        metadata = {"resourceVersion": str(revision), "creationTimestamp": None}
        body = msgspec.json.encode({"metadata": metadata | ({"annotations": annotations} if annotations else {})})
        return self._line("BOOKMARK", body)


_MALFORMED: Final = (
    b'{"type":"MODIFIED","object":{"kind":7,"metadata":{"name":["no"],"resourceVersion":false},"spec":"?"}}\n'
)


def error_line(refusal: Refusal) -> bytes:
    """A refusal inside an open watch."""
    return b'{"type":"ERROR","object":%b}\n' % refusal.body()
