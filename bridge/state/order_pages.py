"""What people ordered, a page at a time: stops and who obeys them, decisions and what became of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.state.database import Database

# Of a stop in force, the devices that obey it; of one that is over, those that have not heard so yet.
_STOPS = """
SELECT s.cluster, s.name, s.devices, s.by, s.reason, s.since, s.message, s.lifted_by, s.lifted_reason, s.ended_at,
    ARRAY(SELECT d.name FROM device d WHERE s.uid = ANY(d.stopped_by) ORDER BY d.name)
FROM stop s
WHERE (%(cluster)s::text IS NULL OR s.cluster = %(cluster)s) AND (%(name)s::text IS NULL OR s.name = %(name)s)
AND (NOT %(standing)s OR s.ended_at IS NULL)
AND (%(since)s::timestamptz IS NULL OR (s.since, s.cluster, s.name) < (%(since)s, %(last_cluster)s, %(last_name)s))
ORDER BY s.since DESC, s.cluster DESC, s.name DESC LIMIT %(limit)s
"""
_DECISIONS = """
SELECT cluster, name, uid, device, digest, verdict, by, reason, at, state, message, settled_at
FROM decision
WHERE (%(cluster)s::text IS NULL OR cluster = %(cluster)s) AND (%(device)s::text IS NULL OR device = %(device)s)
AND (%(digest)s::text IS NULL OR digest = %(digest)s)
AND (%(at)s::timestamptz IS NULL OR (at, cluster, uid) < (%(at)s, %(last_cluster)s, %(last_uid)s))
ORDER BY at DESC, cluster DESC, uid DESC LIMIT %(limit)s
"""
Place = tuple[datetime, str, str]
"""Behind which row a page begins."""


@dataclass(frozen=True, slots=True)
class StopRow:
    """A stop; in force while it has no `ended_at`. `devices` empty: every one that serves the cluster. `obeyed_by` obey it now."""

    cluster: str
    name: str
    devices: tuple[str, ...]
    by: str
    reason: str
    since: datetime
    message: str
    lifted_by: str
    lifted_reason: str
    ended_at: datetime | None
    obeyed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision and what became of it."""

    cluster: str
    name: str
    uid: str
    device: str
    digest: str
    verdict: str
    by: str
    reason: str
    at: datetime
    state: str
    message: str
    settled_at: datetime | None


class OrderPages:
    """The tables as readers use them. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stops(
        self,
        limit: int,
        after: Place | None = None,
        *,
        standing: bool = True,
        cluster: str | None = None,
        name: str | None = None,
    ) -> tuple[StopRow, ...]:
        """At most so many stops, the youngest first; `standing`: only those in force."""
        since, last_cluster, last_name = after or (None, None, None)
        values = {
            "cluster": cluster,
            "name": name,
            "standing": standing,
            "since": since,
            "last_cluster": last_cluster,
            "last_name": last_name,
            "limit": limit,
        }
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_STOPS, values).fetchall()
        return tuple(StopRow(*map(_fixed, row)) for row in rows)

    def decisions(
        self,
        limit: int,
        after: Place | None = None,
        *,
        cluster: str | None = None,
        device: str | None = None,
        digest: str | None = None,
    ) -> tuple[DecisionRow, ...]:
        """At most so many decisions, the youngest first."""
        at, last_cluster, last_uid = after or (None, None, None)
        values = {
            "cluster": cluster,
            "device": device,
            "digest": digest,
            "at": at,
            "last_cluster": last_cluster,
            "last_uid": last_uid,
            "limit": limit,
        }
        with self._database.transaction(snapshot=True) as connection:
            return tuple(DecisionRow(*row) for row in connection.execute(_DECISIONS, values))


def _fixed(value: Any) -> Any:  # noqa: ANN401 (of any column)
    return tuple(value) if isinstance(value, list) else value
