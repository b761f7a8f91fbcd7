"""What the database knows of one cluster, read as of one moment."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import Any, LiteralString

from bridge.errors import StateError
from bridge.model.identity import ObjectKey
from bridge.model.observed import Pod, Resource
from bridge.model.policy import Ref, Tier
from bridge.state import freezes, gates, resolutions
from bridge.state.batch import OpenLease, Placement, Recorded, Slim, Verdict
from bridge.state.database import Connection
from bridge.state.encoding import PodReader, decode_policy_object, decode_slim

_CHUNK = 5000  # rows fetched at a time: a fleet is never in memory twice


Same = Callable[[Pod], Pod]


def load(connection: Connection, cluster: str, same: Same | None = None) -> Recorded:
    """Everything, within the caller's snapshot. StateError for a cluster that is not registered.

    `same` may put an object that is in memory already in the place of a pod that says the same.
    """
    query = "SELECT revision, uid, greatest(watched_at, changed_at), synced FROM cluster WHERE name = %s"
    row = connection.execute(query, [cluster]).fetchone()
    if row is None:
        raise StateError(f"cluster {cluster} is not registered in this database")
    pods = _pods(connection, cluster, same)
    # A fleet is addresses and uids: each is in memory once, whoever names it.
    texts = {text: text for pod in pods.values() for text in (pod.uid, *pod.addresses)}
    return Recorded(
        revision=row[0],
        uid=row[1],
        seen_at=row[2],
        versions=_versions(row[3]),
        pods=pods,
        objects=_objects(connection, cluster),
        leases=_leases(connection, cluster, texts),
        members=_members(connection, cluster, texts),
        desired=_desired(connection, cluster),
        verdicts=verdicts(connection, cluster),
        placements=placements(connection, cluster),
        names=resolutions.load(connection, cluster),
        baselines=freezes.load(connection, cluster),
        frozen_lists=freezes.lists(connection, cluster),
        gates=gates.load(connection, cluster),
    )


def stream(connection: Connection, query: LiteralString, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, some thousands at a time: to iterate over the cursor itself costs four times as much."""
    with connection.cursor("bridge") as cursor:
        cursor.execute(query, values)
        while rows := cursor.fetchmany(_CHUNK):
            yield from rows


def _pods(connection: Connection, cluster: str, same: Same | None) -> dict[str, Pod]:
    reader = PodReader()
    query: LiteralString = f"SELECT {PodReader.COLUMNS} FROM pod WHERE cluster = %(cluster)s"  # noqa: S608
    pods = (reader.pod(row) for row in stream(connection, query, {"cluster": cluster}))
    return {pod.uid: pod for pod in (map(same, pods) if same else pods)}


def _versions(synced: Mapping[str, str]) -> dict[Resource, int]:
    """What is no number says nothing about who is ahead."""
    return {Resource(name): int(version) for name, version in synced.items() if version.isdecimal()}


def _objects(connection: Connection, cluster: str) -> dict[tuple[Resource, str, str], Slim]:
    query = "SELECT resource, namespace, name, body::text FROM observed WHERE cluster = %(cluster)s"
    found: dict[tuple[Resource, str, str], Slim] = {}
    for name, namespace, object_name, body in stream(connection, query, {"cluster": cluster}):
        resource = Resource(name)
        found[resource, intern(namespace), object_name] = decode_slim(resource, body)
    return found


def _leases(connection: Connection, cluster: str, texts: Mapping[str, str]) -> dict[str, OpenLease]:
    query = "SELECT address, uid FROM lease_open WHERE cluster = %(cluster)s"
    found, known = {}, texts.get
    for text, uid in stream(connection, query, {"cluster": cluster}):
        address = known(text, text)
        found[address] = OpenLease(address, known(uid, uid))
    return found


def _members(connection: Connection, cluster: str, texts: Mapping[str, str]) -> dict[ObjectKey, frozenset[str]]:
    query = """
        SELECT g.key, m.address FROM address_group g LEFT JOIN member_open m ON m.group_id = g.id
        WHERE g.cluster = %(cluster)s AND NOT g.gone ORDER BY g.id
    """
    rows = stream(connection, query, {"cluster": cluster})
    return {
        ObjectKey.parse(key): frozenset(texts.get(address, address) for _, address in many if address is not None)
        for key, many in groupby(rows, itemgetter(0))
    }


def _desired(connection: Connection, cluster: str) -> dict[tuple[str, ObjectKey], str]:
    query = "SELECT device, key, desired_digest FROM device_object WHERE cluster = %(cluster)s AND NOT gone"
    rows = stream(connection, query, {"cluster": cluster})
    return {(intern(device), ObjectKey.parse(key)): digest for device, key, digest in rows}


def verdicts(connection: Connection, cluster: str) -> dict[Ref, Verdict]:
    """What became of every policy object of the cluster, with the version in force."""
    query = """
        SELECT kind, namespace, name, uid, generation, ok, reason, message, accepted::text
        FROM policy_object WHERE cluster = %(cluster)s ORDER BY kind, namespace, name
    """
    found = {}
    for row in connection.execute(query, {"cluster": cluster}):
        kind, namespace, name, uid, generation, ok, reason, message, accepted = row
        ref = Ref(kind, namespace, name)
        found[ref] = Verdict(
            ref, uid, generation, ok, reason, message, decode_policy_object(accepted) if accepted else None
        )
    return found


def placements(connection: Connection, cluster: str) -> dict[tuple[Ref, str], Placement]:
    """What every policy object, and every object with an annotation, becomes on each device."""
    query = """
        SELECT kind, namespace, name, device, keys, tier, reason, message
        FROM placement WHERE cluster = %(cluster)s ORDER BY kind, namespace, name, device
    """
    parsed: dict[str, ObjectKey] = {}  # one key for all who share it
    found = {}
    for kind, namespace, name, device, keys, tier, reason, message in stream(connection, query, {"cluster": cluster}):
        ref = Ref(intern(kind), intern(namespace), name)
        for text in keys:
            if text not in parsed:
                parsed[text] = ObjectKey.parse(text)
        one = tuple(parsed[text] for text in keys)
        found[ref, device] = Placement(ref, intern(device), one, Tier(tier) if tier else None, reason, message)
    return found
