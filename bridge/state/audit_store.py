"""The audit of devices as people read it: rows, the heads of the chains, and whether a chain is whole."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from bridge.model.identity import ObjectKey
from bridge.state.audit_rows import audited
from bridge.state.chain import Head, Link
from bridge.state.database import Connection, Database
from bridge.state.loading import stream
from bridge.state.reported import Audited
from bridge.state.tables import AUDIT_CHANNEL
from bridge.state.verification import ChainCheck, Checkpoint, Claim, Verified

Progress = Callable[[int, int], None]  # rows done, rows there are

_PIECE = 20_000  # rows between two words of progress

_DEVICES = """
SELECT name FROM (SELECT name FROM device UNION SELECT device FROM audit_checkpoint
UNION SELECT device FROM (
    WITH RECURSIVE each (device) AS (
        (SELECT device FROM audit ORDER BY device LIMIT 1)
        UNION ALL
        SELECT (SELECT a.device FROM audit a WHERE a.device > each.device ORDER BY a.device LIMIT 1) FROM each
        WHERE each.device IS NOT NULL)
    SELECT device FROM each WHERE device IS NOT NULL) x) x
WHERE name > %(after)s ORDER BY 1 LIMIT %(limit)s
"""
_HEAD = "SELECT audit_number, audit_head FROM device WHERE name = %s"
_LAST = "SELECT at FROM audit WHERE device = %s ORDER BY number DESC LIMIT 1"
_CHECKPOINT = "SELECT number, hash, until FROM audit_checkpoint WHERE device = %s ORDER BY number DESC LIMIT 1"
_BEFORE = "SELECT count(*), count(*) FILTER (WHERE hash <> '') FROM audit WHERE device = %s AND number <= %s"
_CHAIN = """
SELECT device, number, at, key, op, cause, before, after, plan_digest, outcome, lag, hash FROM audit
WHERE device = %(device)s AND number > %(number)s ORDER BY number
"""
_ROWS = """
SELECT id, at, plan_digest, number, hash, key, op, cause, before, after, outcome, lag FROM audit
WHERE device = %(device)s AND number > %(after)s AND (%(key)s::text IS NULL OR key = %(key)s) AND (%(op)s::text IS NULL OR op = %(op)s)
ORDER BY number DESC LIMIT %(limit)s
"""
_IN_REPORTS = """
SELECT d.value->>'device', r.id, r.at, (d.value->'audit'->>'number')::bigint, d.value->'audit'->>'hash'
FROM report r CROSS JOIN LATERAL json_array_elements(r.body->'byDevice') d
WHERE json_typeof(r.body->'byDevice') = 'array' AND (d.value->'audit'->>'number')::bigint > 0
AND r.id = ANY(ARRAY(SELECT id FROM report ORDER BY id DESC LIMIT %(last)s)) ORDER BY r.id
"""
_WATCH = """
SELECT d.audit_number, d.last_read, clock_timestamp(), coalesce(l.expires_at > clock_timestamp(), false)
FROM device d LEFT JOIN replica_lease l ON l.role = 'device' AND l.name = d.name WHERE d.name = %s
"""


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Where the chain of a device ends, and where it begins after it was pruned; `at` is the time of its last row."""

    device: str
    head: Head
    at: datetime | None
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Watch:
    """How a device is looked after: the last row of its audit, when it was last read, and whether a bridge has it now."""

    number: int
    last_read: datetime | None
    now: datetime
    owned: bool


class AuditStore:
    """The audit of all devices. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def devices(self, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """Every device of which there is an audit, or may be, by name; also those that are gone."""
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_DEVICES, {"after": after, "limit": limit})
            return tuple(str(name) for (name,) in rows)

    def heads(self, devices: Iterable[str]) -> tuple[ChainEnd, ...]:
        """The end of each chain."""
        with self._database.transaction(snapshot=True) as connection:
            return tuple(_end(connection, device) for device in devices)

    def rows(
        self, device: str, *, key: ObjectKey | None = None, op: str | None = None, after: int = 0, limit: int = 100
    ) -> tuple[Audited, ...]:
        """The last rows of the device, of one object or one operation where told, that come after a number; the newest first."""
        text = None if key is None else str(key)
        values = {"device": device, "key": text, "op": op, "after": after, "limit": limit}
        with self._database.transaction(snapshot=True) as connection:
            return tuple(audited(*row) for row in connection.execute(_ROWS, values))

    def claims(self, last: int | None = None) -> dict[str, list[Claim]]:
        """The heads that kept reports have printed, or so many of the last, by device. Every report is gone through for it."""
        found: dict[str, list[Claim]] = {}
        with self._database.transaction(snapshot=True) as connection:
            for device, report, at, number, digest in stream(connection, _IN_REPORTS, {"last": last}):
                found.setdefault(device, []).append(Claim(f"report {report}", digest, number, at))
        return found

    def verify(self, device: str, claims: Iterable[Claim] = (), progress: Progress | None = None) -> Verified:
        """Go through the whole chain as of one moment, from the newest checkpoint to the head. Memory does not grow with it."""
        with self._database.transaction(snapshot=True) as connection:
            end = _end(connection, device)
            checkpoint = end.checkpoint
            check = ChainCheck(checkpoint, claims)
            start = checkpoint.number if checkpoint else 0
            unchained = _before(connection, device, checkpoint, check)
            for link, stored in _links(connection, device, start):
                check.take(link, stored)
                if progress is not None and check.rows % _PIECE == 0:
                    progress(check.rows, end.head.number - start)
            return check.end(device, end.head, unchained)

    def watch(self, device: str) -> Watch | None:
        """How the device is looked after now, by the clock of the database; None for one that is not known."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_WATCH, [device]).fetchone()
            return Watch(*row) if row else None

    def ask(self, device: str) -> None:
        """Have whoever has the device read it now."""
        with self._database.transaction() as connection:
            connection.execute("SELECT pg_notify(%s, %s)", [AUDIT_CHANNEL, device])


def _end(connection: Connection, device: str) -> ChainEnd:
    head = connection.execute(_HEAD, [device]).fetchone() or (0, "")
    last = connection.execute(_LAST, [device]).fetchone()
    checkpoint = connection.execute(_CHECKPOINT, [device]).fetchone()
    return ChainEnd(device, Head(*head), last[0] if last else None, Checkpoint(*checkpoint) if checkpoint else None)


def _before(connection: Connection, device: str, checkpoint: Checkpoint | None, check: ChainCheck) -> int:
    """How many rows stand before the checkpoint: those from before there was a chain, and no others."""
    if checkpoint is None:
        return 0
    rows, chained = connection.execute(_BEFORE, [device, checkpoint.number]).fetchone() or (0, 0)
    if chained or (rows and checkpoint.hash):
        check.problem(checkpoint.number, f"{rows} rows stand before the checkpoint, after which the chain begins")
    return int(rows)


def _links(connection: Connection, device: str, start: int) -> Iterator[tuple[Link, str]]:
    for *columns, stored in stream(connection, _CHAIN, {"device": device, "number": start}):
        yield Link(*columns), stored
