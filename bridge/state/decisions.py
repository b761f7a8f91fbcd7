"""What people decided about devices, as it is recorded: written by intake, obeyed by delivery, told by feedback.

Each function works within the caller's transaction, and raises StateUnavailable with it.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, LiteralString

from bridge.model.decisions import Choice, Control, Decision, DecisionRecord, Lifted, Settled, Stop, StopRecord
from bridge.state.database import Connection
from bridge.state.encoding import clean
from bridge.state.tables import CHANNEL

__all__ = [
    "Choice",
    "Control",
    "Decision",
    "Settled",
    "Stop",
    "control",
    "decisions",
    "heard",
    "note_stops",
    "settle",
    "standing_stops",
    "stops",
]

_STOP = "cluster, name, uid, devices, by, reason, since"
_DECISION = "cluster, name, uid, device, digest, verdict, by, reason, at"
_STOPS: LiteralString = f"""
SELECT {_STOP} FROM stop
WHERE ended_at IS NULL AND cluster = ANY(%(clusters)s) AND (devices = '{{}}' OR %(device)s = ANY(devices))
ORDER BY since, cluster, name
"""  # noqa: S608 - no value in it
_STANDING: LiteralString = f"SELECT {_STOP} FROM stop WHERE ended_at IS NULL ORDER BY since, cluster, name"  # noqa: S608
_WAITING: LiteralString = f"""
SELECT {_DECISION} FROM decision
WHERE state = 'Waiting' AND device = %(device)s AND cluster = ANY(%(clusters)s) ORDER BY at, cluster, name
"""  # noqa: S608 - no value in it
# What was settled stays so. Feedback looks at what it tells whenever some device stands otherwise.
_SETTLE = """
WITH settled AS (
    UPDATE decision SET state = %(state)s, message = %(message)s, settled_at = now()
    WHERE cluster = %(cluster)s AND uid = %(uid)s AND state = 'Waiting' RETURNING device)
UPDATE device d SET standing_revision = standing_revision + 1 FROM settled s WHERE d.name = s.device
"""
_NOTE = """
UPDATE device SET stopped_by = %(uids)s::text[], standing_revision = standing_revision + 1
WHERE name = %(device)s AND stopped_by <> %(uids)s::text[]
"""
_HEARD = """
SELECT coalesce(bool_and(coalesce(current_at, '-infinity') > clock_timestamp() - interval '6 seconds'), true)
FROM cluster WHERE name = ANY(%s)
"""
_NOTIFY = "SELECT pg_notify(%s, %s)"
_PRESENT: LiteralString = """(NOT %(present)s OR EXISTS (
    SELECT FROM observed o WHERE o.cluster = x.cluster AND o.resource = %(resource)s AND o.namespace = '' AND o.name = x.name
    AND o.uid = x.uid))"""
_OF_CLUSTER: LiteralString = f"""
SELECT {_DECISION}, state, message FROM decision x WHERE cluster = %(cluster)s AND {_PRESENT} ORDER BY at, name
"""  # noqa: S608 - no value in it
_STOPS_OF_CLUSTER: LiteralString = f"""
SELECT {_STOP}, ended_at IS NOT NULL, lifted_by, lifted_reason, message FROM stop x
WHERE cluster = %(cluster)s AND {_PRESENT} ORDER BY name
"""  # noqa: S608 - no value in it


def standing_stops(connection: Connection) -> tuple[Stop, ...]:
    """Every stop in force in any cluster, the oldest first."""
    return tuple(_stop(row) for row in connection.execute(_STANDING))


def control(connection: Connection, device: str, clusters: Collection[str]) -> Control:
    """What this device, which serves these clusters, is to obey now."""
    values = {"device": device, "clusters": list(clusters)}
    return Control(
        tuple(_stop(row) for row in connection.execute(_STOPS, values)),
        tuple(_decision(row) for row in connection.execute(_WAITING, values)),
    )


def heard(connection: Connection, clusters: Collection[str]) -> bool:
    """Whether somebody takes what these clusters say, so that a stop that was written there is known."""
    row = connection.execute(_HEARD, [list(clusters)]).fetchone()
    return row is None or bool(row[0])


def settle(connection: Connection, decision: Decision, state: Settled, message: str) -> None:
    """Say what became of a decision, in words for whoever made it. Once for good: what is settled already stays as it is."""
    values = {"cluster": decision.cluster, "uid": decision.uid, "state": str(state), "message": clean(message)}
    connection.execute(_SETTLE, values)
    connection.execute(_NOTIFY, [CHANNEL, decision.cluster])


def note_stops(connection: Connection, device: str, obeyed: Iterable[Stop]) -> None:
    """Say which stops the device obeys from now on: none once it is written to again. Cheap when nothing changed."""
    found = tuple(obeyed)
    uids = sorted(one.uid for one in found)
    if connection.execute(_NOTE, {"device": device, "uids": uids}).rowcount:
        connection.execute(_NOTIFY, [CHANNEL, found[0].cluster if found else ""])


def decisions(connection: Connection, cluster: str, *, present: bool = False) -> tuple[DecisionRecord, ...]:
    """Every decision that was written in the cluster, oldest first, with what became of it; `present`: whose object is still there."""
    rows = connection.execute(_OF_CLUSTER, {"cluster": cluster, "resource": "decisions", "present": present})
    return tuple(DecisionRecord(_decision(row), Settled(row[9]), row[10]) for row in rows)


def stops(connection: Connection, cluster: str, *, present: bool = False) -> tuple[StopRecord, ...]:
    """The stops of the cluster, by name: of each name the last, in force or ended; `present`: whose object is still there."""
    rows = connection.execute(_STOPS_OF_CLUSTER, {"cluster": cluster, "resource": "stops", "present": present})
    return tuple(
        StopRecord(_stop(row), Lifted(by, reason) if ended else None, message)
        for *row, ended, by, reason, message in rows
    )


def _stop(row: Sequence[Any]) -> Stop:
    cluster, name, uid, devices, by, reason, since = row
    return Stop(cluster, name, uid, tuple(devices), by, reason, since)


def _decision(row: Sequence[Any]) -> Decision:
    cluster, name, uid, device, digest, verdict, by, reason, at = row[:9]
    return Decision(cluster, name, uid, device, digest, Choice(verdict), by, reason, at)
