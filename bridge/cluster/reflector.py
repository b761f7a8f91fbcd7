"""Keeps a consumer in step with one resource of one cluster: list, then watch, and never take silence or an error for a deletion.

    list ──complete──▶ confirm what vanished ──▶ Synced ──▶ watch ──ends──▶ watch from where it was
     ▲                                                        │ 410, or lines that make no sense
     └────────────────────────────────────────────────────────┘

A consumer may come and go: without one the picture alone is kept, and the next goes on from it.

The waits, and the rule that a very short watch is a failure, are those of client-go's reflector.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

from bridge.clock import Clock
from bridge.cluster.absences import Absences, Listed
from bridge.cluster.answers import RequestRefused, Throttled
from bridge.cluster.backoff import Backoff, Uniform, uniform
from bridge.cluster.client import Connection
from bridge.cluster.decode import Line, Value
from bridge.cluster.gate import ClusterGate, no_namespaces
from bridge.cluster.health import Health, State
from bridge.cluster.kinds import KINDS
from bridge.cluster.listing import Lister, version_number
from bridge.cluster.serving import Basis, Serving, Sink
from bridge.cluster.settings import ReflectorSettings
from bridge.cluster.watch import Garbled, Watch
from bridge.errors import ClusterDenied, ClusterError, Expired
from bridge.model.observed import Change, Event, Resource, Synced

_log = logging.getLogger(__name__)
_JOIN_INTERVAL: Final = 0.2
_JOIN_TRIES: Final = 25
# A watch that was away for longer begins with what it missed, and has told it after that many seconds.
_PROMPT: Final = timedelta(seconds=5)
_CATCH_UP: Final = 5.0


class Reflector:
    """One thread that delivers every change of one resource to `sink`, in order, in batches as they come.

    `known` is what the consumer holds already: objects equal to it are not delivered again, and what of it is no longer there is
    delivered as DELETED or GONE, by the same path as after an outage. `known_at` is when that knowledge was last fresh.

    `sink` is called from this thread only, or from the one that calls `rebase`, while the other waits. When it raises, the batch counts
    as not delivered and its changes come again. An object may be delivered again unchanged; no change is left out. Synced follows each
    complete list whose absences are confirmed. Without a sink nothing is delivered; what is seen is kept for the next.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        sink: Sink | None,
        clock: Clock,
        settings: ReflectorSettings | None = None,
        known: Iterable[Value] = (),
        *,
        known_at: datetime | None = None,
        gate: ClusterGate | None = None,
        uniform: Uniform = uniform,
    ) -> None:
        settings = settings or ReflectorSettings()
        self._words = f"{connection.name}: {resource}"
        self._connection = connection
        self._resource = resource
        self._clock = clock
        self._lister = Lister(connection, resource, settings.limit(resource))
        self._gate = gate or ClusterGate(connection)
        self._absences = Absences(self._words, self._lister, self._gate)
        self._watch = Watch(connection, resource, self._lister.codec, settings, clock, uniform)
        self._backoff = Backoff(settings.backoff, uniform)
        self._serving = Serving(resource, clock.now, sink, known, known_at)
        self._newest = 0  # the newest version ever seen: no list may be older
        self._relisted = False  # a list at once was the answer to a version too old, and nothing went well since
        self._garbled_at = ""  # the version after which a line made no sense
        self._heard: float | None = None
        self._state = State.STARTING
        self._error = ""
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{connection.name}/{resource}", daemon=True)

    def start(self) -> None:
        """Begin. Once only."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Deliver nothing more, and end at the next opportunity."""
        self._serving.end()
        self._stopping.set()
        self._woken.set()

    def stop(self) -> None:
        """End now: calls in flight on the connection are broken (others on it are repeated by whoever made them)."""
        self.ask_to_stop()
        for _ in range(_JOIN_TRIES):
            if not self._thread.is_alive():
                return
            self._connection.interrupt()
            self._thread.join(_JOIN_INTERVAL)

    @property
    def ended(self) -> bool:
        """Whether its thread ran and does so no more, whatever the cluster does."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def health(self) -> Health:
        """How it stands. From any thread."""
        heard, basis = self._heard, self._serving.basis
        return Health(
            resource=self._resource,
            state=self._state,
            synced=basis.synced,
            silent_for=None if heard is None else self._clock.elapsed() - heard,
            resource_version=basis.version,
            objects=len(basis.picture),
            failures=self._backoff.failures,
            error=self._error,
        )

    # ---- one consumer after another

    def seen(self, uid: str) -> Value | None:
        """The object as it is in the picture now. From any thread."""
        return self._serving.seen(uid)

    def rebase(
        self, sink: Sink, known: Sequence[Value], known_at: datetime | None, version: int, patience: float
    ) -> bool:
        """Go on for a consumer whose record holds `known`, made with what was seen up to `version`. From any thread.

        What differs from the record is delivered as a list would have shown it, within this call; what happens from then on follows.
        False where the picture cannot tell that: it is not whole, the watch does not stand, it is behind the record for more than
        `patience` seconds, or something is gone that nobody saw going. Then a list is begun, as at a start.
        """
        with self._serving.moved:
            self._serving.moved.wait_for(lambda: self._newest >= version or not self._stands, patience)
            if self._goes_on(sink, known, known_at, version):
                return True
            self._serving.begin(sink, known, known_at)
            # Neither a watch that stands nor a pause after a failure is to be waited for.
            self._watch.interrupt()
            self._woken.set()
            return False

    def release(self) -> None:
        """The consumer takes no more: nothing reaches him after this call. What is seen is kept for the next."""
        self._serving.release()

    def forget_departures(self, before: datetime) -> None:
        """Whatever was seen to go before then is in every record."""
        self._serving.forget_departures(before)

    @property
    def _stands(self) -> bool:
        """Whether the picture is whole and followed by a watch, or there is nothing to watch."""
        basis = self._serving.basis
        watching = bool(basis.version) and self._state is State.WATCHING
        return basis.synced and (watching or self._state is State.NOT_INSTALLED)

    def _goes_on(self, sink: Sink, known: Sequence[Value], known_at: datetime | None, version: int) -> bool:
        if not self._stands or self._newest < version:
            return False
        if self._state is State.NOT_INSTALLED:
            self._serving.stay(sink, known, known_at)
            return True
        return self._serving.go_on(sink, known, known_at)

    # ---- the thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            basis = self._serving.basis
            try:
                self._turn(basis)
            except Exception as error:  # noqa: BLE001 (a consumer's fault too must not end the thread)
                if basis is self._serving.basis and not self._stopping.is_set():
                    self._pause(self._after(error))
        self._state = State.STOPPED

    def _pause(self, seconds: float) -> None:
        self._clock.wait(self._woken, seconds)
        if not self._stopping.is_set():
            self._woken.clear()

    def _turn(self, basis: Basis) -> None:
        try:
            self._follow(basis)
        except RequestRefused as error:
            if error.code != 404 or not KINDS[self._resource].optional:
                raise
            self._not_installed(basis, error)
            self._pause(self._backoff.slow())

    def _follow(self, basis: Basis) -> None:
        """One list if it is due, one watch."""
        if self._newest:
            self._gate.prove_same(self._clock.elapsed())
        if not basis.version:
            self._synchronize(basis)
        missed_since, opened = self._missed_since(basis), self._clock.elapsed()
        with closing(self._watch.batches(basis.version)) as batches:
            for lines in batches:
                if self._stopping.is_set() or basis is not self._serving.basis:
                    return
                self._state = State.WATCHING
                if lines:
                    behind = self._clock.elapsed() < opened + _CATCH_UP
                    self._take(basis, lines, missed_since if behind else None)
                else:
                    opened = self._clock.elapsed()
        self._well()

    def _missed_since(self, basis: Basis) -> datetime | None:
        """Since when nothing was heard, where that is so long ago that a watch begins with what happened meanwhile."""
        fresh_at = basis.picture.fresh_at
        return fresh_at if fresh_at and self._clock.now() > fresh_at + _PROMPT else None

    # ---- the list

    def _synchronize(self, basis: Basis) -> None:
        if self._state is State.STARTING:
            self._state = State.LISTING
        began, heard = self._clock.now(), self._clock.elapsed()
        listed = self._list(basis)
        removals = self._removals(basis, listed)
        with self._serving.held(basis):
            basis.deliver([*removals, Synced(self._resource, listed.version, since=basis.picture.fresh_at)])
            basis.picture.delivered(removals)
            basis.picture.fresh(began)
            basis.version, basis.synced = listed.version, True
            self._heard = heard  # a list is a picture of its beginning

    def _list(self, basis: Basis) -> Listed:
        """Deliver what a complete list shows, page by page."""
        uids: set[str] = set()
        version = ""
        for page in self._lister.pages(not_before=self._newest):
            version = page.resource_version
            with self._serving.held(basis):
                events = basis.picture.differing(page.values)
                basis.deliver(events)
                basis.picture.delivered(events, listed_at=self._clock.now())
            uids.update(value.uid for value in page.values)
        if self._resource is Resource.NAMESPACES and not uids:
            raise no_namespaces(self._connection)
        self._newest = version_number(version)
        return Listed(version, uids - {""}, "" not in uids)

    def _removals(self, basis: Basis, listed: Listed) -> list[Event]:
        missing = basis.picture.missing(listed.uids)
        if not missing:
            return []
        ends = basis.picture.ended(missing, listed.uids)
        ended = {event.value.uid for event in ends}
        gone = self._absences.confirmed([value for value in missing if value.uid not in ended], listed)
        return ends + [basis.picture.vanished(value) for value in gone]

    # ---- the watch

    def _take(self, basis: Basis, lines: Sequence[Line], since: datetime | None) -> None:
        """Deliver a batch, and only then count it as seen. With `since` it happened at any time after that."""
        version = next((line.resource_version for line in reversed(lines) if line.resource_version), basis.version)
        newest = version_number(version)
        with self._serving.held(basis):
            events = [self._event(basis, line.type, line.value, since) for line in lines if line.value is not None]
            basis.deliver(events)
            basis.picture.delivered(events)
            if version != basis.version:
                basis.version = version
                self._newest = max(self._newest, newest)
                self._well()
                self._serving.moved.notify_all()
            self._heard = self._clock.elapsed()
            basis.picture.fresh(self._clock.now())

    def _event(self, basis: Basis, kind: str, value: Value, since: datetime | None) -> Event:
        if kind != "DELETED":
            return Event(Change.UPSERT, self._resource, value, since)
        if not value.uid:
            raise Garbled(f"{self._words}: a deletion does not say of what")
        return basis.picture.deletion(value, since)

    # ---- how it stands

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
            self._serving.basis.version = ""
        if isinstance(error, Throttled):
            return max(wait, error.retry_after)
        # Whoever says that a version is too old is there: list at once, unless that has just not helped.
        at_once = isinstance(error, Expired) and not self._relisted
        self._relisted = self._relisted or at_once
        return 0.0 if at_once else wait

    def _needs_list(self, error: Exception) -> bool:
        """Whether going on from the last version cannot help: it is too old, refused, or what follows it made no sense twice."""
        if isinstance(error, Garbled):
            version = self._serving.basis.version
            again, self._garbled_at = self._garbled_at == version, version
            return again
        return isinstance(error, Expired | RequestRefused)

    def _not_installed(self, basis: Basis, error: RequestRefused) -> None:
        """A cluster without our kinds is a cluster with none of their objects to tell of; those that were known before stay."""
        with self._serving.held(basis):
            if not basis.synced or self._state is not State.NOT_INSTALLED:
                basis.deliver([Synced(self._resource, "")])
            basis.version, basis.synced = "", True
            self._fail(State.NOT_INSTALLED, error)

    def _fail(self, state: State, error: Exception) -> None:
        words = str(error) if isinstance(error, ClusterError) else f"{self._words}: {type(error).__name__}: {error}"
        if not self._error:
            _log.warning("%s", words)
        self._error = words
        self._state = state
