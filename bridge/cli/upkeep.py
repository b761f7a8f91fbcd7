"""What is written down now and then: that records are current, up to when a cluster was watched, and an end for old history."""

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from bridge.errors import BridgeError
from bridge.model.observed import Resource
from bridge.state.database import Database
from bridge.state.intake_store import IntakeStore
from bridge.state.partitions import make_months
from bridge.state.pruning import prune

if TYPE_CHECKING:
    from bridge.cli.controller import Controller

log = structlog.get_logger(__name__)


class Upkeep:
    """The jobs of one controller. None raises what the database or a cluster may do."""

    def __init__(self, controller: "Controller", database: Database, store: IntakeStore, history_days: int) -> None:
        self._controller, self._database, self._store = controller, database, store
        self._history_days = history_days

    def note_current(self) -> None:
        """Write down that what is recorded of each cluster is what it is now, and leave one that is another now."""
        controller = self._controller
        for name, intake in list(controller.intakes.items()):
            tenure, watcher = controller.tenures["cluster", name], controller.watchers.get(name)
            if watcher is not None and watcher.stranger:
                tenure.give_up()
            elif intake.settled.is_set() and (epoch := tenure.current) is not None:
                try:
                    self._store.note_current(name, epoch)
                except BridgeError as error:
                    log.warning("not written down that the record is current", name=name, error=str(error))

    def note_watched(self) -> None:
        """Write down up to when each cluster is watched: what is found after a restart, happened after that."""
        controller = self._controller
        for name, intake in list(controller.intakes.items()):
            watcher = controller.watchers.get(name)
            silent = watcher.health()[Resource.PODS].silent_for if watcher else None
            heard = controller.clock.now() - timedelta(seconds=silent) if silent is not None else None
            ours = controller.tenures["cluster", name].held  # a later owner may know more
            if ours and heard and intake.at_rest:  # in this order: what was heard until then has been handed over
                try:
                    self._store.note_watched(name, heard)
                except BridgeError as error:
                    log.warning("not written down that the cluster is watched", name=name, error=str(error))
        for name, standby in controller.standbys.items():
            try:
                standby.forget()
            except BridgeError as error:
                log.warning("departures kept for longer", name=name, error=str(error))

    def keep_history(self) -> None:
        """Room for what will end, and an end for what ended long ago."""
        now = self._controller.clock.now()
        try:
            make_months(self._database, now)
            prune(self._database, now - timedelta(days=self._history_days))
        except BridgeError as error:
            log.warning("history not kept as it should be", error=str(error))
