"""History does not grow for ever: what ended long ago goes by the month, everything else a piece at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from bridge.state import handovers, orders, resolutions
from bridge.state.audit_store import AuditStore
from bridge.state.database import Database
from bridge.state.partitions import drop_months

_PIECE = 20_000  # rows in one transaction: nobody waits long for its locks

# The beginning of a chain, up to the first row that stays; where it begins from then on is written down with the same stroke.
_AUDIT = """
WITH piece AS MATERIALIZED (
    SELECT number, hash, at FROM audit WHERE device = %(device)s ORDER BY number LIMIT %(piece)s),
last AS MATERIALIZED (
    SELECT number, hash, at FROM piece
    WHERE number < coalesce((SELECT min(number) FROM piece WHERE at >= %(before)s), (SELECT max(number) + 1 FROM piece))
    ORDER BY number DESC LIMIT 1),
mark AS (
    INSERT INTO audit_checkpoint (device, number, hash, until, at) SELECT %(device)s, number, hash, at, now() FROM last
    ON CONFLICT (device, number) DO NOTHING)
DELETE FROM audit a USING last WHERE a.device = %(device)s AND a.number <= last.number
"""
# The newest checkpoint says all that those before it said.
_MARKS = """
DELETE FROM audit_checkpoint c
WHERE c.number < (SELECT max(number) FROM audit_checkpoint newest WHERE newest.device = c.device)
"""
# Said before anything goes: from then on nobody is told that nobody held an address before that time.
_KEPT = "UPDATE cluster SET kept_from = %(before)s WHERE kept_from < %(before)s"
_LISTS = """
DELETE FROM held_plan WHERE state IN ('done', 'superseded') AND coalesce(changed_at, since) < %(before)s
"""
_OUTAGES = "DELETE FROM outage WHERE t2 < %(before)s"
_REPORTS = "DELETE FROM report WHERE ctid = ANY(ARRAY(SELECT ctid FROM report WHERE at < %(before)s LIMIT %(piece)s))"
# A device in a freeze keeps to versions that may have ended long ago.
_VERSIONS = """
DELETE FROM version v WHERE v.t2 < %(before)s
AND NOT EXISTS (SELECT FROM frozen f WHERE f.cluster = v.cluster AND f.t2 IS NULL AND f.as_of < v.t2)
"""
_FROZEN = "DELETE FROM frozen WHERE t2 < %(before)s"
_GROUPS = """
DELETE FROM address_group g WHERE g.gone
AND NOT EXISTS (SELECT FROM member m WHERE m.group_id = g.id)
AND NOT EXISTS (SELECT FROM device_object d WHERE d.key = g.key)
"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    leases: int
    members: int
    groups: int
    audit: int
    reports: int


def prune(database: Database, before: datetime) -> Pruned:
    """Let go of leases and memberships whose month of ending was over by then, audit rows and reports from before it, empty old groups.

    Raises StateUnavailable; what was deleted by then stays deleted. Never touches what is open.
    """
    with database.transaction() as connection:
        connection.execute(_KEPT, {"before": before})
        connection.execute(_OUTAGES, {"before": before})
        connection.execute(_LISTS, {"before": before})
        connection.execute(resolutions.PRUNE, {"before": before})
        connection.execute(_VERSIONS, {"before": before})
        connection.execute(_FROZEN, {"before": before})
        connection.execute(handovers.PRUNE, {"before": before})
        connection.execute(orders.PRUNE_DECISIONS, {"before": before})
        connection.execute(orders.PRUNE_STOPS, {"before": before})
    leases, members = drop_months(database, "lease_closed", before), drop_months(database, "member_closed", before)
    devices = AuditStore(database).devices()
    audit = sum(_delete(database, _AUDIT, before, device) for device in devices)
    reports = _delete(database, _REPORTS, before)
    with database.transaction() as connection:
        groups = connection.execute(_GROUPS).rowcount
        connection.execute(_MARKS)
    return Pruned(leases, members, groups, audit, reports)


def _delete(database: Database, statement: LiteralString, before: datetime, device: str = "") -> int:
    total = 0
    while True:
        with database.transaction() as connection:
            count = connection.execute(statement, {"before": before, "piece": _PIECE, "device": device}).rowcount
        total += count
        if count < _PIECE:
            return total
