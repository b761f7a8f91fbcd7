"""What was done to a device since some row of its audit: in numbers, over time, and row by row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from bridge.model.identity import ObjectKey
from bridge.state.audit_rows import audited
from bridge.state.database import Database
from bridge.state.reported import Audited, ChangeBucket, ChangeNumbers, TouchedObject

FLOWS = "flows"  # the op of a row that says which live flows were closed
DRIFT = "drift"  # the op of a row that says what somebody else did

_ROWS: LiteralString = "device = %(device)s AND number > %(number)s AND at > coalesce(%(at)s, '-infinity'::timestamptz)"
_LAGS: LiteralString = "percentile_cont(0.5) WITHIN GROUP (ORDER BY lag), max(lag)"
_NUMBERS = f"""
SELECT count(*), count(*) FILTER (WHERE outcome LIKE 'refused%%'), {_LAGS},
    coalesce(sum(substring(outcome FROM '^closed ([0-9]+) of')::bigint) FILTER (WHERE op = '{FLOWS}'), 0)
FROM audit WHERE {_ROWS} AND op <> '{DRIFT}'
"""  # noqa: S608 - no value in it
_BY_OP = f"SELECT op, count(*) FROM audit WHERE {_ROWS} AND op <> '{DRIFT}' GROUP BY op ORDER BY op"  # noqa: S608
_DRIFTS = f"SELECT count(*) FROM audit WHERE {_ROWS} AND op = '{DRIFT}'"  # noqa: S608
_LAST = f"""
SELECT id, at, plan_digest, number, hash, key, op, cause, before, after, outcome, lag FROM audit
WHERE {_ROWS} AND (op = '{DRIFT}') = %(drift)s ORDER BY number DESC LIMIT %(limit)s
"""  # noqa: S608
_MOST = f"""
SELECT m.key, m.changes, a.at, a.cause FROM (
    SELECT key, count(*) AS changes, max(number) AS number FROM audit WHERE {_ROWS} AND op <> '{DRIFT}'
    GROUP BY key ORDER BY count(*) DESC, key LIMIT %(limit)s) m
JOIN audit a ON a.device = %(device)s AND a.number = m.number ORDER BY m.changes DESC, m.key
"""  # noqa: S608
_BUCKETS = f"""
SELECT date_bin(%(width)s, at, %(origin)s), count(*) FILTER (WHERE op <> '{DRIFT}'), count(*) FILTER (WHERE op = '{DRIFT}'), {_LAGS}
FROM audit WHERE {_ROWS} GROUP BY 1 ORDER BY 1
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class After:
    """From where on: after this row of the audit, and after this time where one is given."""

    number: int = 0
    at: datetime | None = None


class ChangeStore:
    """The audit of devices, added up. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def numbers(self, device: str, after: After) -> ChangeNumbers:
        """How many changes, and how long they took."""
        values = _values(device, after)
        with self._database.transaction(snapshot=True) as connection:
            by_op = {str(op): int(count) for op, count in connection.execute(_BY_OP, values)}
            row = connection.execute(_NUMBERS, values).fetchone() or (0, 0, None, None, 0)
            return ChangeNumbers(row[0], row[1], by_op, row[2], row[3], int(row[4]))

    def drifts(self, device: str, after: After) -> int:
        """How many objects were found changed by somebody else."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_DRIFTS, _values(device, after)).fetchone()
            return int(row[0]) if row else 0

    def last(self, device: str, after: After, limit: int, *, drift: bool) -> tuple[Audited, ...]:
        """The last rows of drift, or the last of everything else; the newest first."""
        values = {**_values(device, after), "limit": limit, "drift": drift}
        with self._database.transaction(snapshot=True) as connection:
            return tuple(audited(*row) for row in connection.execute(_LAST, values))

    def most(self, device: str, after: After, limit: int) -> tuple[TouchedObject, ...]:
        """The objects that changed most, with their last change."""
        values = {**_values(device, after), "limit": limit}
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_MOST, values)
            return tuple(TouchedObject(ObjectKey.parse(key), count, at, cause) for key, count, at, cause in rows)

    def buckets(self, device: str, after: After, origin: datetime, width: timedelta) -> tuple[ChangeBucket, ...]:
        """Everything since, in stretches of `width` counted from `origin`; one without changes is left out."""
        values = {**_values(device, after), "origin": origin, "width": width}
        with self._database.transaction(snapshot=True) as connection:
            return tuple(ChangeBucket(*row) for row in connection.execute(_BUCKETS, values))

    def first(self, device: str) -> datetime | None:
        """When the oldest row was written that is still there."""
        query = "SELECT at FROM audit WHERE device = %s ORDER BY number LIMIT 1"
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(query, [device]).fetchone()
            return row[0] if row else None


def _values(device: str, after: After) -> Mapping[str, Any]:
    return {"device": device, "number": after.number, "at": after.at}
