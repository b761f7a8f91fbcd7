"""What reports, status and people ask of the state."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from sys import intern
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import INET

from bridge.model.baseline import FreezeStanding
from bridge.model.handover import Handovers
from bridge.model.identity import ObjectKey
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.state import freezes, handovers, loading, tables
from bridge.state.batch import Verdict
from bridge.state.database import Database
from bridge.state.desired import AuditEntry, DeviceHealth, ObjectState
from bridge.state.encoding import decode_held, decode_object
from bridge.state.replicas import ReplicaStanding, replicas
from bridge.state.reported import (
    Audited,
    ClusterStanding,
    DeviceStanding,
    HeldPlan,
    Holder,
    LeaseRecord,
    ObjectStanding,
)

_object = tables.device_object.c
_device = tables.device.c
_cluster = tables.cluster.c
_group = tables.address_group.c
_member = tables.member.c
_lease = tables.lease.c
_held = tables.held_plan.c
_ABOUT = (_held.cluster, _held.kind, _held.by, _held.reason, _held.message)
_audit = tables.audit.c

_FOREVER = text("'infinity'::timestamptz")
_waiting = _object.desired_generation > _object.applied_generation


class ReportStore:
    """The tables as readers use them. Every method reads as of one moment, and raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def clusters(self) -> tuple[ClusterStanding, ...]:
        """Every cluster, by name."""
        columns = (
            _cluster.name,
            _cluster.uid,
            _cluster.revision,
            _cluster.changed_at,
            _cluster.synced,
            _cluster.problem,
        )
        query = select(*columns)
        policy = tables.policy_object.c
        doubted = select(policy.cluster, func.count()).where(policy.reason == str(Reason.DOUBTED))
        with self._database.reading() as connection:
            counts = _counts(connection.execute(doubted.group_by(policy.cluster)))
            rows = connection.execute(query.order_by(_cluster.name))
            return tuple(ClusterStanding(*row, doubted=counts.get(row.name, 0)) for row in rows)

    def doubted(self, device: str) -> Mapping[str, int]:
        """By cluster of which the device has anything, how many policy objects stay in force that its lists do not show."""
        policy = tables.policy_object.c
        served = select(_object.cluster).where(_object.device == device)
        query = select(policy.cluster, func.count()).where(
            policy.reason == str(Reason.DOUBTED), policy.cluster.in_(served)
        )
        with self._database.reading() as connection:
            return _counts(connection.execute(query.group_by(policy.cluster)))

    def devices(self) -> tuple[DeviceStanding, ...]:
        """Every device, by name."""
        with self._database.reading() as connection:
            return tuple(_standing(row) for row in connection.execute(select(tables.device).order_by(_device.name)))

    def replicas(self) -> tuple[ReplicaStanding, ...]:
        """The replicas that are there, the oldest first."""
        with self._database.transaction(snapshot=True) as connection:
            return replicas(connection)

    def device_objects(self, device: str) -> tuple[ObjectStanding, ...]:
        """Every object of the device, those that are to go included, by key."""
        verified = func.greatest(_object.verified_at, _device.last_verified)
        query = (
            select(tables.device_object, cast(_object.body, Text).label("written"), verified.label("verified"))
            .join(tables.device)
            .where(_object.device == device)
            .order_by(_object.key)
        )
        with self._database.reading() as connection:
            return tuple(_object_standing(row) for row in connection.execute(query))

    def members(self, groups: Iterable[ObjectKey]) -> Mapping[ObjectKey, frozenset[str]]:
        """The members that each of these groups has now; none for a group that was never recorded."""
        keys = {str(key): key for key in groups}
        found: dict[ObjectKey, set[str]] = {key: set() for key in keys.values()}
        query = (
            select(_group.key, _member.address)
            .join(tables.member, _member.group_id == _group.id)
            .where(_group.key.in_(keys), _member.t2 == _FOREVER)
        )
        with self._database.reading() as connection:
            for key, address in connection.execute(query):
                found[keys[key]].add(address)
        return {key: frozenset(addresses) for key, addresses in found.items()}

    def verdicts(self, cluster: str) -> Mapping[Ref, Verdict]:
        """What became of every policy object of the cluster."""
        with self._database.transaction(snapshot=True) as connection:
            return loading.verdicts(connection, cluster)

    def held(self, device: str) -> tuple[HeldPlan, ...]:
        """What of the device's plans waits, or waited, for a person; the oldest first."""
        query = (
            select(_held.device, _held.digest, cast(_held.steps, Text), _held.since, _held.state, *_ABOUT)
            .where(_held.device == device)
            .order_by(_held.since, _held.digest)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query)
            return tuple(HeldPlan(name, digest, decode_held(steps), *rest) for name, digest, steps, *rest in rows)

    def freezes(self) -> Mapping[str, tuple[FreezeStanding, ...]]:
        """Every device that is in a freeze, with what waits there for its end."""
        with self._database.transaction(snapshot=True) as connection:
            return freezes.standing(connection)

    def handovers(self, since: datetime) -> Mapping[str, Handovers]:
        """How long addresses took to change hands on each device from then on; a device where none did is not in it."""
        with self._database.transaction(snapshot=True) as connection:
            return handovers.since(connection, since)

    def audit(self, device: str, limit: int = 100) -> tuple[Audited, ...]:
        """The last changes on the device, the newest first."""
        query = select(tables.audit).where(_audit.device == device).order_by(_audit.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(_audited(row) for row in connection.execute(query))

    def lag(self, device: str) -> datetime | None:
        """When the oldest change that the device does not hold yet was recorded; None when it holds all."""
        query = select(func.min(_object.waiting_since)).where(_object.device == device, _waiting)
        with self._database.reading() as connection:
            found: datetime | None = connection.scalar(query)
            return found

    def leases(self, address: str, at: datetime | None = None, cluster: str | None = None) -> tuple[LeaseRecord, ...]:
        """Who held the address, at that time or ever, in that cluster or any; the oldest first."""
        conditions: list[ColumnElement[bool]] = [_lease.address == literal(address, INET)]
        if cluster is not None:
            conditions.append(_lease.cluster == cluster)
        if at is not None:
            conditions += [_lease.t1 <= at, _lease.t2 > at]
        # Python knows no infinity: the open end comes as NULL.
        until = func.nullif(_lease.t2, _FOREVER).label("until")
        columns: list[ColumnElement[Any]] = [until, *(column for column in _lease if column is not _lease.t2)]
        query = select(*columns).where(*conditions).order_by(_lease.cluster, _lease.t1, _lease.t2)
        with self._database.reading() as connection:
            return tuple(_lease_record(row) for row in connection.execute(query))

    def holders(self, cluster: str, addresses: Iterable[str]) -> Mapping[str, Holder]:
        """Who holds each of these addresses of the cluster now; one that neither a pod nor a node is known to hold is left out."""
        query = """
            SELECT n.address::inet, '', 'Node ' || min(o.name), '' FROM observed o
            CROSS JOIN LATERAL json_array_elements_text(o.body -> 'addresses') n (address)
            WHERE o.cluster = %(cluster)b AND o.resource = 'nodes' AND n.address = ANY(%(addresses)b::text[])
            GROUP BY n.address
            UNION ALL
            SELECT l.address, l.namespace, l.pod, l.owner FROM unnest(%(addresses)b::text[]::inet[]) x (address)
            JOIN lease_open l ON l.cluster = %(cluster)b AND l.address = x.address"""
        values = {"cluster": cluster, "addresses": list(addresses)}
        with self._database.transaction(snapshot=True) as connection:
            rows = loading.stream(connection, query, values)
            return {address: Holder(intern(namespace), pod, intern(owner)) for address, namespace, pod, owner in rows}


def _counts(rows: Iterable[Row[str, int]]) -> dict[str, int]:
    return {row[0]: row[1] for row in rows}


def _standing(row: Row[Any]) -> DeviceStanding:
    look_alikes = tuple((str(name), str(why)) for name, why in row.look_alikes)
    health = DeviceHealth(row.state, row.message, row.identity, look_alikes, row.attached)
    return DeviceStanding(
        name=row.name,
        kind=row.kind,
        health=health,
        last_read=row.last_read,
        last_verified=row.last_verified,
        mode=row.mode,
        attach_by=row.attach_by,
        audit_number=row.audit_number,
        audit_head=row.audit_head,
    )


def _object_standing(row: Row[Any]) -> ObjectStanding:
    key = ObjectKey.parse(row.key)
    return ObjectStanding(
        device=row.device,
        cluster=row.cluster,
        key=key,
        body=decode_object(key, row.written) if row.written else None,
        gone=row.gone,
        generation=row.desired_generation,
        digest=row.desired_digest,
        applied_generation=row.applied_generation,
        applied_digest=row.applied_digest,
        state=ObjectState(row.state),
        message=row.message,
        shards=row.shards,
        cause=row.cause,
        changed_at=row.changed_at,
        waiting_since=row.waiting_since if row.desired_generation > row.applied_generation else None,
        verified_at=row.verified,
    )


def _audited(row: Row[Any]) -> Audited:
    entry = AuditEntry(ObjectKey.parse(row.key), row.op, row.cause, row.before, row.after, row.outcome, row.lag)
    return Audited(row.id, row.at, row.plan_digest, entry, row.number, row.hash)


def _lease_record(row: Row[Any]) -> LeaseRecord:
    return LeaseRecord(
        cluster=row.cluster,
        address=row.address,
        uid=row.uid,
        namespace=row.namespace,
        pod=row.pod,
        service_account=row.service_account,
        owner=row.owner,
        node=row.node,
        t1=row.t1,
        t1_since=row.t1_since,
        t2=row.until,
        t2_since=row.t2_since,
        t2_inferred=row.t2_inferred,
    )
