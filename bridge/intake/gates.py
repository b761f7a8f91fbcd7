"""Which pods wait for the firewalls to know them, and for which groups each of them waits."""

from collections.abc import Iterator, Mapping

from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.dirty import Dirty
from bridge.intake.workloads import held
from bridge.model.gate import GateReason, Need
from bridge.model.observed import Pod
from bridge.policy.select import selectable
from bridge.state.batch import Batch, GateStart


class Gates:
    """The gates of one cluster, as recorded. Pods that are not gated cost a look at what they are, and nothing else.

    What a gate needs is settled once, when the pod has its addresses: what happens to groups after that delays nobody. It is settled anew
    when the addresses change, and after a start, when nobody watched.
    """

    def __init__(self, index: ClusterIndex, recorded: Mapping[str, bool]) -> None:
        self._index = index
        self._waiting: dict[str, tuple[str, ...] | None] = {uid: None for uid, waits in recorded.items() if waits}
        self._done = {uid for uid, waits in recorded.items() if not waits}
        self._blocked: set[str] = set()  # of those waiting, who waits for something that is to happen in the cluster

    def record(self, dirty: Dirty, batch: Batch, *, first: bool) -> None:
        """Note in the batch who begins to wait, who need not, and who is gone. Memberships must be up to date."""
        for uid in self._gone(dirty, first=first):
            self._forget(uid, batch)
        pods = self._index.workloads.pods
        for uid in self._candidates(dirty, first=first):
            pod = pods.get(uid)
            if pod is not None and uid not in self._done:
                self._take(pod, batch, again=first or uid in self._blocked)

    def _gone(self, dirty: Dirty, *, first: bool) -> list[str]:
        known = (*self._waiting, *self._done) if first else dirty.pods_gone
        pods = self._index.workloads.pods
        return [uid for uid in known if (uid in self._waiting or uid in self._done) and uid not in pods]

    def _candidates(self, dirty: Dirty, *, first: bool) -> list[str]:
        pods = self._index.workloads.pods if first else dirty.pods
        found = dict.fromkeys(uid for uid, pod in pods.items() if pod.gated)
        found.update(dict.fromkeys(uid for uid in self._blocked if self._touched(uid, dirty)))
        return list(found)

    def _touched(self, uid: str, dirty: Dirty) -> bool:
        pod = self._index.workloads.pods.get(uid)
        if pod is None:
            return False
        everywhere = {"", pod.namespace} & dirty.namespaces
        return bool(everywhere) or any(address in dirty.addresses for address in pod.addresses)

    def _take(self, pod: Pod, batch: Batch, *, again: bool) -> None:
        if pod.terminal:
            self._forget(pod.uid, batch)
            return
        known = pod.uid in self._waiting
        if pod.programmed:  # by us, or by a person who would not wait
            if known:
                batch.gates_opened.append(pod.uid)
            else:
                batch.gates.append(GateStart(pod, open=True, told=True))
            self._opened(pod.uid)
            return
        if known and not again and self._waiting[pod.uid] == held(pod):
            return
        start = self._start(pod)
        if start is None:
            return
        batch.gates.append(start)
        if start.open:
            self._opened(pod.uid)
            return
        self._waiting[pod.uid] = held(pod)
        (self._blocked.add if start.reason else self._blocked.discard)(pod.uid)

    def _exempt(self, pod: Pod) -> GateReason | None:
        """Why it need not wait, whatever its groups."""
        landscape = self._index.landscape
        if pod.namespace in landscape.governance.ungated:
            return GateReason.NEVER_GATED
        if not selectable(pod):
            return GateReason.HOST_NETWORK
        if pod.namespace in landscape.namespaces and not landscape.governs(pod.namespace):
            return GateReason.NOT_GOVERNED
        return None

    def _start(self, pod: Pod) -> GateStart | None:
        """None for a pod that has no address yet."""
        exempt = self._exempt(pod)
        if exempt is not None:
            return GateStart(pod, open=True, reason=exempt)
        if not held(pod):
            return None
        if pod.namespace not in self._index.landscape.namespaces:  # it may turn out to be governed
            return GateStart(pod, reason=GateReason.UNKNOWN)
        owners = [self._index.workloads.owner(address) for address in held(pod)]
        if any(owner is None or owner.uid != pod.uid for owner in owners):
            return GateStart(pod, reason=GateReason.CONFLICT)
        return GateStart(pod, tuple(self._needs(pod)))

    def _needs(self, pod: Pod) -> Iterator[Need]:
        for address in held(pod):
            for key in self._index.membership.groups(address):
                yield Need(key, address)
        for key, address in self._index.membership.seen.shown(pod.uid):
            yield Need(key, address)

    def _opened(self, uid: str) -> None:
        self._waiting.pop(uid, None)
        self._blocked.discard(uid)
        self._done.add(uid)

    def _forget(self, uid: str, batch: Batch) -> None:
        if uid in self._waiting or uid in self._done:
            batch.gates_gone.append(uid)
        self._waiting.pop(uid, None)
        self._blocked.discard(uid)
        self._done.discard(uid)
