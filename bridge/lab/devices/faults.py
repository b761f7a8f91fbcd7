"""Disturbances on the way to and from a simulated device.

A fault waits for calls that it matches and disturbs them, at most `times` times. What it does is its `kind`:

* `slow` waits `seconds` and goes on; `hang` holds the call open until the client goes, or for `seconds` where given;
* `cut` closes the connection without an answer; `truncated` closes it in the middle of one;
* `garbage` answers 200 with a body that is not JSON;
* `answer` gives `status` and `body`; every other kind is a canned answer of the device (its module lists them).

`effect` says whether the device does the work of the call first (`after`) or never (`before`, the default): a connection cut
after the write took effect is the difference between a lost answer and a lost write.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Fault:
    """One disturbance. Empty `method` and `path` match all, `path` any part of the path, `method` may name several ("POST PATCH").

    `times=None` lasts until cleared.
    """

    kind: str
    times: int | None = 1
    method: str = ""
    path: str = ""
    skip: int = 0
    effect: Literal["before", "after"] = "before"
    seconds: float = 0.0
    status: int = 503
    body: str = ""
    content_type: str = "application/json"
    hits: int = field(default=0, init=False)

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault is meant for this call."""
        return (not self.method or method in self.method.split()) and self.path in path

    @property
    def spent(self) -> bool:
        """Whether it will disturb no further call."""
        return self.times is not None and self.hits >= self.times


class Faults:
    """The faults that wait, in the order in which they were added; a call meets the first that matches."""

    KINDS = frozenset({"slow", "hang", "cut", "truncated", "garbage", "answer"})

    def __init__(self, canned: Iterable[str] = ()) -> None:
        self._kinds = self.KINDS | frozenset(canned)
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, kind: str, **options: object) -> Fault:
        """Put a fault in wait; options as in `Fault`. ValueError for a kind the device does not know."""
        if kind not in self._kinds:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(sorted(self._kinds))}")
        fault = Fault(kind, **options)  # type: ignore[arg-type]
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this call, counted as used; None when there is none."""
        if not self._waiting:
            return None
        with self._lock:
            fault = next((one for one in self._waiting if one.matches(method, path)), None)
            if fault is None:
                return None
            if fault.skip:
                fault.skip -= 1
                return None
            fault.hits += 1
            if fault.spent:
                self._waiting.remove(fault)
            return fault
