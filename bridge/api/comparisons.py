"""What differs between two kept reports, worked out once for each two: neither ever changes, and whole reports take seconds to read."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from bridge.report.difference import Difference

_MOST: Final = 4  # that are remembered, or worked out, at a time
_AGAIN: Final = 5  # seconds

Two = tuple[int, int]
"""The numbers of two reports, the earlier one first or not."""


class Comparisons:
    """Works out one after another, and remembers the last few. Safe to use from many threads."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, "comparisons")
        self._found: OrderedDict[Two, Future[Difference]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, two: Two, work: Callable[[], Difference]) -> Difference:
        """What `work` finds of these two, now or the last time.

        Raises what `work` raises, and HTTPException 503 when too many others are waited for.
        """
        asked = self._asked(two, work)
        try:
            return asked.result()
        except BaseException:
            with self._lock:
                self._found.pop(two, None)  # whoever asks again has it tried again
            raise

    def within(self, seconds: float, two: Two, work: Callable[[], Difference]) -> Difference | None:
        """The same; None where that takes longer than so many seconds, and it goes on then."""
        done, _ = wait([self._asked(two, work)], seconds)
        return self.of(two, work) if done else None

    def _asked(self, two: Two, work: Callable[[], Difference]) -> Future[Difference]:
        with self._lock:
            known = self._found.get(two)
            if known is None:
                self._make_room()
                known = self._found[two] = self._worker.submit(work)
            self._found.move_to_end(two)
            return known

    def _make_room(self) -> None:
        while len(self._found) >= _MOST:
            over = next((two for two, one in self._found.items() if one.done()), None)
            if over is None:
                words = f"{_MOST} comparisons at a time: ask again"
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, words, {"Retry-After": str(_AGAIN)})
            del self._found[over]


def _comparisons(request: Request) -> Comparisons:
    found: Comparisons = request.app.state.comparisons
    return found


Compared = Annotated[Comparisons, Depends(_comparisons)]
