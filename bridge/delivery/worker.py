"""The loop that keeps one device in step with the state."""

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from bridge.clock import Clock
from bridge.contract import Adapter
from bridge.delivery.activation import Activation
from bridge.delivery.auditor import Auditor
from bridge.delivery.decider import Decider
from bridge.delivery.enforcement import Enforcement
from bridge.delivery.flows import LiveFlows
from bridge.delivery.holds import Holds
from bridge.delivery.ledger import Ledger
from bridge.delivery.orders import Orders, words
from bridge.delivery.pacing import Pacing, PacingSettings
from bridge.delivery.proofs import Proofs
from bridge.delivery.saving import Saving
from bridge.delivery.store import Store
from bridge.delivery.survey import Reading, Survey
from bridge.delivery.take_over import TakeOver
from bridge.delivery.wanted import Todo, Wanted
from bridge.errors import DeviceError, FencedOff, LostLease, NotOwned, Refused, Rejected, StateUnavailable, Stopped
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.plan import Fence, Outcome, Plan
from bridge.policy.guard import GuardLimits
from bridge.state.desired import DeviceHealth

log = structlog.get_logger(__name__)

_DOUBT_SECONDS = 0.5  # between two looks whether the clusters were heard of


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times in seconds. `write` False reads and plans, and applies nothing. `close_flows`: those that are denied now."""

    write: bool = True
    close_flows: bool = False
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
        take_over: TakeOver | None = None,
    ) -> None:
        self.device = adapter.device
        self._store = store
        self._clock = clock
        self._installation = installation
        self._settings = settings or WorkerSettings()
        self._take_over = take_over or TakeOver(clock)
        self._enforcement = Enforcement(adapter)
        self._holds = Holds(self.device)
        self._wanted = Wanted(adapter.limits, self._settings.guard, self._holds, clock.elapsed)
        self._orders = Orders(self.device, store, clusters, clock.elapsed)
        self._proofs = Proofs(store, clock)
        self._ledger = Ledger(self.device, store)
        self._decider = Decider(self.device, store, clock, self._orders, self._wanted, self._ledger)
        self._auditor = Auditor(writes=self._settings.write)
        self._survey = Survey(
            clusters,
            store,
            clock,
            self._enforcement,
            self._wanted,
            self._decider,
            self._auditor,
            self._ledger,
            self._take_over,
            write=self._settings.write,
        )
        self._flows = LiveFlows(
            self._enforcement, self._ledger, clock, lambda: store.holders(clusters), close=self._settings.close_flows
        )
        self.pacing = Pacing(self._settings.pacing)
        self._revisions: dict[str, int] = {}
        self._complete = True
        self._audit_asked = True
        self._reading: Reading | None = None  # whole, and not yet told of
        self._saving = Saving(self._enforcement, clock, self._settings.save_after)
        self._activation = Activation(self._settings.activation_interval)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._stopped_before = False
        self._compared: tuple[float, int] | None = None  # while nothing is written: when, and how many steps would be
        self._told = ""
        self._failing = False  # the last turn: pacing says how long to leave the device alone
        self.in_step = threading.Event()  # set while nothing is left to do

    @property
    def verified(self) -> Mapping[ObjectKey, DeviceObject]:
        """What the device was last seen to hold of ours."""
        return self._enforcement.objects

    def wake(self) -> None:
        """Something changed: look at once, unless the device failed and is left alone for now."""
        self._orders.news()
        self._wake.set()

    def permit(self) -> None:
        """To be asked before each call that changes the device: raises Stopped when a person wants nothing written any more."""
        self._orders.permit()

    def audit(self) -> None:
        """Read everything at the next turn, and try again what was refused. A reading that is under way does not count."""
        self._audit_asked = True
        self._wake.set()

    def run(self, stop: threading.Event, epoch: Callable[[], int]) -> None:
        """Keep the device in step until `stop` is set. Raises LostLease or FencedOff when another replica owns it now."""
        self._stop = stop
        while not stop.is_set():
            self._wake.clear()
            pause = self.turn(epoch())
            if pause > 0 and not stop.is_set():
                # Changes do not cut the pause of a device that failed short: trying again at each one would lock an account.
                self._clock.wait(stop if self._failing else self._wake, pause)
        if self._writes:
            self._saving.save(now=True)

    def turn(self, epoch: int) -> float:
        """One cycle, with its errors turned into their reactions; returns the seconds to wait, unless woken."""
        fence = Fence(epoch, self._installation)
        self._failing = False
        try:
            self._cycle(fence)
        except LostLease:
            raise
        except Stopped as error:
            log.warning("stopped in the middle of a plan", device=self.device, why=str(error))
            self.in_step.clear()
            self._enforcement.known = False  # the next turn reads how far it came
            return 0.0
        except (FencedOff, Refused) as error:
            self.in_step.clear()
            self._stopped(str(error), fence)
            raise
        except StateUnavailable as error:
            log.warning("database unavailable", device=self.device, error=str(error))
            return self._settings.pacing.first
        except Exception as error:  # noqa: BLE001 (no error of one device may end its loop)
            return self._failed(error, fence)
        return self._pause()

    def _cycle(self, fence: Fence) -> None:
        self._write(fence)
        self._listen(fence)
        self._audit_asked |= self._take_over.wait <= 0
        if not self._enforcement.known or self._audit_asked:
            if not self._reload(fence):
                return
        else:
            self._forward(fence)
        self._decider.decide(fence.epoch)
        if not self._writes:
            self._compare(fence)
            self._take_over.in_step()
            return
        more = self._deliver(fence)
        self._well(fence)
        while more and self._wake.is_set() and not (self._audit_asked or self._stop.is_set()):
            self._listen(fence)
            if not self._writes:
                return  # the wake-up stands: the next turn begins at once
            self._wake.clear()
            self._forward(fence)
            self._decider.decide(fence.epoch)
            more = self._deliver(fence)
        self._follow_activation(fence)
        self._close_flows(fence)
        if self._writes:
            self._saving.save(now=False)
        self._take_over.in_step()
        self.in_step.set()

    @property
    def _writes(self) -> bool:
        """Whether the device may be written to, as far as people go."""
        return self._settings.write and not self._orders.stops

    def _listen(self, fence: Fence) -> None:
        """Take what people ordered; from now on it is obeyed. What was stopped begins with a reading, as if it was never known."""
        self._orders.look()
        self._orders.note(fence.epoch)
        if self._stopped_before and not self._orders.stops:
            self._enforcement.known = False
        if bool(self._orders.stops) != self._stopped_before:
            self._compared = None
            self.in_step.clear()
        self._stopped_before = bool(self._orders.stops)

    def _compare(self, fence: Fence) -> None:
        """Nothing is written: it is told what would be, and who does not want it."""
        why = words(self._orders.stops)
        fresh = self._reading is not None
        last = self._compared
        if fresh or last is None or self._clock.elapsed() - last[0] >= self._settings.poll_interval:
            made = self._enforcement.plan(self._wanted, self._wanted.todo, complete=True)
            self._compared = self._clock.elapsed(), len(made.steps)
        self._ledger.note(self._auditor.failed(why), self._clock.now())
        self._well(fence)
        told = self._standing().message
        if told != self._told and not fresh:
            self._record_health(fence)
        self._told = told

    def _standing(self) -> DeviceHealth:
        """How the device is, and who stopped it."""
        if not self._orders.stops or self._compared is None:
            return DeviceHealth(self.pacing.state, self.pacing.message)
        waiting = f"; steps that wait: {self._compared[1]}" if self._compared[1] else ""
        return DeviceHealth("stopped", words(self._orders.stops) + waiting, read=True)

    def _well(self, fence: Fence) -> None:
        """Say so, once everything that was found is written down: whoever waits for a reading may look then."""
        self._write(fence)
        if self.pacing.state != "ok":
            self.pacing.well()
        if self._reading is not None:
            self._record_health(fence)

    def _write(self, fence: Fence) -> None:
        self._ledger.write(fence.epoch, self._holds, self._clock.now())

    def _reload(self, fence: Fence) -> bool:
        """Read the state and the device whole, and go on from there; False while the state does not know all clusters yet."""
        asked, self._audit_asked = self._audit_asked, False
        found: Reading | None = None
        try:
            found = self._survey.read(fence, audit=asked, writes=self._writes)
        finally:
            self._audit_asked |= asked and found is None
        if found is None:
            return False
        self._reading = found
        self._revisions = dict(found.revisions)
        self._complete = True
        self._flows.found(found.snapshot.objects, found.snapshot.attached)
        return True

    def _forward(self, fence: Fence) -> None:
        """Read what changed in the state since the last time."""
        work = self._store.work(self.device, self._revisions)
        proven = self._proofs.found(work, self._wanted)
        self._wanted.take(work, self._enforcement.objects, self._enforcement.quarantine.keys, proven)
        self._revisions = dict(work.revisions)
        if self._enforcement.reconsider(self._wanted):
            self._reload(fence)

    def _deliver(self, fence: Fence) -> bool:
        """Bring what is to do onto the device; returns whether more may have come up meanwhile."""
        todo, self._wanted.todo = self._wanted.todo, Todo()
        if not (self._complete or todo.rows or todo.objects or todo.absent):
            self._decider.arrived(self._enforcement.quarantine.keys)
            return False
        try:
            made = self._enforcement.plan(self._wanted, todo, complete=self._complete)
            if not made.empty:
                self.in_step.clear()
                log.info("applying", device=self.device, steps=len(made.steps), plan=made.digest)
            outcome = self._applied(made, todo, fence)
        except Exception:
            self._wanted.todo = todo
            raise
        complete, self._complete = self._complete, False
        # Said before anything is recorded, which may fail: what depends on a refused object is looked at again in any case.
        if outcome.refused:
            self._enforcement.known = False
        if any(step.key.kind is Kind.ATTACHMENT and step.key not in outcome.refused for step in made.steps):
            self._audit_asked = True  # what is reachable from an enforced slot is known by a complete reading only
        if not made.empty:
            self._activation.begin(self._clock.elapsed())
            self._saving.changed()
        now = self._clock.now()
        self._ledger.handed(self._enforcement.observe(todo, self._wanted, now), now)
        told = self._auditor.done(outcome, now, self._aside)
        self._ledger.enter(todo.rows, made, outcome, self._wanted, self._enforcement.quarantine, now, told)
        self._decider.arrived(self._enforcement.quarantine.keys)
        self._ledger.write(fence.epoch, self._holds, now)
        if complete:
            self._store.touch_verified(self.device, None, now, epoch=fence.epoch)
        if outcome.refused:
            raise Rejected(self.device, {str(key): why for key, why in outcome.refused.items()})
        return not made.empty

    def _applied(self, made: Plan, todo: Todo, fence: Fence) -> Outcome:
        if self._auditor.unsettled:
            self._store.saw(self.device, fence.epoch, self._auditor.unsettled)
        self._auditor.sends(made, todo.rows, self._ledger.rows, self._holds.releases)
        if not made.empty:
            self._flows.changes()
        try:
            return self._enforcement.apply(made, fence)
        except (Rejected, NotOwned) as error:
            self._ledger.note(self._auditor.refused(error.objects, self._enforcement.objects), self._clock.now())
            raise

    def _failed(self, error: Exception, fence: Fence) -> float:
        """Nothing is known for certain any more: the next turn reads everything."""
        self.in_step.clear()
        self._enforcement.known = False
        if isinstance(error, Rejected) or (isinstance(error, NotOwned) and error.objects):
            return 0.0  # what was refused is set aside: the rest goes on at once
        self._failing, pause = True, self.pacing.failed(error)
        if isinstance(error, DeviceError):
            log.warning("device refused", device=self.device, state=self.pacing.state, error=str(error), retry_in=pause)
        else:
            log.exception("delivery failed", device=self.device, retry_in=pause)
        self._ledger.note(self._auditor.failed(str(error)), self._clock.now())
        with suppress(StateUnavailable):
            self._write(fence)
        self._record_health(fence)
        return pause

    def _stopped(self, why: str, fence: Fence) -> None:
        """Until a person decides. Not said by one whom another replica has replaced: that is no news."""
        by, self._enforcement.stopped_by = self._enforcement.stopped_by, None
        with suppress(StateUnavailable):
            if by is not None:
                self._store.stopped_by(self.device, fence.epoch, by)
            self._store.record_health(self.device, DeviceHealth("stopped", why), epoch=fence.epoch)

    def _follow_activation(self, fence: Fence) -> None:
        if not self._ledger.awaiting or not self._activation.due(self._clock.elapsed()):
            return
        self._activation.asked(self._clock.elapsed())
        if self._enforcement.adapter.active():
            self._ledger.activated(self._wanted, self._enforcement.quarantine, self._clock.now())
            self._ledger.write(fence.epoch, self._holds, self._clock.now())

    def _close_flows(self, fence: Fence) -> None:
        """What is stored and not enforced yet stops nobody from beginning anew."""
        if not self._ledger.awaiting:
            self._flows.close(fence)
            self._write(fence)

    def _aside(self, key: ObjectKey) -> str:
        """Why an object is left as it was found; "" when it is not."""
        if key in self._enforcement.quarantine:
            return f"the device refuses what is wanted: {self._enforcement.quarantine.message(key)}"
        held = [self._holds.why(one) for one in self._wanted.holding(key.group)]
        return f"it waits for a person: {'; '.join(held)}" if held else ""

    def _record_health(self, fence: Fence) -> None:
        """As far as it is known, and what the last reading has shown beside our objects."""
        health, age = self._standing(), 0.0
        if self._reading is not None:
            snapshot, age = self._reading.snapshot, self._clock.elapsed() - self._reading.began
            health = replace(
                health,
                identity=snapshot.identity,
                foreign=tuple((one.name, one.look_alike) for one in snapshot.foreign),
                attached={tier.value: reachable for tier, reachable in snapshot.attached.items()},
                attach_by={tier.value: how for tier, how in snapshot.attach_by.items()},
            )
        self._reading = None
        try:
            self._store.record_health(self.device, health, age=age, epoch=fence.epoch)
        except StateUnavailable as error:
            log.warning("health not recorded", device=self.device, error=str(error))

    def _pause(self) -> float:
        if self._enforcement.known and (self._wanted.todo.objects or self._audit_asked):
            return 0.0
        if self._ledger.awaiting:
            return self._activation.wait(self._clock.elapsed())
        if self._survey.doubts and not self._enforcement.known:
            return _DOUBT_SECONDS
        return min(self._settings.poll_interval, self._take_over.wait, self._flows.wait)
