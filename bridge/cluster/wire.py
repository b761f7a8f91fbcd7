"""The JSON of each watched kind, cut down to the fields that are used, and decoded so that one bad item spoils nothing else.

Every field has a default and takes null: what must be there is checked where values are made, with words that name the field. Labels and
annotations stay raw, because equal ones need decoding only once.
"""

from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Raw, field

from bridge.cluster.depth import shallow
from bridge.model.observed import Resource

NO_MAP: Final = Raw(b"null")


class Owner(msgspec.Struct, gc=False):
    """One entry of metadata.ownerReferences."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class Manager(msgspec.Struct, gc=False):
    """One entry of metadata.managedFields."""

    manager: str = ""
    time: datetime | None = None
    subresource: str = ""


class Bare(msgspec.Struct, gc=False, rename="camel"):
    """Metadata of which only the place is wanted."""

    uid: str = ""
    namespace: str = ""
    name: str = ""
    resource_version: str = ""


class Metadata(Bare, gc=False, rename="camel"):
    """What most kinds use of their metadata."""

    labels: Raw = NO_MAP
    annotations: Raw = NO_MAP
    deletion_timestamp: str | None = None


class OwnedMetadata(Metadata, gc=False, rename="camel"):
    """Metadata of pods."""

    owner_references: list[Owner] | None = None


class ManagedMetadata(Metadata, gc=False, rename="camel"):
    """Metadata of objects that people write."""

    generation: int = 0
    creation_timestamp: str | None = None
    managed_fields: list[Manager] | None = None


class Gate(msgspec.Struct, gc=False):
    """One entry of spec.readinessGates."""

    condition_type: str = field(default="", name="conditionType")


class PodSpec(msgspec.Struct, gc=False, rename="camel"):
    """A pod's spec."""

    service_account_name: str | None = None
    node_name: str | None = None
    host_network: bool | None = None
    readiness_gates: list[Gate] | None = None


class PodIP(msgspec.Struct, gc=False):
    """One entry of status.podIPs."""

    ip: str = ""


class PodStatus(msgspec.Struct, gc=False, rename="camel"):
    """A pod's status."""

    phase: str | None = None
    pod_ip: str | None = field(default=None, name="podIP")
    pod_ips: list[PodIP] | None = field(default=None, name="podIPs")
    start_time: datetime | None = None
    conditions: Raw = NO_MAP


class Condition(msgspec.Struct, gc=False):
    """One entry of status.conditions."""

    type: str = ""
    status: str = ""


class PodWire(msgspec.Struct, gc=False):
    """A Pod."""

    metadata: OwnedMetadata
    spec: PodSpec | None = None
    status: PodStatus | None = None


class PlainWire(msgspec.Struct, gc=False):
    """A Namespace: metadata says it all."""

    metadata: ManagedMetadata


class ServiceSpec(msgspec.Struct, gc=False):
    """A Service's spec."""

    selector: Raw = NO_MAP


class ServiceWire(msgspec.Struct, gc=False):
    """A Service."""

    metadata: ManagedMetadata
    spec: ServiceSpec | None = None


class Endpoint(msgspec.Struct, gc=False):
    """One entry of an EndpointSlice's endpoints."""

    addresses: list[str] | None = None


class EndpointSliceWire(msgspec.Struct, gc=False):
    """An EndpointSlice."""

    metadata: Metadata
    address_type: str | None = field(default=None, name="addressType")
    endpoints: list[Endpoint] | None = None


class NodeAddress(msgspec.Struct, gc=False):
    """One entry of a Node's status.addresses."""

    type: str = ""
    address: str = ""


class NodeStatus(msgspec.Struct, gc=False):
    """A Node's status."""

    addresses: list[NodeAddress] | None = None


class NodeWire(msgspec.Struct, gc=False):
    """A Node."""

    metadata: Metadata
    status: NodeStatus | None = None


class PolicyWire(msgspec.Struct, gc=False):
    """Any kind of policy."""

    metadata: ManagedMetadata
    spec: dict[str, Any] | None = None


class OrderStatus(msgspec.Struct, gc=False):
    """What we said became of it."""

    state: str = ""


class OrderWire(msgspec.Struct, gc=False):
    """A Decision or a Stop. An order to stop is not to be missed for the sake of its form: what it says is looked at later."""

    metadata: ManagedMetadata
    spec: Raw = NO_MAP
    status: Raw = NO_MAP


class BareWire(msgspec.Struct, gc=False):
    """Any object, of which only the place is wanted."""

    metadata: Bare


Wire = PodWire | PlainWire | ServiceWire | EndpointSliceWire | NodeWire | PolicyWire | OrderWire | BareWire

WIRES: dict[Resource, type[Wire]] = {
    Resource.NAMESPACES: PlainWire,
    Resource.SERVICES: ServiceWire,
    Resource.ENDPOINT_SLICES: EndpointSliceWire,
    Resource.PODS: PodWire,
    Resource.NODES: NodeWire,
    Resource.DECISIONS: OrderWire,
    Resource.STOPS: OrderWire,
}
"""Of Kubernetes' own, and of orders; everything else is policy."""

W = TypeVar("W")


class ListMetadata(msgspec.Struct, gc=False, rename="camel"):
    """Metadata of a list."""

    resource_version: str
    continue_: str = field(default="", name="continue")


class Page(msgspec.Struct, Generic[W], gc=False):
    """One page of a list. `items` must be there: an answer without it is no list."""

    metadata: ListMetadata
    items: list[W] | None


class WatchEvent(msgspec.Struct, Generic[W], gc=False):
    """One line of a watch."""

    type: str
    object: W


class Broken(msgspec.Struct, gc=False):
    """An item that has not the shape of its kind: what could be read of its place, and the decoder's words."""

    metadata: Bare
    reason: str


class Line(msgspec.Struct, gc=False):
    """One event of a watch. `raw` holds the object of an ERROR."""

    type: str
    object: Wire | Broken | None
    raw: bytes = b""


class Decoders:
    """Typed decoders for one shape, each with its slow path for what does not fit.

    They raise msgspec.DecodeError (a ValueError) when the whole makes no sense.
    """

    def __init__(self, wire: type[Wire]) -> None:
        self._item: msgspec.json.Decoder[Wire] = msgspec.json.Decoder(wire)
        self._page: msgspec.json.Decoder[Page[Wire]] = msgspec.json.Decoder(Page[wire])  # type: ignore[valid-type]
        self._event: msgspec.json.Decoder[WatchEvent[Wire]] = msgspec.json.Decoder(WatchEvent[wire])  # type: ignore[valid-type]
        self._raw_page = msgspec.json.Decoder(Page[Raw])
        self._raw_event = msgspec.json.Decoder(WatchEvent[Raw])

    def page(self, body: bytes) -> tuple[ListMetadata, list[Wire] | list[Wire | Broken]]:
        """A page's metadata and items."""
        try:
            page = self._page.decode(body)
        except RecursionError:
            return self.page(shallow(body))
        except msgspec.DecodeError:
            raw = self._raw_page.decode(body)
            return raw.metadata, [self._one(item) for item in raw.items or ()]
        return page.metadata, page.items or []

    def lines(self, data: bytes) -> list[Line]:
        """The events in these whole lines."""
        try:
            events = self._event.decode_lines(data)
        except RecursionError:
            return self.lines(shallow(data))
        except msgspec.DecodeError:
            return [self._line(line) for line in data.split(b"\n") if line.strip()]
        if any(event.type == "ERROR" for event in events):
            return [self._line(line) for line in data.split(b"\n") if line.strip()]
        return [Line(event.type, event.object) for event in events]

    def _line(self, line: bytes) -> Line:
        event = self._raw_event.decode(line)
        if event.type == "ERROR":
            return Line(event.type, None, bytes(event.object))
        return Line(event.type, self._one(event.object))

    def _one(self, raw: Raw) -> Wire | Broken:
        try:
            return self._item.decode(raw)
        except msgspec.DecodeError as error:
            return Broken(_place(raw), str(error))


def _place(raw: Raw) -> Bare:
    """As much of an odd object's place as can be read."""
    try:
        thing = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return Bare()
    metadata = thing.get("metadata") if isinstance(thing, dict) else None
    found = metadata if isinstance(metadata, dict) else {}
    texts = {name: text for name, text in found.items() if isinstance(text, str)}
    return Bare(
        texts.get("uid", ""), texts.get("namespace", ""), texts.get("name", ""), texts.get("resourceVersion", "")
    )
