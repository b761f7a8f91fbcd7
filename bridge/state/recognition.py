"""Whether devices and clusters are those that they were, and what a person has decided where they are not."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.errors import Refused, StateError
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import FenceState
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.state import audit_rows
from bridge.state.chain import Head
from bridge.state.database import Connection, Database
from bridge.state.desired import AuditEntry
from bridge.state.encoding import clean, json_text
from bridge.state.tables import AUDIT_CHANNEL, CHANNEL

RESET, CONFIRM, ADOPT = "reset", "confirm", "adopt"  # in the audit, beside what delivery does

_RECOGNITION = "SELECT identity, fence_epoch, fence_installation, fence_allowed, adopting FROM device WHERE name = %s"
_HEARD = """
SELECT clock_timestamp(), CASE WHEN count(*) = count(c.current_at) THEN coalesce(min(c.current_at), clock_timestamp()) END
FROM unnest(%s::text[]) asked (name) LEFT JOIN cluster c USING (name)
"""
_HEAD = "SELECT audit_number, audit_head FROM device WHERE name = %s FOR NO KEY UPDATE"
_LEASE = """
SELECT epoch, CASE WHEN expires_at > clock_timestamp() THEN holder ELSE '' END FROM replica_lease WHERE role = 'device' AND name = %s
"""
# The next to take the device gets an epoch above what stands there, and whoever holds it now loses it: he too has to take it again. As in
# `leases`, a batch that has begun is waited for. The lease ran out long ago then, and not infinitely long: how long ago that is, PostgreSQL
# before version 17 refuses to say, and nobody could look for any lease any more.
_SEIZE = "SELECT FROM replica_lease WHERE role = 'device' AND name = %(device)s FOR UPDATE"
_RAISE = """
INSERT INTO replica_lease (role, name, holder, epoch, expires_at) VALUES ('device', %(device)s, '', %(epoch)s, 'epoch')
ON CONFLICT (role, name) DO UPDATE SET
    holder = '', expires_at = 'epoch', epoch = greatest(replica_lease.epoch, excluded.epoch)
"""
_FENCE = """
UPDATE device SET fence_epoch = %(epoch)s, fence_installation = %(installation)s, fence_allowed = %(allowed)s WHERE name = %(device)s
"""
# Another device holds nothing of what was recorded of the one before.
_CONFIRM_DEVICE = (
    "UPDATE device SET identity = %(identity)s, standing_revision = standing_revision + 1 WHERE name = %(device)s"
)
_UNSEEN = "DELETE FROM verified WHERE device = %(device)s"
_UNAPPLIED = """
UPDATE device_object SET applied_generation = 0, waiting_since = now(), state = 'Pending', message = '' WHERE device = %(device)s
"""
# The versions of its resources say nothing about those of another cluster.
_CONFIRM_CLUSTER = "UPDATE cluster SET uid = %(uid)s, synced = '{}' WHERE name = %(cluster)s"
_LET_GO = """
UPDATE policy_object SET reason = %(let_go)s WHERE cluster = %(cluster)s AND reason = %(doubted)s RETURNING kind, namespace, name
"""
_SERVED = "SELECT DISTINCT device FROM device_object WHERE cluster = %s ORDER BY device"


@dataclass(frozen=True, slots=True)
class Recognition:
    """What one device has to be, the fence that stops us there whatever our epoch, and what a person let us do: replace just this fence,
    mark these objects as ours.
    """

    identities: frozenset[str] = frozenset()
    replaces: FenceState | None = None
    adopting: frozenset[ObjectKey] = frozenset()
    stopped_by: FenceState | None = None

    def knows(self, identity: str) -> bool:
        """Whether it may be the device; one that was never read, or tells no serial, may."""
        return not identity or not self.identities or identity in self.identities


@dataclass(frozen=True, slots=True)
class Heard:
    """The database's time, and up to when all that was heard of every cluster is recorded; None: of one, nothing for certain."""

    now: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What this database says about who owns a device: the last epoch that was taken, and who holds it now."""

    installation: str
    epoch: int
    holder: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided it, and why."""

    by: str
    reason: str
    at: datetime

    def __str__(self) -> str:
        return f"by {self.by}: {self.reason}"


def recognition(connection: Connection, device: str) -> Recognition:
    """StateError for a device that is not registered."""
    row = connection.execute(_RECOGNITION, [device]).fetchone()
    if row is None:
        raise StateError(f"device {device} is not registered in this database")
    fence = FenceState(row[1], row[2]) if row[1] else None
    return Recognition(
        frozenset(row[0].split(" + ")) - {""},
        fence if row[3] else None,
        frozenset(map(ObjectKey.parse, row[4])),
        None if row[3] else fence,
    )


def heard(connection: Connection, clusters: Collection[str]) -> Heard:
    """How recent the record of these clusters is."""
    now, until = next(iter(connection.execute(_HEARD, [list(clusters)])))
    return Heard(now, until)


class Recognitions:
    """What a person decides. Every decision is a row of the device's audit, in the same transaction, and wakes who waits for it.

    Every method raises StateUnavailable, and StateError for what is not registered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, device: str) -> Recognition:
        """What the device has to be."""
        with self._database.transaction() as connection:
            return recognition(connection, device)

    def claim(self, device: str) -> Claim:
        """Who owns the device as far as this database knows."""
        installation = self._database.installation()
        with self._database.transaction() as connection:
            epoch, holder = connection.execute(_LEASE, [device]).fetchone() or (0, "")
        return Claim(installation, epoch, holder)

    def reset_fence(self, device: str, seen: FenceState, decision: Decision) -> None:
        """Let the device's next owner replace exactly this fence, under a higher epoch. Another one that stands there by then is kept."""
        values = {"device": device, "epoch": seen.epoch, "installation": seen.installation}
        before = f"epoch {seen.epoch} of {seen.installation or 'unknown'}"
        entry = AuditEntry(
            ObjectKey.fence(), RESET, str(decision), before, before, "to be replaced at the next take-over"
        )
        with self._database.transaction() as connection:
            connection.execute(_SEIZE, values)  # before the device's row, as delivery does
            self._audit(connection, device, [entry], decision.at)
            connection.execute(_RAISE, values)
            connection.execute(_FENCE, values | {"allowed": True})
            _wake(connection, AUDIT_CHANNEL, device)

    def confirm_device(self, device: str, identity: str, decision: Decision, *, also: bool = False) -> None:
        """This is the device from now on; `also`: beside what it was, as the other unit of a pair is."""
        with self._database.transaction() as connection:
            known = recognition(connection, device).identities
            stands = " + ".join(sorted({*known, identity})) if also else identity
            key = ObjectKey(Kind.FENCE, "", Scope.BUILTIN, "", "serial")
            entry = AuditEntry(key, CONFIRM, str(decision), " + ".join(sorted(known)) or "-", stands, "done")
            self._audit(connection, device, [entry], decision.at)
            connection.execute(_CONFIRM_DEVICE, {"device": device, "identity": clean(stands)})
            if not also:
                connection.execute(_UNSEEN, {"device": device})
                connection.execute(_UNAPPLIED, {"device": device})
            _wake(connection, AUDIT_CHANNEL, device)

    def confirm_cluster(self, cluster: str, uid: str, decision: Decision) -> tuple[str, ...]:
        """This is the cluster from now on: what was recorded of the one before is missing there, and inferred to be gone.

        Returns the devices that hold something of it, in whose audit it is written.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT uid FROM cluster WHERE name = %s FOR UPDATE", [cluster]).fetchone()
            if row is None:
                raise StateError(f"cluster {cluster} is not registered in this database")
            devices = tuple(str(one[0]) for one in connection.execute(_SERVED, [cluster]))
            key = ObjectKey(Kind.FENCE, cluster, Scope.BUILTIN, "", "uid")
            entry = AuditEntry(key, CONFIRM, str(decision), row[0] or "-", uid, "done")
            for device in devices:
                self._audit(connection, device, [entry], decision.at)
            connection.execute(_CONFIRM_CLUSTER, {"cluster": cluster, "uid": uid})
            _wake(connection, CHANNEL, cluster)
        return devices

    def confirm_policy(self, cluster: str, decision: Decision) -> tuple[tuple[Ref, ...], tuple[str, ...]]:
        """What is doubted of the cluster's policy at this moment was deleted: just this goes, unless it is listed again by then.

        Returns it, and the devices that hold something of the cluster, in whose audit it is written.
        """
        values = {"cluster": cluster, "doubted": str(Reason.DOUBTED), "let_go": str(Reason.LET_GO)}
        with self._database.transaction() as connection:
            row = connection.execute("SELECT FROM cluster WHERE name = %s FOR UPDATE", [cluster]).fetchone()
            if row is None:
                raise StateError(f"cluster {cluster} is not registered in this database")
            refs = tuple(sorted(Ref(*one) for one in connection.execute(_LET_GO, values)))
            devices = tuple(str(one[0]) for one in connection.execute(_SERVED, [cluster]))
            key = ObjectKey(Kind.FENCE, cluster, Scope.BUILTIN, "", "policy")
            names = ", ".join(map(str, refs))
            for device in devices if refs else ():
                self._audit(
                    connection, device, [AuditEntry(key, CONFIRM, str(decision), names, "-", "done")], decision.at
                )
        return refs, devices

    def adopt(self, device: str, keys: Collection[ObjectKey], decision: Decision) -> None:
        """Let the device's owner put our mark on what stands there under the names of these."""
        entries = [AuditEntry(key, ADOPT, str(decision), "-", "-", "to be marked as ours") for key in sorted(keys)]
        with self._database.transaction() as connection:
            self._audit(connection, device, entries, decision.at)
            waiting = recognition(connection, device).adopting
            _adopting(connection, device, waiting.union(keys))
            _wake(connection, AUDIT_CHANNEL, device)

    def _audit(self, connection: Connection, device: str, entries: Sequence[AuditEntry], at: datetime) -> None:
        head = connection.execute(_HEAD, [device]).fetchone()
        if head is None:
            raise StateError(f"device {device} is not registered in this database")
        audit_rows.append(connection, device, Head(*head), entries, "", at)


def stopped(connection: Connection, device: str, by: FenceState) -> None:
    """This fence stops us until a person decides: our epoch rises with every attempt, and must not rise above it by itself."""
    values = {"device": device, "epoch": by.epoch, "installation": by.installation, "allowed": False}
    connection.execute(_FENCE, values)


def settled(connection: Connection, device: str, *, replaced: bool, adopted: Collection[ObjectKey]) -> None:
    """What a person let us do is done: it is not to be done twice."""
    if replaced:
        connection.execute(_FENCE, {"device": device, "epoch": 0, "installation": "", "allowed": False})
    if adopted:
        _adopting(connection, device, recognition(connection, device).adopting.difference(adopted))


def refused_identity(device: str, known: frozenset[str], found: str) -> Refused:
    """Why nothing is done on a device that answers with another serial."""
    return Refused(
        f"device {device} was {' + '.join(sorted(known))} and is now {found}: nothing is written there. If it was replaced, "
        f"`fusion-bridge confirm device {device} --by NAME --reason TEXT`; if not, set right where its URL points"
    )


def _adopting(connection: Connection, device: str, keys: Iterable[ObjectKey]) -> None:
    texts = json_text([str(key) for key in sorted(keys)])
    connection.execute("UPDATE device SET adopting = %s WHERE name = %s", [texts, device])


def _wake(connection: Connection, channel: str, name: str) -> None:
    connection.execute("SELECT pg_notify(%s, %s)", [channel, name])
