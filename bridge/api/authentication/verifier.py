"""Whose token it is, asked of whoever knows."""

import hashlib
import threading
from collections import OrderedDict
from typing import Final, Protocol

from bridge.api.access import Forbidden, Person, Unknown
from bridge.clock import Clock

_MOST: Final = 10_000  # tokens that are remembered at a time


class Verifier(Protocol):
    """Knows tokens."""

    def verified(self, token: str) -> Person:
        """Whose it is. Raises Unknown, Forbidden for somebody without a role, Unavailable."""
        ...


class Remembered:
    """Asks again only after so many seconds (0: each time); until then somebody who lost a right still has it.

    Who is not known is asked about each time.
    """

    __slots__ = ("_asked", "_clock", "_known", "_lock", "_seconds")

    def __init__(self, asked: Verifier, clock: Clock, seconds: float) -> None:
        self._asked = asked
        self._clock = clock
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[float, Person]] = OrderedDict()  # the one asked about longest ago first
        self._lock = threading.Lock()

    def met(self, token: str) -> bool:
        """Whether it was somebody's when it was asked about last."""
        with self._lock:
            return _key(token) in self._known

    def verified(self, token: str) -> Person:
        """Whose it is. Raises what the verifier does."""
        key, now = _key(token), self._clock.elapsed()
        with self._lock:
            asked, person = self._known.get(key, (now, None))
        if person is not None and now - asked < self._seconds:
            return person
        try:
            found = self._asked.verified(token)
        except (Unknown, Forbidden):
            with self._lock:
                self._known.pop(key, None)
            raise
        self._remember(key, now, found)
        return found

    def _remember(self, key: bytes, asked: float, person: Person) -> None:
        with self._lock:
            self._known[key] = (asked, person)
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
