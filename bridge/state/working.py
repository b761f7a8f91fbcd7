"""The work list of one device, read as of one moment."""

from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Any, LiteralString

from bridge.model.identity import ObjectKey
from bridge.state.database import BY_KEY, Connection
from bridge.state.desired import DesiredRow, MemberRow, Work
from bridge.state.encoding import decode_object
from bridge.state.loading import stream

_COLUMNS: LiteralString = (
    "key, desired_generation, applied_generation, body::text, gone, shards, changed_at, cause, waiting_since"
)
_ALL: LiteralString = f"SELECT {_COLUMNS} FROM device_object WHERE device = %(device)s ORDER BY key"  # noqa: S608
_PENDING: LiteralString = f"""
SELECT {_COLUMNS} FROM device_object WHERE device = %(device)s AND desired_generation > applied_generation
"""  # noqa: S608
_REVISIONS: LiteralString = f"SELECT name, revision, {BY_KEY} FROM cluster"  # noqa: S608

# A group that came to the device after the last reading, or of a cluster never read, comes whole. What left it since then comes too: the
# reader may remember it from an earlier stay. As for intake, LATERAL and OFFSET 0 say in which order to look.
_CHANGES = """
WITH groups AS MATERIALIZED (
    SELECT g.id, g.key, coalesce(s.revision, -1) AS seen,
        CASE WHEN d.since_revision > coalesce(s.revision, -1) THEN -1 ELSE s.revision END AS base
    FROM device_object d
    CROSS JOIN LATERAL (SELECT id, key, cluster FROM address_group g WHERE g.cluster = d.cluster AND g.key = d.key OFFSET 0) g
    LEFT JOIN unnest(%(cluster)s::text[], %(revision)s::bigint[]) s (name, revision) ON s.name = g.cluster
    WHERE d.device = %(device)s AND d.desired_generation > d.applied_generation AND NOT d.gone)
SELECT g.key, m.address, true, false
FROM groups g CROSS JOIN LATERAL (
    SELECT address FROM member_open m WHERE m.group_id = g.id AND m.revision > g.base OFFSET 0) m
UNION ALL
SELECT g.key, m.address, false, m.inferred
FROM groups g CROSS JOIN LATERAL (
    SELECT DISTINCT ON (address) address, inferred FROM member_closed m
    WHERE m.group_id = g.id AND m.revision > g.seen AND g.seen >= 0
    AND NOT EXISTS (SELECT FROM member_open o WHERE o.group_id = g.id AND o.address = m.address)
    ORDER BY address, revision DESC OFFSET 0) m
"""
_MEMBERS = """
SELECT g.key, m.address, true, false
FROM device_object d JOIN address_group g ON g.cluster = d.cluster AND g.key = d.key JOIN member_open m ON m.group_id = g.id
WHERE d.device = %(device)s AND NOT d.gone
"""


def pending(connection: Connection, device: str, seen: Mapping[str, int]) -> Work:
    """The pending rows, and what changed in their groups since `seen`."""
    revisions: dict[str, int] = {str(name): revision for name, revision, *_ in connection.execute(_REVISIONS)}
    rows = _rows(connection.execute(_PENDING, {"device": device}))
    values = {"device": device, "cluster": list(seen), "revision": list(seen.values())}
    members = _members(iter(connection.execute(_CHANGES, values))) if rows else ()
    return Work(rows, members, revisions, complete=False)


def complete(connection: Connection, device: str) -> Work:
    """Every row of the device and every member of its groups."""
    rows = _rows(connection.execute(_ALL, {"device": device}))
    members = _members(stream(connection, _MEMBERS, {"device": device}))
    revisions: dict[str, int] = dict(connection.execute("SELECT name, revision FROM cluster").fetchall())
    return Work(rows, members, revisions, complete=True)


def _rows(found: Iterable[tuple[Any, ...]]) -> tuple[DesiredRow, ...]:
    rows = []
    for text, generation, applied, body, *rest in found:
        key = ObjectKey.parse(text)
        rows.append(DesiredRow(key, generation, applied, decode_object(key, body) if body else None, *rest))
    return tuple(rows)


def _members(rows: Iterator[tuple[Any, ...]]) -> tuple[MemberRow, ...]:
    keys: dict[str, ObjectKey] = {}
    found = []
    for text, address, member, inferred in rows:
        key = keys.get(text)
        if key is None:
            key = keys[text] = ObjectKey.parse(text)
        found.append(MemberRow(key, intern(address), member, inferred))
    return tuple(found)
