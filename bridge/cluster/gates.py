"""The gates of pods as the cluster shows them, for whoever has nothing but the cluster: what a pod says of its gate, and to open one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.cluster.kinds import KINDS
from bridge.cluster.writes import Notice, apply_condition, create_event
from bridge.errors import ClusterDenied, ClusterUnavailable
from bridge.model.gate import CONDITION, GateReason, gated
from bridge.model.observed import Resource

_PAGE: Final = 500
_PODS: Final = KINDS[Resource.PODS]


class _Gate(msgspec.Struct):
    type: str = msgspec.field(default="", name="conditionType")


class _Condition(msgspec.Struct, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: str = ""
    annotations: dict[str, str] | None = None


class _Spec(msgspec.Struct, rename="camel"):
    readiness_gates: list[_Gate] | None = None


class _Status(msgspec.Struct):
    phase: str = ""
    conditions: list[_Condition] | None = None


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _ListMetadata(msgspec.Struct):
    proceed: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    items: list[_Pod]
    metadata: _ListMetadata = msgspec.field(default_factory=_ListMetadata)


_lists = msgspec.json.Decoder(_List)
_pods = msgspec.json.Decoder(_Pod)


@dataclass(frozen=True, slots=True)
class GatedPod:
    """A pod, and what it says of its gate.

    `status` is "True", "False", or "" while nobody has said anything; `since` is as Kubernetes writes it.
    """

    namespace: str
    name: str
    uid: str
    version: str
    gated: bool
    ended: bool
    status: str
    reason: str
    message: str
    since: str

    @property
    def open(self) -> bool:
        """Whether it has been told that it need not wait."""
        return self.status == "True"

    @property
    def waits(self) -> bool:
        """Whether it is gated, alive, and not open."""
        return self.gated and not self.open and not self.ended


def read(connection: Connection, namespace: str, name: str) -> GatedPod:
    """One pod, by the right to get it alone. RequestRefused 404 when it is not there."""
    body = connection.get("get pods", _PODS.object_path(namespace, name))
    try:
        return _seen(_pods.decode(body))
    except msgspec.DecodeError as error:
        raise _senseless(connection, "get pods", error) from error


def find(connection: Connection, namespace: str, name: str) -> GatedPod | None:
    """One pod, by the right to list pods; None when it is not there."""
    found = _page(connection, namespace, {"fieldSelector": f"metadata.name={name}"})
    return next((_seen(pod) for pod in found.items), None)


def every(connection: Connection, namespace: str = "") -> Iterator[GatedPod]:
    """All gated pods of a namespace, or of all."""
    proceed = ""
    while True:
        page = _page(connection, namespace, {"limit": str(_PAGE)} | ({"continue": proceed} if proceed else {}))
        yield from (pod for pod in map(_seen, page.items) if pod.gated)
        proceed = page.metadata.proceed
        if not proceed:
            return


def open_by_hand(connection: Connection, pod: GatedPod, by: str, reason: str, now: datetime) -> str:
    """Tell a pod that it need not wait, and everybody who wanted that, and why. RequestRefused 404, 409 when the pod is another.

    Returns why no Event tells of it, "" where one does: the pod is open all the same.
    """
    message = f"opened by {by}: {reason}"[:1024]
    condition = said(GateReason.OPENED_BY_HAND, message, now, opened=True)
    apply_condition(connection, pod.namespace, pod.name, pod.uid, condition)
    notice = Notice(GateReason.OPENED_BY_HAND, f"Readiness gate {CONDITION} {message}", warning=True)
    try:
        create_event(connection, Resource.PODS, pod.namespace, pod.name, pod.uid, notice, now)
    except (RequestRefused, ClusterDenied) as error:
        return str(error)
    return ""


def said(reason: str, message: str, since: datetime, *, opened: bool) -> dict[str, str]:
    """The condition that says so."""
    return {
        "type": CONDITION,
        "status": "True" if opened else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _page(connection: Connection, namespace: str, params: dict[str, str]) -> _List:
    path = _PODS.path if not namespace else _PODS.object_path(namespace, "").rstrip("/")
    body = connection.get("list pods", path, params)
    try:
        return _lists.decode(body)
    except msgspec.DecodeError as error:
        raise _senseless(connection, "list pods", error) from error


def _senseless(connection: Connection, what: str, error: Exception) -> ClusterUnavailable:
    return ClusterUnavailable(f"{connection.name}: {what}: the answer makes no sense ({error})")


def _seen(pod: _Pod) -> GatedPod:
    about, gates = pod.metadata, tuple(gate.type for gate in pod.spec.readiness_gates or ())
    told = next((one for one in pod.status.conditions or () if one.type == CONDITION), _Condition())
    return GatedPod(
        about.namespace,
        about.name,
        about.uid,
        about.resource_version,
        gated(gates, about.annotations or {}),
        pod.status.phase in ("Succeeded", "Failed"),
        told.status,
        told.reason,
        told.message,
        told.last_transition_time or about.creation_timestamp,
    )
