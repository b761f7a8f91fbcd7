"""Whom a reflector serves, one consumer after another, and what each was given."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from bridge.cluster.decode import Value
from bridge.cluster.departures import Departures
from bridge.cluster.picture import Picture
from bridge.model.observed import Event, Resource, Synced

Batch = Sequence[Event | Synced]
Sink = Callable[[Batch], None]


class Replaced(Exception):
    """Another consumer begins from a record of his own: what was under way for the one before is of no use."""


@dataclass(slots=True)
class Basis:
    """Who is served and what he was given. Replaced whole when the next consumer cannot go on from the picture."""

    picture: Picture
    sink: Sink | None
    version: str = ""  # where the watch goes on; empty when a list is due
    synced: bool = False

    def deliver(self, batch: Batch) -> None:
        """To whoever is served, if anybody is."""
        if batch and self.sink is not None:
            self.sink(batch)


class Serving:
    """Nothing is delivered, and no consumer comes or goes, but under its lock."""

    def __init__(
        self,
        resource: Resource,
        now: Callable[[], datetime],
        sink: Sink | None,
        known: Iterable[Value],
        known_at: datetime | None,
    ) -> None:
        self._resource = resource
        self._departures = Departures(now)
        self.moved = threading.Condition(threading.RLock())
        self.basis = self._new(sink, known, known_at)
        self._ended = False

    def end(self) -> None:
        """Nobody is served any more."""
        self._ended = True

    @contextmanager
    def held(self, basis: Basis) -> Iterator[None]:
        """Nobody else comes in between. Raises Replaced when that has happened already, or all is over."""
        with self.moved:
            if self._ended or basis is not self.basis:
                raise Replaced
            yield

    def seen(self, uid: str) -> Value | None:
        """The object as it is in the picture now."""
        return self.basis.picture.objects.get(uid)

    def go_on(self, sink: Sink, known: Sequence[Value], known_at: datetime | None) -> bool:
        """Bring a consumer whose record holds `known` up to the picture, and serve him. False where the picture cannot tell how."""
        events = self.basis.picture.since(known, known_at)
        if events is None:
            return False
        sink([*events, Synced(self._resource, self.basis.version, since=known_at)])
        self.basis.sink = sink
        return True

    def stay(self, sink: Sink, known: Sequence[Value], known_at: datetime | None) -> None:
        """Serve a consumer of whose record nothing can be seen: what he knows stays."""
        sink([Synced(self._resource, "", since=known_at)])
        self.basis = self._new(sink, known, known_at)
        self.basis.synced = True

    def begin(self, sink: Sink, known: Sequence[Value], known_at: datetime | None) -> None:
        """Serve a consumer from a list on. What was seen to go stays known."""
        self.basis = self._new(sink, known, known_at)

    def release(self) -> None:
        """Serve nobody. What is seen is kept for the next."""
        with self.moved:
            self.basis.sink = None

    def forget_departures(self, before: datetime) -> None:
        """Whatever was seen to go before then is in every record."""
        with self.moved:
            self._departures.forget(before)

    def _new(self, sink: Sink | None, known: Iterable[Value], known_at: datetime | None) -> Basis:
        return Basis(Picture(self._resource, known, known_at, self._departures), sink)
