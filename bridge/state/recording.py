"""How one intake batch is recorded: rows become arrays, one statement per kind of change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, LiteralString

from bridge.errors import StateError
from bridge.model.identity import ObjectKey
from bridge.model.observed import Pod
from bridge.model.policy import Ref
from bridge.state import freezes, gates, orders, resolutions
from bridge.state import statements as sql
from bridge.state.batch import Batch, DesiredObject, LeaseEnd, LeaseStart, Placement, Slim, Verdict
from bridge.state.database import Connection
from bridge.state.encoding import clean, encode_object, encode_rest, encode_slim, json_text, place_of
from bridge.state.tables import CHANNEL
from bridge.state.versions import versions


@dataclass(slots=True)
class Recording:
    """One batch on its way into one transaction."""

    connection: Connection
    cluster: str
    revision: int
    at: datetime

    def write(self, batch: Batch) -> None:
        """All of it, in the order that lets things go before others take their place; rows that delivery wants too come last."""
        groups = self._groups(batch)
        with self.connection.pipeline():
            self._cluster_side(batch)
            self._members(batch, groups)
            self._device_side(batch)
            freezes.write(self.connection, self.cluster, self.at, batch)
            gates.write(self._run, batch)
            self.connection.execute(sql.NOTIFY, {"channel": CHANNEL, "cluster": self.cluster})

    def _run(self, statement: LiteralString, rows: Sequence[Any], **columns: object) -> None:
        """One statement with its arrays; nothing at all when there are no rows."""
        if rows:
            values = {"cluster": self.cluster, "revision": self.revision, "at": self.at, **columns}
            self.connection.execute(statement, values)

    def _groups(self, batch: Batch) -> Mapping[ObjectKey, int]:
        """The ids of every group that the batch names; StateError when one was never recorded."""
        self._run(sql.GROUPS, batch.groups, key=_keys(batch.groups))
        changes = (batch.left, batch.joined)
        parted = chain.from_iterable(batch.groups_parted)
        named = {*batch.groups_gone, *parted, *(one.group for many in changes for one in many)}
        names = {str(key): key for key in named}
        if not names:
            return {}
        values = {"cluster": self.cluster, "key": list(names)}
        ids = {names[key]: int(id_) for key, id_ in self.connection.execute(sql.GROUP_IDS, values)}
        if len(ids) < len(names):
            missing = ", ".join(sorted(set(names) - {str(key) for key in ids}))
            raise StateError(f"members of groups that were never recorded: {missing}")
        return ids

    def _cluster_side(self, batch: Batch) -> None:
        self._run(sql.PODS_GONE, batch.pods_gone, uid=batch.pods_gone)
        self._pods(list({pod.uid: pod for pod in batch.pods}.values()))
        resources, namespaces, names = _columns(batch.objects_gone, 3)
        gone = batch.objects_gone
        self._run(sql.OBJECTS_GONE, gone, resource=[str(one) for one in resources], namespace=namespaces, name=names)
        self._objects({place_of(one): one for one in batch.objects})
        self._leases_ended(batch.leases_ended)
        self._leases(list({one.address: one for one in batch.leases}.values()))
        self._run(sql.VERDICTS_GONE, batch.verdicts_gone, **_refs(batch.verdicts_gone))
        self._verdicts(list({one.ref: one for one in batch.verdicts}.values()))
        refs, devices = _columns(batch.placements_gone, 2)
        self._run(sql.PLACEMENTS_GONE, batch.placements_gone, device=devices, **_refs(refs))
        self._placements(list({(one.ref, one.device): one for one in batch.placements}.values()))
        self._versions(dict(versions(batch)))
        resolutions.write(self._run, list({one.name: one for one in batch.names}.values()), batch.names_gone)
        orders.write(self._run, batch)
        if batch.of_policy:
            self.connection.execute(sql.POLICY_REVISION, {"cluster": self.cluster, "revision": self.revision})
        self._run(sql.SYNCED, list(batch.synced), synced=json_text(batch.synced))
        self._run(sql.OUTAGE, [batch.unwatched_since] if batch.unwatched_since else [], since=batch.unwatched_since)

    def _pods(self, pods: Sequence[Pod]) -> None:
        self._run(
            sql.PODS,
            pods,
            uid=[pod.uid for pod in pods],
            namespace=[pod.namespace for pod in pods],
            name=[pod.name for pod in pods],
            service_account=[pod.service_account for pod in pods],
            owner=[pod.owner for pod in pods],
            node=[pod.node for pod in pods],
            phase=[pod.phase for pod in pods],
            labels=[json_text(pod.labels) for pod in pods],
            rest=[encode_rest(pod) for pod in pods],
        )

    def _objects(self, objects: Mapping[tuple[Any, str, str], Slim]) -> None:
        resources, namespaces, names = _columns(objects, 3)
        self._run(
            sql.OBJECTS,
            list(objects),
            resource=[str(one) for one in resources],
            namespace=namespaces,
            name=names,
            uid=[one.uid for one in objects.values()],
            version=[one.resource_version for one in objects.values()],
            body=[encode_slim(one) for one in objects.values()],
        )

    def _leases_ended(self, ends: Sequence[LeaseEnd]) -> None:
        self._run(
            sql.LEASES_ENDED,
            ends,
            address=[end.address for end in ends],
            uid=[end.uid for end in ends],
            inferred=[end.inferred for end in ends],
            since=[end.since for end in ends],
        )

    def _leases(self, starts: Sequence[LeaseStart]) -> None:
        self._run(
            sql.LEASES,
            starts,
            address=[start.address for start in starts],
            uid=[start.pod.uid for start in starts],
            namespace=[start.pod.namespace for start in starts],
            pod=[start.pod.name for start in starts],
            service_account=[start.pod.service_account for start in starts],
            owner=[start.pod.owner for start in starts],
            node=[start.pod.node for start in starts],
            since=[start.since for start in starts],
        )

    def _verdicts(self, verdicts: Sequence[Verdict]) -> None:
        self._run(
            sql.VERDICTS,
            verdicts,
            **_refs(one.ref for one in verdicts),
            uid=[one.uid for one in verdicts],
            generation=[one.generation for one in verdicts],
            ok=[one.ok for one in verdicts],
            reason=[clean(one.reason) for one in verdicts],
            message=[clean(one.message) for one in verdicts],
            accepted=[encode_slim(one.accepted) if one.accepted else None for one in verdicts],
        )

    def _placements(self, placements: Sequence[Placement]) -> None:
        self._run(
            sql.PLACEMENTS,
            placements,
            **_refs(one.ref for one in placements),
            device=[one.device for one in placements],
            keys=["\n".join(_keys(one.keys)) for one in placements],
            tier=[str(one.tier or "") for one in placements],
            reason=[one.reason for one in placements],
            message=[clean(one.message) for one in placements],
        )

    def _versions(self, bodies: Mapping[Ref, str | None]) -> None:
        rows = list(bodies)
        self._run(sql.VERSIONS_ENDED, rows, **_refs(rows), body=list(bodies.values()))
        self._run(sql.VERSIONS, rows, **_refs(rows), body=list(bodies.values()))

    def _members(self, batch: Batch, ids: Mapping[ObjectKey, int]) -> None:
        left, joined = batch.left, batch.joined
        parted = batch.groups_parted
        self._run(sql.PARTED, parted, id=[ids[key] for key, _ in parted], origin=[ids[key] for _, key in parted])
        self._run(
            sql.LEFT,
            left,
            id=[ids[one.group] for one in left],
            address=[one.address for one in left],
            inferred=[one.inferred for one in left],
            unproven=[one.unproven for one in left],
        )
        self._run(sql.GROUPS_GONE, batch.groups_gone, id=[ids[key] for key in batch.groups_gone])
        self._run(
            sql.JOINED,
            joined,
            id=[ids[one.group] for one in joined],
            address=[one.address for one in joined],
            unproven=[one.unproven for one in joined],
        )

    def _device_side(self, batch: Batch) -> None:
        moved = _causes(batch)
        desired = {(one.device, one.key): one for one in batch.desired}
        gone = batch.desired_gone
        touched = {*map(_of_device, moved), *(str(key) for _, key in gone), *(str(key) for _, key in desired)}
        self._run(sql.LOCK, list(touched), key=sorted(touched))
        self._run(
            sql.DESIRED_GONE,
            gone,
            device=[device for device, _ in gone],
            key=_keys(key for _, key in gone),
            cause=[clean(batch.causes.get(key, "no longer wanted")) for _, key in gone],
        )
        own = list(map(_of_device, moved))
        self._run(sql.MOVED, own, key=own, counted=list(moved), cause=list(moved.values()))
        self._desired(list(desired.values()))

    def _desired(self, desired: Sequence[DesiredObject]) -> None:
        self._run(
            sql.DESIRED,
            desired,
            device=[one.device for one in desired],
            key=_keys(one.key for one in desired),
            kind=[str(one.key.kind) for one in desired],
            body=[None if one.body is None else encode_object(one.body) for one in desired],
            digest=[one.digest for one in desired],
            cause=[clean(one.cause) for one in desired],
            members_of=[str(one.members_of) if one.members_of is not None else None for one in desired],
        )


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    found = [list(column) for column in zip(*rows, strict=True)]
    return found or [[] for _ in range(width)]


def _keys(keys: Iterable[ObjectKey]) -> list[str]:
    return [str(key) for key in keys]


def _refs(refs: Iterable[Ref]) -> dict[str, list[str]]:
    kinds, namespaces, names = _columns([(ref.kind, ref.namespace, ref.name) for ref in refs], 3)
    return {"kind": kinds, "namespace": namespaces, "name": names}


def _of_device(group: str) -> str:
    """The key by which devices know a group of which members are counted."""
    return group.partition("#")[0]


def _causes(batch: Batch) -> dict[str, str]:
    """For each group whose members change, by the text of its key, why."""
    moved = dict.fromkeys(one.group for one in chain(batch.joined, batch.left))
    return {str(key): clean(batch.causes.get(key, "members changed")) for key in moved}
