"""Orders as a person gives them: Decisions and Stops written into a cluster with that person's credentials, and what became of them."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from bridge.clock import Clock
from bridge.cluster.answers import RequestRefused
from bridge.cluster.client import Connection
from bridge.cluster.kinds import KINDS
from bridge.errors import ClusterDenied, ClusterUnavailable, Refused
from bridge.model.kinds import DECISION, STOP, Kind, Resource

_JSON: Final = "application/json"
_MERGE: Final = "application/merge-patch+json"
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_MANAGER: Final = "fusion-bridge-cli"
_PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Given:
    """An order as it stands in the cluster. `state` is what the bridge says became of it, "" while it says nothing."""

    resource: Resource
    name: str
    uid: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    message: str = ""

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that a stop names; none: all."""
        return tuple(self.spec.get("devices") or ())

    @property
    def lifted(self) -> bool:
        """Whether a stop was ended."""
        return bool(self.spec.get("lifted"))


class Orders:
    """The orders of one cluster, over a person's connection.

    Every method raises Refused where the cluster does not let that person do it, or does not take it, and ClusterUnavailable where nobody
    answers.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def whoami(self) -> str:
        """The name by which the cluster knows the person. Refused where it does not tell."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        what = "create selfsubjectreviews"
        try:
            answer = self._said(what, lambda: self._send(what, "POST", _REVIEWS, body, _JSON))
        except Refused as error:
            raise Refused(f"{error}; say who you are: --by NAME") from error
        name = answer.get("status", {}).get("userInfo", {}).get("username", "")
        if not name:
            raise Refused(f"{self._connection.name}: the cluster does not say who you are: --by NAME")
        return str(name)

    def decide(self, spec: Mapping[str, str]) -> Given:
        """Write a Decision."""
        return self._create(DECISION, {"generateName": f"{spec['verdict'].lower()}-"}, spec)

    def stop(self, spec: Mapping[str, Any], name: str = "") -> Given:
        """Write a Stop; of that name where one is given."""
        return self._create(STOP, {"name": name} if name else {"generateName": "stop-"}, spec)

    def stops(self) -> list[Given]:
        """Every Stop there is."""
        found = self._said("list stops", lambda: msgspec.json.decode(self._connection.get("list stops", STOP.path)))
        return [_given(STOP, item) for item in found.get("items") or ()]

    def lift(self, stop: Given, by: str, reason: str) -> Given:
        """End a stop. One that is ended stays as it was ended: Refused."""
        body = {"metadata": {"uid": stop.uid}, "spec": {"lifted": {"by": by, "reason": reason}}}
        path = STOP.object_path("", stop.name)
        answer = self._said("patch stops", lambda: self._send("patch stops", "PATCH", path, body, _MERGE))
        return _given(STOP, answer)

    def lift_unseen(self, name: str, by: str, reason: str) -> Given:
        """End a stop whose object is gone, and that is in force because nobody saw it going: it is written again, and lifted by that."""
        lifted = {"by": by, "reason": reason}
        return self.stop({**lifted, "lifted": lifted}, name)

    def settled(self, order: Given, states: Iterable[str], seconds: float) -> Given:
        """The order once the bridge says one of these states of it, or as it is known after so many seconds.

        It is written, whatever happens now: who may not read it, or finds nobody who answers, is told so in its message.
        """
        wanted, kind = frozenset(states), KINDS[order.resource]
        until, never = self._clock.elapsed() + seconds, threading.Event()
        what, path = f"get {kind.plural}", kind.object_path("", order.name)
        while True:
            try:
                order = _given(kind, self._said(what, lambda: msgspec.json.decode(self._connection.get(what, path))))
            except Refused as error:
                return replace(order, message=f"it is written, and what becomes of it is not to be read: {error}")
            except ClusterUnavailable as error:
                order = replace(order, message=f"it is written, and what becomes of it is not known: {error}")
            if order.state in wanted or self._clock.elapsed() >= until:
                return order
            self._clock.wait(never, _PAUSE)

    def _create(self, kind: Kind, metadata: Mapping[str, str], spec: Mapping[str, Any]) -> Given:
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": dict(metadata), "spec": dict(spec)}
        what = f"create {kind.plural}"
        return _given(kind, self._said(what, lambda: self._send(what, "POST", kind.path, body, _JSON)))

    def _send(self, what: str, method: str, path: str, body: Mapping[str, Any], content_type: str) -> Any:  # noqa: ANN401
        params = {"fieldManager": _MANAGER}
        return msgspec.json.decode(
            self._connection.send(what, method, path, msgspec.json.encode(body), content_type, params)
        )

    def _said(self, what: str, call: Callable[[], Any]) -> dict[str, Any]:
        try:
            answer = call()
        except ClusterDenied as error:
            raise Refused(f"the cluster does not let you: {error}") from error
        except RequestRefused as error:
            known = error.code != 404 or "selfsubject" in what
            raise Refused(str(error) if known else f"{error}: is fusion-bridge installed in this cluster?") from error
        except msgspec.DecodeError as error:
            raise ClusterUnavailable(f"{self._connection.name}: {what}: the answer makes no sense ({error})") from error
        return answer if isinstance(answer, dict) else {}


def to_lift(stops: Iterable[Given], devices: Collection[str]) -> tuple[list[Given], list[Given]]:
    """The stops in force that are to be lifted so that these devices start (none named: all), and those that stop other devices too."""
    standing = [one for one in stops if not one.lifted]
    if not devices:
        return standing, []
    chosen = [one for one in standing if one.devices and set(one.devices) <= set(devices)]
    return chosen, [
        one for one in standing if one not in chosen and (not one.devices or set(one.devices) & set(devices))
    ]


def _given(kind: Kind, item: Mapping[str, Any]) -> Given:
    metadata, status = item.get("metadata") or {}, item.get("status") or {}
    return Given(
        kind.resource,
        str(metadata.get("name", "")),
        str(metadata.get("uid", "")),
        item.get("spec") or {},
        str(status.get("state", "")),
        str(status.get("message", "")),
    )
