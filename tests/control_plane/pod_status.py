"""What a kubelet would write into a pod's status: pure, from the pod as it stands and what its node knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from tests.control_plane.api import Json

Phase = Literal["Running", "Succeeded", "Failed"]
TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Observed:
    """What the node knows of a pod: its phase, whether its containers are ready, its addresses and the node's own."""

    phase: Phase
    containers_ready: bool
    addresses: Sequence[str]
    host_addresses: Sequence[str]


def now() -> str:
    """The present as Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(pod: Json, observed: Observed, time: str) -> Json:
    """The status fields that the node owns. Times of what has not changed are kept, so that an unchanged pod gives an equal status."""
    before = pod.get("status", {})
    return {
        "phase": observed.phase,
        "conditions": [_kept(before, condition, time) for condition in _conditions(pod, observed)],
        "hostIP": observed.host_addresses[0],
        "hostIPs": [{"ip": address} for address in observed.host_addresses],
        "podIP": observed.addresses[0],
        "podIPs": [{"ip": address} for address in observed.addresses],
        "startTime": before.get("startTime", time),
        "initContainerStatuses": [
            _container(pod, container, observed, time, init=True) for container in pod["spec"].get("initContainers", [])
        ],
        "containerStatuses": [_container(pod, container, observed, time) for container in pod["spec"]["containers"]],
    }


def differs(pod: Json, wanted: Json) -> bool:
    """Whether the pod's status lacks something of `wanted`; conditions that others set do not count."""
    before = pod.get("status", {})
    conditions = {condition["type"]: condition for condition in before.get("conditions", [])}
    for condition in wanted["conditions"]:
        found = conditions.get(condition["type"], {})
        # The server leaves out empty words.
        if any((found.get(key) or "") != value for key, value in condition.items()):
            return True
    return any(before.get(key, []) != value for key, value in wanted.items() if key != "conditions")


def patch(pod: Json, wanted: Json) -> Json:
    """A strategic merge patch: conditions merge by type, addresses are replaced, another pod of the same name is refused."""
    lists = {key: [{"$patch": "replace"}, *wanted[key]] for key in ("podIPs", "hostIPs")}
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": wanted | lists}


def _conditions(pod: Json, observed: Observed) -> list[Json]:
    """As the kubelet decides them: Ready asks for ContainersReady and for every gate, whoever sets the gates' conditions."""
    over = observed.phase in TERMINAL
    completed = {"reason": "PodCompleted"} if over else {}
    containers_ready = observed.containers_ready and not over
    given = {condition["type"]: condition["status"] for condition in pod.get("status", {}).get("conditions", [])}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", [])]
    closed = [gate for gate in gates if given.get(gate) != "True"]
    if containers_ready and closed:
        ready = _condition(
            "Ready", False, reason="ReadinessGatesNotReady", message=f"gates not open: {', '.join(closed)}"
        )
    else:
        ready = _condition("Ready", containers_ready, **_why(containers_ready, completed))
    return [
        _condition("PodScheduled", True),
        _condition("Initialized", True, **completed),
        _condition("ContainersReady", containers_ready, **_why(containers_ready, completed)),
        ready,
    ]


def _why(ready: bool, completed: dict[str, str]) -> dict[str, str]:
    return {} if ready else completed or {"reason": "ContainersNotReady"}


def _condition(kind: str, true: bool, **words: str) -> Json:
    # An empty word is stated: a merge would keep the old one.
    return {"type": kind, "status": str(true), "reason": "", "message": ""} | words


def _kept(before: Json, condition: Json, time: str) -> Json:
    for old in before.get("conditions", []):
        if old["type"] == condition["type"] and old["status"] == condition["status"]:
            time = old.get("lastTransitionTime") or time
    return condition | {"lastTransitionTime": time}


def _container(pod: Json, container: Json, observed: Observed, time: str, *, init: bool = False) -> Json:
    over = observed.phase in TERMINAL
    done = over or (init and container.get("restartPolicy") != "Always")
    ready = not over and (init or observed.containers_ready)
    since = pod.get("status", {}).get("startTime", time)
    exit_code = 1 if observed.phase == "Failed" and not init else 0
    reason = "Error" if exit_code else "Completed"
    ended = {"exitCode": exit_code, "reason": reason, "startedAt": since, "finishedAt": since}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": not done,
        "restartCount": 0,
        "lastState": {},
        "state": {"terminated": ended} if done else {"running": {"startedAt": since}},
    }
