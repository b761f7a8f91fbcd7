"""A stand-in for scheduler, kubelets and network: pods are bound, addressed, made ready and ended as on real nodes."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from tests.control_plane import pod_status
from tests.control_plane.addresses import Network, RangeExhausted, Reuse
from tests.control_plane.api import STRATEGIC, Api, Json
from tests.control_plane.machine import Machine, machines
from tests.control_plane.pod_status import TERMINAL, Observed, Phase
from tests.control_plane.reflection import Key, Reflection, key_of

RETRY_SECONDS = 0.3
# Forbidden is what a binding in a namespace that is being deleted gets, until its pods are deleted as well.
_PASSING = {httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.FORBIDDEN}


@dataclass(slots=True)
class Sandbox:
    """What the nodes know of one pod."""

    uid: str
    ready: bool
    addresses: list[str] = field(default_factory=list)
    phase: Phase = "Running"
    ending_since: float | None = None
    ended: bool = False


class NodeStandIn:
    """Nodes for a control plane that has none.

    Pods go to the nodes in turn. Addresses come from one range per family, whichever the node, given out as `reuse` says (see
    `addresses.Pool`); a hostNetwork pod shows its node's. A pod is Running and its containers ready at once, unless `ready` is False or
    `set_ready` said otherwise; Ready follows from that and from the readiness gates. A deleted pod ends `end_after` seconds after its
    deletion was seen, and holds its address until then; a pod in a terminal phase gives it back at once and keeps showing it.
    Orders (`set_ready`, `succeed`, …) return at once and show in the API soon after.
    """

    def __init__(
        self,
        api: Api,
        *,
        names: Sequence[str] = ("node-1", "node-2"),
        ranges: Sequence[str] = ("10.244.0.0/24",),
        reuse: Reuse = "lowest",
        ready: bool = True,
        end_after: float = 0.0,
    ) -> None:
        self.machines = machines(names, ranges)
        self.ready = ready
        self._api = api
        self._end_after = end_after
        self._by_name = {machine.name: machine for machine in self.machines}
        self._turn = 0
        self._network = Network(ranges, reuse)
        self._sandboxes: dict[str, Sandbox] = {}
        self._due: dict[Key, float] = {}
        self._failures: list[Exception] = []
        self._stopping = False
        # Guards all of the above. Calls to the API are made without it.
        self._changed = threading.Condition(threading.RLock())
        self._reflection = Reflection(api, "/api/v1/pods", self._adopt, self._pod_changed)
        self._worker = threading.Thread(target=self._work, name="node stand-in", daemon=True)

    def __enter__(self) -> Self:
        for machine in self.machines:
            path = f"/api/v1/nodes/{machine.name}"
            if self._api.find(path):
                self._api.delete(path)
            self._api.post("/api/v1/nodes", machine.manifest())
            self._api.patch(f"{path}/status", {"status": machine.status(pod_status.now())})
        self._reflection.start()
        self._worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, take the nodes away, and end what still stands on them. Raises the first error that no retry could mend."""
        self._reflection.stop()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._worker.join()
        for pod in self._reflection.objects().values():
            if pod["spec"].get("nodeName") in self._by_name:
                self._delete(pod)
        for machine in self.machines:
            self._api.delete(f"/api/v1/nodes/{machine.name}")
        if self._failures:
            raise self._failures[0]

    # What a test asks and orders.

    def held(self) -> dict[str, set[str]]:
        """Address to the uids of the pods that hold it now."""
        with self._changed:
            return self._network.held()

    def force_next(self, address: str) -> None:
        """The next pod that needs an address of this family gets this one, even if another holds it. ValueError outside the ranges."""
        with self._changed:
            self._network.force(address)

    @property
    def end_after(self) -> float:
        """Seconds from a pod's deletion to its end; `math.inf` holds it until a smaller value is set."""
        return self._end_after

    @end_after.setter
    def end_after(self, seconds: float) -> None:
        with self._changed:
            self._end_after = seconds
            self._due |= dict.fromkeys(self._reflection.objects(), 0.0)
            self._changed.notify_all()

    def set_ready(self, namespace: str, name: str, ready: bool) -> None:
        """The pod's containers become ready or not."""
        with self._order(namespace, name) as sandbox:
            sandbox.ready = ready

    def succeed(self, namespace: str, name: str) -> None:
        """All containers end with exit code 0."""
        with self._order(namespace, name) as sandbox:
            sandbox.phase = "Succeeded"

    def fail(self, namespace: str, name: str) -> None:
        """A container ends with exit code 1; as an eviction does."""
        with self._order(namespace, name) as sandbox:
            sandbox.phase = "Failed"

    def readdress(self, namespace: str, name: str) -> None:
        """The pod gets other addresses under the same uid, as after its sandbox was made anew."""
        with self._order(namespace, name) as sandbox:
            if old := sandbox.addresses:
                sandbox.addresses = self._network.take(sandbox.uid)
                self._network.release(sandbox.uid, old)

    @contextmanager
    def _order(self, namespace: str, name: str) -> Iterator[Sandbox]:
        """The sandbox of the pod that bears this name now, looked at again afterwards."""
        uid: str = self._api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")["metadata"]["uid"]
        with self._changed:
            yield self._sandbox(uid)
            self._look_at((namespace, name))

    # What the watch tells.

    def _adopt(self, pods: Sequence[Json]) -> None:
        """Pods that already show addresses keep them: nobody else gets them meanwhile."""
        with self._changed:
            for pod in pods:
                status = pod.get("status", {})
                sandbox = self._sandbox(pod["metadata"]["uid"])
                if _networked(pod) and status.get("phase") not in TERMINAL and not sandbox.addresses:
                    shown = [entry["ip"] for entry in status.get("podIPs", [])]
                    sandbox.addresses = self._network.claim(sandbox.uid, shown)

    def _pod_changed(self, key: Key, uid: str, pod: Json | None) -> None:
        with self._changed:
            if pod is None:
                self._release(uid)
                self._sandboxes.pop(uid, None)
            self._look_at(key)

    # The work: one pod at a time, always from its present state.

    def _work(self) -> None:
        while key := self._next():
            pod = self._reflection.get(key)
            try:
                if pod:
                    self._attend(key, pod)
            except RangeExhausted:
                self._look_at(key, after=RETRY_SECONDS)
            except httpx.HTTPError as error:
                self._trouble(key, error)

    def _next(self) -> Key | None:
        """The pod whose turn it is; None at the end."""
        with self._changed:
            while not self._stopping:
                key = min(self._due, key=self._due.__getitem__, default=None)
                wait = None if key is None else self._due[key] - time.monotonic()
                if key is not None and wait is not None and wait <= 0:
                    del self._due[key]
                    return key
                self._changed.wait(wait)
            return None

    def _look_at(self, key: Key, after: float = 0.0) -> None:
        if after < math.inf:
            with self._changed:
                due = time.monotonic() + after
                self._due[key] = min(due, self._due.get(key, due))
                self._changed.notify_all()

    def _trouble(self, key: Key, error: httpx.HTTPError) -> None:
        """The pod is tried again, unless it is gone or refused for what was written: that is a fault of this stand-in."""
        code = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else httpx.codes.BAD_GATEWAY
        if code in _PASSING or code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._look_at(key, after=RETRY_SECONDS)
        elif code != httpx.codes.NOT_FOUND:
            self._failures.append(error)

    def _attend(self, key: Key, pod: Json) -> None:
        machine = self._by_name.get(pod["spec"].get("nodeName", ""))
        if machine is None:
            if not pod["spec"].get("nodeName") and not pod["spec"].get("schedulingGates"):
                self._bind(pod)
        elif "deletionTimestamp" in pod["metadata"]:
            self._end(key, pod, machine)
        elif pod["status"].get("phase") not in TERMINAL:
            self._report(pod, machine)

    def _bind(self, pod: Json) -> None:
        able = [machine for machine in self.machines if machine.takes(pod)]
        if not able or "deletionTimestamp" in pod["metadata"]:
            return
        self._turn += 1
        meta = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        target = {"apiVersion": "v1", "kind": "Node", "name": able[self._turn % len(able)].name}
        self._api.post(
            f"{_path(pod)}/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        )

    def _report(self, pod: Json, machine: Machine) -> None:
        """Write the status that follows from what is known, where the pod shows another."""
        uid = pod["metadata"]["uid"]
        with self._changed:
            if self._gone(pod):
                return
            sandbox = self._sandbox(uid)
            if _networked(pod) and not sandbox.addresses:
                sandbox.addresses = self._network.take(uid)
            addresses = tuple(sandbox.addresses) or machine.addresses
            observed = Observed(sandbox.phase, sandbox.ready, addresses, machine.addresses)
        wanted = pod_status.status(pod, observed, pod_status.now())
        if pod_status.differs(pod, wanted):
            self._api.patch(f"{_path(pod)}/status", pod_status.patch(pod, wanted), STRATEGIC)
        if observed.phase in TERMINAL:
            self._release(uid)

    def _end(self, key: Key, pod: Json, machine: Machine) -> None:
        """As a kubelet does: stop the containers, show a terminal phase, take the object away, give the addresses back."""
        with self._changed:
            if self._gone(pod):
                return
            sandbox = self._sandbox(pod["metadata"]["uid"])
            sandbox.ending_since = sandbox.ending_since or time.monotonic()
            left = sandbox.ending_since + self._end_after - time.monotonic()
            if left > 0 or sandbox.ended:
                self._look_at(key, after=math.inf if sandbox.ended else left)
                return
            if sandbox.phase == "Running":
                sandbox.phase = "Succeeded"
            shown = bool(pod["status"].get("podIP"))
        if shown and pod["status"].get("phase") not in TERMINAL:
            self._report(pod, machine)
        self._delete(pod)
        with self._changed:
            # A finalizer may keep the object; its addresses are free all the same.
            sandbox.ended = True
            self._release(pod["metadata"]["uid"])

    def _delete(self, pod: Json) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        try:
            self._api.delete(_path(pod), body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                raise

    def _sandbox(self, uid: str) -> Sandbox:
        return self._sandboxes.setdefault(uid, Sandbox(uid, self.ready))

    def _gone(self, pod: Json) -> bool:
        """Whether the watch told of its end since it was looked up: nothing may be given to it that nobody would take back."""
        now = self._reflection.get(key_of(pod))
        return now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]

    def _release(self, uid: str) -> None:
        with self._changed:
            if sandbox := self._sandboxes.get(uid):
                self._network.release(uid, sandbox.addresses)


def _networked(pod: Json) -> bool:
    return not pod["spec"].get("hostNetwork")


def _path(pod: Json) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
