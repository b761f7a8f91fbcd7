"""The loop that takes one cluster's changes and records them, one transaction a batch."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from bridge.clock import Clock
from bridge.dialects.dialect import Dialects
from bridge.errors import StateUnavailable
from bridge.intake import collector
from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.likeness import alike
from bridge.intake.policies import NATIVE
from bridge.intake.recorder import Recorder
from bridge.model.observed import ALWAYS_WATCHED, Change, Event, Observed, Pod, Resource, Synced
from bridge.model.policy import AddressSource, Governance, Ref
from bridge.model.resolution import Resolution
from bridge.policy.compile import Target
from bridge.policy.guard import GuardLimits
from bridge.state.batch import Batch, Recorded

log = structlog.get_logger(__name__)

_BATCH_EVENTS = 5_000
_LONGEST_WAIT = 1.0
_ASK_SECONDS = 1.0  # between two questions whether a person decided
_LIMITS = GuardLimits()
_RETRY_SECONDS = (0.2, 5.0)


class Store(Protocol):
    """What intake asks of the state."""

    def load_cluster(self, cluster: str, same: Callable[[Pod], Pod] | None = None) -> Recorded:
        """What is recorded of the cluster; `same` may put an object that is in memory in the place of a pod that says the same."""
        ...

    def let_go(self, cluster: str) -> Collection[Ref]:
        """The policy objects of which a person says that they were deleted, of those whose end is doubted."""
        ...

    def commit_batch(self, cluster: str, batch: Batch, epoch: int) -> int:
        """Record the batch whole or not at all; returns the new revision."""
        ...


def required(targets: Sequence[Target], dialects: Dialects = NATIVE) -> frozenset[Resource]:
    """What must have been listed whole before anything is concluded: nodes only where a device sees their addresses."""
    views = [view.source for target in targets for view in target.views]
    nodes = frozenset() if AddressSource.NODE in views else frozenset({Resource.NODES})
    return (frozenset(ALWAYS_WATCHED) | dialects.kinds.keys()) - nodes


class Intake:
    """Takes events from the watchers of one cluster (`sink`, from any thread) and records them (`run`, in its own).

    Nothing is concluded before every required resource has delivered one complete list. A batch that cannot be committed is kept and
    tried again; meanwhile further events wait in the queue, so nothing is lost and nothing is inferred from silence.
    """

    def __init__(
        self,
        cluster: str,
        governance: Governance,
        targets: Sequence[Target],
        store: Store,
        clock: Clock,
        dialects: Dialects = NATIVE,
        limits: GuardLimits = _LIMITS,
    ) -> None:
        self.cluster = cluster
        self._governance = governance
        self._targets = targets
        self._store = store
        self._clock = clock
        self._dialects = dialects
        self._limits = limits
        self._asked_at = 0.0
        self._queue: deque[Event | Synced | Resolution] = deque()
        self._arrived = threading.Event()
        self._synced: set[Resource] = set()
        self._versions: dict[Resource, int] = {}  # the newest that were taken, and are not recorded yet
        self._newly_synced = False
        self._first: Batch | None = None  # made before it may be recorded
        self._unwatched_since: datetime | None = None
        self._taking_since: float | None = None
        self.revision = 0
        self.identity = ""  # uid of kube-system as recorded; empty before the first time
        self.seen_at: datetime | None = None  # up to when the record was whole when it was loaded
        self.versions: Mapping[Resource, int] = {}  # up to which version of each resource the loaded record goes
        self.settled = threading.Event()  # set once the first complete picture is recorded

    def start_from(self, seen: Callable[[str], object] | None = None) -> Mapping[Resource, Sequence[Observed]]:
        """Load the record; returns the objects that it knows, for the watchers to compare what they see with.

        `seen` gives the pod of a uid as a picture in memory has it, if at all: it is not kept twice. Raises StateUnavailable.
        """
        recorded = self._store.load_cluster(self.cluster, partial(_same, seen) if seen else None)
        self.versions = recorded.versions
        self.revision, self.identity, self.seen_at = recorded.revision, recorded.uid, recorded.seen_at
        self._index = ClusterIndex(self._governance, recorded, self._dialects, self._limits)
        known: dict[Resource, list[Observed]] = {Resource.PODS: list(recorded.pods.values())}
        for (resource, _, _), value in recorded.objects.items():
            known.setdefault(resource, []).append(value)
        events = [Event(Change.UPSERT, resource, value) for resource, values in known.items() for value in values]
        self._index.take(events, self._clock.now())
        self._index.taken()
        self._index.forget_unread(recorded.objects)
        self._recorder = Recorder(self.cluster, self._governance, self._targets, self._index, recorded)
        return known

    @property
    def names_wanted(self) -> Mapping[str, int] | None:
        """The names to be resolved, each with a number that is another one when it is wanted anew; None before the first picture.

        What they stand for is handed over as any event. From any thread; what is returned never changes."""
        return self._index.names.wanted

    @property
    def resolutions(self) -> Mapping[str, Resolution]:
        """What names stood for when the record was loaded."""
        return self._index.names.recorded

    def on_names(self, wake: Callable[[], None]) -> None:
        """Call this whenever other names are to be resolved."""
        self._index.names.listen(wake)

    def sink(self, events: Sequence[Event | Synced | Resolution]) -> None:
        """Hand over events in their order. Never blocks."""
        self._queue.extend(events)
        self._arrived.set()

    @property
    def waiting(self) -> int:
        """How many events wait to be taken."""
        return len(self._queue)

    @property
    def at_rest(self) -> bool:
        """Whether everything that was handed over is recorded. From any thread."""
        return self.settled.is_set() and not self._queue and self._taking_since is None

    @property
    def unrecorded_for(self) -> float:
        """Seconds since the events were taken that are not recorded yet; 0 while there are none. From any thread."""
        since = self._taking_since
        return 0.0 if since is None else self._clock.elapsed() - since

    def run(self, stop: threading.Event, epoch: Callable[[], int]) -> None:
        """Take and record until `stop` is set.

        Raises LostLease when another replica owns the cluster now, and other
        StateErrors when the database refuses the batch: the record must then be loaded anew."""
        while not stop.is_set():
            now = self._clock.now()
            if not self._queue and self._first is None and not self._due(now):
                self._clock.wait(self._arrived, self._recorder.timetable.seconds_left(now, _LONGEST_WAIT))
                self._arrived.clear()
                continue
            self._taking_since = self._clock.elapsed()
            self.step(stop, epoch)
            self._taking_since = None

    def _due(self, now: datetime) -> bool:
        """Whether the hour alone changes what is in force, or a person does."""
        return self.settled.is_set() and (self._recorder.timetable.due(now) or self._let_go())

    def _let_go(self) -> bool:
        """Whether a person let go of policy that is doubted."""
        if not self._index.doubts or self._clock.elapsed() - self._asked_at < _ASK_SECONDS:
            return False
        self._asked_at = self._clock.elapsed()
        try:
            return self._index.let_go(self._store.let_go(self.cluster))
        except StateUnavailable:
            return False  # asked again

    def prepare(self) -> bool:
        """Make ready what `run` records first, before it may: the difference between the record and what has come by now, if that is all.

        Nothing is lost if it never may. What comes meanwhile waits.
        """
        at = self._clock.now()
        while self._queue:
            self._take(at)
        if self._first is None and self._complete:
            self._first = self._recorder.first(at)
        return self._first is not None

    def step(self, stop: threading.Event, epoch: Callable[[], int]) -> None:
        """Take what waits now, and record it."""
        batch = self._made()
        if batch is None:
            return
        if self._newly_synced or not batch.empty:
            batch.synced = {resource: str(version) for resource, version in self._versions.items()}
            self._newly_synced, self._versions = False, {}
        batch.unwatched_since, self._unwatched_since = self._unwatched_since, None
        if not batch.empty:
            self._commit(batch, stop, epoch)
        if not stop.is_set() and not self.settled.is_set():
            collector.settle()
            self.settled.set()

    @property
    def _complete(self) -> bool:
        return self._synced >= required(self._targets, self._dialects)

    def _made(self) -> Batch | None:
        """The next batch; None before there is a whole picture."""
        if self._first is not None:
            made, self._first = self._first, None
            return made
        at = self._clock.now()
        self._take(at)
        if self.settled.is_set():
            return self._recorder.next(at)
        return self._recorder.first(at) if self._complete else None

    def _note_version(self, resource: Resource, text: str) -> None:
        """Where an API server counts otherwise, nothing can be said about who is behind."""
        if text.isdecimal() and (version := int(text)) > self._versions.get(resource, -1):
            self._versions[resource] = version

    def _take(self, at: datetime) -> None:
        events: list[Event] = []
        while self._queue and len(events) < _BATCH_EVENTS:
            item = self._queue.popleft()
            if isinstance(item, Synced):
                self._synced.add(item.resource)
                self._newly_synced = True
                self._note_version(item.resource, item.resource_version or "0")
                if item.resource is Resource.PODS and item.since is not None:
                    # Several lists may wait to be recorded: as far back as the first of them could not see.
                    self._unwatched_since = min(self._unwatched_since or item.since, item.since)
            elif isinstance(item, Resolution):
                self._index.take_name(item)
            else:
                events.append(item)
                self._note_version(item.resource, item.value.resource_version)
        self._index.take(events, at)

    def _commit(self, batch: Batch, stop: threading.Event, epoch: Callable[[], int]) -> None:
        pause, longest = _RETRY_SECONDS
        while not stop.is_set():
            try:
                self.revision = self._store.commit_batch(self.cluster, batch, epoch())
            except StateUnavailable as error:
                log.warning("database unavailable, batch kept", cluster=self.cluster, error=str(error), retry_in=pause)
            else:
                return
            self._clock.wait(stop, pause)
            pause = min(pause * 2, longest)


def _same(seen: Callable[[str], object], pod: Pod) -> Pod:
    """The pod as it is seen, where that is the same to us."""
    found = seen(pod.uid)
    return found if isinstance(found, Pod) and alike(pod, found) else pod
