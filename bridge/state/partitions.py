"""What has ended is kept by the month of its end (UTC): months are made ahead of time, and whole months go when they are old.

Intake records while this runs, and never waits for it longer than `_WAIT_MS`: a lock that is not to be had at once is given up and
asked for again, at last by the next run. Several processes may run it at the same moment.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import LiteralString, TypeVar

from psycopg import sql
from psycopg.errors import LockNotAvailable

from bridge.state.database import Connection, Database

T = TypeVar("T")

TABLES: tuple[LiteralString, ...] = ("lease_closed", "member_closed")

_AHEAD = 3  # this month and the next two
_PIECE = 20_000  # rows deleted in one transaction
_TRIES, _PAUSE, _WAIT_MS = 40, 0.05, 50
_LOCK = 0x6662_6D6F_6E74_6873  # "fbmonths"

_PARTITIONS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %(table)s::regclass ORDER BY c.relname
"""
_BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'.*?')\) TO \('(.*?)'\)")


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a table: rows whose end is in [lower, upper). Without a lower bound from ever on; without an upper one, the rest."""

    name: str
    lower: datetime | None
    upper: datetime | None


def partitions(connection: Connection, table: LiteralString) -> tuple[Partition, ...]:
    """The parts that the table has now, by name."""
    connection.execute("SET LOCAL TimeZone = 'UTC'")
    return tuple(_partition(name, bound) for name, bound in connection.execute(_PARTITIONS, {"table": table}))


def make_months(database: Database, now: datetime) -> list[str]:
    """Make what is missing of this month, the next two, and months whose rows landed in the rest; such rows move into theirs.

    Returns the names of what was made. A month that is busy is left for the next run. Raises StateUnavailable.
    """
    made = []
    for table in TABLES:
        for month in sorted({*_coming(now), *_stray(database, table)}):
            name = _patiently(database, partial(_make, table=table, month=month))
            made += [name] if name else []
    return made


def drop_months(database: Database, table: LiteralString, before: datetime) -> int:
    """Drop the parts that ended before that time as a whole, and delete older rows from those without a month. Returns the rows gone."""
    with database.transaction() as connection:
        found = partitions(connection, table)
    gone = 0
    for part in found:
        if part.upper is not None and part.upper <= before:
            gone += _patiently(database, partial(_drop, table=table, part=part)) or 0
        elif part.upper is None or part.lower is None:
            gone += _delete(database, part, before)
    return gone


def _partition(name: str, bound: str) -> Partition:
    found = _BOUNDS.fullmatch(bound)
    if found is None:  # DEFAULT
        return Partition(name, None, None)
    lower, upper = found[1], found[2]
    return Partition(name, None if lower == "MINVALUE" else _time(lower.strip("'")), _time(upper))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("+00", "+00:00")).astimezone(UTC)


def _coming(now: datetime) -> Iterator[datetime]:
    month = _month(now)
    for _ in range(_AHEAD):
        yield month
        month = _next(month)


def _stray(database: Database, table: LiteralString) -> list[datetime]:
    """The months of rows that came before their month was made."""
    query = sql.SQL("SELECT DISTINCT date_trunc('month', t2, 'UTC') FROM {}").format(_rest(table))
    with database.transaction() as connection:
        return [_month(month) for (month,) in connection.execute(query)]


def _make(connection: Connection, table: LiteralString, month: datetime) -> str | None:
    """Make one month, unless it is there. Attaching locks intake out of nothing but the rest, which is empty as a rule."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    until = _next(month)
    if any(_meets(part, month, until) for part in partitions(connection, table)):
        return None
    name = f"{table}_{month:%Y_%m}"
    part, whole, rest = sql.Identifier(name), sql.Identifier(table), _rest(table)
    bounds = {"lower": sql.Literal(month), "upper": sql.Literal(until)}
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(rest))
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(part, whole)
    )
    connection.execute(
        sql.SQL(
            "WITH moved AS (DELETE FROM {rest} WHERE t2 >= {lower} AND t2 < {upper} RETURNING *)"
            " INSERT INTO {part} SELECT * FROM moved"
        ).format(rest=rest, part=part, **bounds)
    )
    connection.execute(
        sql.SQL("ALTER TABLE {whole} ATTACH PARTITION {part} FOR VALUES FROM ({lower}) TO ({upper})").format(
            whole=whole, part=part, **bounds
        )
    )
    return name


def _meets(part: Partition, month: datetime, until: datetime) -> bool:
    if part.upper is None:
        return False
    return part.upper > month and (part.lower is None or part.lower < until)


def _drop(connection: Connection, table: LiteralString, part: Partition) -> int:
    """Rows gone; 0 where another process was faster."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if part not in partitions(connection, table):
        return 0
    name = sql.Identifier(part.name)
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
    connection.execute(sql.SQL("DROP TABLE {}").format(name))
    return int(row[0]) if row else 0


def _delete(database: Database, part: Partition, before: datetime) -> int:
    """Older rows, a piece at a time. A ctid means a row within one part only, so the part is named."""
    name = sql.Identifier(part.name)
    query = sql.SQL(
        "DELETE FROM {name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {name} WHERE t2 < {before} LIMIT {piece}))"
    ).format(name=name, before=sql.Literal(before), piece=sql.Literal(_PIECE))
    gone = 0
    while True:
        with database.transaction() as connection:
            count = connection.execute(query).rowcount
        gone += count
        if count < _PIECE:
            return gone


def _patiently(database: Database, work: Callable[[Connection], T]) -> T | None:
    """Do it in one transaction that waits for no lock for long, again and again; None when that never worked."""
    for _ in range(_TRIES):
        with database.transaction() as connection, suppress(LockNotAvailable), connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_WAIT_MS)))
            return work(connection)
        time.sleep(_PAUSE)
    return None


def _rest(table: LiteralString) -> sql.Identifier:
    return sql.Identifier(f"{table}_rest")


def _month(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    year, index = divmod(month.year * 12 + month.month, 12)
    return month.replace(year=year, month=index + 1)
