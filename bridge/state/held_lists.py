"""Lists of held steps as they are recorded, and what of held changes is proven by now.

Each function works within the caller's transaction.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, LiteralString

from bridge.model.identity import ObjectKey
from bridge.state.database import Connection
from bridge.state.desired import HeldList, ListState
from bridge.state.encoding import clean, decode_held, encode_held

Members = Mapping[ObjectKey, frozenset[str]]

_COLUMNS: LiteralString = "cluster, digest, steps::text, since, state, by, reason, message, kind"
_OPEN: LiteralString = f"""
SELECT {_COLUMNS} FROM held_plan
WHERE device = %s AND kind = 'guard' AND cluster <> '' AND state IN ('held', 'released', 'rejected') ORDER BY since, digest
"""  # noqa: S608 - no value in it
_ONE: LiteralString = f"SELECT {_COLUMNS} FROM held_plan WHERE device = %s AND digest = %s"  # noqa: S608
# What an earlier version held knows no cluster: this one has looked at everything again.
_EARLIER = """
UPDATE held_plan SET state = 'done', changed_at = %(at)s, message = 'held by an earlier version'
WHERE device = %(device)s AND cluster = '' AND kind = 'guard' AND state = 'held'
"""
_PUT = """
INSERT INTO held_plan AS h (device, cluster, digest, steps, since, state, by, reason, message, changed_at)
VALUES (%(device)s, %(cluster)s, %(digest)s, %(steps)s, %(since)s, %(state)s, %(by)s, %(reason)s, %(message)s, %(changed_at)s)
ON CONFLICT (device, digest) DO UPDATE SET
    state = excluded.state, by = excluded.by, reason = excluded.reason, message = excluded.message, changed_at = %(at)s,
    since = CASE WHEN excluded.state = 'held' AND h.state <> 'held' THEN excluded.since ELSE h.since END
"""
_NEWS = "UPDATE device SET standing_revision = standing_revision + 1 WHERE name = %(device)s"

# The last that is recorded of each pair. One of which nothing is recorded is as unproven as one that was inferred, unless somebody else
# has changed the group on the device: then it is theirs, and never was a member. What was unproven at first may be proven since: another
# workload has the address, or the one that had it was seen to end.
_UNPROVEN = """
SELECT x.key, x.address FROM unnest(%(key)s::text[], %(address)s::text[], %(ours)s::bool[]) x (key, address, ours)
LEFT JOIN LATERAL (
    SELECT m.inferred OR m.unproven AS doubtful, m.t2, g.cluster
    FROM address_group g JOIN member_closed m ON m.group_id = g.id AND m.address = x.address::inet
    WHERE g.cluster = split_part(split_part(x.key, ':', 2), '/', 1)
    AND (g.key = x.key OR g.key >= x.key || '#kept.' AND g.key < x.key || '#kept/')  -- as a device in a freeze keeps it
    ORDER BY m.t2 DESC LIMIT 1) last ON true
WHERE coalesce(last.doubtful, x.ours) AND (last.t2 IS NULL OR NOT EXISTS (
    SELECT FROM lease_open l WHERE l.cluster = last.cluster AND l.address = x.address::inet AND l.t1 >= last.t2
    UNION ALL
    SELECT FROM lease_closed l
    WHERE l.cluster = last.cluster AND l.address = x.address::inet AND l.t2 >= last.t2
    AND coalesce((
        SELECT p.phase IN ('Succeeded', 'Failed') FROM pod p WHERE p.cluster = l.cluster AND p.uid = l.uid), NOT l.t2_inferred)))
"""
# A single address joins for certain once its workload was seen to end, or another has it; of a prefix nobody knows whose it was.
_DOUBTFUL = """
SELECT DISTINCT x.key, x.address FROM unnest(%(key)s::text[], %(address)s::text[]) x (key, address)
JOIN address_group g ON g.cluster = split_part(split_part(x.key, ':', 2), '/', 1)
    AND (g.key = x.key OR g.key >= x.key || '#kept.' AND g.key < x.key || '#kept/')
JOIN member_open m ON m.group_id = g.id AND m.address = x.address::inet
WHERE m.unproven AND NOT EXISTS (
    SELECT FROM lease_open l WHERE l.cluster = g.cluster AND l.address = m.address AND l.t1 > m.t1
    UNION ALL
    SELECT FROM lease_closed l
    WHERE l.cluster = g.cluster AND l.address = m.address AND l.t2 >= m.t1
    AND coalesce((
        SELECT p.phase IN ('Succeeded', 'Failed') FROM pod p WHERE p.cluster = l.cluster AND p.uid = l.uid), NOT l.t2_inferred))
"""


def open_lists(connection: Connection, device: str) -> tuple[HeldList, ...]:
    """The lists of the guard that wait, that were released and are not on the device yet, and that were rejected; oldest first."""
    return tuple(_list(row) for row in connection.execute(_OPEN, [device]))


def one_list(connection: Connection, device: str, digest: str) -> HeldList | None:
    """The list of that digest, whoever wrote it and wherever it stands."""
    row = connection.execute(_ONE, [device, digest]).fetchone()
    return None if row is None else _list(row)


def put(connection: Connection, device: str, lists: Iterable[HeldList], at: datetime) -> None:
    """Record how these lists of the guard stand; a list that is recorded keeps its steps."""
    connection.execute(_EARLIER, {"device": device, "at": at})
    for one in lists:
        values = {
            "device": device,
            "cluster": one.cluster,
            "digest": one.digest,
            "steps": encode_held(one.held),
            "since": one.since,
            "state": str(one.state),
            "by": clean(one.by),
            "reason": clean(one.reason),
            "message": clean(one.message),
            "at": at,
            "changed_at": None if one.state is ListState.HELD else at,
        }
        connection.execute(_PUT, values)
    connection.execute(_NEWS, {"device": device})


def unproven(
    connection: Connection, removals: Members, changed: Collection[ObjectKey]
) -> dict[ObjectKey, frozenset[str]]:
    """Which of these members, about to leave their groups, left without anything that proves it until now.

    Of groups that somebody else has `changed` on the device, those are not among them that never were members.
    """
    return _ask(connection, _UNPROVEN, removals, changed)


def doubtful(connection: Connection, joins: Members) -> dict[ObjectKey, frozenset[str]]:
    """Which of these members, about to join their groups, do so because others left without proof."""
    return _ask(connection, _DOUBTFUL, joins, ())


def _ask(
    connection: Connection, query: LiteralString, pairs: Members, changed: Collection[ObjectKey]
) -> dict[ObjectKey, frozenset[str]]:
    listed = [(key, address) for key, addresses in pairs.items() for address in addresses]
    if not listed:
        return {}
    values = {
        "key": [str(key) for key, _ in listed],
        "address": [address for _, address in listed],
        "ours": [key not in changed for key, _ in listed],
    }
    found: dict[ObjectKey, set[str]] = {}
    for key, address in connection.execute(query, values):
        found.setdefault(ObjectKey.parse(key), set()).add(address)
    return {key: frozenset(addresses) for key, addresses in found.items()}


def _list(row: tuple[Any, ...]) -> HeldList:
    cluster, digest, steps, since, state, by, reason, message, kind = row
    return HeldList(cluster, digest, decode_held(steps), since, ListState(state), by, reason, message, kind)
