"""The loop that keeps one device in step with the state."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from bridge.clock import Clock
from bridge.contract import Adapter
from bridge.delivery import ledger
from bridge.delivery.enforcement import Enforcement
from bridge.delivery.ledger import Ledger
from bridge.delivery.pacing import Pacing, PacingSettings
from bridge.delivery.wanted import Todo, Wanted
from bridge.errors import DeviceError, FencedOff, LostLease, NotOwned, Rejected, StateUnavailable
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Snapshot
from bridge.model.plan import Fence
from bridge.model.rendering import digest_of
from bridge.policy.guard import GuardLimits
from bridge.state.desired import DeviceHealth, Work

log = structlog.get_logger(__name__)


class Store(ledger.Store, Protocol):
    """What delivery asks of the state."""

    def work(self, device: str, clusters: Mapping[str, int]) -> Work:
        """What changed since these revisions."""
        ...

    def complete_work(self, device: str) -> Work:
        """Everything that the device should hold."""
        ...

    def unproven(self, removals: Mapping[ObjectKey, frozenset[str]]) -> Mapping[ObjectKey, frozenset[str]]:
        """Which of these removals no event proved."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times in seconds. `write` False reads and plans, and applies nothing."""

    write: bool = True
    poll_interval: float = 5.0
    activation_interval: float = 0.5
    save_after: float = 10.0
    guard: GuardLimits = field(default_factory=GuardLimits)
    pacing: PacingSettings = field(default_factory=PacingSettings)


class Worker:
    """Reads, diffs, guards, applies, verifies and records for one device, in one thread.

    Nothing is planned before every one of `clusters` has been recorded once. It keeps the last verified snapshot and moves it forward
    by what it applied, so that a change costs what it touches. After any doubt (start, Drifted, an unexpected error, an audit) it reads
    everything and plans anew; a failed plan is never replayed.
    """

    def __init__(
        self,
        adapter: Adapter,
        store: Store,
        clock: Clock,
        installation: str,
        settings: WorkerSettings | None = None,
        clusters: Collection[str] = (),
    ) -> None:
        self.device = adapter.device
        self._clusters = clusters
        self._store = store
        self._clock = clock
        self._installation = installation
        self._settings = settings or WorkerSettings()
        self._enforcement = Enforcement(adapter)
        self._wanted = Wanted(adapter.limits, self._settings.guard)
        self._ledger = Ledger(self.device, store)
        self.pacing = Pacing(self._settings.pacing)
        self._revisions: dict[str, int] = {}
        self._complete = True
        self._audit_asked = True
        self._save_due: float | None = None
        self._activation_due = 0.0
        self._wake = threading.Event()
        self.in_step = threading.Event()  # set while nothing is left to do

    @property
    def verified(self) -> Mapping[ObjectKey, DeviceObject]:
        """What the device was last seen to hold of ours."""
        return self._enforcement.objects

    def wake(self) -> None:
        """Something changed: look at once."""
        self._wake.set()

    def audit(self) -> None:
        """Read everything at the next turn, and try again what was refused."""
        self._audit_asked = True
        self._wake.set()

    def run(self, stop: threading.Event, epoch: Callable[[], int]) -> None:
        """Keep the device in step until `stop` is set. Raises LostLease or FencedOff when another replica owns it now."""
        while not stop.is_set():
            self._wake.clear()
            pause = self.turn(epoch())
            if pause > 0 and not stop.is_set():
                self._clock.wait(self._wake, pause)
        self._save(now=True)

    def turn(self, epoch: int) -> float:
        """One cycle, with its errors turned into their reactions; returns the seconds to wait, unless woken."""
        try:
            self._cycle(Fence(epoch, self._installation))
        except (LostLease, FencedOff):
            raise
        except StateUnavailable as error:
            log.warning("database unavailable", device=self.device, error=str(error))
            return self._settings.pacing.first
        except Exception as error:  # noqa: BLE001 (no error of one device may end its loop)
            return self._failed(error)
        if self.pacing.state != "ok":
            self.pacing.well()
            self._record_health(None)
        return self._pause()

    def _cycle(self, fence: Fence) -> None:
        now = self._clock.now()
        self._ledger.write(fence.epoch, tuple(self._wanted.held.values()), now)
        if not self._enforcement.known or self._audit_asked:
            if not self._reload(fence):
                return
        else:
            self._forward(fence)
        if self._settings.write:
            while self._deliver(fence) and self._wake.is_set():
                self._wake.clear()
                self._forward(fence)
            self._follow_activation(fence)
            self._save(now=False)
            self.in_step.set()

    def _reload(self, fence: Fence) -> bool:
        """Read the state and the device whole, and go on from there; False while the state does not know all clusters yet."""
        work = self._store.complete_work(self.device)
        unknown = [name for name in self._clusters if not work.revisions.get(name)]
        if unknown:
            # A cluster that was never recorded asks for nothing as far as the tables go: that is no wish to have nothing.
            log.info("waiting for the first picture", device=self.device, clusters=unknown)
            return False
        audit = self._enforcement.known
        snapshot = self._enforcement.read(fence, write=self._settings.write)
        if audit:
            self._report_drift(snapshot)
        if self._audit_asked:
            self._enforcement.quarantine.clear()
        self._wanted.load(work, snapshot.objects, self._store.unproven, self._enforcement.quarantine.keys)
        self._enforcement.take(snapshot)
        self._revisions = dict(work.revisions)
        self._complete = True
        self._audit_asked = False
        self._record_health(snapshot)
        return True

    def _forward(self, fence: Fence) -> None:
        """Read what changed in the state since the last time."""
        work = self._store.work(self.device, self._revisions)
        self._wanted.take(work, self._enforcement.objects, self._enforcement.quarantine.keys)
        self._revisions = dict(work.revisions)
        if self._enforcement.reconsider(self._wanted):
            self._reload(fence)

    def _deliver(self, fence: Fence) -> bool:
        """Bring what is to do onto the device; returns whether more may have come up meanwhile."""
        todo, self._wanted.todo = self._wanted.todo, Todo()
        if not (self._complete or todo.rows or todo.objects or todo.absent):
            return False
        try:
            made = self._enforcement.plan(self._wanted, todo, complete=self._complete)
            if not made.empty:
                self.in_step.clear()
                log.info("applying", device=self.device, steps=len(made.steps), plan=made.digest)
            outcome = self._enforcement.apply(made, fence)
        except Exception:
            self._wanted.todo = todo
            raise
        complete, self._complete = self._complete, False
        if not made.empty and self._save_due is None:
            self._save_due = self._clock.elapsed() + self._settings.save_after
        now = self._clock.now()
        self._enforcement.observe(todo, self._wanted, now)
        self._ledger.enter(todo.rows, made, outcome, self._wanted, self._enforcement.quarantine, now)
        self._ledger.write(fence.epoch, made.held, now)
        if complete:
            self._store.touch_verified(self.device, None, now)
        if any(step.key.kind is Kind.ATTACHMENT and step.key not in outcome.refused for step in made.steps):
            self._audit_asked = True  # what is reachable from an enforced slot is known by a complete reading only
        if outcome.refused:
            raise Rejected(self.device, {str(key): why for key, why in outcome.refused.items()})
        return not made.empty

    def _failed(self, error: Exception) -> float:
        """Nothing is known for certain any more: the next turn reads everything."""
        self.in_step.clear()
        self._enforcement.known = False
        if isinstance(error, Rejected) or (isinstance(error, NotOwned) and error.objects):
            return 0.0  # what was refused is set aside: the rest goes on at once
        pause = self.pacing.failed(error)
        if isinstance(error, DeviceError):
            log.warning("device refused", device=self.device, state=self.pacing.state, error=str(error), retry_in=pause)
        else:
            log.exception("delivery failed", device=self.device, retry_in=pause)
        self._record_health(None)
        return pause

    def _follow_activation(self, fence: Fence) -> None:
        if not self._ledger.awaiting or self._clock.elapsed() < self._activation_due:
            return
        # A lone change is asked about at once; of many in a row, not each.
        self._activation_due = self._clock.elapsed() + self._settings.activation_interval
        if self._enforcement.adapter.active():
            self._ledger.activated(self._wanted, self._enforcement.quarantine, self._clock.now())
            self._ledger.write(fence.epoch, tuple(self._wanted.held.values()), self._clock.now())

    def _save(self, *, now: bool) -> None:
        """Make the device keep what it stores over a restart of its own, once for many changes."""
        if self._save_due is None or not (now or self._clock.elapsed() >= self._save_due):
            return
        try:
            self._enforcement.adapter.save()
            self._save_due = None
        except DeviceError as error:
            log.warning("not saved yet", device=self.device, error=str(error))
            self._save_due = self._clock.elapsed() + self._settings.save_after

    def _report_drift(self, snapshot: Snapshot) -> None:
        """Name what differs from what was last verified: somebody else changed it."""
        ours, theirs = self._enforcement.objects, snapshot.objects
        drifted = [k for k in ours.keys() | theirs.keys() if digest_of(ours.get(k)) != digest_of(theirs.get(k))]
        if drifted:
            log.warning(
                "drift", device=self.device, objects=sorted(str(key) for key in drifted)[:20], count=len(drifted)
            )

    def _record_health(self, snapshot: Snapshot | None) -> None:
        health = DeviceHealth(
            self.pacing.state if snapshot is None else "ok", self.pacing.message if snapshot is None else ""
        )
        if snapshot is not None:
            health = DeviceHealth(
                "ok",
                identity=snapshot.identity,
                foreign=tuple((one.name, one.look_alike) for one in snapshot.foreign),
                attached={tier.value: reachable for tier, reachable in snapshot.attached.items()},
                attach_by={tier.value: how for tier, how in snapshot.attach_by.items()},
            )
        try:
            self._store.record_health(self.device, health)
        except StateUnavailable as error:
            log.warning("health not recorded", device=self.device, error=str(error))

    def _pause(self) -> float:
        if self._enforcement.known and (self._wanted.todo.objects or self._audit_asked):
            return 0.0
        if self._ledger.awaiting:
            return self._settings.activation_interval
        return self._settings.poll_interval
