"""Groups of workloads as people look at them: who is in them, or was, and how each device holds them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from bridge.model.identity import ObjectKey
from bridge.state.database import BY_KEY, Connection, Database
from bridge.state.desired import ObjectState

_PLANNED: LiteralString = f"SELECT {BY_KEY}, set_config('max_parallel_workers_per_gather', '0', true)"
_KIND = len("group:")

_GROUPS: LiteralString = f"""
SELECT id, cluster, key FROM address_group
WHERE NOT gone AND (cluster, key) > (%(after_cluster)s COLLATE "C", %(after_key)s COLLATE "C")
AND (%(cluster)s::text IS NULL OR cluster = %(cluster)s) AND (%(namespace)s::text IS NULL OR split_part(key, '/', 3) = %(namespace)s)
AND strpos(lower(substr(key, {_KIND + 1})), lower(%(words)s)) > 0
ORDER BY cluster, key LIMIT %(limit)s
"""  # noqa: S608 - no value in it
_GROUP = "SELECT id, gone FROM address_group WHERE cluster = %(cluster)s AND key = %(key)s"
_SIZES = "SELECT group_id, count(*) FROM member_open WHERE group_id = ANY(%(id)s::bigint[]) GROUP BY group_id"
# On a device a group stands under its own key, and under others where it is seen otherwise there or kept from an earlier time.
_STANDING: LiteralString = """
SELECT coalesce(o.members_of, o.key), o.device, o.key, o.state, o.message,
    CASE WHEN o.desired_generation > o.applied_generation THEN o.waiting_since END, greatest(o.verified_at, d.last_verified)
FROM (
    SELECT * FROM device_object WHERE key = ANY(%(key)s::text[]) AND members_of IS NULL
    UNION ALL
    SELECT * FROM device_object WHERE members_of = ANY(%(key)s::text[])) o
JOIN device d ON d.name = o.device WHERE NOT o.gone ORDER BY 1, o.device, o.key
"""
_CLUSTER = "SELECT kept_from FROM cluster WHERE name = %(cluster)s"

_HELD_BY: LiteralString = """m.address, m.t1, m.inferred, coalesce(l.namespace, ''), coalesce(l.pod, ''), coalesce(l.owner, ''),
    coalesce(l.node, '')"""
_NOW: LiteralString = f"""
SELECT {_HELD_BY} FROM (
    SELECT address, t1, inferred FROM member_open WHERE group_id = %(id)s AND address > %(after)s::inet
    ORDER BY address LIMIT %(limit)s) m
LEFT JOIN lease_open l ON l.cluster = %(cluster)s AND l.address = m.address ORDER BY m.address
"""  # noqa: S608
_THEN: LiteralString = f"""
SELECT {_HELD_BY} FROM (
    SELECT address, t1, inferred FROM member WHERE group_id = %(id)s AND address > %(after)s::inet AND t2 > %(at)s AND t1 <= %(at)s
    ORDER BY address LIMIT %(limit)s) m
LEFT JOIN LATERAL (
    SELECT * FROM lease l WHERE l.cluster = %(cluster)s AND l.address = m.address AND l.t2 > %(at)s ORDER BY l.t2 LIMIT 1) l
    ON l.t1 <= %(at)s
ORDER BY m.address
"""  # noqa: S608
# Of those whom no pod holds: the nodes that have them, where devices see workloads by their nodes.
_NODES = """
SELECT n.address, min(o.name) FROM observed o CROSS JOIN LATERAL json_array_elements_text(o.body -> 'addresses') n (address)
WHERE o.cluster = %(cluster)s AND o.resource = 'nodes' AND n.address = ANY(%(address)s::text[]) GROUP BY n.address
"""
_OUTAGE = "SELECT t1, t2 FROM outage WHERE cluster = %(cluster)s AND t2 > %(at)s ORDER BY t2 LIMIT 1"
_FIRST = "0.0.0.0/0"  # of all addresses the least
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class OnDevice:
    """A group, or another form of it, as an object of one device. `waiting_since` is None when every change of it is applied."""

    device: str
    key: ObjectKey
    state: ObjectState
    message: str
    waiting_since: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group, how many members it has now, and how each device holds it. `gone`: it is no more, and its past is still told."""

    key: ObjectKey
    members: int
    devices: tuple[OnDevice, ...]
    gone: bool = False


@dataclass(frozen=True, slots=True)
class MemberView:
    """An address, or prefix, in a group since then, and the pod that holds it, or the node alone where devices see nodes.

    `inferred`, of the past: that it left was found later, and nobody saw it going.
    """

    address: str
    since: datetime
    inferred: bool
    namespace: str
    pod: str
    workload: str
    node: str


@dataclass(frozen=True, slots=True)
class MembersView:
    """Some members. Of the past `kept_from` is since when there is a record, and `outage` the time around it that nobody watched."""

    members: tuple[MemberView, ...]
    kept_from: datetime | None
    outage: tuple[datetime, datetime] | None


class GroupStore:
    """The tables as people look at groups. Each method reads as of one moment; raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def groups(
        self,
        limit: int,
        after: tuple[str, str] = ("", ""),
        *,
        cluster: str | None = None,
        namespace: str | None = None,
        words: str = "",
    ) -> tuple[GroupView, ...]:
        """Groups by cluster and key, behind `after`: those of that cluster and namespace, with the words in their key."""
        values = {"after_cluster": after[0], "after_key": after[1], "limit": limit, "words": words}
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_GROUPS, {**values, "cluster": cluster, "namespace": namespace}).fetchall()
            return _views(connection, [(number, key, False) for number, _, key in rows])

    def group(self, key: ObjectKey) -> GroupView | None:
        """One group, also one that is gone; None for one that was never recorded."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_GROUP, {"cluster": key.cluster, "key": str(key)}).fetchone()
            return _views(connection, [(row[0], str(key), row[1])])[0] if row else None

    def members(self, key: ObjectKey, limit: int, after: str = "", at: datetime | None = None) -> MembersView | None:
        """Members by address, behind `after`: now, or those of that time. None for a group that was never recorded."""
        with self._database.transaction(snapshot=True) as connection:
            connection.execute(_PLANNED)
            values: dict[str, Any] = {"cluster": key.cluster, "key": str(key), "at": at}
            group = connection.execute(_GROUP, values).fetchone()
            if group is None:
                return None
            values |= {"id": group[0], "after": after or _FIRST, "limit": limit}
            rows = connection.execute(_NOW if at is None else _THEN, values).fetchall()
            kept = connection.execute(_CLUSTER, values).fetchone()
            outage = connection.execute(_OUTAGE, values).fetchone() if at is not None else None
            found = tuple(_with_nodes(connection, key.cluster, rows, now=at is None))
        unwatched = outage is not None and at is not None and outage[0] < at
        return MembersView(found, kept[0] if kept else None, (outage[0], outage[1]) if outage and unwatched else None)


def _views(connection: Connection, groups: Sequence[tuple[int, str, bool]]) -> tuple[GroupView, ...]:
    sizes: dict[int, int] = dict(connection.execute(_SIZES, {"id": [one[0] for one in groups]}).fetchall())
    standing: dict[str, list[OnDevice]] = {}
    for of, device, key, state, *rest in connection.execute(_STANDING, {"key": [one[1] for one in groups]}):
        standing.setdefault(of, []).append(OnDevice(device, ObjectKey.parse(key), ObjectState(state), *rest))
    return tuple(
        GroupView(ObjectKey.parse(key), sizes.get(number, 0), tuple(standing.get(key, ())), gone)
        for number, key, gone in groups
    )


def _with_nodes(
    connection: Connection, cluster: str, rows: Iterable[Sequence[Any]], *, now: bool
) -> Iterable[MemberView]:
    listed = [MemberView(*row) for row in rows]
    alone = [one.address for one in listed if one.pod == _NOBODY and "/" not in one.address] if now else []
    values = {"cluster": cluster, "address": alone}
    nodes: dict[str, str] = dict(connection.execute(_NODES, values).fetchall()) if alone else {}
    for one in listed:
        name = nodes.get(one.address, "")
        yield MemberView(one.address, one.since, one.inferred, "", "", "", name) if name else one
