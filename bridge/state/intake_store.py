"""What intake asks of the state: where it left off, and to record what changed."""

from datetime import datetime
from typing import LiteralString

from bridge.errors import LostLease, StateError
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.state import loading
from bridge.state.batch import Batch, Recorded
from bridge.state.database import BY_KEY, Connection, Database
from bridge.state.encoding import clean
from bridge.state.recording import Recording

# The key-share lock keeps the owner until the commit: a new one waits for it (see leases), a renewal does not.
_HELD: LiteralString = (
    "SELECT FROM replica_lease WHERE role = 'cluster' AND name = %(cluster)b AND epoch = %(epoch)b FOR KEY SHARE"
)
_BEGIN = f"""
WITH held AS MATERIALIZED ({_HELD})
UPDATE cluster SET revision = revision + 1, changed_at = greatest(changed_at, %(at)b), kept_from = coalesce(kept_from, %(at)b),
    versions_from = coalesce(versions_from, %(at)b)
WHERE name = %(cluster)b AND EXISTS (SELECT FROM held)
RETURNING revision, changed_at, {BY_KEY}
"""  # noqa: S608 - no value in it


_CURRENT = """
UPDATE cluster SET current_at = clock_timestamp()
WHERE name = %(cluster)s AND EXISTS (
    SELECT FROM replica_lease
    WHERE role = 'cluster' AND name = %(cluster)s AND epoch = %(epoch)s AND expires_at > clock_timestamp())
"""


class IntakeStore:
    """The tables as intake uses them. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register_cluster(self, name: str) -> None:
        """Make the cluster known; nothing happens when it is."""
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO cluster (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])

    def identify(self, cluster: str, uid: str, epoch: int) -> None:
        """Write down which cluster this is (uid of kube-system). Whether a change of it is acceptable is for the caller to decide.

        Raises LostLease when `epoch` no longer owns the cluster, as `refuse` does.
        """
        query = "UPDATE cluster SET uid = %(uid)s, problem = '' WHERE name = %(cluster)s AND (uid, problem) <> (%(uid)s, '')"
        with self._database.transaction() as connection:
            _require(connection, cluster, epoch)
            connection.execute(query, {"uid": uid, "cluster": cluster})

    def refuse(self, cluster: str, why: str, epoch: int) -> None:
        """Write down why nothing is taken from the cluster until a person decides."""
        query = "UPDATE cluster SET problem = %(why)s WHERE name = %(cluster)s AND problem <> %(why)s"
        with self._database.transaction() as connection:
            _require(connection, cluster, epoch)
            connection.execute(query, {"why": clean(why), "cluster": cluster})

    def identity(self, cluster: str) -> str:
        """Which cluster it was when it was last heard of; "" before the first time, and for one that is not registered."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT uid FROM cluster WHERE name = %s", [cluster]).fetchone()
        return str(row[0]) if row else ""

    def note_watched(self, cluster: str, at: datetime) -> None:
        """Write down that all that happened in the cluster until then is recorded."""
        query = "UPDATE cluster SET watched_at = greatest(watched_at, %s) WHERE name = %s"
        with self._database.transaction() as connection:
            connection.execute(query, [at, cluster])

    def note_current(self, cluster: str, epoch: int) -> None:
        """Write down that all that was heard of the cluster until now is recorded, unless `epoch` no longer owns it."""
        with self._database.transaction() as connection:
            connection.execute(_CURRENT, {"cluster": cluster, "epoch": epoch})

    def load_cluster(self, cluster: str, same: loading.Same | None = None) -> Recorded:
        """Everything known of the cluster, as of one moment. StateError when it is not registered. `same` as for `load`."""
        with self._database.transaction(snapshot=True) as connection:
            return loading.load(connection, cluster, same)

    def let_go(self, cluster: str) -> frozenset[Ref]:
        """The policy objects of which a person says that they were deleted, which nobody saw."""
        query = "SELECT kind, namespace, name FROM policy_object WHERE cluster = %s AND reason = %s"
        with self._database.transaction() as connection:
            return frozenset(Ref(*row) for row in connection.execute(query, [cluster, str(Reason.LET_GO)]))

    def standing(self, cluster: str) -> tuple[int, datetime | None]:
        """The revision of the record, and up to when all that happened in the cluster is in it. StateError when it is not registered."""
        query = "SELECT revision, greatest(watched_at, changed_at) FROM cluster WHERE name = %s"
        with self._database.transaction() as connection:
            row = connection.execute(query, [cluster]).fetchone()
        if row is None:
            raise StateError(f"cluster {cluster} is not registered in this database")
        return row[0], row[1]

    def commit_batch(self, cluster: str, batch: Batch, epoch: int) -> int:
        """Record the batch whole, or nothing of it; returns the new revision and wakes who listens.

        Departures count before arrivals. A batch names each thing as it ends up: not an address that joined and left again, and
        one start for an address. Repeating a batch whose outcome is unknown is harmless. All its changes bear the batch's time,
        or that of the batch before if the clock ran backwards. Raises LostLease when `epoch` no longer owns the cluster, StateError
        when the batch contradicts what is recorded (a second open lease, an unknown group or device).
        """
        with self._database.transaction() as connection:
            values = {"cluster": cluster, "epoch": epoch, "at": batch.at}
            row = connection.execute(_BEGIN, values).fetchone()
            if row is None:
                raise _not_ours(connection, cluster, epoch)
            revision: int = row[0]
            Recording(connection, cluster, revision, row[1]).write(batch)
            return revision


def _require(connection: Connection, cluster: str, epoch: int) -> None:
    """For a transaction that writes little."""
    if connection.execute(_HELD, {"cluster": cluster, "epoch": epoch}).fetchone() is None:
        raise _not_ours(connection, cluster, epoch)


def _not_ours(connection: Connection, cluster: str, epoch: int) -> StateError:
    known = connection.execute("SELECT FROM cluster WHERE name = %s", [cluster]).fetchone()
    if known is None:
        return StateError(f"cluster {cluster} is not registered in this database")
    return LostLease(f"epoch {epoch} does not own cluster {cluster} any more")
