"""Freezes as they are recorded: since when a device keeps to the policy of an earlier time, and that policy.

Each function works within the caller's transaction.
"""

from datetime import datetime
from typing import LiteralString

import msgspec

from bridge.model.baseline import Baseline, FreezeStanding, FrozenList, Stance
from bridge.model.observed import Namespace, PolicyObject, Resource
from bridge.state.batch import Batch
from bridge.state.database import Connection
from bridge.state.encoding import clean, decode_held, decode_policy_object, decode_slim, encode_held, json_text

_OPEN = "SELECT device, names, until, stance::text, as_of FROM frozen WHERE cluster = %s AND t2 IS NULL ORDER BY device"
_POLICY: LiteralString = """
SELECT kind, body::text FROM version
WHERE cluster = %(cluster)s AND kind <> ALL('{Pod,Service,group}') AND t1 <= %(at)s AND (t2 IS NULL OR t2 > %(at)s)
ORDER BY kind, namespace, name
"""
# Before this batch there was what was recorded by the moment before it.
_BEGIN = """
INSERT INTO frozen AS f (cluster, device, t1, as_of, until, names, stance)
SELECT %(cluster)b, x.device, %(at)b::timestamptz, coalesce(x.as_of, %(at)b::timestamptz - interval '1 microsecond'), x.until,
    x.names::json, x.stance::json
FROM unnest(%(device)b::text[], %(as_of)b::timestamptz[], %(until)b::timestamptz[], %(names)b::text[], %(stance)b::text[])
    x (device, as_of, until, names, stance)
ON CONFLICT (cluster, device) WHERE t2 IS NULL DO UPDATE SET
    as_of = excluded.as_of, until = excluded.until, names = excluded.names, stance = excluded.stance
"""
_END = "UPDATE frozen SET t2 = %(at)b WHERE cluster = %(cluster)b AND device = ANY(%(device)b::text[]) AND t2 IS NULL"
_KEPT = """
SELECT device, names, until, stance::text, as_of FROM frozen
WHERE cluster = %(cluster)s AND t1 <= coalesce(%(at)s::timestamptz, 'infinity') AND (t2 IS NULL OR t2 > %(at)s::timestamptz)
"""
_STANDING = """
SELECT f.device, f.cluster, f.names, f.until, f.as_of, h.digest, h.steps::text, h.state, h.by, h.reason
FROM frozen f LEFT JOIN held_plan h ON h.device = f.device AND h.cluster = f.cluster AND h.kind = 'freeze'
    AND h.state IN ('held', 'rejected')
WHERE f.t2 IS NULL ORDER BY f.device, f.cluster
"""
_LISTS = """
SELECT device, digest, steps::text, state, by, reason FROM held_plan
WHERE cluster = %s AND kind = 'freeze' AND state IN ('held', 'rejected') ORDER BY device
"""
_SUPERSEDED = """
UPDATE held_plan SET state = 'superseded', changed_at = %(at)b
WHERE device = %(device)b AND cluster = %(cluster)b AND kind = 'freeze' AND digest <> %(digest)b AND state IN ('held', 'rejected')
"""
_HOLD = """
INSERT INTO held_plan AS h (device, digest, cluster, kind, steps, since, state, by, reason)
VALUES (%(device)b, %(digest)b, %(cluster)b, 'freeze', %(steps)b::text::json, %(at)b, %(state)b, %(by)b, %(reason)b)
ON CONFLICT (device, digest) DO UPDATE SET
    steps = excluded.steps, state = excluded.state, by = excluded.by, reason = excluded.reason,
    changed_at = CASE WHEN h.state <> excluded.state THEN excluded.since ELSE h.changed_at END
"""
_DONE = """
UPDATE held_plan SET state = 'done', changed_at = %(at)b
WHERE device = %(device)b AND digest = %(digest)b AND kind = 'freeze' AND state IN ('held', 'rejected', 'released')
"""
_NAMESPACE = "Namespace"
_stance = msgspec.json.Decoder(Stance)


def load(connection: Connection, cluster: str) -> dict[str, Baseline]:
    """The baseline of every device that is in a freeze as recorded."""
    found: dict[str, Baseline] = {}
    versions: dict[datetime, tuple[tuple[PolicyObject, ...], tuple[Namespace, ...]]] = {}
    for device, names, until, stance, as_of in connection.execute(_OPEN, [cluster]).fetchall():
        if as_of not in versions:
            versions[as_of] = _then(connection, cluster, as_of)
        found[device] = Baseline(device, tuple(names), until, _stance.decode(stance), as_of, *versions[as_of])
    return found


def kept(connection: Connection, cluster: str, at: datetime | None = None) -> dict[str, Baseline]:
    """Of each device that is in a freeze at that moment (None: now) what it keeps to, without the policy itself."""
    rows = connection.execute(_KEPT, {"cluster": cluster, "at": at})
    return {
        device: Baseline(device, tuple(names), until, _stance.decode(stance), as_of)
        for device, names, until, stance, as_of in rows
    }


def standing(connection: Connection) -> dict[str, tuple[FreezeStanding, ...]]:
    """Every device that is in a freeze now, with what waits there, cluster by cluster."""
    found: dict[str, tuple[FreezeStanding, ...]] = {}
    for device, cluster, names, until, as_of, digest, steps, state, by, reason in connection.execute(_STANDING):
        edits = decode_held(steps) if steps else ()
        rejected = (by, reason) if state == "rejected" else None
        told = FreezeStanding(cluster, tuple(names), until, as_of, digest or "", edits, rejected)
        found[device] = (*found.get(device, ()), told)
    return found


def lists(connection: Connection, cluster: str) -> dict[str, FrozenList]:
    """What is kept from each device, as recorded."""
    found = {}
    for device, digest, steps, state, by, reason in connection.execute(_LISTS, [cluster]):
        found[device] = FrozenList(device, digest, decode_held(steps), (by, reason) if state == "rejected" else None)
    return found


def write(connection: Connection, cluster: str, at: datetime, batch: Batch) -> None:
    """Note which devices are in a freeze from this batch on, or are so otherwise than before, and what is kept from them."""
    values = {"cluster": cluster, "at": at}
    if batch.thawed:
        connection.execute(_END, {**values, "device": batch.thawed})
    if batch.frozen:
        columns = {
            "device": [one.device for one in batch.frozen],
            "as_of": [one.as_of for one in batch.frozen],
            "until": [one.until for one in batch.frozen],
            "names": [json_text(one.names) for one in batch.frozen],
            "stance": [json_text(one.stance) for one in batch.frozen],
        }
        connection.execute(_BEGIN, values | columns)
    for told in batch.frozen_lists:
        _list(connection, told, values)


def _list(connection: Connection, told: FrozenList, around: dict[str, object]) -> None:
    values = {**around, "device": told.device, "digest": told.digest}
    if not told.edits:
        connection.execute(_DONE, values)
        return
    by, reason = told.released or told.rejected or ("", "")
    state = "released" if told.released else "rejected" if told.rejected else "held"
    connection.execute(_SUPERSEDED, values)
    connection.execute(
        _HOLD, {**values, "steps": encode_held(told.edits), "state": state, "by": clean(by), "reason": clean(reason)}
    )


def _then(connection: Connection, cluster: str, at: datetime) -> tuple[tuple[PolicyObject, ...], tuple[Namespace, ...]]:
    policy: list[PolicyObject] = []
    namespaces: list[Namespace] = []
    for kind, body in connection.execute(_POLICY, {"cluster": cluster, "at": at}):
        if kind == _NAMESPACE:
            found = decode_slim(Resource.NAMESPACES, body)
            namespaces += [found] if isinstance(found, Namespace) else []
        else:
            policy.append(decode_policy_object(body))
    return tuple(policy), tuple(namespaces)
