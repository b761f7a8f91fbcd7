"""What one packet's trace reads from the state: who sends it, what was written about it, and what devices were seen to hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from bridge.model.baseline import Baseline
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.observed import Labels, Namespace, Node, Pod, PolicyObject, Resource, Service
from bridge.model.policy import Ref, Tier
from bridge.state import freezes, history_queries
from bridge.state import trace_queries as sql
from bridge.state.batch import Placement, Slim
from bridge.state.database import BY_KEY, Connection, Database
from bridge.state.desired import ObjectState
from bridge.state.encoding import PodReader, decode_object, decode_policy_object, decode_slim
from bridge.state.past import Around, Outage, Watched
from bridge.state.policy_picture import DeviceRow
from bridge.state.reported import LeaseRecord

_NOW = "9999-12-31T00:00:00Z"  # what holds beyond it is open
_PLANNED: LiteralString = f"SELECT {BY_KEY}, set_config('max_parallel_workers_per_gather', '0', true)"


@dataclass(frozen=True, slots=True)
class Written:
    """A policy object: the version in force, None where none is, and what was said of the last edit."""

    ref: Ref
    ok: bool
    reason: str
    message: str
    accepted: PolicyObject | None


@dataclass(frozen=True, slots=True)
class Stood:
    """One object of one device as recorded. `body` is None for a group whose members have a table of their own.

    `members_of` is the group whose members it has, where that is not its own.
    `settled`: every change of it is applied. `proven_at` is when the device was last seen to hold it.
    """

    device: str
    key: ObjectKey
    body: DeviceObject | None
    settled: bool
    applied: bool
    state: ObjectState
    message: str
    waiting_since: datetime | None
    proven_at: datetime | None
    shards: int
    members_of: ObjectKey | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A row of a device's audit: its number, its time, and the object before and after."""

    number: int
    at: datetime
    before: str
    after: str


class TraceStore:
    """Opens readings. Raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def reading(self) -> Iterator["Reading"]:
        """Everything that is asked within is as of one moment."""
        with self._database.transaction(snapshot=True) as connection:
            connection.execute(_PLANNED)
            yield Reading(connection)


class Reading:
    """One consistent look. `at` None is now; else what was recorded for that moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ---- who sends

    def clusters(self, cluster: str | None = None) -> tuple[tuple[Watched, datetime | None], ...]:
        """Every cluster, or the one of that name, each with the time since which accepted policy is recorded whole."""
        rows = self._rows(sql.WATCHED, {"cluster": cluster})
        return tuple((Watched(name, kept, seen), versions) for name, kept, seen, versions in rows)

    def around(self, cluster: str, address: str, at: datetime) -> Around:
        """Who held the address before, at and after that time."""
        values = {"cluster": cluster, "address": address, "at": at}
        after = tuple(LeaseRecord(*row) for row in self._rows(history_queries.AFTER, values))
        before = self._rows(history_queries.BEFORE, values)
        outage = [row for row in self._rows(history_queries.OUTAGE, values) if row[0] < at]
        return Around(after, LeaseRecord(*before[0]) if before else None, Outage(*outage[0]) if outage else None)

    def leases_of_pod(self, cluster: str, namespace: str, pod: str, since: datetime | None) -> tuple[LeaseRecord, ...]:
        """What pods of that name held since then, the last to end first; None: ever."""
        values = {"cluster": cluster, "namespace": namespace, "pod": pod, "since": since or "-infinity"}
        return tuple(LeaseRecord(*row) for row in self._rows(sql.LEASES_OF_POD, values))

    def leases_at(self, cluster: str, addresses: Iterable[str], at: datetime | None) -> tuple[LeaseRecord, ...]:
        """Who is recorded to have held each of these addresses."""
        values = {"cluster": cluster, "address": list(addresses), "at": at or _NOW}
        return tuple(LeaseRecord(*row) for row in self._rows(sql.LEASES_AT, values))

    def leases_of(self, cluster: str, uids: Iterable[str]) -> tuple[LeaseRecord, ...]:
        """What these pods hold now, by address."""
        rows = self._rows(sql.LEASES_OF_UIDS, {"cluster": cluster, "uid": list(uids)})
        return tuple(LeaseRecord(*row) for row in rows)

    def pods(self, cluster: str, uids: Iterable[str]) -> dict[str, Pod]:
        """These pods as they are now, by uid."""
        reader = PodReader()
        rows = self._rows(sql.PODS, {"cluster": cluster, "uid": list(uids)})
        return {pod.uid: pod for pod in (reader.pod(_pod_row(row)) for row in rows)}

    def pods_with(self, cluster: str, namespace: str, labels: Labels) -> tuple[Pod, ...]:
        """The pods of one namespace that bear these labels now. The one query that looks at more than it tells: at every pod."""
        reader = PodReader()
        values = {"cluster": cluster, "namespace": namespace, "label": list(labels), "value": list(labels.values())}
        self._connection.execute("SET LOCAL enable_seqscan = on")
        rows = self._rows(sql.PODS_WITH, values)
        self._connection.execute("SET LOCAL enable_seqscan = off")
        return tuple(reader.pod(_pod_row(row)) for row in rows)

    def namespace(self, cluster: str, name: str, at: datetime | None) -> Namespace | None:
        """The namespace as recorded; None when nothing is recorded of it."""
        if at is None:
            found = self._observed(cluster, Resource.NAMESPACES, "", [name])
        else:
            rows = self._rows(sql.NAMESPACE, {"cluster": cluster, "name": name, "at": at})
            found = [decode_slim(Resource.NAMESPACES, body) for (body,) in rows]
        return next((one for one in found if isinstance(one, Namespace)), None)

    def services(self, cluster: str, namespace: str, names: Iterable[str]) -> dict[str, Service]:
        """These Services of the namespace now, by name."""
        found = self._observed(cluster, Resource.SERVICES, namespace, list(names))
        return {one.name: one for one in found if isinstance(one, Service)}

    def node_addresses(self, cluster: str, node: str) -> tuple[str, ...]:
        """The addresses that the node is known by now."""
        found = self._observed(cluster, Resource.NODES, "", [node])
        return next((one.addresses for one in found if isinstance(one, Node)), ())

    def node_of(self, cluster: str, address: str) -> str:
        """The node that has the address now; "" for none."""
        rows = self._rows(history_queries.NODE, {"cluster": cluster, "address": address})
        return str(rows[0][0]) if rows else ""

    # ---- what was written

    def written(self, cluster: str, namespace: str, at: datetime | None) -> tuple[Written, ...]:
        """The policy objects of the cluster and of the namespace; of the past those that were in force."""
        values = {"cluster": cluster, "namespace": namespace, "at": at}
        return _written(self._rows(sql.ACCEPTED if at is None else sql.VERSIONS, values))

    def written_as(self, cluster: str, refs: Sequence[Ref], at: datetime | None) -> tuple[Written, ...]:
        """These policy objects, wherever they stand; of the past those that were in force."""
        if not refs:
            return ()
        values = {"cluster": cluster, "at": at, **_refs(refs)}
        return _written(self._rows(sql.ACCEPTED_OF if at is None else sql.VERSIONS_OF, values))

    def names(self, cluster: str, names: Iterable[str], at: datetime | None) -> dict[str, frozenset[str]]:
        """What these names stood for, as the bridge resolved them; a name of which nothing is known is not in it."""
        values = {"cluster": cluster, "name": sorted(set(names)), "at": at}
        found: dict[str, set[str]] = {}
        for name, answered, address in self._rows(sql.NAMES_NOW if at is None else sql.NAMES_THEN, values):
            if answered:
                found.setdefault(name, set()).update([address] if address else [])
        return {name: frozenset(addresses) for name, addresses in found.items()}

    def placements(self, cluster: str, refs: Sequence[Ref]) -> dict[tuple[Ref, str], Placement]:
        """What these become on each device now."""
        found = {}
        rows = self._rows(sql.PLACEMENTS, {"cluster": cluster, **_refs(refs)}) if refs else []
        for kind, namespace, name, device, keys, tier, reason, message in rows:
            ref = Ref(kind, namespace, name)
            parsed = tuple(ObjectKey.parse(key) for key in keys)
            found[ref, device] = Placement(ref, device, parsed, Tier(tier) if tier else None, reason, message)
        return found

    # ---- what devices hold

    def devices(self) -> dict[str, DeviceRow]:
        """Every device as last heard of."""
        return {
            name: DeviceRow(state, message, mode, attached or {}, attach_by or {}, last_read)
            for name, state, message, mode, attached, attach_by, last_read in self._rows(sql.DEVICES, {})
        }

    def kept(self, cluster: str, at: datetime | None) -> dict[str, Baseline]:
        """What each device that is in a freeze keeps to, but for the policy itself."""
        return freezes.kept(self._connection, cluster, at)

    def pending(self, device: str) -> frozenset[ObjectKey]:
        """What waits to be changed there, or to go."""
        return frozenset(ObjectKey.parse(key) for (key,) in self._rows(sql.PENDING, {"device": device}))

    def objects(self, keys: Iterable[ObjectKey]) -> dict[tuple[str, ObjectKey], Stood]:
        """These objects on every device that is to hold them, by device and key."""
        found = {}
        for device, text, body, settled, applied, state, *rest in self._rows(
            sql.OBJECTS, {"key": sorted({str(key) for key in keys})}
        ):
            key = ObjectKey.parse(text)
            decoded = decode_object(key, body) if body else None
            rest[-1] = ObjectKey.parse(rest[-1]) if rest[-1] else None
            found[device, key] = Stood(device, key, decoded, settled, applied, ObjectState(state), *rest)
        return found

    def members(
        self, cluster: str, keys: Iterable[ObjectKey], addresses: Iterable[str], at: datetime | None
    ) -> dict[tuple[ObjectKey, str], datetime]:
        """Which of these addresses, or prefixes, is a member of which group, and since when."""
        texts = sorted({str(key) for key in keys})
        values = {"cluster": cluster, "key": texts, "address": list(addresses), "at": at or _NOW}
        return {(ObjectKey.parse(key), address): t1 for key, address, t1 in self._rows(sql.MEMBERS, values)}

    def groups(self, cluster: str, keys: Iterable[ObjectKey], at: datetime | None) -> set[ObjectKey]:
        """Which of these groups there are, or were at that time: then it is recorded who is in them."""
        listed = set(keys)
        values = {"key": sorted(map(str, listed)), "namespace": sorted({key.namespace for key in listed})}
        query = sql.GROUPS_NOW if at is None else sql.GROUPS_THEN
        rows = self._rows(query, {"cluster": cluster, "at": at, **values})
        return {ObjectKey.parse(key) for (key,) in rows}

    def members_of(self, group: ObjectKey, at: datetime | None) -> tuple[str, ...]:
        """Everybody who is in the group, or was at that time."""
        rows = self._rows(sql.MEMBERS_OF, {"cluster": group.cluster, "key": str(group), "at": at or _NOW})
        return tuple(address for (address,) in rows)

    def told(
        self, device: str, key: ObjectKey, words: Iterable[str], at: datetime, limit: int = 1
    ) -> tuple[Change, ...]:
        """The last rows of the audit by that time which tell of the object whole, or of one of the words; the newest first."""
        values = {"device": device, "key": str(key), "words": list(words), "at": at, "limit": limit}
        return tuple(Change(*row) for row in self._rows(sql.TOLD_BY, values))

    def told_after(self, device: str, key: ObjectKey, words: Iterable[str], at: datetime) -> Change | None:
        """The first such row after that time."""
        rows = self._rows(sql.TOLD_AFTER, {"device": device, "key": str(key), "words": list(words), "at": at})
        return Change(*rows[0]) if rows else None

    def audit_begins(self, device: str) -> tuple[int, datetime] | None:
        """Number and time of the oldest row that is kept of the device's audit; None when there is none."""
        rows = self._rows(sql.BEGINS, {"device": device})
        return (rows[0][0], rows[0][1]) if rows else None

    def _observed(self, cluster: str, resource: Resource, namespace: str, names: list[str] | None) -> list[Slim]:
        values = {"cluster": cluster, "resource": str(resource), "namespace": namespace, "name": names}
        return [decode_slim(resource, body) for (body,) in self._rows(sql.OBSERVED, values)]

    def _rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()


def _written(rows: Iterable[tuple[Any, ...]]) -> tuple[Written, ...]:
    return tuple(
        Written(Ref(kind, namespace, name), ok, reason, message, decode_policy_object(body) if body else None)
        for kind, namespace, name, ok, reason, message, body in rows
    )


def _refs(refs: Sequence[Ref]) -> dict[str, list[str]]:
    return {
        "kind": [ref.kind for ref in refs],
        "namespace": [ref.namespace for ref in refs],
        "name": [ref.name for ref in refs],
    }


def _pod_row(row: tuple[Any, ...]) -> tuple[str, str, str, str, str, str, str, str, str]:
    uid, namespace, name, account, owner, node, phase, labels, rest = row
    return (uid, namespace, name, account, owner, node, phase, labels, rest)
