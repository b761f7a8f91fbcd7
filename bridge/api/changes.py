"""What moves, for everybody who listens: one look at the counters serves all, and nobody has a queue that could grow."""

import asyncio
import contextlib
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool

from bridge.api.documents import Document
from bridge.errors import StateError
from bridge.state.counters import Counted

log = structlog.get_logger(__name__)

MOST: Final = 100  # listeners at a time
# What delivery records wakes nobody, so wake-ups would not spare the look: while somebody listens it is taken this often, else never.
PAUSE: Final = 0.5  # seconds
HEARTBEAT: Final = 15.0  # seconds in which nothing moved, until a listener is told that


class Moved(Document, frozen=True):
    """Where something moved since the event before, by name. `others`: reports, stops, replicas."""

    clusters: tuple[str, ...]
    devices: tuple[str, ...]
    others: tuple[str, ...]


def moved(before: Counted, now: Counted) -> Moved:
    """What differs between two looks."""
    return Moved(
        clusters=_differing(before.clusters, now.clusters),
        devices=_differing(before.devices, now.devices),
        others=_differing(before.others, now.others),
    )


class Changes:
    """Looks at the counters while somebody listens. Everything happens on the loop of the server, but for `look` and `close`."""

    def __init__(self, look: Callable[[], Counted]) -> None:
        self._look = look
        self._listeners = 0
        self._watch: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._counted: Counted | None = None
        self._news = asyncio.Event()  # of each look that found something another one
        self._closed = threading.Event()

    @property
    def full(self) -> bool:
        """Whether there are as many listeners as there may be."""
        return self._listeners >= MOST

    def close(self) -> None:
        """End every listener's stream, and let nobody listen any more. From any thread; safe to repeat."""
        self._closed.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and all that ran on it
                self._loop.call_soon_threadsafe(self._tell)

    async def since(self, seen: Counted | None, seconds: float) -> AsyncIterator[Counted | None]:
        """How everything stands whenever it is not as it was seen last, at once where it is not already; None after each HEARTBEAT without.

        Ends after so many seconds, when this is closed, and at once when it is full.
        """
        if self.full or self._closed.is_set():
            return
        with self._listening() as watch:
            loop = asyncio.get_running_loop()
            until = loop.time() + seconds
            while not self._closed.is_set() and (left := until - loop.time()) > 0:
                news, now = self._news, self._counted
                if now is not None and now != seen:
                    seen = now
                    yield now
                elif watch.done():
                    return  # a fault of ours, which is in the log
                elif not await _set_within(news, min(left, HEARTBEAT)):
                    yield None

    @contextlib.contextmanager
    def _listening(self) -> Iterator[asyncio.Task[None]]:
        self._listeners += 1
        if self._watch is None:
            self._loop = asyncio.get_running_loop()
            self._watch = asyncio.create_task(self._watching())
        try:
            yield self._watch
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._watch.cancel()
                self._watch = self._counted = None

    async def _watching(self) -> None:
        try:
            while True:
                await self._look_once()
                await asyncio.sleep(PAUSE)
        except Exception:
            log.exception("a fault of the bridge")
            self._tell()

    async def _look_once(self) -> None:
        try:
            counted = await run_in_threadpool(self._look)
        except StateError as error:
            log.debug("what moves is not to be seen now", error=str(error))
            return
        if counted != self._counted:
            self._counted = counted
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def place(counted: Counted) -> str:
    """The id of an event: by it is told later what has moved since."""
    return urlsafe_b64encode(msgspec.json.encode(counted)).decode().rstrip("=")


def counted(place: str) -> Counted:
    """How everything stood at that event. Of an id that is none of ours nothing is known, so that everything has moved since."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(place + "=" * (-len(place) % 4)), type=Counted)
    except (ValueError, UnicodeError):
        return Counted()


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*before, *now} if before.get(name) != now.get(name)))


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
