"""Values of the model as JSON in the database, and back exactly."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from sys import intern

import msgspec

from bridge.model.identity import ObjectKey
from bridge.model.intent import Attachment, DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Schedule, Shard
from bridge.model.observed import (
    NO_LABELS,
    EndpointSlice,
    Labels,
    Namespace,
    Node,
    Order,
    Pod,
    PolicyObject,
    Resource,
    Service,
    resource_of,
)
from bridge.model.plan import Held, HoldKind
from bridge.model.policy import Action, IcmpType, PortRange, Protocol
from bridge.state.batch import Slim

Texts = tuple[str, ...]


class _Entry(msgspec.Struct, omit_defaults=True):
    name: str
    action: Action
    sources: Texts
    destinations: Texts
    protocol: Protocol = Protocol.ANY
    ports: str = ""
    log: bool = False
    withheld: bool = False
    icmp: tuple[IcmpType, ...] = ()
    number: int = 0
    bandwidth: str = ""
    schedule: str = ""


class _Group(msgspec.Struct, tag="group", omit_defaults=True):
    members: Texts = ()
    fqdns: Texts = ()
    shards: int = 0


class _Shard(msgspec.Struct, tag="shard"):
    members: Texts


class _Ports(msgspec.Struct, tag="ports"):
    ports: tuple[tuple[int, int], ...]


class _Schedule(msgspec.Struct, tag="schedule"):
    until: datetime


class _RuleList(msgspec.Struct, tag="rules"):
    entries: tuple[_Entry, ...]


class _Policy(msgspec.Struct, tag="policy"):
    lists: Texts


class _Attachment(msgspec.Struct, tag="attachment"):
    policy: str


_Wire = _Group | _Shard | _Ports | _Schedule | _RuleList | _Policy | _Attachment


class _Rest(msgspec.Struct, omit_defaults=True):
    """What of a pod has no column of its own."""

    resource_version: str
    annotations: dict[str, str] = {}
    host_network: bool = False
    addresses: Texts = ()
    started: datetime | None = None
    deleting: bool = False
    gates: Texts = ()


class _Held(msgspec.Struct):
    key: str
    members: Texts
    reason: str
    kind: HoldKind = HoldKind.REMOVAL


_SLIM: Mapping[Resource, type[Slim]] = {
    Resource.NAMESPACES: Namespace,
    Resource.SERVICES: Service,
    Resource.ENDPOINT_SLICES: EndpointSlice,
    Resource.NODES: Node,
    Resource.DECISIONS: Order,
    Resource.STOPS: Order,
}


def _plain(value: object) -> str:
    if isinstance(value, Resource):
        return str(value)
    raise NotImplementedError(type(value))


def _named(wanted: type[object], text: object) -> Resource:
    if wanted is Resource and isinstance(text, str):
        return Resource(text)
    raise NotImplementedError(wanted)


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_encode = _encoder.encode
_decode_wire = msgspec.json.Decoder(_Wire).decode
_decode_rest = msgspec.json.Decoder(_Rest).decode
_decode_labels = msgspec.json.Decoder(dict[str, str]).decode
_decode_held = msgspec.json.Decoder(tuple[_Held, ...]).decode
_decode_policy_object = msgspec.json.Decoder(PolicyObject, dec_hook=_named).decode
_decode_slim: Mapping[Resource, Callable[[str], Slim]] = {
    resource: msgspec.json.Decoder(kind, dec_hook=_named).decode for resource, kind in _SLIM.items()
}


@lru_cache(maxsize=65_536)
def _key(text: str) -> ObjectKey:
    """Lists name the same few thousand groups and ports in each of their lines."""
    return ObjectKey.parse(text)


def json_text(value: object) -> str:
    """Plain values (and slim objects) as JSON."""
    return _encode(value).decode()


def clean(words: str) -> str:
    """Words from elsewhere, fit for a text column: Postgres takes neither NUL nor lone surrogates."""
    return words if words.isascii() and "\0" not in words else _replaced(words)


def _replaced(words: str) -> str:
    return words.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def encode_object(value: DeviceObject) -> str:
    """A device object without its key, which the row holds."""
    return json_text(_to_wire(value))


def decode_object(key: ObjectKey, body: str) -> DeviceObject:
    """The object of that key."""
    wire: _Wire = _decode_wire(body)
    match wire:
        case _Group():
            return Group(key, frozenset(wire.members), frozenset(wire.fqdns), wire.shards)
        case _Shard():
            return Shard(key, frozenset(wire.members))
        case _Ports():
            return Ports(key, tuple(PortRange(first, last) for first, last in wire.ports))
        case _Schedule():
            return Schedule(key, wire.until)
        case _RuleList():
            return RuleList(key, tuple(_from_entry(entry) for entry in wire.entries))
        case _Policy():
            return Policy(key, _keys(wire.lists))
        case _Attachment():
            return Attachment(key, _key(wire.policy))


def _to_wire(value: DeviceObject) -> _Wire:
    match value:
        case Group():
            return _Group(tuple(sorted(value.members)), tuple(sorted(value.fqdns)), value.shards)
        case Shard():
            return _Shard(tuple(sorted(value.members)))
        case Ports():
            return _Ports(tuple((port.first, port.last) for port in value.ports))
        case Schedule():
            return _Schedule(value.until)
        case RuleList():
            return _RuleList(tuple(_to_entry(entry) for entry in value.entries))
        case Policy():
            return _Policy(_texts(value.lists))
        case Attachment():
            return _Attachment(str(value.policy))


def _to_entry(entry: RuleEntry) -> _Entry:
    return _Entry(
        entry.name,
        entry.action,
        _texts(entry.sources),
        _texts(entry.destinations),
        entry.protocol,
        str(entry.ports) if entry.ports else "",
        entry.log,
        entry.withheld,
        entry.icmp,
        entry.number,
        entry.bandwidth,
        str(entry.schedule) if entry.schedule else "",
    )


def _from_entry(entry: _Entry) -> RuleEntry:
    return RuleEntry(
        entry.name,
        entry.action,
        _keys(entry.sources),
        _keys(entry.destinations),
        entry.protocol,
        _key(entry.ports) if entry.ports else None,
        entry.log,
        entry.withheld,
        entry.icmp,
        entry.number,
        entry.bandwidth,
        _key(entry.schedule) if entry.schedule else None,
    )


def _texts(keys: Iterable[ObjectKey]) -> Texts:
    return tuple(str(key) for key in keys)


def _keys(texts: Iterable[str]) -> tuple[ObjectKey, ...]:
    return tuple(_key(one) for one in texts)


def encode_slim(value: Slim) -> str:
    """A slim object whole."""
    return json_text(value)


def decode_slim(resource: Resource, body: str) -> Slim:
    """The slim object of that resource."""
    return _decode_slim.get(resource, _decode_policy_object)(body)


def decode_policy_object(body: str) -> PolicyObject:
    """An accepted version."""
    return _decode_policy_object(body)


def place_of(value: Slim) -> tuple[Resource, str, str]:
    """Resource, namespace ("" when cluster-scoped) and name."""
    namespace = "" if isinstance(value, Namespace | Node | Order) else value.namespace
    return resource_of(value), namespace, value.name


def encode_rest(pod: Pod) -> str:
    """What of a pod has no column of its own."""
    return json_text(
        _Rest(
            pod.resource_version,
            dict(pod.annotations),
            pod.host_network,
            pod.addresses,
            pod.started,
            pod.deleting,
            pod.gates,
        )
    )


class PodReader:
    """Makes pods of rows. What is equal among many pods (labels of a ReplicaSet, names of nodes) is kept in memory once."""

    COLUMNS = "uid, namespace, name, service_account, owner, node, phase, labels::text, rest::text"

    def __init__(self) -> None:
        self._labels: dict[str, Labels] = {}

    def pod(self, row: tuple[str, str, str, str, str, str, str, str, str]) -> Pod:
        """The pod of one row of COLUMNS."""
        uid, namespace, name, service_account, owner, node, phase, labels, body = row
        rest = _decode_rest(body)
        return Pod(
            uid=uid,
            namespace=intern(namespace),
            name=name,
            resource_version=rest.resource_version,
            labels=self._shared(labels),
            annotations=rest.annotations or NO_LABELS,
            service_account=intern(service_account),
            owner=intern(owner),
            node=intern(node),
            phase=intern(phase),
            host_network=rest.host_network,
            addresses=rest.addresses,
            started=rest.started,
            deleting=rest.deleting,
            gates=rest.gates,
        )

    def _shared(self, text: str) -> Labels:
        found = self._labels.get(text)
        if found is None:
            decoded = _decode_labels(text)
            found = self._labels[text] = {intern(key): intern(value) for key, value in decoded.items()}
        return found


def encode_held(held: Iterable[Held]) -> str:
    """The held parts of a plan, in a stable order."""
    return json_text([_Held(str(one.key), tuple(sorted(one.members)), one.reason, one.kind) for one in held])


def decode_held(body: str) -> tuple[Held, ...]:
    """The held parts of a plan."""
    return tuple(Held(_key(one.key), frozenset(one.members), one.reason, one.kind) for one in _decode_held(body))
