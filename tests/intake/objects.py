"""Objects of a cluster in as few words as tests need."""

from dataclasses import replace
from typing import Any

from bridge.model.observed import EndpointSlice, Namespace, Pod, PolicyObject, Service
from tests.dialects import objects
from tests.state import builders


def namespace(
    name: str = "shop", *, governed: bool = True, uid: str = "", annotation: str = "", **labels: str
) -> Namespace:
    """A namespace, governed unless said otherwise."""
    labels = {**labels, "egress": "governed"} if governed else labels
    return Namespace(uid or f"ns-{name}", name, "1", labels, _annotated(annotation), deleting=False)


def pod(name: str, *addresses: str, **changes: Any) -> Pod:  # noqa: ANN401
    """A running pod of the namespace shop, labelled app=<its name up to a hyphen>; `started` in seconds."""
    if isinstance(changes.get("started"), int):
        changes["started"] = builders.at(changes["started"])
    return replace(builders.pod(name, *addresses), **changes)


def service(name: str = "pay", *, uid: str = "", annotation: str = "", place: str = "shop", **selector: str) -> Service:
    """A Service with this selector."""
    return Service(uid or f"svc-{name}", place, name, "1", {}, _annotated(annotation), selector)


def endpoints(name: str, of: str, *addresses: str, place: str = "shop") -> EndpointSlice:
    """An EndpointSlice."""
    return EndpointSlice(f"slice-{name}", place, name, "1", of, addresses)


def policy(
    kind: str,
    name: str,
    *,
    uid: str = "",
    place: str = "shop",
    generation: int = 1,
    **spec: Any,  # noqa: ANN401
) -> PolicyObject:
    """An object of one of our kinds."""
    made = objects.policy(kind, spec, name, place)
    return replace(made, uid=uid or f"{kind}-{place}-{name}", generation=generation)


def external(name: str = "bank", *addresses: str, **changes: Any) -> PolicyObject:  # noqa: ANN401
    """An ExternalService of shop."""
    return policy("ExternalService", name, addresses=list(addresses or ("192.0.2.1",)), ports="Any", **changes)


def service_rule(
    name: str = "pay-out",
    of: str = "pay",
    to: str = "bank",
    action: str = "Allow",
    **changes: Any,  # noqa: ANN401
) -> PolicyObject:
    """A ServiceEgressRule of shop."""
    return policy("ServiceEgressRule", name, service=of, action=action, to=[{"name": to}], **changes)


def _annotated(value: str) -> dict[str, str]:
    return {"fusionbridge.io/address-group": value} if value else {}
