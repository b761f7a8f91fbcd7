"""What the database says: who has which address, what is still to do; and whether its history is whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from bridge.model.plan import HoldKind
from bridge.state.audit_store import AuditStore
from bridge.state.database import Database
from bridge.state.encoding import decode_held
from tests.soak.meaning import CLUSTER, Dweller, Reading

Connection = psycopg.Connection[tuple[Any, ...]]

_WAITING = """SELECT device, key, state, message FROM device_object
        WHERE applied_generation < desired_generation AND NOT (%s AND state = 'Held')
    UNION ALL SELECT name, 'device', state, message FROM device WHERE state <> 'ok'"""
# The groups of Services as they were written; those whose names say more are parts of them.
_MEMBERS = """SELECT g.key, array_agg(host(m.address)) FROM member m JOIN address_group g ON g.id = m.group_id
    WHERE g.cluster = %s AND g.key LIKE 'group:%%/service/%%' AND g.key NOT LIKE '%%.-%%' AND g.key NOT LIKE '%%-.%%'
        AND m.t1 <= %s AND m.t2 > %s
    GROUP BY g.key"""
_NOW = datetime.max.replace(tzinfo=UTC)  # only what is open lasts until then
_OVERLAPS: Mapping[str, str] = {
    "two leases of one address at one time": """SELECT a.address, a.uid, b.uid, b.t1, a.t2 FROM lease a JOIN lease b
        ON b.cluster = a.cluster AND b.address = a.address AND (b.t1, b.t2) > (a.t1, a.t2)
        AND b.t1 < a.t2 AND b.t2 > b.t1 AND a.t2 > a.t1""",
    "one member twice at one time": """SELECT a.group_id, a.address, a.t2, b.t1 FROM member a JOIN member b
        ON b.group_id = a.group_id AND b.address = a.address AND (b.t1, b.t2) > (a.t1, a.t2)
        AND b.t1 < a.t2 AND b.t2 > b.t1 AND a.t2 > a.t1""",
    "a member that nobody was": """SELECT g.key, m.address, m.t1, m.t2 FROM member m JOIN address_group g ON g.id = m.group_id
        WHERE g.key LIKE 'group:%/service/%' AND NOT EXISTS (SELECT FROM lease l
            WHERE l.cluster = g.cluster AND l.address = m.address AND l.t1 <= m.t1 AND l.t2 > m.t1)""",
    "a lease without a pod": """SELECT address, uid FROM lease_open l
        WHERE NOT EXISTS (SELECT FROM pod p WHERE p.cluster = l.cluster AND p.uid = l.uid)""",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How things were at a moment of rest: address → uid, and group → members. What was recorded later must not change it."""

    at: datetime
    leases: Mapping[str, str]
    members: Mapping[str, frozenset[str]]


def waiting(connection: Connection, *, guarded: bool = False) -> list[str]:
    """What is recorded and not on its device yet, but for what is `guarded`; and devices that are not well."""
    return [f"waits: {row}" for row in connection.execute(_WAITING, [guarded])]


def open_leases(connection: Connection) -> dict[str, str]:
    """Address → uid."""
    query = "SELECT host(address), uid FROM lease_open WHERE cluster = %s"
    return {str(address): str(uid) for address, uid in connection.execute(query, [CLUSTER])}


def differing(connection: Connection, reading: Reading, owners: Mapping[str, Dweller]) -> list[str]:
    """Leases and members of Services that are not as they should be now."""
    wanted = {address: one.uid for address, one in owners.items()}
    found = _unlike("lease", open_leases(connection), wanted)
    members = _members(connection, _NOW)
    return found + _unlike("members of", members, _that_exist(reading.members(owners), members))


def checkpoint(connection: Connection, reading: Reading, owners: Mapping[str, Dweller]) -> Checkpoint:
    """How things are, for later."""
    (at,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    assert isinstance(at, datetime)
    members = _that_exist(reading.members(owners), _members(connection, _NOW))
    return Checkpoint(at, {address: one.uid for address, one in owners.items()}, members)


def broken(connection: Connection, checkpoints: Iterable[Checkpoint]) -> list[str]:
    """What is wrong with the history of leases and members."""
    found = []
    for what, query in _OVERLAPS.items():
        found += [f"{what}: {row}" for row in connection.execute(query.encode()).fetchmany(5)]
    for one in checkpoints:
        query = "SELECT host(address), uid FROM lease WHERE cluster = %s AND t1 <= %s AND t2 > %s"
        held = {str(address): str(uid) for address, uid in connection.execute(query, [CLUSTER, one.at, one.at])}
        found += _unlike(f"at {one.at:%T.%f} lease", held, one.leases)
        members = _members(connection, one.at)
        found += _unlike(f"at {one.at:%T.%f} members of", members, one.members)
    return found


def broken_chains(url: str) -> list[str]:
    """What contradicts the audit of each device."""
    database = Database(url)
    store = AuditStore(database)
    try:
        found = [store.verify(name) for name in store.devices()]
        return [f"audit of {one.device}, row {each.number}: {each.what}" for one in found for each in one.problems]
    finally:
        database.close()


def held(connection: Connection) -> list[tuple[str, str, str]]:
    """Device, digest and beginning of each list that waits for a person: what was released may come to be held once more."""
    query = "SELECT device, digest, since FROM held_plan WHERE state = 'held' AND kind = 'guard' ORDER BY since, device"
    return [(str(device), str(digest), str(since)) for device, digest, since in connection.execute(query)]


def kept_in(connection: Connection, since: datetime) -> dict[str, frozenset[str]]:
    """Device → members of groups whose leaving waited for a person at any time since then: until he decides they count as members."""
    query = "SELECT device, steps::text FROM held_plan WHERE kind = 'guard' AND coalesce(changed_at, 'infinity') >= %s"
    found: dict[str, frozenset[str]] = {}
    for device, steps in connection.execute(query, [since]):
        leaving = [one.members for one in decode_held(steps) if one.kind is HoldKind.REMOVAL]
        found[str(device)] = found.get(str(device), frozenset()).union(*leaving)
    return found


def narrowed(connection: Connection) -> dict[str, list[str]]:
    """Device → objects of the cluster that could not be placed there as written, each with its reason."""
    found: dict[str, list[str]] = {}
    query = "SELECT device, kind || ' ' || namespace || '/' || name || ': ' || reason FROM placement WHERE reason <> ''"
    for device, what in connection.execute(query):
        found.setdefault(str(device), []).append(str(what))
    return found


def _members(connection: Connection, at: datetime) -> dict[str, frozenset[str]]:
    return {str(key): frozenset(members) for key, members in connection.execute(_MEMBERS, [CLUSTER, at, at])}


def _that_exist(wanted: Mapping[str, frozenset[str]], there: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Only what some rule uses is kept as a group; one that is empty has no row."""
    return {key: members for key, members in wanted.items() if key in there}


def _unlike(what: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return [f"{what} {name}: {found.get(name)}, not {wanted.get(name)}" for name in names]
