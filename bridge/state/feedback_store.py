"""What feedback asks of the state: whether anything moved, how policy stands, and what people were told of it."""

from collections.abc import Iterable, Sequence
from typing import Any

from bridge.errors import LostLease, StateError
from bridge.model.identity import ObjectKey
from bridge.model.intent import RuleList
from bridge.model.kinds import DECISION, STOP
from bridge.model.observed import KINDS, Resource
from bridge.model.policy import Ref
from bridge.state.database import Connection, Database
from bridge.state.decisions import decisions, stops
from bridge.state.desired import ObjectState
from bridge.state.encoding import decode_object
from bridge.state.policy_picture import DeviceRow, Judged, Markers, Placed, PolicyPicture, Told, Unfinished

_REVISION = "SELECT policy_revision FROM cluster WHERE name = %(cluster)s"
# Both are looked up in partial indexes that hold the few rows which wait. What is to go is nobody's news, and where a device is in the
# settings no more it waits for ever.
_MARKERS = """
SELECT d.name, d.standing_revision, least(
    (SELECT min(o.waiting_since) FROM device_object o
     WHERE o.device = d.name AND o.desired_generation > o.applied_generation AND NOT o.gone),
    (SELECT min(o.verified_at) FROM device_object o WHERE o.device = d.name AND o.state = 'AwaitingDeploy' AND NOT o.gone))
FROM device d
"""
_JUDGED = """
SELECT kind, namespace, name, uid, generation, ok, reason, message, (accepted->>'generation')::bigint, changed_at
FROM policy_object WHERE cluster = %(cluster)s
"""
_PLACED = """
SELECT kind, namespace, name, device, keys, tier, reason, message FROM placement WHERE cluster = %(cluster)s
ORDER BY kind, namespace, name, device
"""
_UNFINISHED = """
SELECT o.device, o.key, o.kind, o.state, o.message, o.applied_generation > 0,
    CASE WHEN o.desired_generation > o.applied_generation THEN o.waiting_since END, o.verified_at
FROM device_object o JOIN device d ON d.name = o.device
WHERE o.cluster = %(cluster)s AND NOT o.gone AND (
    o.state <> 'Programmed' OR o.desired_generation > o.applied_generation
    OR o.kind = 'rules' AND o.verified_at > coalesce(d.last_read, '-infinity'))
"""
_DEVICES = "SELECT name, state, message, mode, attached, attach_by, last_read, stopped_by FROM device"
_LISTS = """
SELECT device, key, body::text FROM device_object
WHERE cluster = %(cluster)s AND kind = 'rules' AND NOT gone AND device = ANY(%(device)s)
"""
_UIDS = """
SELECT x.kind, x.namespace, x.name, o.uid
FROM unnest(%(kind)s::text[], %(resource)s::text[], %(namespace)s::text[], %(name)s::text[]) x (kind, resource, namespace, name)
JOIN observed o ON o.cluster = %(cluster)s AND o.resource = x.resource AND o.namespace = x.namespace AND o.name = x.name
"""
_POD_UIDS = """
SELECT p.namespace, p.name, max(p.uid) FROM pod p
WHERE p.cluster = %(cluster)s AND (p.namespace, p.name) IN (SELECT * FROM unnest(%(namespace)s::text[], %(name)s::text[]))
GROUP BY 1, 2
"""
_TOLD = "SELECT kind, namespace, name, uid, body::text, at FROM feedback WHERE cluster = %(cluster)s"
_OURS = "SELECT FROM replica_lease WHERE role = 'cluster' AND name = %(cluster)s AND epoch = %(epoch)s FOR KEY SHARE"
_TELL = """
INSERT INTO feedback (cluster, kind, namespace, name, uid, body, at)
SELECT %(cluster)s, x.* FROM unnest(%(kind)s::text[], %(namespace)s::text[], %(name)s::text[], %(uid)s::text[],
    %(body)s::text[]::json[], %(at)s::timestamptz[]) x
ON CONFLICT (cluster, kind, namespace, name) DO UPDATE SET uid = excluded.uid, body = excluded.body, at = excluded.at
"""
_FORGET = """
DELETE FROM feedback f USING unnest(%(kind)s::text[], %(namespace)s::text[], %(name)s::text[]) x (kind, namespace, name)
WHERE f.cluster = %(cluster)s AND f.kind = x.kind AND f.namespace = x.namespace AND f.name = x.name
"""
_CARRIERS = {KINDS[resource]: resource for resource in (Resource.NAMESPACES, Resource.SERVICES)}
_POD = KINDS[Resource.PODS]
_REFUSED = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED)


class FeedbackStore:
    """The tables as feedback uses them. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def markers(self, cluster: str) -> Markers:
        """Whether anything moved: three small looks, whatever the size of the cluster. StateError when it is not registered."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_REVISION, {"cluster": cluster}).fetchone()
            if row is None:
                raise StateError(f"cluster {cluster} is not registered in this database")
            rows = connection.execute(_MARKERS).fetchall()
        standing = {name: revision for name, revision, _ in rows}
        return Markers(row[0], standing, {name: since for name, _, since in rows if since is not None})

    def picture(self, cluster: str) -> PolicyPicture:
        """How the policy of the cluster stands, as of one moment. The cost goes with what people wrote, not with pods."""
        with self._database.transaction(snapshot=True) as connection:
            judged = {Ref(*row[:3]): Judged(*row[3:]) for row in connection.execute(_JUDGED, {"cluster": cluster})}
            placed = _placed(connection, cluster)
            unfinished, troubled = _unfinished(connection, cluster)
            return PolicyPicture(
                judged=judged,
                placed=placed,
                unfinished=unfinished,
                devices={name: _device(row) for name, *row in connection.execute(_DEVICES)},
                lists=_lists(connection, cluster, troubled),
                uids=_uids(connection, cluster, {*judged, *placed}),
                decisions={
                    Ref(DECISION.ref, "", one.decision.name): one
                    for one in decisions(connection, cluster, present=True)
                },
                stops={Ref(STOP.ref, "", one.stop.name): one for one in stops(connection, cluster, present=True)},
            )

    def told(self, cluster: str) -> tuple[Told, ...]:
        """What people were told about each object."""
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_TOLD, {"cluster": cluster})
            return tuple(Told(Ref(kind, namespace, name), *rest) for kind, namespace, name, *rest in rows)

    def record(self, cluster: str, epoch: int, told: Sequence[Told], forgotten: Iterable[Ref] = ()) -> None:
        """Write down what people are told, and forget objects that are gone. LostLease when `epoch` no longer owns the cluster."""
        listed = list(forgotten)
        with self._database.transaction() as connection:
            if connection.execute(_OURS, {"cluster": cluster, "epoch": epoch}).fetchone() is None:
                raise LostLease(f"epoch {epoch} does not own cluster {cluster} any more")
            if told:
                values = _refs([one.ref for one in told]) | {
                    "uid": [one.uid for one in told],
                    "body": [one.body for one in told],
                    "at": [one.at for one in told],
                }
                connection.execute(_TELL, {"cluster": cluster, **values})
            if listed:
                connection.execute(_FORGET, {"cluster": cluster, **_refs(listed)})


def _refs(refs: Sequence[Ref]) -> dict[str, list[Any]]:
    return {
        "kind": [ref.kind for ref in refs],
        "namespace": [ref.namespace for ref in refs],
        "name": [ref.name for ref in refs],
    }


def _placed(connection: Connection, cluster: str) -> dict[Ref, tuple[Placed, ...]]:
    found: dict[Ref, tuple[Placed, ...]] = {}
    for kind, namespace, name, device, keys, *rest in connection.execute(_PLACED, {"cluster": cluster}):
        ref = Ref(kind, namespace, name)
        found[ref] = (*found.get(ref, ()), Placed(device, tuple(keys), *rest))
    return found


def _unfinished(connection: Connection, cluster: str) -> tuple[dict[tuple[str, str], Unfinished], set[str]]:
    """And the devices on which a line may be withheld for the sake of what they refused."""
    found, troubled = {}, set()
    for device, key, kind, word, *rest in connection.execute(_UNFINISHED, {"cluster": cluster}):
        state = ObjectState(word)
        found[device, key] = Unfinished(state, *rest)
        if state in _REFUSED or (state is ObjectState.WITHHELD and kind == "rules"):
            troubled.add(device)
    return found, troubled


def _device(row: Sequence[Any]) -> DeviceRow:
    state, message, mode, attached, attach_by, last_read, stopped_by = row
    return DeviceRow(state, message, mode, attached or {}, attach_by or {}, last_read, tuple(stopped_by))


def _lists(connection: Connection, cluster: str, devices: Iterable[str]) -> dict[str, dict[ObjectKey, RuleList]]:
    found: dict[str, dict[ObjectKey, RuleList]] = {}
    chosen = sorted(devices)
    rows = connection.execute(_LISTS, {"cluster": cluster, "device": chosen}) if chosen else ()
    for device, text, body in rows:
        key = ObjectKey.parse(text)
        decoded = decode_object(key, body)
        if isinstance(decoded, RuleList):
            found.setdefault(device, {})[key] = decoded
    return found


def _uids(connection: Connection, cluster: str, refs: Iterable[Ref]) -> dict[Ref, str]:
    """Of Namespaces, Services and pods: those of our own kinds stand in their verdicts."""
    listed = list(refs)
    carriers = [ref for ref in listed if ref.kind in _CARRIERS]
    pods = [ref for ref in listed if ref.kind == _POD]
    found = {}
    if carriers:
        values = _refs(carriers) | {"cluster": cluster, "resource": [str(_CARRIERS[ref.kind]) for ref in carriers]}
        found = {Ref(*row[:3]): row[3] for row in connection.execute(_UIDS, values)}
    if pods:
        rows = connection.execute(_POD_UIDS, {**_refs(pods), "cluster": cluster})
        found |= {Ref(_POD, namespace, name): uid for namespace, name, uid in rows}
    return found
