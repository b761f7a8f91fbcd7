"""History does not grow for ever: what ended long ago goes by the month, everything else a piece at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from bridge.state.database import Database
from bridge.state.partitions import drop_months

_PIECE = 20_000  # rows in one transaction: nobody waits long for its locks

_AUDIT = "DELETE FROM audit WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit WHERE at < %(before)s LIMIT %(piece)s))"
_REPORTS = "DELETE FROM report WHERE ctid = ANY(ARRAY(SELECT ctid FROM report WHERE at < %(before)s LIMIT %(piece)s))"
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
    leases, members = drop_months(database, "lease_closed", before), drop_months(database, "member_closed", before)
    audit, reports = _delete(database, _AUDIT, before), _delete(database, _REPORTS, before)
    with database.transaction() as connection:
        groups = connection.execute(_GROUPS).rowcount
    return Pruned(leases, members, groups, audit, reports)


def _delete(database: Database, statement: LiteralString, before: datetime) -> int:
    total = 0
    while True:
        with database.transaction() as connection:
            count = connection.execute(statement, {"before": before, "piece": _PIECE}).rowcount
        total += count
        if count < _PIECE:
            return total
