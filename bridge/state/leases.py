"""Who among the replicas owns what: one row per cluster and per device, with an epoch that fences the owners before."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bridge.errors import StateError
from bridge.state.database import Connection, Database

Role = tuple[str, str]  # `cluster` or `device`, and its name

_PATIENCE = 1.0  # seconds, with a transaction of an owner whose lease ran out
# Batches hold the row FOR KEY SHARE until they commit. A renewal passes that lock; a change of owner must not, or a batch of the old owner
# could commit after the new one began.
_WAIT = """
SELECT FROM replica_lease
WHERE role = %(role)s AND name = %(name)s AND holder <> %(holder)s AND expires_at <= clock_timestamp() FOR UPDATE
"""
# A process that was stopped in the middle of a transaction would keep its lock for as long as it is stopped.
_END_BLOCKERS = """
SELECT pg_terminate_backend(one) FROM unnest(pg_blocking_pids(%(waiting)s)) one WHERE cardinality(pg_blocking_pids(one)) = 0
"""
_TAKE = """
INSERT INTO replica_lease AS l (role, name, holder, epoch, expires_at)
VALUES (%(role)s, %(name)s, %(holder)s, greatest(1, %(floor)s::bigint), clock_timestamp() + %(term)s)
ON CONFLICT (role, name) DO UPDATE SET
    holder = excluded.holder,
    epoch = greatest(l.epoch + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END, %(floor)s::bigint),
    expires_at = clock_timestamp() + %(term)s,
    wanted_by = '',
    taking_over = l.taking_over OR (l.role = 'device' AND l.holder NOT IN ('', excluded.holder))
WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
RETURNING epoch, taking_over
"""
_RENEW = """
UPDATE replica_lease l SET expires_at = clock_timestamp() + %(term)s
FROM unnest(%(role)s::text[], %(name)s::text[], %(epoch)s::bigint[]) x (role, name, epoch)
WHERE l.role = x.role AND l.name = x.name AND l.holder = %(holder)s AND l.epoch = x.epoch AND l.expires_at > clock_timestamp()
RETURNING l.role, l.name
"""
# The row stays, for its epoch; a holder that comes back after a release is a new one.
_RELEASE = """
UPDATE replica_lease SET holder = '', expires_at = clock_timestamp() - %(ago)s
WHERE role = %(role)s AND name = %(name)s AND holder = %(holder)s AND epoch = %(epoch)s
"""
_SETTLE = """
UPDATE replica_lease SET taking_over = false
WHERE role = %(role)s AND name = %(name)s AND holder = %(holder)s AND epoch = %(epoch)s
"""
_WANT = """
UPDATE replica_lease SET wanted_by = %(holder)s WHERE role = %(role)s AND name = %(name)s AND wanted_by = %(before)s
"""
_SURVEY = """
SELECT role, name, CASE WHEN expires_at > clock_timestamp() THEN holder ELSE '' END, wanted_by,
    greatest(0, extract(epoch FROM clock_timestamp() - expires_at))::float8,
    greatest(0, extract(epoch FROM expires_at - clock_timestamp()))::float8
FROM replica_lease ORDER BY role, name
"""
_BEAT = """
INSERT INTO replica (holder, started_at, seen_at, version, schema)
VALUES (%(holder)s, clock_timestamp(), clock_timestamp(), %(version)s, %(schema)s)
ON CONFLICT (holder) DO UPDATE SET seen_at = clock_timestamp()
"""
_FORGET = "DELETE FROM replica WHERE holder = %(holder)s OR seen_at < clock_timestamp() - interval '1 day'"
_ALIVE = "SELECT holder FROM replica WHERE seen_at > clock_timestamp() - %(term)s ORDER BY holder"


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as it was taken. `taking_over`: an owner before went without giving it up, and that is not made good yet."""

    epoch: int
    taking_over: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it stands: `holder` is "" when it is free, for `free_for` seconds; `wanted_by` waits for it to be given up.

    `left` are the seconds until it runs out.
    """

    role: str
    name: str
    holder: str
    wanted_by: str = ""
    free_for: float = 0.0
    left: float = 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """Every lease that was ever held, and the replicas that are alive."""

    leases: tuple[Lease, ...]
    replicas: tuple[str, ...]


class ReplicaLeases:
    """Leases of the roles `cluster` and `device`. Only the clock of the database counts; `holder` must be unique per process.

    Every method raises StateUnavailable while the database is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, role: str, name: str, holder: str, seconds: float, floor: int = 0) -> Grant | None:
        """Take or keep the lease for that long. None while another has it.

        The epoch is at least `floor` and rises by one at each change of holder. A transaction of the owner before, whose lease ran out, is
        waited for, and ended where it does not end soon by itself.
        """
        values = {"role": role, "name": name, "holder": holder, "floor": floor, "term": timedelta(seconds=seconds)}
        with self._database.transaction() as connection:
            with self._ending_blockers(connection):
                connection.execute(_WAIT, values)
            row = connection.execute(_TAKE, values).fetchone()
        return Grant(int(row[0]), bool(row[1])) if row else None

    def acquire(self, role: str, name: str, holder: str, seconds: float, floor: int = 0) -> int | None:
        """The epoch of `take`."""
        grant = self.take(role, name, holder, seconds, floor)
        return grant.epoch if grant else None

    def renew(self, holder: str, epochs: Mapping[Role, int], seconds: float) -> set[Role]:
        """Prolong these to that long from now. What is missing in the answer ran out or is another's: stop, and take it again."""
        values = {
            "role": [role for role, _ in epochs],
            "name": [name for _, name in epochs],
            "epoch": list(epochs.values()),
            "holder": holder,
            "term": timedelta(seconds=seconds),
        }
        with self._database.transaction() as connection:
            return {(role, name) for role, name in connection.execute(_RENEW, values)}

    def release(self, role: str, name: str, holder: str, epoch: int, ago: float = 0.0) -> None:
        """Give it up, so that another need not wait; nothing happens when it is no longer ours. It counts as free for `ago` seconds."""
        self._one(_RELEASE, role, name, holder, epoch, ago)

    def settle(self, role: str, name: str, holder: str, epoch: int) -> None:
        """What the owner before may have left behind is made good: the take-over is complete."""
        self._one(_SETTLE, role, name, holder, epoch)

    def want(self, lease: Lease, holder: str) -> None:
        """Ask its holder to give it up; nothing happens when somebody else has asked meanwhile."""
        values = {"role": lease.role, "name": lease.name, "before": lease.wanted_by, "holder": holder}
        with self._database.transaction() as connection:
            connection.execute(_WANT, values)

    def survey(self, seconds: float) -> Survey:
        """How everything stands; a replica that was not heard of for so long is not alive."""
        with self._database.transaction(snapshot=True) as connection:
            leases = tuple(Lease(*row) for row in connection.execute(_SURVEY))
            alive = connection.execute(_ALIVE, {"term": timedelta(seconds=seconds)})
            return Survey(leases, tuple(holder for (holder,) in alive))

    def beat(self, holder: str, version: str, schema: str) -> None:
        """This replica is alive, a program of this version that knows the tables up to this revision."""
        with self._database.transaction() as connection:
            connection.execute(_BEAT, {"holder": holder, "version": version, "schema": schema})

    def depart(self, holder: str) -> None:
        """It goes; those who went long ago without a word are forgotten with it."""
        with self._database.transaction() as connection:
            connection.execute(_FORGET, {"holder": holder})

    def _one(self, query: str, role: str, name: str, holder: str, epoch: int, ago: float = 0.0) -> None:
        values = {"role": role, "name": name, "holder": holder, "epoch": epoch, "ago": timedelta(seconds=ago)}
        with self._database.transaction() as connection:
            connection.execute(query.encode(), values)

    @contextlib.contextmanager
    def _ending_blockers(self, connection: Connection) -> Iterator[None]:
        """End the transactions for which this connection waits, when they take too long."""
        over = threading.Event()
        threading.Thread(target=self._end_blockers, args=(connection.info.backend_pid, over), daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _end_blockers(self, waiting: int, over: threading.Event) -> None:
        """Again and again: behind one transaction another may stand."""
        while not over.wait(_PATIENCE):
            with contextlib.suppress(StateError), self._database.transaction() as connection:
                connection.execute(_END_BLOCKERS, {"waiting": waiting})
