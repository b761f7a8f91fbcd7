"""The work list of one device, read as of one moment."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from sys import intern
from typing import Any, LiteralString

from bridge.model.baseline import kept_tag
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

# In a freeze a group may be counted apart from that of its name; who left either, before or after it was, left it on the device.
# A group that came to the device after the last reading, or of a cluster never read, comes whole. What left it since then comes too: the
# reader may remember it from an earlier stay. As for intake, LATERAL and OFFSET 0 say in which order to look.
_CHANGES = """
WITH groups AS MATERIALIZED (
    SELECT g.id, d.key, coalesce(s.revision, -1) AS seen,
        CASE WHEN d.since_revision > coalesce(s.revision, -1) THEN -1 ELSE s.revision END AS base,
        ARRAY(SELECT o.id FROM address_group o WHERE o.cluster = d.cluster AND o.key = ANY(ARRAY[d.key, d.key || %(kept)s])) AS before
    FROM device_object d
    CROSS JOIN LATERAL (
        SELECT id, cluster FROM address_group g WHERE g.cluster = d.cluster AND g.key = coalesce(d.members_of, d.key) OFFSET 0) g
    LEFT JOIN unnest(%(cluster)s::text[], %(revision)s::bigint[]) s (name, revision) ON s.name = g.cluster
    WHERE d.device = %(device)s AND d.desired_generation > d.applied_generation AND NOT d.gone)
SELECT g.key, m.address, true, m.unproven
FROM groups g CROSS JOIN LATERAL (
    SELECT address, unproven FROM member_open m WHERE m.group_id = g.id AND m.revision > g.base OFFSET 0) m
UNION ALL
SELECT g.key, m.address, false, m.inferred OR m.unproven
FROM groups g CROSS JOIN LATERAL (
    SELECT DISTINCT ON (address) address, inferred, unproven FROM member_closed m
    WHERE m.group_id = ANY(g.before) AND m.revision > g.seen AND g.seen >= 0
    AND NOT EXISTS (SELECT FROM member_open o WHERE o.group_id = g.id AND o.address = m.address)
    ORDER BY address, revision DESC, inferred DESC OFFSET 0) m
"""
_MEMBERS = """
SELECT d.key, m.address, true, false
FROM device_object d JOIN address_group g ON g.cluster = d.cluster AND g.key = coalesce(d.members_of, d.key)
JOIN member_open m ON m.group_id = g.id
WHERE d.device = %(device)s AND NOT d.gone
"""


def pending(connection: Connection, device: str, seen: Mapping[str, int]) -> Work:
    """The pending rows, and what changed in their groups since `seen`."""
    revisions: dict[str, int] = {str(name): revision for name, revision, *_ in connection.execute(_REVISIONS)}
    rows = _rows(connection.execute(_PENDING, {"device": device}), revisions)
    values = {"device": device, "kept": f"#{kept_tag(device)}", "cluster": list(seen), "revision": list(seen.values())}
    members = _members(iter(connection.execute(_CHANGES, values))) if rows else ()
    return Work(rows, members, revisions, complete=False)


def complete(connection: Connection, device: str) -> Work:
    """Every row of the device and every member of its groups."""
    revisions: dict[str, int] = dict(connection.execute("SELECT name, revision FROM cluster").fetchall())
    rows = _rows(connection.execute(_ALL, {"device": device}), revisions)
    members = _members(stream(connection, _MEMBERS, {"device": device}))
    return Work(rows, members, revisions, complete=True)


def _rows(found: Iterable[tuple[Any, ...]], revisions: Mapping[str, int]) -> tuple[DesiredRow, ...]:
    rows = []
    for text, generation, applied, body, *rest in found:
        key = ObjectKey.parse(text)
        value, revision = decode_object(key, body) if body else None, revisions.get(key.cluster, 0)
        rows.append(replace(DesiredRow(key, generation, applied, value, *rest), revision=revision))
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
