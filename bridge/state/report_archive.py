"""Reports that are kept: numbered, listed without their bodies, and one for each slot of the schedule, whoever makes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from bridge.state.database import Database
from bridge.state.reported import KeptReport

_KEEP = """
INSERT INTO report (at, body, origin, slot, summary) VALUES (%(at)s, %(body)s::json, %(origin)s, %(slot)s, %(summary)s::json)
ON CONFLICT (slot) DO NOTHING RETURNING id
"""
_LISTED = """
SELECT id, at, origin, slot, summary::text FROM report
WHERE (%(before)s::int8 IS NULL OR id < %(before)s) AND (%(origin)s::text IS NULL OR origin = %(origin)s)
ORDER BY id DESC LIMIT %(limit)s
"""
# The lock is for the reports of a schedule alone, and given back with the transaction, however that ends.
_SLOT = """
SELECT pg_try_advisory_xact_lock(%(lock)s::int8) AND NOT EXISTS (SELECT FROM report WHERE slot = %(slot)s)
"""
_LOCK = 0x6662_7265_706F_7274  # "fbreport"


class ReportArchive:
    """The table of reports. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(
        self, at: datetime, body: str, summary: str, *, origin: str = "asked", slot: datetime | None = None
    ) -> int | None:
        """Keep a report, body and summary as JSON text. Returns its number; None when the slot has one already."""
        values = {"at": at, "body": body, "summary": summary, "origin": origin, "slot": slot}
        with self._database.transaction() as connection:
            row = connection.execute(_KEEP, values).fetchone()
            return int(row[0]) if row else None

    def kept(self, limit: int = 20, before: int | None = None, origin: str | None = None) -> tuple[KeptReport, ...]:
        """The last reports kept, those before a number and of an origin where told; the newest first, without their bodies."""
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_LISTED, {"limit": limit, "before": before, "origin": origin})
            return tuple(KeptReport(*row) for row in rows)

    def body(self, number: int) -> str | None:
        """A kept report as JSON text; None when there is none of that number, or not any more."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute("SELECT body::text FROM report WHERE id = %s", [number]).fetchone()
            return str(row[0]) if row else None

    def written(self, number: int) -> bytes | None:
        """The same as it lies there, in UTF-8."""
        query = "SELECT convert_to(body::text, 'UTF8') FROM report WHERE id = %s"
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(query, [number], binary=True).fetchone()
            return bytes(row[0]) if row else None

    @contextmanager
    def slot(self, slot: datetime) -> Iterator[bool]:
        """Whether the report of this slot is to be made now: nobody has made it, and nobody else does within this context."""
        with self._database.transaction() as connection:
            row = connection.execute(_SLOT, {"lock": _LOCK, "slot": slot}).fetchone()
            yield bool(row and row[0])
