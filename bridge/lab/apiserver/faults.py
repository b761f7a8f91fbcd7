"""Faults to order for tests, and the log of what clients asked.

| fault | what happens to the next `times` matching requests (0: until cleared) |
| --- | --- |
| status | the Status `code` (500, 503, 429, …), with Retry-After where `retryAfter` is given |
| drop | the connection is reset without an answer |
| hang | no answer, until the fault is cleared or the client goes |
| empty | a list answers with no objects and the current resource version |
| short | a list page carries half of its objects and no continue token |
| cut | a list's body ends in the middle, and the connection with it |
| stale | a list answers as of `back` revisions ago |
| drip | the body comes in pieces of `size` bytes, `delay` seconds apart |
| garbage | open watches get a line that is not JSON |
| malformed | open watches get a MODIFIED event whose object is of the wrong types |
| stall | open watches get nothing at all, bookmarks included |
| gone | watches from too old a resource version are answered with HTTP 410, as some proxies and old servers do |

And at once, once: `end_watches`, `compact`, `down` (refuse connections), `up`. The server does these.
"""

import itertools
import threading
import time
from collections import Counter, deque
from typing import Final, Literal

import msgspec

Name = Literal[
    "status", "drop", "hang", "empty", "short", "cut", "stale", "drip", "garbage", "malformed", "stall", "gone"
]
Verb = Literal["", "list", "watch", "get", "create", "update", "patch", "delete"]
_IN_WATCH: Final = frozenset({"garbage", "malformed", "stall"})


class Fault(msgspec.Struct, rename="camel"):
    """One order. `resource` (plural) and `verb` narrow it; empty means any."""

    fault: Name
    times: int = 1
    resource: str = ""
    verb: Verb = ""
    code: int = 503
    retry_after: int | None = None
    back: int = 100
    size: int = 1024
    delay: float = 0.05
    number: int = 0


class Faults:
    """The orders that stand. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._standing: dict[int, Fault] = {}

    def add(self, fault: Fault) -> int:
        """Order a fault; returns its number."""
        with self._lock:
            fault.number = next(self._numbers)
            self._standing[fault.number] = fault
            return fault.number

    def clear(self) -> None:
        """Withdraw all orders; requests that hang end."""
        with self._lock:
            self._standing.clear()

    def standing(self) -> tuple[Fault, ...]:
        """What is still to happen."""
        with self._lock:
            return tuple(self._standing.values())

    def stands(self, fault: Fault) -> bool:
        """Whether a fault without a count, or one being carried out, was not withdrawn."""
        return fault.number in self._standing

    def take(self, names: frozenset[str], verb: str, resource: str) -> Fault | None:
        """The first standing fault of these names for a request, counted as done once more."""
        if not self._standing:
            return None
        with self._lock:
            for fault in self._standing.values():
                if fault.fault in names and fault.verb in ("", verb) and fault.resource in ("", resource):
                    return self._counted(fault)
        return None

    def take_in_watch(self, resource: str) -> Fault | None:
        """The next fault for an open watch."""
        return self.take(_IN_WATCH, "watch", resource)

    def _counted(self, fault: Fault) -> Fault:
        # What lasts until it is cleared is not counted: a hang and a stall would end themselves.
        if fault.times and fault.fault not in ("hang", "stall"):
            fault.times -= 1
            if not fault.times:
                del self._standing[fault.number]
        return fault


class Entry(msgspec.Struct):
    """One request. `bytes` grows while a watch is open; `status` is 0 where no answer was sent."""

    at: float
    verb: str
    resource: str
    path: str
    query: str
    agent: str
    status: int = 0
    received: int = 0
    bytes: int = 0
    open: bool = True


class RequestLog:
    """The last requests, and totals of all. Filled by the server's own thread; read from any."""

    def __init__(self, kept: int = 10_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._counts: Counter[str] = Counter()

    def start(self, entry: Entry) -> Entry:
        """Note a request that begins."""
        entry.at = time.time()
        self._entries.append(entry)
        self._counts[f"{entry.verb} {entry.resource}"] += 1
        return entry

    def entries(self, verb: str = "", resource: str = "") -> tuple[Entry, ...]:
        """The requests kept, oldest first."""
        kept = tuple(self._entries)
        return tuple(entry for entry in kept if verb in ("", entry.verb) and resource in ("", entry.resource))

    def counts(self) -> dict[str, int]:
        """Requests by verb and resource, since the start or the last `clear`."""
        return dict(self._counts)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._counts.clear()
