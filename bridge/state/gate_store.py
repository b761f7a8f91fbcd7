"""What the gatekeeper asks of the state: who waits for the firewalls and for what, and to write down whose gate is open."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.errors import LostLease
from bridge.model.gate import Need
from bridge.model.identity import ObjectKey
from bridge.state.database import Connection, Database
from bridge.state.desired import ObjectState
from bridge.state.encoding import clean

_UNFINISHED = """
SELECT g.uid, g.namespace, g.name, g.since, g.state = 'open', g.blocked, g.reason, g.message, g.opened_at,
    EXISTS (SELECT FROM gate_need n WHERE n.cluster = g.cluster AND n.uid = g.uid)
FROM gate g WHERE g.cluster = %(cluster)s AND (g.state = 'waiting' OR NOT g.told) ORDER BY g.since
"""
# What has settled on a device counts but for members that are held or withheld there. Rows of a time when nobody wrote down up to where
# they had settled are in order when nothing is left to do. A device that is only read will never hold anything: nobody waits for it.
_MISSING = """
SELECT x.* FROM (
    SELECT n.uid, o.key, host(n.address), n.joins, o.device,
        CASE WHEN o.state = 'AwaitingDeploy' AND o.desired_generation > o.applied_generation THEN 'Pending' ELSE o.state END,
        o.message, d.state, d.message,
        o.settled_revision >= n.revision
            OR o.desired_generation = o.applied_generation AND o.state = 'Programmed' AS settled,
        o.state IN ('Held', 'Withheld') AND o.device = ANY(n.held_on) AS back
    FROM gate_need n JOIN device_object o ON o.key = n.key AND o.members_of IS NULL OR o.members_of = n.key
    JOIN device d ON d.name = o.device
    WHERE n.cluster = %(cluster)s AND o.device = ANY(%(device)s) AND d.mode = 'apply' AND (NOT o.gone OR NOT n.joins)
    ORDER BY n.uid, o.device, o.key) x
WHERE x.back OR NOT x.settled
"""
_OURS = "SELECT FROM replica_lease WHERE role = 'cluster' AND name = %(cluster)s AND epoch = %(epoch)s FOR KEY SHARE"
_OPEN = """
UPDATE gate g SET state = 'open', reason = x.reason, message = x.message, opened_at = %(at)s
FROM unnest(%(uid)s::text[], %(reason)s::text[], %(message)s::text[]) x (uid, reason, message)
WHERE g.cluster = %(cluster)s AND g.uid = x.uid AND g.state = 'waiting'
"""
_NOTE = """
UPDATE gate g SET reason = x.reason, message = x.message
FROM unnest(%(uid)s::text[], %(reason)s::text[], %(message)s::text[]) x (uid, reason, message)
WHERE g.cluster = %(cluster)s AND g.uid = x.uid AND g.state = 'waiting'
"""
_TOLD = "UPDATE gate SET told = true WHERE cluster = %(cluster)s AND uid = ANY(%(uid)s) AND state = 'open'"
_GONE = "DELETE FROM gate WHERE cluster = %(cluster)s AND uid = ANY(%(uid)s)"
_NO_NEEDS = "DELETE FROM gate_need WHERE cluster = %(cluster)s AND uid = ANY(%(uid)s)"


@dataclass(frozen=True, slots=True)
class Missing:
    """A need that one device has not met: how its group stands there, and how the device is. `settled` where only this address is not."""

    need: Need
    device: str
    state: ObjectState
    message: str
    device_state: str
    device_message: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """A pod that waits, or that has not been told yet that it need not. `blocked`: why no device can help it."""

    uid: str
    namespace: str
    name: str
    since: datetime
    open: bool
    blocked: str
    reason: str
    message: str
    opened_at: datetime | None
    needy: bool  # whether it needs anything of anybody
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """What is said about a gate."""

    uid: str
    reason: str
    message: str


class GateStore:
    """The tables as the gatekeeper uses them. Every method raises StateUnavailable while the database is away; what writes, LostLease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unfinished(self, cluster: str, devices: Collection[str]) -> list[Gate]:
        """Whoever waits and whoever is to be told, the oldest first, with what these devices have not confirmed, as of one moment."""
        values = {"cluster": cluster, "device": list(devices)}
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_UNFINISHED, values).fetchall()
            if not rows:
                return []
            missing = _missing(connection, values)
        return [replace(Gate(*row), missing=tuple(missing.get(row[0], ()))) for row in rows]

    def open(self, cluster: str, epoch: int, words: Sequence[Word], at: datetime) -> None:
        """These gates are open from now on, whatever happens. To be called before anybody is told."""
        self._say(cluster, epoch, _OPEN, words, at)

    def note(self, cluster: str, epoch: int, words: Sequence[Word]) -> None:
        """Why these wait, as the pods were told."""
        self._say(cluster, epoch, _NOTE, words, None)

    def told(self, cluster: str, epoch: int, uids: Sequence[str], gone: Sequence[str] = ()) -> None:
        """These pods say themselves that their gate is open, and those are there no more."""
        if uids or gone:
            with self._database.transaction() as connection:
                _ours(connection, cluster, epoch)
                connection.execute(_TOLD, {"cluster": cluster, "uid": list(uids)})
                connection.execute(_GONE, {"cluster": cluster, "uid": list(gone)})

    def _say(self, cluster: str, epoch: int, statement: str, words: Sequence[Word], at: datetime | None) -> None:
        if not words:
            return
        values = {
            "cluster": cluster,
            "at": at,
            "uid": [one.uid for one in words],
            "reason": [clean(one.reason) for one in words],
            "message": [clean(one.message) for one in words],
        }
        with self._database.transaction() as connection:
            _ours(connection, cluster, epoch)
            connection.execute(statement.encode(), values)
            if at is not None:
                connection.execute(_NO_NEEDS, {"cluster": cluster, "uid": values["uid"]})


def _ours(connection: Connection, cluster: str, epoch: int) -> None:
    if connection.execute(_OURS, {"cluster": cluster, "epoch": epoch}).fetchone() is None:
        raise LostLease(f"epoch {epoch} does not own cluster {cluster} any more")


def _missing(connection: Connection, values: Mapping[str, object]) -> dict[str, list[Missing]]:
    found: dict[str, list[Missing]] = {}
    for uid, key, address, joins, device, state, *rest in connection.execute(_MISSING, values):
        message, device_state, device_message, settled, _ = rest
        need = Need(ObjectKey.parse(key), address, joins)
        one = Missing(need, device, ObjectState(state), message, device_state, device_message, settled)
        found.setdefault(uid, []).append(one)
    return found
