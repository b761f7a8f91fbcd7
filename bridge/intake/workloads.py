"""Which workload holds which address (SEMANTICS 2)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from bridge.model.observed import Pod

_EARLY = datetime.min.replace(tzinfo=UTC)


class Workloads:
    """The pods of one cluster, and the owner of every address that they claim.

    The owner is the claimant with the latest start, ties by uid. A claimant that lost does not get the address back by a later event of its
    own, unless that event changed its address list: then its claim counts from that event.
    """

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self._by_namespace: dict[str, set[str]] = {}
        self._on_hosts: set[str] = set()
        self._claims: dict[str, tuple[str, ...]] = {}
        self._late: dict[tuple[str, str], datetime] = {}

    def put(self, pod: Pod, at: datetime) -> tuple[str, ...]:
        """Take the pod as it is now; returns the addresses whose owner, or whose owner's groups, may have changed."""
        old = self.pods.get(pod.uid)
        if old is not None and not pod.addresses and old.addresses and not pod.terminal:
            # A status that was emptied, as throttled writers leave it, proves nothing: until the pod ends, tells another address, or
            # another pod holds this one, it is where it was.
            pod = replace(pod, addresses=old.addresses)
        self.pods[pod.uid] = pod
        if old is None:
            self._by_namespace.setdefault(pod.namespace, set()).add(pod.uid)
            if pod.host_network:
                self._on_hosts.add(pod.uid)
        after = held(pod)
        if old is None:
            for address in after:
                claimants = self._claims.get(address)
                self._claims[address] = (*claimants, pod.uid) if claimants else (pod.uid,)
            return after
        before = held(old)
        if before != after:
            moved = bool(old.addresses) and old.addresses != pod.addresses
            self._reclaim(pod.uid, before, after, at if moved else None)
        return tuple(dict.fromkeys((*before, *after))) if before else after

    def remove(self, uid: str) -> tuple[str, ...]:
        """Forget the pod; returns the addresses that it claimed."""
        pod = self.pods.pop(uid, None)
        if pod is None:
            return ()
        self._on_hosts.discard(uid)
        members = self._by_namespace[pod.namespace]
        members.discard(uid)
        if not members:
            del self._by_namespace[pod.namespace]
        self._reclaim(uid, held(pod), (), None)
        return held(pod)

    def owner(self, address: str) -> Pod | None:
        """Who holds the address now."""
        claimants = self._claims.get(address)
        if not claimants:
            return None
        if len(claimants) == 1:
            return self.pods[claimants[0]]
        return self.pods[max(claimants, key=lambda uid: self._rank(address, uid))]

    def claimants(self, address: str) -> tuple[str, ...]:
        """The uids of all pods that claim the address: more than one where it is contested."""
        return self._claims.get(address, ())

    @property
    def on_hosts(self) -> Iterable[str]:
        """The uids of the pods that use the network of their node."""
        return self._on_hosts

    def of_namespace(self, namespace: str) -> Iterator[Pod]:
        """The pods of one namespace."""
        return (self.pods[uid] for uid in self._by_namespace.get(namespace, ()))

    @property
    def addresses(self) -> Iterable[str]:
        """Every claimed address."""
        return self._claims.keys()

    def _reclaim(self, uid: str, before: tuple[str, ...], after: tuple[str, ...], late: datetime | None) -> None:
        for address in before:
            if address not in after:
                self._drop(address, uid)
        for address in after:
            if address not in before:
                self._claims[address] = (*self._claims.get(address, ()), uid)
                if late is not None:
                    self._late[address, uid] = late

    def _drop(self, address: str, uid: str) -> None:
        rest = tuple(other for other in self._claims.get(address, ()) if other != uid)
        if rest:
            self._claims[address] = rest
        else:
            self._claims.pop(address, None)
        self._late.pop((address, uid), None)

    def _rank(self, address: str, uid: str) -> tuple[datetime, str]:
        started = self.pods[uid].started or _EARLY
        return (max(started, self._late.get((address, uid), _EARLY)), uid)


def held(pod: Pod | None) -> tuple[str, ...]:
    """The addresses that a pod claims as its own: none once it is terminal or while it uses its node's network."""
    return () if pod is None or pod.terminal or pod.host_network else pod.addresses
