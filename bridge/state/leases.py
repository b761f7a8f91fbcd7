"""Who among the replicas owns what: one row per cluster and per device, with an epoch that fences the owners before."""

from datetime import timedelta

from bridge.state.database import Database

# Batches hold the row FOR KEY SHARE until they commit. A renewal passes that lock; a change of owner must not, or a batch of the old owner
# could commit after the new one began.
_WAIT = """
SELECT FROM replica_lease
WHERE role = %(role)s AND name = %(name)s AND holder <> %(holder)s AND expires_at <= clock_timestamp() FOR UPDATE
"""
_ACQUIRE = """
INSERT INTO replica_lease AS l (role, name, holder, epoch, expires_at)
VALUES (%(role)s, %(name)s, %(holder)s, greatest(1, %(floor)s::bigint), clock_timestamp() + %(term)s)
ON CONFLICT (role, name) DO UPDATE SET
    holder = excluded.holder,
    epoch = greatest(l.epoch + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END, %(floor)s::bigint),
    expires_at = clock_timestamp() + %(term)s
WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
RETURNING epoch
"""
_RENEW = """
UPDATE replica_lease SET expires_at = clock_timestamp() + %(term)s
WHERE role = %(role)s AND name = %(name)s AND holder = %(holder)s AND epoch = %(epoch)s AND expires_at > clock_timestamp()
"""
# The row stays, for its epoch; a holder that comes back after a release is a new one.
_RELEASE = """
UPDATE replica_lease SET holder = '', expires_at = '-infinity'
WHERE role = %(role)s AND name = %(name)s AND holder = %(holder)s AND epoch = %(epoch)s
"""


class ReplicaLeases:
    """Leases of the roles `cluster` and `device`. Only the clock of the database counts; `holder` must be unique per process.

    Every method raises StateUnavailable while the database is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, role: str, name: str, holder: str, seconds: float, floor: int = 0) -> int | None:
        """Take or keep the lease for that long. Returns its epoch, None while another has it.

        The epoch is at least `floor` and rises by one at each change of holder.
        """
        term = timedelta(seconds=seconds)
        values = {"role": role, "name": name, "holder": holder, "floor": floor, "term": term}
        with self._database.transaction() as connection:
            connection.execute(_WAIT, values)
            row = connection.execute(_ACQUIRE, values).fetchone()
        return int(row[0]) if row else None

    def renew(self, role: str, name: str, holder: str, epoch: int, seconds: float) -> bool:
        """Prolong it to that long from now. False when it ran out or another has it: stop, and acquire again."""
        term = timedelta(seconds=seconds)
        values = {"role": role, "name": name, "holder": holder, "epoch": epoch, "term": term}
        with self._database.transaction() as connection:
            return connection.execute(_RENEW, values).rowcount == 1

    def release(self, role: str, name: str, holder: str, epoch: int) -> None:
        """Give it up, so that another need not wait; nothing happens when it is no longer ours."""
        values = {"role": role, "name": name, "holder": holder, "epoch": epoch}
        with self._database.transaction() as connection:
            connection.execute(_RELEASE, values)
