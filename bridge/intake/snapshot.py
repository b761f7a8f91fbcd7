"""One cluster as recorded, and the devices that serve it, in a file of its own: what a pipeline plans against without database or cluster.

JSON, compressed where the name ends in `.gz`. It holds policy, what policy selects by, and addresses; no credentials, no urls of devices,
no labels or annotations that policy does not read but those of pods, Services and namespaces that a selector may name.
"""

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from sys import intern
from typing import Any

import msgspec

from bridge.dialects.dialect import NATIVE
from bridge.errors import SettingsError
from bridge.model.baseline import Baseline, Stance
from bridge.model.capabilities import Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import Labels, Namespace, Pod, Resource, Service
from bridge.model.policy import Governance, Ref
from bridge.model.resolution import Resolution
from bridge.policy.compile import Target
from bridge.policy.guard import GuardLimits
from bridge.state.batch import Recorded, Slim, Verdict
from bridge.state.encoding import decode_policy_object, decode_slim, encode_slim

VERSION = 1
_NOTHING = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    """One device as a plan needs it: what the compiler is told, and how much the device takes."""

    kind: str
    target: Target
    limits: Limits


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Everything that a plan for one cluster needs. `taken_at` is when it was read from the state.

    `dialects` are the names of those in use, `options` what the settings say to each.
    """

    cluster: str
    taken_at: datetime
    governance: Governance
    devices: tuple[PlannedDevice, ...]
    guard: GuardLimits
    recorded: Recorded
    dialects: tuple[str, ...] = (NATIVE,)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class _Head(msgspec.Struct, rename="camel"):
    snapshot: int


class _Pod(msgspec.Struct, rename="camel", omit_defaults=True):
    uid: str
    namespace: str
    name: str
    labels: int  # the place in the table of labels
    addresses: tuple[str, ...] = ()
    service_account: str = ""
    owner: str = ""
    node: str = ""
    phase: str = ""
    host_network: bool = False
    annotations: dict[str, str] = {}
    started: datetime | None = None


class _Object(msgspec.Struct):
    resource: str
    value: msgspec.Raw


class _Verdict(msgspec.Struct, omit_defaults=True):
    ref: Ref
    uid: str
    generation: int
    ok: bool
    reason: str
    message: str
    accepted: msgspec.Raw = _NOTHING


class _Behind(msgspec.Struct):
    """Who stands behind a Service that selects by EndpointSlices."""

    namespace: str
    service: str
    addresses: tuple[str, ...]


class _Baseline(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a device in a freeze keeps to."""

    device: str
    names: tuple[str, ...]
    until: datetime | None
    stance: Stance
    as_of: datetime | None
    policy: list[msgspec.Raw] = []
    surroundings: list[msgspec.Raw] = []


class _Document(msgspec.Struct, rename="camel"):
    snapshot: int
    cluster: str
    uid: str
    revision: int
    taken_at: datetime
    seen_at: datetime | None
    governance: Governance
    guard: GuardLimits
    devices: tuple[PlannedDevice, ...]
    dialects: tuple[str, ...]
    options: dict[str, dict[str, Any]]
    labels: tuple[dict[str, str], ...]
    pods: list[_Pod]
    objects: list[_Object]
    policy: list[_Verdict]
    endpoints: list[_Behind]
    names: dict[str, Resolution]
    baselines: list[_Baseline] = []


def write(snapshot: ClusterSnapshot, file: Path) -> None:
    """Write it. SettingsError where the file cannot be written."""
    body = msgspec.json.encode(_document(snapshot))
    try:
        file.write_bytes(gzip.compress(body, 6, mtime=0) if file.suffix == ".gz" else body + b"\n")
    except OSError as error:
        raise _problem(file, f"cannot be written: {error.strerror}") from None


def read(file: Path) -> ClusterSnapshot:
    """Read it. SettingsError for what is no snapshot, or one that another version wrote."""
    try:
        body = file.read_bytes()
        body = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        version = msgspec.json.decode(body, type=_Head).snapshot
        if version != VERSION:
            raise _problem(file, f"is a snapshot of version {version}; this program reads version {VERSION}")
        return _from(msgspec.json.decode(body, type=_Document))
    except OSError as error:
        raise _problem(file, f"cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, zlib.error) as error:
        raise _problem(file, f"is no snapshot that `fusion-bridge snapshot` wrote: {error}") from None


def _problem(file: Path, words: str) -> SettingsError:
    return SettingsError({str(file): words}, "the command line")


def _document(snapshot: ClusterSnapshot) -> _Document:
    recorded = snapshot.recorded
    tables: dict[str, int] = {}
    labels: list[dict[str, str]] = []

    def shared(found: Labels) -> int:
        text = repr(sorted(found.items()))
        if text not in tables:
            tables[text] = len(labels)
            labels.append(dict(found))
        return tables[text]

    pods = [_slim(one, shared(one.labels)) for one in recorded.pods.values()]
    return _Document(
        VERSION,
        snapshot.cluster,
        recorded.uid,
        recorded.revision,
        snapshot.taken_at,
        recorded.seen_at,
        snapshot.governance,
        snapshot.guard,
        snapshot.devices,
        snapshot.dialects,
        {name: dict(one) for name, one in snapshot.options.items()},
        tuple(labels),
        sorted(pods, key=lambda one: (one.namespace, one.name, one.uid)),
        [_Object(str(place[0]), _raw(one)) for place, one in sorted(recorded.objects.items())],
        [_verdict(one) for _, one in sorted(recorded.verdicts.items())],
        list(_behind(snapshot.cluster, recorded)),
        dict(recorded.names),
        [_kept(one) for _, one in sorted(recorded.baselines.items())],
    )


def _kept(one: Baseline) -> _Baseline:
    return _Baseline(
        one.device,
        one.names,
        one.until,
        one.stance,
        one.as_of,
        [_raw(each) for each in one.policy],
        [_raw(each) for each in one.surroundings],
    )


def _baseline(one: _Baseline) -> Baseline:
    policy = tuple(decode_policy_object(bytes(each).decode()) for each in one.policy)
    around = (decode_slim(Resource.NAMESPACES, bytes(each).decode()) for each in one.surroundings)
    namespaces = tuple(each for each in around if isinstance(each, Namespace))
    return Baseline(one.device, one.names, one.until, one.stance, one.as_of, policy, namespaces)


def _slim(pod: Pod, labels: int) -> _Pod:
    return _Pod(
        pod.uid,
        pod.namespace,
        pod.name,
        labels,
        pod.addresses,
        pod.service_account,
        pod.owner,
        pod.node,
        pod.phase,
        pod.host_network,
        dict(pod.annotations),
        pod.started,
    )


def _raw(value: Slim) -> msgspec.Raw:
    return msgspec.Raw(encode_slim(value).encode())


def _verdict(one: Verdict) -> _Verdict:
    accepted = one.accepted
    return _Verdict(
        one.ref,
        one.uid,
        one.generation,
        one.ok,
        one.reason,
        one.message,
        _raw(accepted) if accepted else _NOTHING,
    )


def _behind(cluster: str, recorded: Recorded) -> Iterable[_Behind]:
    for one in recorded.objects.values():
        if isinstance(one, Service) and not one.selector:
            members = recorded.members.get(_group(cluster, one.namespace, one.name))
            if members is not None:
                yield _Behind(one.namespace, one.name, tuple(sorted(members)))


def _group(cluster: str, namespace: str, service: str) -> ObjectKey:
    return ObjectKey(Kind.GROUP, cluster, Scope.SERVICE, namespace, service)


def _from(found: _Document) -> ClusterSnapshot:
    labels = [{intern(key): intern(value) for key, value in one.items()} for one in found.labels]
    objects: dict[tuple[Resource, str, str], Slim] = {}
    for one in found.objects:
        value = decode_slim(Resource(one.resource), bytes(one.value).decode())
        objects[Resource(one.resource), intern(getattr(value, "namespace", "")), value.name] = value
    recorded = Recorded(
        revision=found.revision,
        uid=found.uid,
        pods={one.uid: _pod(one, labels) for one in found.pods},
        objects=objects,
        leases={},
        members={
            _group(found.cluster, one.namespace, one.service): frozenset(one.addresses) for one in found.endpoints
        },
        desired={},
        verdicts={one.ref: _said(one) for one in found.policy},
        seen_at=found.seen_at,
        names=found.names,
        baselines={one.device: _baseline(one) for one in found.baselines},
    )
    head = (found.cluster, found.taken_at, found.governance, found.devices, found.guard)
    return ClusterSnapshot(*head, recorded, found.dialects, found.options)


def _pod(one: _Pod, labels: list[dict[str, str]]) -> Pod:
    return Pod(
        uid=one.uid,
        namespace=intern(one.namespace),
        name=one.name,
        resource_version="",
        labels=labels[one.labels],
        annotations=one.annotations,
        service_account=intern(one.service_account),
        owner=intern(one.owner),
        node=intern(one.node),
        phase=intern(one.phase),
        host_network=one.host_network,
        addresses=one.addresses,
        started=one.started,
        deleting=False,
        gates=(),
    )


def _said(one: _Verdict) -> Verdict:
    accepted = None if one.accepted == _NOTHING else decode_policy_object(bytes(one.accepted).decode())
    return Verdict(one.ref, one.uid, one.generation, one.ok, one.reason, one.message, accepted)


def schema() -> Mapping[str, Any]:
    """A JSON schema of the file."""
    (found,), definitions = msgspec.json.schema_components([_Document], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Fusion Bridge snapshot of a cluster, version {VERSION}",
        **found,
        "$defs": definitions,
    }
