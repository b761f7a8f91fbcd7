"""Who was seen to go: what another consumer, whose record does not say so yet, is told when it is his turn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from typing import Final

from bridge.model.observed import Change, Event

_MOST: Final = 200_000


@dataclass(frozen=True, slots=True)
class Departure:
    """How an object went (DELETED: proven, GONE: inferred), at which version, seen when, and where not seen as it happened since when."""

    change: Change
    version: str
    at: datetime
    since: datetime | None


class Departures:
    """By uid, the oldest first. For whoever holds the lock of the reflector.

    Of more than `most` the oldest are forgotten: their going must then be found again, which costs a list and nothing else.
    """

    def __init__(self, now: Callable[[], datetime], most: int = _MOST) -> None:
        self._now = now
        self._most = most
        self._found: dict[str, Departure] = {}

    def __len__(self) -> int:
        return len(self._found)

    def note(self, event: Event) -> None:
        """It went, or came (back)."""
        uid = event.value.uid
        if event.change is Change.UPSERT:
            self._found.pop(uid, None)
            return
        self._found[uid] = Departure(event.change, event.value.resource_version, self._now(), event.since)
        if len(self._found) > self._most:
            self._drop(
                list(islice(self._found, 1 + self._most // 10))
            )  # many at once: to look for the first alone is slow

    def of(self, uid: str) -> Departure | None:
        """How it went; None when nobody saw that."""
        return self._found.get(uid)

    def forget(self, before: datetime) -> None:
        """Every record knows of what was seen before then."""
        self._drop([uid for uid, _ in takewhile(lambda one: one[1].at < before, self._found.items())])

    def _drop(self, uids: Iterable[str]) -> None:
        for uid in uids:
            del self._found[uid]
