"""Objects of F5 CES for tests."""

from typing import Any

from bridge.dialects import ces
from bridge.dialects.dialect import Dialects, load
from bridge.model.kinds import Kind
from bridge.model.observed import Namespace, PolicyObject

BY_NAME: dict[str, Kind] = {kind.name: kind for kind in ces.KINDS}


def dialects(home: str = "kube-system") -> Dialects:
    """Ours and that of CES."""
    return load(("native", "ces"), {"ces": {"controllerNamespace": home}})


def written(kind: str, name: str, spec: Any, *, place: str = "shop", uid: str = "", created: str = "") -> PolicyObject:  # noqa: ANN401
    """An object of one of the kinds of CES."""
    of = BY_NAME[kind]
    namespace = place if of.namespaced else ""
    return PolicyObject(
        of.resource, uid or f"{kind}-{namespace}-{name}", namespace, name, "1", 1, {}, spec, created=created
    )


def rule(name: str, action: str, *to: str, uid: str = "", created: str = "", place: str = "shop") -> PolicyObject:
    """A NamespaceEgressRule."""
    spec = {"action": action, "externalServices": list(to or ("bank",))}
    return written("NamespaceEgressRule", name, spec, uid=uid, created=created, place=place)


def service(name: str = "bank", *addresses: str, place: str = "shop", **more: Any) -> PolicyObject:  # noqa: ANN401
    """An ExternalService."""
    return written("ExternalService", name, {"addresses": list(addresses or ("192.0.2.1",)), **more}, place=place)


def subnet(cidr: str | None, name: str = "shop") -> Namespace:
    """A governed namespace, annotated with its prefixes unless told."""
    annotations = {} if cidr is None else {ces.CIDR: cidr}
    return Namespace(f"ns-{name}", name, "1", {"egress": "governed"}, annotations, deleting=False)
