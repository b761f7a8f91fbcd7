"""What is said about gates, written into the cluster: many pods at a time, and none waits for another."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.cluster import gates
from bridge.cluster.answers import RequestRefused, Throttled
from bridge.cluster.backoff import Backoff, BackoffSettings
from bridge.cluster.client import Connection
from bridge.cluster.writes import Notice, apply_condition, create_event
from bridge.errors import ClusterDenied, ClusterError, ClusterUnavailable
from bridge.model.gate import CONDITION, MEANINGS, GateReason
from bridge.model.observed import Resource
from bridge.state.gate_store import Gate

log = structlog.get_logger(__name__)

_EXISTS = "AlreadyExists"


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Seconds: between two explanations to one pod, and for how long one that was refused is left alone."""

    spacing: float = 5.0
    aside: float = 30.0
    threads: int = 8
    backoff: BackoffSettings = field(default_factory=BackoffSettings)


class Told(Enum):
    """What came of telling a pod."""

    YES = auto()
    GONE = auto()
    LATER = auto()


class GateWriter:
    """Tells pods over one connection. `allowed` is asked before each write and raises when it is not."""

    def __init__(
        self, connection: Connection, clock: Clock, allowed: Callable[[], object], settings: WriterSettings
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._allowed = allowed
        self._settings = settings
        self._series = metrics.cluster(connection.name)
        self._backoff = Backoff(settings.backoff)
        self._away_until = 0.0
        self._aside: dict[str, float] = {}  # uid -> until when it is left alone
        self._explained: dict[str, float] = {}  # uid -> until when it is told no other reason to wait
        self._pool = ThreadPoolExecutor(settings.threads, f"gates {connection.name}")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def opened(self, some: Sequence[Gate]) -> tuple[list[str], list[str]]:
        """Tell pods that they need not wait; returns the uids of those that were told, and of those that are there no more."""
        chosen = [gate for gate in some if self._free(gate)]
        results = self._each(self._tell_open, chosen)
        told = [gate.uid for gate, result in zip(chosen, results, strict=True) if result is Told.YES]
        return told, [gate.uid for gate, result in zip(chosen, results, strict=True) if result is Told.GONE]

    def let_through(self, some: Sequence[Gate]) -> list[str]:
        """Open these without being allowed to, while nobody can say whose business it is; returns the uids of those that wait no more.

        Whoever has opened one meanwhile has the word on it.
        """
        chosen = [gate for gate in some if self._free(gate)]
        results = self._each(self._tell_late, chosen)
        return [gate.uid for gate, result in zip(chosen, results, strict=True) if result is not Told.LATER]

    def explain(self, some: Sequence[Gate]) -> list[Gate]:
        """Tell pods why they wait; returns those that were told."""
        now = self._clock.elapsed()
        self._explained = {uid: until for uid, until in self._explained.items() if until > now}
        self._aside = {uid: until for uid, until in self._aside.items() if until > now}
        chosen = [gate for gate in some if self._free(gate) and gate.uid not in self._explained]
        results = self._each(self._tell_waiting, chosen)
        return [gate for gate, result in zip(chosen, results, strict=True) if result is Told.YES]

    def _free(self, gate: Gate) -> bool:
        now = self._clock.elapsed()
        return now >= self._away_until and self._aside.get(gate.uid, 0.0) <= now

    def _each(self, tell: Callable[[Gate], Told], some: Sequence[Gate]) -> list[Told]:
        return [tell(gate) for gate in some] if len(some) < 2 else list(self._pool.map(tell, some))

    def _tell_open(self, gate: Gate) -> Told:
        message = gate.message or MEANINGS[GateReason(gate.reason)]
        condition = gates.said(gate.reason, message, gate.opened_at or self._clock.now(), opened=True)
        try:
            self._allowed()
            apply_condition(self._connection, gate.namespace, gate.name, gate.uid, condition)
            if gate.reason == GateReason.TIMED_OUT:
                self._warn(gate)
        except ClusterError as error:
            return self._failed(gate, error)
        self._backoff.reset()
        return Told.YES

    def _tell_late(self, gate: Gate) -> Told:
        """Only on the pod as it was just read."""
        try:
            pod = gates.find(self._connection, gate.namespace, gate.name)
            if pod is None or pod.uid != gate.uid or pod.open:
                return Told.GONE
            condition = gates.said(gate.reason, gate.message, gate.opened_at or self._clock.now(), opened=True)
            apply_condition(self._connection, gate.namespace, gate.name, gate.uid, condition, pod.version)
            self._warn(gate)
        except RequestRefused as error:
            return Told.LATER if error.code == 409 else self._failed(gate, error)  # it changed: it is read again
        except ClusterError as error:
            return self._failed(gate, error)
        return Told.YES

    def _warn(self, gate: Gate) -> None:
        """An Event of a name of its own: a second try creates no second one."""
        mark = hashlib.sha256(gate.uid.encode()).hexdigest()[:12]
        words, name = f"Readiness gate {CONDITION} {gate.message}", f"{gate.name[:200]}.gate-{mark}"
        notice = Notice(GateReason.TIMED_OUT, words, warning=True, name=name)
        place = (self._connection, Resource.PODS, gate.namespace, gate.name, gate.uid)
        try:
            create_event(*place, notice, self._clock.now())
        except (RequestRefused, ClusterDenied) as error:
            if not isinstance(error, RequestRefused) or error.reason != _EXISTS:
                self._series.refused.inc()
                log.warning("event refused", cluster=self._connection.name, error=str(error))

    def _tell_waiting(self, gate: Gate) -> Told:
        """Only on the pod as it was just read: whoever opened it meanwhile keeps it open."""
        self._explained[gate.uid] = self._clock.elapsed() + self._settings.spacing
        try:
            pod = gates.find(self._connection, gate.namespace, gate.name)
            if pod is None or pod.uid != gate.uid or pod.open:
                return Told.LATER  # the watch tells of it
            self._allowed()
            condition = gates.said(gate.reason, gate.message, gate.since, opened=False)
            apply_condition(self._connection, gate.namespace, gate.name, gate.uid, condition, pod.version)
        except RequestRefused:
            return Told.LATER
        except ClusterError as error:
            return self._failed(gate, error)
        return Told.YES

    def _failed(self, gate: Gate, error: ClusterError) -> Told:
        """What is to be done about a pod that could not be told."""
        if isinstance(error, RequestRefused) and error.code in (404, 409):
            return Told.GONE
        if isinstance(error, ClusterUnavailable):
            pause = self._backoff.next()
            pause = max(pause, error.retry_after) if isinstance(error, Throttled) else pause
            self._away_until = self._clock.elapsed() + pause
            words = {"error": str(error), "retry_in": round(pause, 1)}
            log.warning("cluster unavailable", cluster=self._connection.name, **words)
            return Told.LATER
        self._aside[gate.uid] = self._clock.elapsed() + self._settings.aside
        self._series.refused.inc()
        pod = f"{gate.namespace}/{gate.name}"
        log.warning("gate not told", cluster=self._connection.name, pod=pod, error=str(error))
        return Told.LATER
