"""Names that the bridge resolves: what each stands for now, and what it stood for when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import Any, LiteralString

import msgspec

from bridge.model.addresses import sort_key
from bridge.model.resolution import Resolution
from bridge.state.database import Connection, Database
from bridge.state.encoding import clean, json_text

_decode_dropped = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode

_NAMES = """
INSERT INTO name (cluster, name, answered, cut, problem, dropped)
SELECT %(cluster)b, x.* FROM unnest(
    %(name)b::text[], %(answered)b::bool[], %(cut)b::bool[], %(problem)b::text[], %(dropped)b::text[]::json[]) x
ON CONFLICT (cluster, name) DO UPDATE SET
    answered = excluded.answered, cut = excluded.cut, problem = excluded.problem, dropped = excluded.dropped
"""
_GONE = "DELETE FROM name WHERE cluster = %(cluster)b AND name = ANY(%(name)b::text[])"
# Of these names, the addresses that they no longer stand for.
_LEFT = """
WITH ended AS (
    DELETE FROM name_address a
    WHERE a.cluster = %(cluster)b AND a.t2 = 'infinity' AND a.name = ANY(%(name)b::text[])
    AND (a.name, a.address) NOT IN (
        SELECT x.name, x.address FROM unnest(%(of)b::text[], %(address)b::text[]::inet[]) x (name, address))
    RETURNING a.name, a.address, a.t1)
INSERT INTO name_address (cluster, name, address, t1, t2)
SELECT %(cluster)b, ended.*, greatest(ended.t1, %(at)b::timestamptz) FROM ended
ON CONFLICT DO NOTHING  -- only ever one that ended the moment it began
"""
_CAME = """
INSERT INTO name_address (cluster, name, address, t1, t2)
SELECT %(cluster)b, x.name, x.address, %(at)b::timestamptz, 'infinity'
FROM unnest(%(of)b::text[], %(address)b::text[]::inet[]) x (name, address)
ON CONFLICT DO NOTHING
"""
_KNOWN = "SELECT name, answered, cut, problem, dropped::text FROM name WHERE cluster = %(cluster)s ORDER BY name"
_OPEN = "SELECT name, address FROM name_address WHERE cluster = %(cluster)s AND t2 = 'infinity' ORDER BY name"
_AT = """
SELECT name, address FROM name_address
WHERE cluster = %(cluster)s AND t1 <= %(at)s AND t2 > %(at)s ORDER BY name
"""
_STAYS: LiteralString = """
SELECT cluster, name, address, t1, nullif(t2, 'infinity') FROM name_address
WHERE (%(cluster)s::text IS NULL OR cluster = %(cluster)s) AND {}
ORDER BY t2 DESC, cluster, name, address LIMIT %(limit)s
"""
PRUNE = "DELETE FROM name_address WHERE t2 < %(before)s"

Run = Callable[..., None]
"""Executes a statement with arrays unless there are no rows: (statement, rows, **columns)."""


@dataclass(frozen=True, slots=True)
class Stay:
    """An address that a name stood for, from `t1` to `t2`; None while it does."""

    cluster: str
    name: str
    address: str
    t1: datetime
    t2: datetime | None


def write(run: Run, names: Sequence[Resolution], gone: Sequence[str]) -> None:
    """Record what these names stand for now; the others of `gone` are followed no more, and stand for nothing."""
    of = [one.name for one in names for _ in one.addresses]
    address = [address for one in names for address in one.addresses]
    touched = [*gone, *(one.name for one in names)]
    run(_LEFT, touched, name=touched, of=of, address=address)
    run(_CAME, of, of=of, address=address)
    run(_GONE, gone, name=list(gone))
    run(
        _NAMES,
        names,
        name=[one.name for one in names],
        answered=[one.answered for one in names],
        cut=[one.cut for one in names],
        problem=[clean(one.problem) for one in names],
        dropped=[json_text(one.dropped) for one in names],
    )


def load(connection: Connection, cluster: str) -> dict[str, Resolution]:
    """Every name that is followed in the cluster."""
    values = {"cluster": cluster}
    addresses = _by_name(connection.execute(_OPEN, values).fetchall())
    return {
        name: Resolution(name, addresses.get(name, ()), _decode_dropped(dropped), answered, cut, problem)
        for name, answered, cut, problem, dropped in connection.execute(_KNOWN, values)
    }


class NameHistory:
    """What names stood for. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self, cluster: str) -> Mapping[str, Resolution]:
        """Every name that is followed in the cluster, as it stands now."""
        with self._database.transaction(snapshot=True) as connection:
            return load(connection, cluster)

    def at(self, cluster: str, at: datetime) -> Mapping[str, tuple[str, ...]]:
        """What names of the cluster stood for at that time; one that stood for nothing or was not followed is not in it."""
        with self._database.transaction(snapshot=True) as connection:
            return _by_name(connection.execute(_AT, {"cluster": cluster, "at": at}).fetchall())

    def of_name(self, name: str, cluster: str | None = None, limit: int = 100) -> tuple[Stay, ...]:
        """The addresses that the name stood for, the last to end first."""
        return self._stays("name = %(name)s", {"name": name, "cluster": cluster, "limit": limit})

    def of_address(self, address: str, cluster: str | None = None, limit: int = 100) -> tuple[Stay, ...]:
        """The names that stood for the address, the last to end first."""
        return self._stays("address = %(address)s::inet", {"address": address, "cluster": cluster, "limit": limit})

    def _stays(self, condition: LiteralString, values: Mapping[str, Any]) -> tuple[Stay, ...]:
        with self._database.transaction(snapshot=True) as connection:
            return tuple(Stay(*row) for row in connection.execute(_STAYS.format(condition), values))


def _by_name(rows: Sequence[tuple[Any, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(sorted((intern(address) for _, address in many), key=sort_key))
        for name, many in groupby(rows, itemgetter(0))
    }
