"""Looks at the database now and then, so that metrics and health answer at once, whatever the database does."""

import threading
from datetime import datetime

import structlog

from bridge import metrics
from bridge.clock import Clock
from bridge.errors import SchemaNewer, SchemaOutdated, StateError
from bridge.state.database import Database
from bridge.state.measures import Measures, Standing, Urgent

log = structlog.get_logger(__name__)

_INTERVAL, _STANDING_INTERVAL, _LEASES_INTERVAL = 2.0, 5.0, 60.0
_PATIENCE = 15.0  # seconds without an answer, after which nothing is believed


class Probe:
    """What the database said last. `urgent`, `standing` and `leases` stay what they were while it is away: what waited then waits still."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._measures = Measures(database)
        self._clock = clock
        self._standing_due = self._leases_due = 0.0
        self._answered: float | None = None
        self._problem = "was not asked yet"
        self._since: float | None = None  # when it began to answer after it last did not
        self.schema = ""  # what is wrong with it
        self._left_behind: SchemaNewer | None = None
        self.urgent = Urgent({}, {})
        self.standing = Standing({}, {})
        self.leases: dict[str, int] = {}

    def run(self, stop: threading.Event, clock: Clock) -> None:
        """Look until `stop` is set."""
        while not stop.is_set():
            self.look()
            clock.wait(stop, _INTERVAL)

    def look(self) -> None:
        """Look once. Raises nothing that the database may do."""
        try:
            self.urgent = self._measures.urgent()
            if self._clock.elapsed() >= self._standing_due or self.schema:
                self._look_closer()
        except SchemaOutdated as error:
            self.schema = str(error)
            self._left_behind = error if isinstance(error, SchemaNewer) else None
            self._well()
        except StateError as error:
            self._problem, self._since = str(error), None
        else:
            self._well()

    def insist(self) -> None:
        """Raises SchemaNewer once the schema has gone where this version cannot follow: the process has to end."""
        if self._left_behind is not None:
            raise self._left_behind

    @property
    def problem(self) -> str:
        """Why the database counts as away; "" while it answers."""
        if self._problem or self._answered is None:
            return self._problem
        silent = self._clock.elapsed() - self._answered
        return f"has not answered for {silent:.0f} s" if silent > _PATIENCE else ""

    @property
    def answering_for(self) -> float:
        """Seconds since the database began to answer; 0 while it is away."""
        since = self._since
        return 0.0 if since is None or self.problem else self._clock.elapsed() - since

    def oldest(self, device: str) -> datetime | None:
        """The time of the oldest change that waits for the device."""
        backlog = self.urgent.backlog.get(device)
        return backlog.since if backlog else None

    def _look_closer(self) -> None:
        self._database.require_current()
        self.schema, self._left_behind = "", None
        self.standing = self._measures.standing()
        self._standing_due = self._clock.elapsed() + _STANDING_INTERVAL
        if self._clock.elapsed() >= self._leases_due:
            self.leases = self._measures.leases()
            self._leases_due = self._clock.elapsed() + _LEASES_INTERVAL

    def _well(self) -> None:
        self._answered = self._clock.elapsed()
        self._problem = ""
        if self._since is None:
            self._since = self._answered


def show(probe: Probe) -> None:
    """What is known of the database and of reports."""
    metrics.database.up.set(not probe.problem)
    metrics.database.schema_current.set(not (probe.problem or probe.schema))
    for origin, at in probe.standing.reports.items():
        metrics.reports.last[origin].set(at.timestamp())
