"""The loop that opens the gates of one cluster: pods that wait until the firewalls know them."""

import hashlib
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final, Protocol

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.cluster import gates
from bridge.cluster.answers import RequestRefused, Throttled
from bridge.cluster.backoff import Backoff, BackoffSettings
from bridge.cluster.client import Connection
from bridge.cluster.writes import Notice, apply_condition, create_event
from bridge.errors import ClusterDenied, ClusterError, ClusterUnavailable, LostLease, StateError, StateUnavailable
from bridge.feedback.gate_verdict import PASSING, Verdict, judge
from bridge.model.gate import CONDITION, PATIENCE, GateReason
from bridge.model.observed import Resource
from bridge.state.gate_store import Gate, Word

log = structlog.get_logger(__name__)

_SHARE: Final = 5  # a look is taken again after this many times what the last one took
_EXISTS: Final = "AlreadyExists"


class Store(Protocol):
    """What the gatekeeper asks of the state."""

    def unfinished(self, cluster: str, devices: Collection[str]) -> list[Gate]:
        """Who waits, and who is to be told."""
        ...

    def open(self, cluster: str, epoch: int, words: Sequence[Word], at: datetime) -> None:
        """These are open."""
        ...

    def note(self, cluster: str, epoch: int, words: Sequence[Word]) -> None:
        """Why these wait."""
        ...

    def told(self, cluster: str, epoch: int, uids: Sequence[str], gone: Sequence[str] = ()) -> None:
        """These were told, those are gone."""
        ...


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Seconds. A gate opens after `timeout`, whatever the firewalls do; why it waits is told after `quiet`, and not oftener than `spacing`.

    While somebody waits all are looked at every `poll`, otherwise every `idle`, and whenever a device has confirmed something.
    """

    timeout: float = PATIENCE
    quiet: float = 2.0
    spacing: float = 5.0
    poll: float = 1.0
    idle: float = 5.0
    aside: float = 30.0
    threads: int = 8
    backoff: BackoffSettings = field(default_factory=BackoffSettings)


class Told(Enum):
    """What came of telling a pod."""

    YES = auto()
    GONE = auto()
    LATER = auto()
    AWAY = auto()


class Gatekeeper:
    """Compares who waits with what the devices have confirmed, and tells pods that they need not wait any longer.

    That a gate is open is recorded before its pod is told, and nothing shuts one again: neither a restart nor another replica. While the
    database is away, whoever was seen waiting is let through when the time is over.
    """

    def __init__(
        self,
        cluster: str,
        devices: Collection[str],
        connection: Connection,
        store: Store,
        clock: Clock,
        epoch: Callable[[], int],
        settings: GateSettings | None = None,
    ) -> None:
        self._cluster = cluster
        self._devices = devices
        self._connection = connection
        self._store = store
        self._clock = clock
        self._epoch = epoch
        self._settings = settings or GateSettings()
        self._patience = timedelta(seconds=self._settings.timeout)
        self._series = metrics.cluster(cluster)
        self._backoff = Backoff(self._settings.backoff)
        self._wake = threading.Event()
        self._waiting: list[Gate] = []
        self._aside: dict[str, float] = {}  # uid -> until when it is left alone
        self._let_through: set[str] = set()  # while the database was away
        self._away_until = 0.0
        self._trouble = ""
        self._pool: ThreadPoolExecutor | None = None

    @property
    def waiting(self) -> int:
        """How many pods wait."""
        return len(self._waiting)

    @property
    def oldest(self) -> float:
        """For how many seconds the one has waited that has waited longest; 0 while nobody does."""
        since = min((gate.since for gate in list(self._waiting)), default=None)
        return 0.0 if since is None else max(0.0, (self._clock.now() - since).total_seconds())

    def wake(self) -> None:
        """Somebody may have begun to wait, or need not any longer."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Open gates until `stop` is set. Whatever fails is tried again: nothing here ends the loop."""
        with ThreadPoolExecutor(self._settings.threads, f"gates {self._cluster}") as self._pool:
            while not stop.is_set():
                self._wake.clear()
                began = self._clock.elapsed()
                pause = self.turn()
                rest = min(_SHARE * (self._clock.elapsed() - began), pause)
                if rest > 0.01:
                    self._clock.wait(stop, rest)
                self._clock.wait(self._wake, max(0.0, pause - rest))

    def turn(self) -> float:
        """One look at all; returns the seconds to wait, unless woken."""
        try:
            found = self._store.unfinished(self._cluster, self._devices)
            self._waiting = [gate for gate in found if not gate.open]
            self._let_through &= {gate.uid for gate in found}
            if self._clock.elapsed() >= self._away_until:
                self._work(found)
        except StateUnavailable as error:
            self._complain(error)
            self._let_time_pass()
        except (LostLease, StateError) as error:
            self._complain(error)
        except Exception:
            log.exception("gates failed", cluster=self._cluster)
        else:
            self._trouble = ""
            return self._pause()
        return self._settings.poll

    def _pause(self) -> float:
        if not self._waiting:
            return self._settings.idle
        now = self._clock.now()
        left = min((gate.since + self._patience - now).total_seconds() for gate in self._waiting)
        return min(self._settings.poll, max(left, 0.05))

    def _work(self, found: Sequence[Gate]) -> None:
        now = self._clock.now()
        verdicts = {gate.uid: judge(gate, now, self._patience) for gate in found if not gate.open}
        fresh = [gate for gate in found if not gate.open and verdicts[gate.uid].open]
        self._open([(gate, verdicts[gate.uid]) for gate in fresh], now)
        due = [gate for gate in found if gate.open]
        due += [_opened(gate, verdicts[gate.uid], now) for gate in fresh]
        self._tell(due)
        self._waiting = [gate for gate in self._waiting if not verdicts[gate.uid].open]
        self._explain([(gate, verdicts[gate.uid]) for gate in self._waiting], now)

    def _open(self, opened: Sequence[tuple[Gate, Verdict]], now: datetime) -> None:
        words = [Word(gate.uid, verdict.reason, verdict.message) for gate, verdict in opened]
        self._store.open(self._cluster, self._epoch(), words, now)
        for gate, verdict in opened:
            self._series.gates[_outcome(verdict.reason)].inc()
            if verdict.reason is GateReason.PROGRAMMED:
                self._series.gate_seconds.observe(max(0.0, (now - gate.since).total_seconds()))
            if verdict.reason is GateReason.TIMED_OUT:
                log.warning(
                    "gate timed out", cluster=self._cluster, pod=f"{gate.namespace}/{gate.name}", why=verdict.message
                )

    def _tell(self, due: Sequence[Gate]) -> None:
        """Tell pods that their gates are open, many at a time."""
        chosen = [gate for gate in due if self._aside.get(gate.uid, 0.0) <= self._clock.elapsed()]
        results = self._each(self._tell_open, chosen)
        told = [gate.uid for gate, result in zip(chosen, results, strict=True) if result is Told.YES]
        gone = [gate.uid for gate, result in zip(chosen, results, strict=True) if result is Told.GONE]
        self._store.told(self._cluster, self._epoch(), told, gone)

    def _tell_open(self, gate: Gate) -> Told:
        condition = gates.said(gate.reason, gate.message, gate.opened_at or self._clock.now(), opened=True)
        try:
            self._epoch()
            apply_condition(self._connection, gate.namespace, gate.name, gate.uid, condition)
            if gate.reason == GateReason.TIMED_OUT:
                self._warn(gate)
        except ClusterError as error:
            return self._failed(gate, error)
        self._backoff.reset()
        return Told.YES

    def _warn(self, gate: Gate) -> None:
        """An Event of a name of its own: a second try creates no second one."""
        mark = hashlib.sha256(gate.uid.encode()).hexdigest()[:12]
        words = f"Readiness gate {CONDITION} {gate.message}"
        notice = Notice(GateReason.TIMED_OUT, words, warning=True, name=f"{gate.name[:200]}.gate-{mark}")
        try:
            create_event(
                self._connection, Resource.PODS, gate.namespace, gate.name, gate.uid, notice, self._clock.now()
            )
        except RequestRefused as error:
            if error.reason != _EXISTS:
                log.warning("event refused", cluster=self._cluster, error=str(error))
        except ClusterDenied as error:
            log.warning("event refused", cluster=self._cluster, error=str(error))

    def _explain(self, waiting: Sequence[tuple[Gate, Verdict]], now: datetime) -> None:
        """Tell pods why they wait, where that is another reason than they know of, and not one that passes at once."""
        due = []
        for gate, verdict in waiting:
            known = (gate.reason, gate.message) == (verdict.reason, verdict.message)
            quiet = verdict.reason in PASSING and gate.since + timedelta(seconds=self._settings.quiet) > now
            if not known and not quiet and self._aside.get(gate.uid, 0.0) <= self._clock.elapsed():
                due.append(replace(gate, reason=verdict.reason, message=verdict.message))
        results = self._each(self._tell_waiting, due)
        told = [gate for gate, result in zip(due, results, strict=True) if result is Told.YES]
        self._store.note(self._cluster, self._epoch(), [Word(one.uid, one.reason, one.message) for one in told])
        self._forget_aside()

    def _tell_waiting(self, gate: Gate) -> Told:
        """Only on the pod as it was just read: whoever opened it meanwhile keeps it open."""
        self._leave(gate, self._settings.spacing)
        try:
            pod = gates.find(self._connection, gate.namespace, gate.name)
            if pod is None or pod.uid != gate.uid or pod.open:
                return Told.LATER  # the watch tells of it
            self._epoch()
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
        self._leave(gate, self._settings.aside)
        if isinstance(error, ClusterUnavailable):
            self._leave(gate, 0.0)
            pause = self._backoff.next()
            pause = max(pause, error.retry_after) if isinstance(error, Throttled) else pause
            self._away_until = self._clock.elapsed() + pause
            log.warning("cluster unavailable", cluster=self._cluster, error=str(error), retry_in=round(pause, 1))
            return Told.AWAY
        self._series.refused.inc()
        log.warning("gate not told", cluster=self._cluster, pod=f"{gate.namespace}/{gate.name}", error=str(error))
        return Told.LATER

    def _let_time_pass(self) -> None:
        """While nothing can be read or recorded: whoever was seen waiting waits no longer than that."""
        now = self._clock.now()
        over = [gate for gate in self._waiting if gate.since + self._patience <= now]
        words = "the bridge's database is away"
        verdict = Verdict(
            True, GateReason.TIMED_OUT, f"opened after {self._settings.timeout:g} s although nothing is known: {words}"
        )
        for gate in over:
            if gate.uid not in self._let_through and self._clock.elapsed() >= self._away_until:
                with suppress(LostLease):
                    if self._tell_open(_opened(gate, verdict, now)) is Told.YES:
                        self._let_through.add(gate.uid)

    def _each(self, tell: Callable[[Gate], Told], some: Sequence[Gate]) -> list[Told]:
        if self._pool is None or len(some) < 2:
            return [tell(gate) for gate in some]
        return list(self._pool.map(tell, some))

    def _leave(self, gate: Gate, seconds: float) -> None:
        self._aside[gate.uid] = self._clock.elapsed() + seconds

    def _forget_aside(self) -> None:
        now = self._clock.elapsed()
        self._aside = {uid: until for uid, until in self._aside.items() if until > now}

    def _complain(self, error: StateError) -> None:
        """Once, not with every try."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("no gate is opened meanwhile", cluster=self._cluster, error=self._trouble)


def _opened(gate: Gate, verdict: Verdict, at: datetime) -> Gate:
    return replace(gate, open=True, reason=verdict.reason, message=verdict.message, opened_at=at)


def _outcome(reason: GateReason) -> str:
    if reason is GateReason.TIMED_OUT:
        return "timed out"
    return "confirmed" if reason is GateReason.PROGRAMMED else "not needed"
