"""Pods that a rule or a group is about and that are let through nowhere: their owners must find the reason on the pod itself."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from bridge.intake.landscape import Landscape
from bridge.intake.membership import Membership
from bridge.intake.workloads import Workloads
from bridge.model.observed import KINDS, Pod, Resource
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.state.batch import Verdict


class Unreached:
    """What is said about such pods of governed namespaces. Work grows with what changed: only suspects are looked at."""

    def __init__(self, landscape: Landscape, workloads: Workloads, membership: Membership) -> None:
        self._landscape = landscape
        self._workloads = workloads
        self._membership = membership
        self._about: dict[str, Ref] = {}
        self.verdicts: dict[Ref, Verdict] = {}

    def among(self, pods: Mapping[str, Pod], gone: Iterable[str]) -> Iterator[str]:
        """Suspects among pods that changed or went: those on their node's network, and those of whom something is said."""
        if self._about:
            yield from (uid for uid in gone if uid in self._about)
            yield from (uid for uid in pods if uid in self._about)
        yield from (uid for uid, pod in pods.items() if pod.host_network)

    def on_hosts(self, namespaces: Collection[str] | None) -> Iterator[str]:
        """The pods on their node's network in these namespaces; "" among them, or None, stands for all."""
        if namespaces is not None and not namespaces:
            return
        everywhere = namespaces is None or "" in namespaces
        for uid in self._workloads.on_hosts:
            if everywhere or self._workloads.pods[uid].namespace in (namespaces or ()):
                yield uid

    def doubtful(self, address: str) -> tuple[str, ...]:
        """Suspects among those who claim an address that was looked at; nearly always nobody."""
        claimants = self._workloads.claimants(address)
        if len(claimants) == 1 and claimants[0] not in self._about and self._membership.in_ranges(address):
            return ()
        return claimants

    def update(self, suspects: Iterable[str]) -> set[Ref]:
        """Look at these pods anew; returns about whom there may be something else to say now."""
        touched: set[Ref] = set()
        for uid in suspects:
            known, pod = self._about.pop(uid, None), self._workloads.pods.get(uid)
            if known is not None:
                touched.add(known)
                if self.verdicts[known].uid == uid:
                    del self.verdicts[known]
            said = self._verdict(pod) if pod else None
            if said is not None:
                self._about[uid], self.verdicts[said.ref] = said.ref, said
                touched.add(said.ref)
        return touched

    def _verdict(self, pod: Pod) -> Verdict | None:
        if pod.terminal or pod.deleting or not self._landscape.governs(pod.namespace):
            return None
        found = self._trouble(pod)
        if found is None or not self._membership.wanted(pod):
            return None
        ref = Ref(KINDS[Resource.PODS], pod.namespace, pod.name)
        reason, message = found
        return Verdict(ref, pod.uid, 0, False, str(reason), message)

    def _trouble(self, pod: Pod) -> tuple[Reason, str] | None:
        if pod.host_network:
            where = f"the network of its node {pod.node}" if pod.node else "the network of its node"
            return Reason.HOST_NETWORK, f"it uses {where}, where it has no address of its own"
        outside = [address for address in pod.addresses if not self._membership.in_ranges(address)]
        if outside:
            ranges = ", ".join(self._landscape.governance.pod_ranges)
            return Reason.OUTSIDE_POD_RANGES, f"{', '.join(outside)}: outside the pod ranges of its cluster ({ranges})"
        for address in pod.addresses:
            owner = self._workloads.owner(address)
            if owner is not None and owner.uid != pod.uid:
                taken = f"Pod {owner.namespace}/{owner.name}, which came later, holds {address} too"
                return Reason.ADDRESS_CONFLICT, f"{taken}: what is sent from there counts as that pod's"
        return None
