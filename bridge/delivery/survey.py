"""The complete reading of one device: state and device whole, what is found to differ, and where to go on from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.delivery import drift
from bridge.delivery.auditor import Auditor, Findings
from bridge.delivery.decider import Decider
from bridge.delivery.enforcement import Enforcement
from bridge.delivery.ledger import Ledger
from bridge.delivery.store import Store
from bridge.delivery.take_over import TakeOver
from bridge.delivery.wanted import Unproven, Wanted
from bridge.model.identity import ObjectKey
from bridge.model.intent import Snapshot
from bridge.model.plan import Fence
from bridge.state.desired import Work

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """A complete reading of the device, when it began, and what of the state it goes with."""

    snapshot: Snapshot
    began: float
    revisions: Mapping[str, int]


class Survey:
    """Reads everything of one device, at the start and after any doubt.

    Nothing is taken from it before every one of `clusters` has been recorded once, nor, where the first reading shows what the state
    cannot explain, before they were heard of again. `write` says whether the device is ever written to.
    """

    def __init__(
        self,
        clusters: Collection[str],
        store: Store,
        clock: Clock,
        enforcement: Enforcement,
        wanted: Wanted,
        decider: Decider,
        auditor: Auditor,
        ledger: Ledger,
        take_over: TakeOver,
        *,
        write: bool,
    ) -> None:
        self.device = enforcement.device
        self._clusters = clusters
        self._store = store
        self._clock = clock
        self._enforcement = enforcement
        self._wanted = wanted
        self._decider = decider
        self._auditor = auditor
        self._ledger = ledger
        self._take_over = take_over
        self._write = write
        self._doubted_at: datetime | None = None  # when the first reading showed what the state cannot explain

    @property
    def doubts(self) -> bool:
        """Whether the state was found to explain less than the device shows."""
        return self._doubted_at is not None

    def read(self, fence: Fence, *, audit: bool, writes: bool) -> Reading | None:
        """Read the state and the device whole, and go on from there; None while the state does not know all clusters yet.

        `audit`: what was refused is tried again. `writes`: the device may be written to now, to take it over and to adopt.
        """
        if not self._is_recent():
            return None
        work = self._store.complete_work(self.device)
        unknown = [name for name in self._clusters if not work.revisions.get(name)]
        if unknown:
            # A cluster that was never recorded asks for nothing as far as the tables go: that is no wish to have nothing.
            log.info("waiting for the first picture", device=self.device, clusters=unknown)
            return None
        self._decider.load()
        began = self._clock.elapsed()
        snapshot = self._recognized(fence, writes=writes)
        self._take_over.saw(began)
        self._note_take_over(fence)
        if audit:
            self._enforcement.quarantine.clear()
        if self._enforcement.seen:
            changes = drift.watched(self._enforcement.objects, snapshot.objects)
            self._load(work, snapshot, self._store.unproven)
            found = self._auditor.watched(changes, self._clock.now())
        else:
            found = self._first_reading(work, snapshot)
            if found.drift and self._begins_to_doubt():
                return None
        for note in found.notes:
            self._ledger.note(note, self._clock.now())
        self._report_drift(found.drift)
        self._enforcement.take(snapshot)
        return Reading(snapshot, began, dict(work.revisions))

    def _recognized(self, fence: Fence, *, writes: bool) -> Snapshot:
        """Everything that the device holds, if it is the one that it was, and ours."""
        recognition = self._store.recognition(self.device)
        snapshot = self._enforcement.read(fence, recognition, write=writes)
        replaced = recognition.stopped_by is not None or (
            recognition.replaces is not None and recognition.replaces == self._enforcement.overtaken
        )
        if replaced or (recognition.adopting and writes):
            self._store.settled(self.device, fence.epoch, replaced=replaced, adopted=recognition.adopting)
        return snapshot

    def _begins_to_doubt(self) -> bool:
        """What nobody here did may be our own work, and the state an old one: nothing is done before the clusters were heard of."""
        if self._doubted_at is not None or not (self._clusters and self._write):
            return False
        self._doubted_at = self._store.heard(self._clusters).now
        self._auditor.forget()
        log.info("waiting until the clusters are heard of: the device is not as recorded", device=self.device)
        return True

    def _is_recent(self) -> bool:
        """Whether that has happened, where it was asked for."""
        if self._doubted_at is None:
            return True
        until = self._store.heard(self._clusters).until
        return until is not None and until >= self._doubted_at

    def _first_reading(self, work: Work, snapshot: Snapshot) -> Findings:
        """What changed since a bridge before this one, or this one before it was stopped, recorded what it saw."""
        verified = self._store.verified(self.device)
        changes = drift.unwatched(verified, snapshot.objects)
        groups = drift.touched_groups(changes, verified)
        self._load(work, snapshot, lambda removals: self._store.unproven(removals, groups))
        expected = self._enforcement.expected(self._wanted) if changes else {}
        rows = {row.key: row for row in work.rows}
        return self._auditor.unwatched(changes, expected, rows, first=not verified)

    def _load(self, work: Work, snapshot: Snapshot, unproven: Unproven) -> None:
        refused = self._enforcement.quarantine.keys
        self._wanted.load(work, snapshot.objects, unproven, refused, self._store.doubtful)

    def _note_take_over(self, fence: Fence) -> None:
        before, self._enforcement.overtaken = self._enforcement.overtaken, None
        if before is not None:
            self._ledger.note(self._auditor.taken_over(before, fence), self._clock.now())

    def _report_drift(self, drifted: Sequence[ObjectKey]) -> None:
        if drifted:
            metrics.device(self.device).drift.inc(len(drifted))
            log.warning("drift", device=self.device, objects=[str(key) for key in drifted[:20]], count=len(drifted))
