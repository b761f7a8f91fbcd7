"""One cluster as this process sees it, whoever acts for it: watched while another does, so that a take-over sends no list again."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import structlog

from bridge.cli.tenure import Elsewhere
from bridge.cli.units import ClusterUnit
from bridge.clock import Clock
from bridge.cluster.client import Connection
from bridge.cluster.settings import ReflectorSettings
from bridge.cluster.watcher import ClusterWatcher
from bridge.errors import BridgeError
from bridge.intake import collector
from bridge.intake.intake import Intake
from bridge.model.observed import Resource
from bridge.state.intake_store import IntakeStore

log = structlog.get_logger(__name__)

CLOCKS_APART: Final = timedelta(minutes=1)
"""At most, of two replicas."""
_PREPARE_AGAIN: Final = 60.0  # seconds after an owner who was silent for a while went on


class Standby:
    """The watcher of one cluster, and the intake that goes on from it. For the one thread that serves the cluster, unless said otherwise.

    A warm one watches as soon as another process acts for the cluster, into pictures only, and goes on watching when it acts no more.
    When nobody seems to act, it makes ready what it would record first; that is used if the record is still the same when its turn comes.
    A cold one watches only while it acts.
    """

    def __init__(
        self, unit: ClusterUnit, store: IntakeStore, clock: Clock, settings: ReflectorSettings, *, warm: bool
    ) -> None:
        self.name = unit.config.name
        self._unit, self._store, self._clock, self._settings, self._warm = unit, store, clock, settings, warm
        self._connection: Connection | None = None
        self._watcher: ClusterWatcher | None = None
        self._prepared: Intake | None = None
        self._rests_until = 0.0
        self.whole = False  # everything was listed once, and is followed: true while it stands by

    # ---- while another acts

    def meanwhile(self, elsewhere: Elsewhere, clock: Clock) -> None:
        """What is to be done while it is not our turn."""
        if not self._warm:
            return
        if self._watcher is not None and self._watcher.stranger:
            self.close()  # what was seen of another cluster is worth nothing
        try:
            if elsewhere is Elsewhere.HELD:
                self._drop()
            if elsewhere is not Elsewhere.NOBODY:
                self._watch()
            if elsewhere is Elsewhere.DOUBTED and self._prepared is None and self._clock.elapsed() >= self._rests_until:
                self._prepare(clock)
        except BridgeError as error:
            log.warning("not ready to take over", cluster=self.name, error=str(error))
        except Exception:  # whoever waits for his turn must not end before it
            self._rests_until = self._clock.elapsed() + _PREPARE_AGAIN
            log.exception("not ready to take over", cluster=self.name)

    def _watch(self) -> None:
        if self._watcher is None:
            self._begin_to_watch()
        elif not self.whole and self._watcher.all_synced:
            collector.settle()
            self.whole = True
            log.info("stands by", cluster=self.name)

    def _begin_to_watch(self) -> None:
        identity = self.connection.identity()
        self._watcher = ClusterWatcher(
            self.connection, None, self._clock, settings=self._settings, resources=self._unit.resources
        )
        self._watcher.identify(identity)
        self._watcher.start()
        log.info("watches for the case that it has to take over", cluster=self.name)

    def _prepare(self, clock: Clock) -> None:
        watcher = self._watcher
        if watcher is None or not watcher.all_synced:
            return
        intake = self._intake(clock)
        known = intake.start_from(watcher.seen_pod)
        try:
            # Where a list is needed, the intake of the take-over itself will wait for it.
            listed = watcher.rebase(intake.sink, known, intake.seen_at, intake.versions)
            if not listed and intake.prepare():
                self._prepared = intake
                log.info("ready to take over", cluster=self.name, revision=intake.revision)
        finally:
            if self._prepared is None:
                watcher.release()

    def _drop(self) -> None:
        """Whoever acts goes on: what was made ready is worth nothing."""
        if self._prepared is not None and self._watcher is not None:
            self._watcher.release()
            self._prepared = None
            self._rests_until = self._clock.elapsed() + _PREPARE_AGAIN

    # ---- our turn

    @property
    def connection(self) -> Connection:
        """To the cluster."""
        if self._connection is None:
            self._connection = Connection(self._unit.config, self._clock)
        return self._connection

    @contextlib.contextmanager
    def serving(self, clock: Clock) -> Iterator[Intake]:
        """An intake that goes on from the record, to which everything is handed that happens from then on, until the end of this.

        Raises StateUnavailable, StateError.
        """
        try:
            self._leave_another()
            yield self._ready() or self._begun(clock)
        finally:
            self._end()

    @property
    def watcher(self) -> ClusterWatcher | None:
        """What watches the cluster, if anything does. From any thread."""
        return self._watcher

    def _leave_another(self) -> None:
        """What was seen of another cluster than the one that counts now, since a person confirmed that, is worth nothing."""
        watched = self._watcher.identity if self._watcher is not None else ""
        if watched and self._store.identity(self.name) not in ("", watched):
            self.close()

    def _ready(self) -> Intake | None:
        """What was made ready, if nobody recorded anything since."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or self._store.standing(self.name)[0] != prepared.revision:
            return None
        log.info("goes on from what was made ready", cluster=self.name)
        return prepared

    def _begun(self, clock: Clock) -> Intake:
        intake, watcher = self._intake(clock), self._watcher
        if watcher is None:
            known = intake.start_from()
            self._watcher = ClusterWatcher(
                self.connection,
                intake.sink,
                self._clock,
                settings=self._settings,
                known=known,
                known_at=intake.seen_at,
                resources=self._unit.resources,
            )
            self._watcher.start()
        else:
            known = intake.start_from(watcher.seen_pod)
            listed = watcher.rebase(intake.sink, known, intake.seen_at, intake.versions)
            log.info("goes on from what was seen", cluster=self.name, listed=[str(one) for one in listed])
        return intake

    def _end(self) -> None:
        if self._warm and self._watcher is not None:
            self._watcher.release()
        else:
            self.close()

    def _intake(self, clock: Clock) -> Intake:
        unit = self._unit
        return Intake(self.name, unit.governance, unit.targets, self._store, clock, unit.dialects, unit.guard)

    # ---- from any thread

    @property
    def ended(self) -> list[Resource]:
        """What should be watched and is not."""
        return self._watcher.ended if self._watcher else []

    def forget(self) -> None:
        """Let go of what is needed no longer because it is in the record. Raises StateUnavailable."""
        if self._watcher is not None and (seen_at := self._store.standing(self.name)[1]):
            self._watcher.forget_departures(seen_at - CLOCKS_APART)

    def close(self) -> None:
        """Watch no more."""
        watcher, self._watcher, self.whole = self._watcher, None, False
        self._prepared = None  # nobody would tell it what happens from now on
        if watcher is not None:
            watcher.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
