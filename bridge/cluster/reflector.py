"""Keeps a consumer in step with one resource of one cluster: list, then watch, and never take silence or an error for a deletion.

    list ──complete──▶ confirm what vanished ──▶ Synced ──▶ watch ──ends──▶ watch from where it was
     ▲                                                        │ 410, or lines that make no sense
     └────────────────────────────────────────────────────────┘

The waits, and the rule that a very short watch is a failure, are those of client-go's reflector.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.clock import Clock
from bridge.cluster.answers import RequestRefused, Throttled
from bridge.cluster.backoff import Backoff, Uniform, uniform
from bridge.cluster.client import Connection
from bridge.cluster.decode import Line, Value
from bridge.cluster.gate import ClusterGate, no_namespaces
from bridge.cluster.health import Health, State
from bridge.cluster.kinds import KINDS
from bridge.cluster.listing import Lister, version_number
from bridge.cluster.picture import Picture
from bridge.cluster.settings import ReflectorSettings
from bridge.cluster.watch import Garbled, Watch
from bridge.errors import ClusterDenied, ClusterError, ClusterUnavailable, Expired
from bridge.model.observed import Change, Event, Resource, Synced

Batch = Sequence[Event | Synced]
Sink = Callable[[Batch], None]

_log = logging.getLogger(__name__)
_JOIN_INTERVAL: Final = 0.2
_JOIN_TRIES: Final = 25
# A watch that was away for longer begins with what it missed, and has told it after that many seconds.
_PROMPT: Final = timedelta(seconds=5)
_CATCH_UP: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Listed:
    """A complete list: which objects it held. Not `certain` when one of them does not say which it is."""

    version: str
    uids: Collection[str]
    certain: bool


class Reflector:
    """One thread that delivers every change of one resource to `sink`, in order, in batches as they come.

    `known` is what the consumer holds already: objects equal to it are not delivered again, and what of it is no longer there is
    delivered as DELETED or GONE, by the same path as after an outage. `known_at` is when that knowledge was last fresh.

    `sink` is called from this thread only. When it raises, the batch counts as not delivered and its changes come again. An
    object may be delivered again unchanged; no change is left out. Synced follows each complete list whose absences are confirmed.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        sink: Sink,
        clock: Clock,
        settings: ReflectorSettings | None = None,
        known: Iterable[Value] = (),
        *,
        known_at: datetime | None = None,
        gate: ClusterGate | None = None,
        uniform: Uniform = uniform,
    ) -> None:
        settings = settings or ReflectorSettings()
        self._connection = connection
        self._words = f"{connection.name}: {resource}"
        self._resource = resource
        self._sink = sink
        self._clock = clock
        self._gate = gate or ClusterGate(connection)
        self._lister = Lister(connection, resource, settings.limit(resource))
        self._watch = Watch(connection, resource, self._lister.codec, settings, clock, uniform)
        self._backoff = Backoff(settings.backoff, uniform)
        self._picture = Picture(resource, known, known_at)
        self._version = ""  # where the watch goes on; empty when a list is due
        self._newest = 0  # the newest version ever seen: no list may be older
        self._relisted = False  # a list at once was the answer to a version too old, and nothing went well since
        self._garbled_at = ""  # the version after which a line made no sense
        self._heard: float | None = None
        self._state = State.STARTING
        self._error = ""
        self._synced = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{connection.name}/{resource}", daemon=True)

    def start(self) -> None:
        """Begin. Once only."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Deliver nothing more, and end at the next opportunity."""
        self._stopping.set()

    def stop(self) -> None:
        """End now: calls in flight on the connection are broken (others on it are repeated by whoever made them)."""
        self.ask_to_stop()
        for _ in range(_JOIN_TRIES):
            if not self._thread.is_alive():
                return
            self._connection.interrupt()
            self._thread.join(_JOIN_INTERVAL)

    @property
    def alive(self) -> bool:
        """Whether its thread runs, whatever the cluster does."""
        return self._thread.is_alive()

    def health(self) -> Health:
        """How it stands. From any thread."""
        heard = self._heard
        return Health(
            resource=self._resource,
            state=self._state,
            synced=self._synced,
            silent_for=None if heard is None else self._clock.elapsed() - heard,
            resource_version=self._version,
            objects=len(self._picture),
            failures=self._backoff.failures,
            error=self._error,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 (a consumer's fault too must not end the thread)
                if not self._stopping.is_set():
                    self._clock.wait(self._stopping, self._after(error))
        self._state = State.STOPPED

    def _turn(self) -> None:
        try:
            self._follow()
        except RequestRefused as error:
            if error.code != 404 or not KINDS[self._resource].optional:
                raise
            self._not_installed(error)
            self._clock.wait(self._stopping, self._backoff.slow())

    def _follow(self) -> None:
        """One list if it is due, one watch."""
        if not self._version:
            self._synchronize()
        missed_since, opened = self._missed_since(), self._clock.elapsed()
        with closing(self._watch.batches(self._version)) as batches:
            for lines in batches:
                if self._stopping.is_set():
                    return
                self._state = State.WATCHING
                if lines:
                    behind = self._clock.elapsed() < opened + _CATCH_UP
                    self._take(lines, missed_since if behind else None)
                else:
                    opened = self._clock.elapsed()
        self._well()

    def _missed_since(self) -> datetime | None:
        """Since when nothing was heard, where that is so long ago that a watch begins with what happened meanwhile."""
        fresh_at = self._picture.fresh_at
        return fresh_at if fresh_at and self._clock.now() > fresh_at + _PROMPT else None

    # ---- the list

    def _synchronize(self) -> None:
        if self._state is State.STARTING:
            self._state = State.LISTING
        began, heard = self._clock.now(), self._clock.elapsed()
        listed = self._list()
        removals = self._removals(listed)
        self._deliver([*removals, Synced(self._resource, listed.version, since=self._picture.fresh_at)])
        self._picture.delivered(removals)
        self._version = listed.version
        self._synced = True
        self._heard = heard  # a list is a picture of its beginning
        self._picture.fresh(began)

    def _list(self) -> _Listed:
        """Deliver what a complete list shows, page by page."""
        uids: set[str] = set()
        version, certain = "", True
        for page in self._lister.pages(not_before=self._newest):
            version = page.resource_version
            events = self._picture.differing(page.values)
            self._deliver(events)
            self._picture.delivered(events, listed_at=self._clock.now())
            uids.update(value.uid for value in page.values)
        if self._resource is Resource.NAMESPACES and not uids:
            raise no_namespaces(self._connection)
        certain = "" not in uids
        self._newest = version_number(version)
        return _Listed(version, uids - {""}, certain)

    def _removals(self, listed: _Listed) -> list[Event]:
        missing = self._picture.missing(listed.uids)
        if not missing:
            return []
        replaced = self._picture.replaced(missing, listed.uids)
        ended = {value.uid for value in replaced}
        gone = self._confirmed([value for value in missing if value.uid not in ended], listed)
        picture = self._picture
        ends = [picture.deletion(value, picture.last_seen(value)) for value in replaced]
        return ends + [picture.vanished(value) for value in gone]

    def _confirmed(self, suspects: list[Value], listed: _Listed) -> list[Value]:
        """Those that a second list misses too. Raises when that cannot be told now; nothing is inferred then."""
        if not suspects or not listed.certain:
            return []
        second = {value.uid: value for page in self._lister.pages(not_before=self._newest) for value in page.values}
        self._check_against(listed, second.values())
        self._gate.prove_populated()
        return [] if "" in second else [value for value in suspects if value.uid not in second]

    def _check_against(self, listed: _Listed, second: Iterable[Value]) -> None:
        """An object that has not changed since the first list, and was not in it, proves that list incomplete."""
        for value in second:
            if value.uid not in listed.uids and value.uid and version_number(value.resource_version) <= self._newest:
                raise ClusterUnavailable(f"{self._words}: a list left out {value.name!r}, which was there")

    # ---- the watch

    def _take(self, lines: Sequence[Line], since: datetime | None) -> None:
        """Deliver a batch, and only then count it as seen. With `since` it happened at any time after that."""
        events = [self._event(line.type, line.value, since) for line in lines if line.value is not None]
        version = next((line.resource_version for line in reversed(lines) if line.resource_version), self._version)
        newest = version_number(version)
        self._deliver(events)
        self._picture.delivered(events)
        if version != self._version:
            self._version = version
            self._newest = max(self._newest, newest)
            self._well()
        self._fresh()

    def _event(self, kind: str, value: Value, since: datetime | None) -> Event:
        if kind != "DELETED":
            return Event(Change.UPSERT, self._resource, value, since)
        if not value.uid:
            raise Garbled(f"{self._words}: a deletion does not say of what")
        return self._picture.deletion(value, since)

    def _deliver(self, batch: Batch) -> None:
        if batch and not self._stopping.is_set():
            self._sink(batch)

    # ---- how it stands

    def _fresh(self) -> None:
        self._heard = self._clock.elapsed()
        self._picture.fresh(self._clock.now())

    def _well(self) -> None:
        if self._error:
            _log.info("%s: in step again", self._words)
        self._error = ""
        self._relisted = False
        self._backoff.reset()

    def _after(self, error: Exception) -> float:
        """Take note of a failure; the seconds to wait."""
        if isinstance(error, ClusterDenied):
            self._fail(State.DENIED, error)
            return self._backoff.slow()
        self._fail(State.FAILING, error)
        wait = self._backoff.next()
        if self._needs_list(error):
            self._version = ""
        if isinstance(error, Throttled):
            return max(wait, error.retry_after)
        # Whoever says that a version is too old is there: list at once, unless that has just not helped.
        at_once = isinstance(error, Expired) and not self._relisted
        self._relisted = self._relisted or at_once
        return 0.0 if at_once else wait

    def _needs_list(self, error: Exception) -> bool:
        """Whether going on from the last version cannot help: it is too old, refused, or what follows it made no sense twice."""
        if isinstance(error, Garbled):
            again = self._garbled_at == self._version
            self._garbled_at = self._version
            return again
        return isinstance(error, Expired | RequestRefused)

    def _not_installed(self, error: RequestRefused) -> None:
        """A cluster without our kinds is a cluster with none of their objects to tell of; those that were known before stay."""
        self._version = ""
        if self._state is not State.NOT_INSTALLED:
            self._deliver([Synced(self._resource, "")])
        self._synced = True
        self._fail(State.NOT_INSTALLED, error)

    def _fail(self, state: State, error: Exception) -> None:
        words = str(error) if isinstance(error, ClusterError) else f"{self._words}: {type(error).__name__}: {error}"
        if not self._error:
            _log.warning("%s", words)
        self._error = words
        self._state = state
