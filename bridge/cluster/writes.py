"""What the bridge writes into a cluster: status, annotations, Events. Always as its own field manager, and only its own fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from bridge.cluster.client import Connection
from bridge.cluster.kinds import FIELD_MANAGER, KINDS
from bridge.model.observed import Resource

_APPLY: Final = "application/apply-patch+yaml"
# Force takes over fields of ours that somebody else wrote; it touches none that are not in the patch.
_AS_US: Final = {"fieldManager": FIELD_MANAGER, "force": "true"}
_NAMESPACE_OF_CLUSTER_EVENTS: Final = "default"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a Kubernetes Event says about one object. `warning` sets its type; `reason` is one word in UpperCamelCase.

    With a `name` a second attempt creates no second Event; without one the server makes one up.
    """

    reason: str
    message: str
    warning: bool = False
    name: str = ""


def apply_status(
    connection: Connection, resource: Resource, namespace: str, name: str, uid: str, status: Mapping[str, Any]
) -> None:
    """Make `status` our part of the object's status by server-side apply.

    RequestRefused 404 when the object or its kind is not there, 409 for a namesake of another `uid` ("": whichever bears the name).
    """
    guard = {"uid": uid} if uid else {}
    _apply(connection, resource, namespace, name, {"status": status}, metadata=guard, subresource="status")


def apply_annotations(
    connection: Connection, resource: Resource, namespace: str, name: str, uid: str, annotations: Mapping[str, str]
) -> None:
    """Make these our annotations on the object; those of ours that are not named are removed.

    `uid` keeps the apply from creating the object anew, and from reaching a namesake: RequestRefused 409 then.
    """
    # An empty map would be a claim to the whole of it.
    ours = {"annotations": dict(annotations)} if annotations else {}
    _apply(connection, resource, namespace, name, {}, metadata={"uid": uid, **ours})


def apply_condition(
    connection: Connection, namespace: str, name: str, uid: str, condition: Mapping[str, str], version: str = ""
) -> None:
    """Make this a condition of the pod; no other is touched. With a `version` only on the pod as it was then.

    RequestRefused 404 when the pod is not there, 409 for a namesake of another uid, and for a pod that changed since that version.
    """
    guard = {"uid": uid} | ({"resourceVersion": version} if version else {})
    content = {"status": {"conditions": [dict(condition)]}}
    _apply(connection, Resource.PODS, namespace, name, content, metadata=guard, subresource="status")


def create_event(
    connection: Connection, resource: Resource, namespace: str, name: str, uid: str, notice: Notice, now: datetime
) -> None:
    """Create a core/v1 Event about the object, in its namespace ("default" for cluster-scoped ones).

    RequestRefused 409 when there is one of its name.
    """
    kind = KINDS[resource]
    home = namespace or _NAMESPACE_OF_CLUSTER_EVENTS
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"apiVersion": kind.api_version, "kind": kind.name, "name": name, "uid": uid}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": ({"name": notice.name} if notice.name else {"generateName": f"{name[:200]}."})
        | {"namespace": home},
        "involvedObject": about | ({"namespace": namespace} if namespace else {}),
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason,
        "message": notice.message[:1024],
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
    path = f"/api/v1/namespaces/{home}/events"
    params = {"fieldManager": FIELD_MANAGER}
    connection.send("create events", "POST", path, msgspec.json.encode(event), "application/json", params)


def _apply(
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    content: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    subresource: str = "",
) -> None:
    kind = KINDS[resource]
    place = {"name": name} | ({"namespace": namespace} if kind.namespaced else {})
    patch = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {**place, **(metadata or {})}, **content}
    what = f"patch {resource}/{subresource}" if subresource else f"patch {resource}"
    path = kind.object_path(namespace, name, subresource)
    connection.send(what, "PATCH", path, msgspec.json.encode(patch), _APPLY, _AS_US)
