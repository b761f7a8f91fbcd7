"""The audit a page at a time. Every query is served by an index; with a filter only so many rows are looked through at once."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from bridge.state.database import BY_KEY, Database

LOOKED_AT = 5_000  # rows that one page looks through for those that are asked for
TEXT = 2_000  # characters of what was before or after, in a page

_COLUMNS: LiteralString = (
    "a.id, a.device, a.number, a.at, a.key, a.op, a.cause, a.outcome, a.lag, a.plan_digest, a.hash"
)
_CUT: LiteralString = f"""{_COLUMNS}, left(a.before, {TEXT}), left(a.after, {TEXT}),
    length(a.before) > {TEXT} OR length(a.after) > {TEXT}"""
_FITS: LiteralString = """(%(op)s::text IS NULL OR a.op = %(op)s) AND (NOT %(refused)s OR a.outcome LIKE 'refused%%')
    AND (%(device)s::text IS NULL OR a.device = %(device)s) AND (%(since)s::timestamptz IS NULL OR a.at >= %(since)s)"""


def _page(place: LiteralString, which: LiteralString) -> LiteralString:
    return f"""
SELECT {_CUT} FROM audit a WHERE {which} AND a.{place} < %(last)s AND a.{place} >= %(reached)s AND {_FITS}
ORDER BY a.{place} DESC LIMIT %(limit)s
"""  # noqa: S608 - no value in it


def _reached(place: LiteralString, which: LiteralString) -> LiteralString:
    """The last place that is looked through for one page; no row when it is the end."""
    return f"""
SELECT a.{place}, a.at FROM audit a WHERE {which} AND a.{place} < %(last)s
ORDER BY a.{place} DESC OFFSET %(offset)s LIMIT 1
"""  # noqa: S608 - no value in it


_OF_ALL: tuple[LiteralString, LiteralString] = ("id", "true")
_OF_DEVICE: tuple[LiteralString, LiteralString] = ("number", "a.device = %(device)s")
_OF_OBJECT: tuple[LiteralString, LiteralString] = ("id", "a.key = %(key)s")
_ONE: LiteralString = f"""
SELECT {_COLUMNS}, a.before, a.after, false FROM audit a WHERE a.device = %(device)s AND a.number = %(number)s
"""  # noqa: S608 - no value in it
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row; `cut`: what was before or after is longer than it is told here."""

    id: int
    device: str
    number: int
    at: datetime
    key: str
    op: str
    cause: str
    outcome: str
    lag: float | None
    plan_digest: str
    hash: str
    before: str
    after: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """Which rows: of a device, of an object by the text of its key, of an operation, those that a device refused, none before a time."""

    device: str | None = None
    key: str | None = None
    op: str | None = None
    refused: bool = False
    since: datetime | None = None


class AuditPages:
    """The rows of all devices, the newest first. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, sought: Sought, before: int | None, limit: int) -> tuple[tuple[AuditRow, ...], int | None]:
        """So many rows at most that come after the place `before`, and the place of the next page, if there may be one.

        A page may hold fewer rows than asked for, even none, and have a next.
        """
        place, which = _OF_OBJECT if sought.key else _OF_DEVICE if sought.device else _OF_ALL
        values = {
            "device": sought.device,
            "key": sought.key,
            "op": sought.op,
            "refused": sought.refused,
            "since": sought.since,
            "last": before or _LAST,
            "limit": limit + 1,
            "offset": LOOKED_AT - 1,
        }
        with self._database.transaction(snapshot=True) as connection:
            connection.execute(f"SELECT {BY_KEY}")
            reached = connection.execute(_reached(place, which), values).fetchone()
            found = connection.execute(_page(place, which), {**values, "reached": reached[0] if reached else 0})
            rows = [AuditRow(*row) for row in found]
        if len(rows) > limit:
            last = rows[limit - 1]
            return tuple(rows[:limit]), last.number if place == "number" else last.id
        over = reached is None or (sought.since is not None and reached[1] < sought.since)
        return tuple(rows), None if reached is None or over else int(reached[0])

    def row(self, device: str, number: int) -> AuditRow | None:
        """One row, whole; None when there is none, or not any more."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_ONE, {"device": device, "number": number}).fetchone()
            return AuditRow(*row) if row else None
