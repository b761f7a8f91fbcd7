"""What costs much is done for few at a time: whoever comes while they are at it is told to ask again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.exceptions import HTTPException


class Turns:
    """So many at a time; `what` is done, as people are told."""

    def __init__(self, most: int, what: str, *, again: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._words = f"{most} {what} at a time: ask again"
        self._again = again

    @contextmanager
    def one(self) -> Iterator[None]:
        """A turn, if there is one now; else HTTPException 503, which says when to ask again."""
        if not self._free.acquire(blocking=False):
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, self._words, {"Retry-After": str(self._again)})
        try:
            yield
        finally:
            self._free.release()


LIVE = Turns(2, "readings of devices", again=5)
WHOLE = Turns(2, "whole reports", again=2)
CHAINS = Turns(1, "verification of a chain", again=10)
