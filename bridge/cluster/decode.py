"""Bytes of the API become the values of bridge.model.observed, once. What makes no sense becomes Undecodable, never an exception."""

import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any, Final

import msgspec
from msgspec import Raw

from bridge.cluster import wire
from bridge.cluster.depth import senseless
from bridge.cluster.kinds import FIELD_MANAGER
from bridge.cluster.sharing import LabelMaps
from bridge.model.addresses import canonical_address
from bridge.model.gate import CONDITION, gated
from bridge.model.kinds import NAMESPACE_ANNOTATIONS
from bridge.model.observed import (
    NO_LABELS,
    EndpointSlice,
    Labels,
    Namespace,
    Node,
    Observed,
    Order,
    Pod,
    PolicyObject,
    Resource,
    Service,
    Undecodable,
)

Value = Observed | Undecodable

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
# The annotations that policy reads. Those that tools leave on every pod would cost more memory than the pods do.
ANNOTATION_DOMAIN: Final = "fusionbridge.io"
OWN_ANNOTATION: Final = f"{ANNOTATION_DOMAIN}/status"

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_is_plain_ipv4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}").fullmatch
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `proceed` is the token for the next page, empty on the last."""

    resource_version: str
    proceed: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a watch. A BOOKMARK has only the resource version, an ERROR only `raw`: the Status it came with."""

    type: str
    resource_version: str
    value: Value | None = None
    raw: bytes = b""


class Codec:
    """Decodes one resource. Strings and label sets are shared among all the values it makes. For one thread."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._decoders = wire.Decoders(wire.WIRES.get(resource, wire.PolicyWire))
        self._labels = LabelMaps()
        makers: dict[Resource, Callable[[Any], Observed]] = {
            Resource.NAMESPACES: self._namespace,
            Resource.SERVICES: self._service,
            Resource.ENDPOINT_SLICES: self._endpoint_slice,
            Resource.PODS: self._pod,
            Resource.NODES: self._node,
            Resource.DECISIONS: self._order,
            Resource.STOPS: self._order,
        }
        self._make = makers.get(resource, self._policy_object)

    def page(self, body: bytes) -> Page:
        """One page of a list. ValueError when it is no list at all."""
        metadata, items = self._decoders.page(body)
        try:
            values: list[Value] = list(map(self._made, items))
        except (ValueError, AttributeError):  # AttributeError: a Broken among them; one by one, then
            values = [self._value(item) for item in items]
        return Page(metadata.resource_version, metadata.continue_, values)

    def lines(self, data: bytes) -> list[Line]:
        """The events in these whole lines. ValueError when a line is no watch event."""
        return [self._line(line) for line in self._decoders.lines(data)]

    def _line(self, line: wire.Line) -> Line:
        if line.object is None:
            return Line(line.type, "", raw=line.raw)
        version = line.object.metadata.resource_version
        if line.type == "BOOKMARK":
            return Line(line.type, version)
        return Line(line.type, version, self._value(line.object))

    def _made(self, item: Any) -> Observed:  # noqa: ANN401 (the wire form of this resource)
        """The value of a good object, quickly. ValueError or AttributeError for any other."""
        value = self._make(item)
        if value.uid and value.name:
            return value
        raise ValueError("metadata.uid or metadata.name is missing")

    def _value(self, item: wire.Wire | wire.Broken) -> Value:
        place = item.metadata
        if type(item) is wire.Broken:
            return self._undecodable(place, item.reason)
        if not place.uid or not place.name:
            return self._undecodable(place, "metadata.uid or metadata.name is missing")
        try:
            return self._make(item)
        except ValueError as error:
            return self._undecodable(place, str(error))

    def _undecodable(self, place: wire.Bare, reason: str) -> Undecodable:
        return Undecodable(self._resource, place.uid, place.namespace, place.name, place.resource_version, reason)

    def _pod(self, item: wire.PodWire) -> Pod:
        metadata = item.metadata
        spec = item.spec or _NO_SPEC
        status = item.status or _NO_STATUS
        gates = tuple(intern(gate.condition_type) for gate in spec.readiness_gates) if spec.readiness_gates else ()
        annotations = self._annotations(metadata.annotations)
        owners = metadata.owner_references
        return Pod(
            metadata.uid,
            intern(metadata.namespace),
            metadata.name,
            metadata.resource_version,
            self._labels(metadata.labels),
            annotations,
            intern(spec.service_account_name or ""),
            intern(_owner(owners)) if owners else "",
            intern(spec.node_name or ""),
            intern(status.phase or ""),
            bool(spec.host_network),
            _pod_addresses(status),
            status.start_time,
            metadata.deletion_timestamp is not None,
            gates,
            (bool(gates) or bool(annotations)) and gated(gates, annotations) and _programmed(status.conditions),
        )

    def _namespace(self, item: wire.PlainWire) -> Namespace:
        metadata = item.metadata
        return Namespace(
            uid=metadata.uid,
            name=intern(metadata.name),
            resource_version=metadata.resource_version,
            labels=self._labels(metadata.labels),
            annotations=self._annotations(metadata.annotations, NAMESPACE_ANNOTATIONS),
            deleting=metadata.deletion_timestamp is not None,
            actor=_actor(metadata.managed_fields or ()),
        )

    def _service(self, item: wire.ServiceWire) -> Service:
        metadata = item.metadata
        return Service(
            uid=metadata.uid,
            namespace=intern(metadata.namespace),
            name=metadata.name,
            resource_version=metadata.resource_version,
            labels=self._labels(metadata.labels),
            annotations=self._annotations(metadata.annotations),
            selector=_named("spec.selector", self._labels, item.spec.selector) if item.spec else NO_LABELS,
            actor=_actor(metadata.managed_fields or ()),
        )

    def _endpoint_slice(self, item: wire.EndpointSliceWire) -> EndpointSlice:
        metadata = item.metadata
        # A slice of names (addressType FQDN) holds no address.
        endpoints = () if item.address_type == "FQDN" else item.endpoints or ()
        texts = (text for endpoint in endpoints for text in endpoint.addresses or ())
        return EndpointSlice(
            uid=metadata.uid,
            namespace=intern(metadata.namespace),
            name=metadata.name,
            resource_version=metadata.resource_version,
            service=self._labels(metadata.labels).get(SERVICE_NAME_LABEL, ""),
            addresses=_addresses("endpoints.addresses", texts),
        )

    def _node(self, item: wire.NodeWire) -> Node:
        metadata = item.metadata
        known = item.status.addresses or () if item.status else ()
        return Node(
            uid=metadata.uid,
            name=intern(metadata.name),
            resource_version=metadata.resource_version,
            labels=self._labels(metadata.labels),
            addresses=_addresses("status.addresses", (each.address for each in known if each.type == "InternalIP")),
        )

    def _policy_object(self, item: wire.PolicyWire) -> PolicyObject:
        metadata = item.metadata
        if senseless(item.spec):
            raise ValueError("spec is nested too deeply to mean anything")
        return PolicyObject(
            resource=self._resource,
            uid=metadata.uid,
            namespace=intern(metadata.namespace),
            name=metadata.name,
            resource_version=metadata.resource_version,
            generation=metadata.generation,
            annotations=self._annotations(metadata.annotations),
            spec=item.spec or {},
            actor=_actor(metadata.managed_fields or ()),
            created=metadata.creation_timestamp or "",
        )

    def _order(self, item: wire.OrderWire) -> Order:
        metadata = item.metadata
        return Order(
            resource=self._resource,
            uid=metadata.uid,
            name=metadata.name,
            resource_version=metadata.resource_version,
            spec=_anything(item.spec),
            created=metadata.creation_timestamp or "",
            state=_state(item.status),
        )

    def _annotations(self, raw: Raw, others: AbstractSet[str] = frozenset()) -> Labels:
        """Those of our domain that people write, and `others`: what we tell them there ourselves is no news."""
        # The cheap look at the bytes spares decoding what hardly any object has.
        written = bytes(raw)
        if _ANNOTATION_BYTES not in written and not any(name.encode() in written for name in others):
            return NO_LABELS
        found = _named("metadata.annotations", _annotation_maps.decode, raw)
        return {
            intern(key): intern(value)
            for key, value in found.items()
            if key in others or (key.partition("/")[0].endswith(ANNOTATION_DOMAIN) and key != OWN_ANNOTATION)
        }


_ANNOTATION_BYTES = ANNOTATION_DOMAIN.encode()
_annotation_maps = msgspec.json.Decoder(dict[str, str])
_conditions = msgspec.json.Decoder(list[wire.Condition] | None)
_statuses = msgspec.json.Decoder(wire.OrderStatus)
_NO_SPEC = wire.PodSpec()
_NO_STATUS = wire.PodStatus()


def _programmed(raw: Raw) -> bool:
    """Whether the condition of the gate is True. Of conditions that make no sense, it is not."""
    try:
        found = _conditions.decode(raw) or ()
    except ValueError:
        return False
    return any(one.type == CONDITION and one.status == "True" for one in found)


def _anything(raw: Raw) -> Any:  # noqa: ANN401 (any JSON)
    """Plain JSON; None for what is nested too deeply to mean anything."""
    try:
        found = msgspec.json.decode(raw)
    except RecursionError:
        return None
    return None if senseless(found) else found


def _state(raw: Raw) -> str:
    try:
        return _statuses.decode(raw).state
    except (ValueError, RecursionError):
        return ""


def _named(path: str, decode: Callable[[Raw], Labels], raw: Raw) -> Labels:
    try:
        return decode(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _pod_addresses(status: wire.PodStatus) -> tuple[str, ...]:
    """status.podIPs, or status.podIP from those who only set that."""
    if ips := status.pod_ips:
        if len(ips) == 1 and _is_plain_ipv4(ips[0].ip):
            return (ips[0].ip,)
        return _addresses("status.podIPs", (each.ip for each in ips))
    return _addresses("status.podIP", (status.pod_ip,)) if status.pod_ip else ()


def _addresses(path: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Canonical, each once, in the order given."""
    return tuple(dict.fromkeys(_address(path, text) for text in texts))


def _address(path: str, text: str) -> str:
    if _is_plain_ipv4(text):
        return text
    try:
        return canonical_address(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _owner(owners: Sequence[wire.Owner]) -> str:
    """The controller, else the first owner, as "ReplicaSet/name"."""
    owner = owners[0]
    if not owner.controller:
        owner = next((each for each in owners if each.controller), owner)
    return f"{owner.kind}/{owner.name}"


def _actor(managers: Iterable[wire.Manager]) -> str:
    """Who wrote the object last; writes to its status are the controllers' own, and those to our annotation ours."""
    written = [each for each in managers if not each.subresource and each.manager != FIELD_MANAGER]
    latest = max(written, key=lambda each: each.time or _LONG_AGO, default=None)
    return intern(latest.manager) if latest else ""
