"""The loop that opens the gates of one cluster: pods that wait until the firewalls know them."""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.cluster.client import Connection
from bridge.errors import LostLease, StateError, StateUnavailable
from bridge.feedback.gate_verdict import PASSING, Verdict, judge
from bridge.feedback.gate_writer import GateWriter, WriterSettings
from bridge.model.gate import PATIENCE, GateReason
from bridge.state.gate_store import Gate, Word

log = structlog.get_logger(__name__)

_SHARE: Final = 5  # a look is taken again after this many times what the last one took


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
    """Seconds. A gate opens after `timeout`, whatever the firewalls do; why it waits is told after `quiet` where that passes by itself.

    While somebody waits all are looked at every `poll`, otherwise every `idle`, and whenever a device has confirmed something.
    """

    timeout: float = PATIENCE
    quiet: float = 2.0
    poll: float = 1.0
    idle: float = 5.0
    writer: WriterSettings = field(default_factory=WriterSettings)


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
        self._store = store
        self._clock = clock
        self._epoch = epoch
        self._settings = settings or GateSettings()
        self._patience = timedelta(seconds=self._settings.timeout)
        self._writer = GateWriter(connection, clock, epoch, self._settings.writer)
        self._series = metrics.cluster(cluster)
        self._wake = threading.Event()
        self._waiting: list[Gate] = []
        self._let_through: set[str] = set()  # while the database was away
        self._trouble = ""

    @property
    def waiting(self) -> int:
        """How many pods wait."""
        return len(self._waiting)

    @property
    def oldest(self) -> float:
        """For how many seconds the one has waited that has waited longest; 0 while nobody does."""
        since = min((gate.since for gate in self._waiting), default=None)
        return 0.0 if since is None else max(0.0, (self._clock.now() - since).total_seconds())

    def wake(self) -> None:
        """Somebody may have begun to wait, or need not any longer."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Open gates until `stop` is set. Whatever fails is tried again: nothing here ends the loop."""
        try:
            while not stop.is_set():
                self._wake.clear()
                began = self._clock.elapsed()
                pause = self.turn()
                rest = min(_SHARE * (self._clock.elapsed() - began), pause)
                if self._waiting and rest > 0.0:
                    self._clock.wait(stop, rest)
                self._clock.wait(self._wake, max(0.0, pause - rest))
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the threads that write."""
        self._writer.close()

    def turn(self) -> float:
        """One look at all; returns the seconds to wait, unless woken."""
        try:
            found = self._store.unfinished(self._cluster, self._devices)
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
        self._waiting = [gate for gate in found if not gate.open and not verdicts[gate.uid].open]
        self._let_through.clear()
        self._open([(gate, verdicts[gate.uid]) for gate in fresh], now)
        due = [_opened(gate, verdicts[gate.uid], now) for gate in fresh]
        self._store.told(
            self._cluster, self._epoch(), *self._writer.opened([*due, *(one for one in found if one.open)])
        )
        self._explain([(gate, verdicts[gate.uid]) for gate in self._waiting], now)

    def _open(self, opened: Sequence[tuple[Gate, Verdict]], now: datetime) -> None:
        words = [Word(gate.uid, verdict.reason, verdict.message) for gate, verdict in opened]
        self._store.open(self._cluster, self._epoch(), words, now)
        for gate, verdict in opened:
            self._series.gates[_outcome(verdict.reason)].inc()
            if verdict.reason is GateReason.PROGRAMMED:
                self._series.gate_seconds.observe(max(0.0, (now - gate.since).total_seconds()))
            if verdict.reason is GateReason.TIMED_OUT:
                pod = f"{gate.namespace}/{gate.name}"
                log.warning("gate timed out", cluster=self._cluster, pod=pod, why=verdict.message)

    def _explain(self, waiting: Sequence[tuple[Gate, Verdict]], now: datetime) -> None:
        """Tell pods why they wait, where that is another reason than they know of, and not one that passes at once."""
        due = []
        for gate, verdict in waiting:
            known = (gate.reason, gate.message) == (verdict.reason, verdict.message)
            quiet = verdict.reason in PASSING and gate.since + timedelta(seconds=self._settings.quiet) > now
            if not known and not quiet:
                due.append(replace(gate, reason=verdict.reason, message=verdict.message))
        told = self._writer.explain(due)
        self._store.note(self._cluster, self._epoch(), [Word(one.uid, one.reason, one.message) for one in told])

    def _let_time_pass(self) -> None:
        """While nothing can be read or recorded: whoever was seen waiting waits no longer than that."""
        now, words = self._clock.now(), f"opened after {self._settings.timeout:g} s although the database is away"
        verdict = Verdict(True, GateReason.TIMED_OUT, f"{words} and nobody knows more")
        over = [
            _opened(gate, verdict, now)
            for gate in self._waiting
            if gate.since + self._patience <= now and gate.uid not in self._let_through
        ]
        # No lease is renewed meanwhile. Nobody can be granted ours either, and to open a gate twice harms nobody.
        self._let_through.update(self._writer.let_through(over))

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
