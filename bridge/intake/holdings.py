"""Who holds each address of a cluster, as recorded, and what follows when another does: the leases and members of a batch."""

from collections.abc import Iterable, Mapping

from bridge.intake import proof
from bridge.intake.causes import OF_OURSELVES, MemberCauses, together
from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.dirty import Dirty
from bridge.model.identity import ObjectKey
from bridge.model.observed import Pod
from bridge.state.batch import Batch, LeaseEnd, LeaseStart, MemberChange, OpenLease


class Holdings:
    """The open leases. `pods` are those on record, kept up to date by others: who it was that left."""

    def __init__(self, index: ClusterIndex, leases: Mapping[str, OpenLease], pods: Mapping[str, Pod]) -> None:
        self._index = index
        self._pods = pods
        self._leases = {address: lease.uid for address, lease in leases.items()}

    @property
    def addresses(self) -> Iterable[str]:
        """Every address that somebody holds, as far as is recorded."""
        return self._leases.keys()

    def update(self, address: str, dirty: Dirty, batch: Batch, moved: MemberCauses, *, first: bool) -> None:
        """Record who holds this address now, and the groups that it joins and leaves."""
        owner, before = self._index.workloads.owner(address), self._leases.get(address)
        self._record_membership(address, owner, before, dirty, batch, moved)
        self._record_lease(address, owner, before, dirty, batch, first=first)

    def follow(self, dirty: Dirty, batch: Batch, moved: MemberCauses) -> None:
        """What follows for groups that are put together of many pods."""
        for change in self._index.membership.changes():
            widened = proof.around(change.joined, dirty.widened.get(change.key, ()))
            narrowed = change.inferred | proof.around(change.left, dirty.narrowed.get(change.key, ()))
            batch.joined += [MemberChange(change.key, one, unproven=one in widened) for one in sorted(change.joined)]
            batch.left += [
                MemberChange(change.key, one, one in change.inferred, one in narrowed) for one in sorted(change.left)
            ]
            batch.causes.setdefault(change.key, together(dirty.causes.values()) or OF_OURSELVES)
            for uid, joined in change.pods:
                pod = self._known(uid, dirty)
                if pod is not None:
                    moved.add((change.key,), pod, joined=joined)

    def left_with(self, key: ObjectKey, address: str, dirty: Dirty) -> MemberChange:
        """A member of a group that goes. One that a device kept in a freeze makes way for the group of its name: who is not in that leaves
        as by any edit."""
        workloads, kept = self._index.workloads, bool(key.part) and "/" not in address
        before = self._leases.get(address)
        doubt = kept and proof.unproven(address, workloads.owner(address), before, workloads, dirty)
        return MemberChange(key, address, unproven=doubt)

    def _record_lease(
        self, address: str, owner: Pod | None, before: str | None, dirty: Dirty, batch: Batch, *, first: bool
    ) -> None:
        if owner is not None and owner.uid == before:
            return
        unwatched = address in dirty.unproven or address in dirty.unwatched
        since = dirty.unproven.get(address) or dirty.unwatched.get(address)
        if before is not None:
            batch.leases_ended.append(LeaseEnd(address, before, unwatched, since))
            del self._leases[address]
        if owner is not None:
            earliest = max((one for one in (since, owner.started) if one), default=None) if unwatched or first else None
            batch.leases.append(LeaseStart(address, owner, since=earliest))
            self._leases[address] = owner.uid

    def _record_membership(
        self, address: str, owner: Pod | None, before: str | None, dirty: Dirty, batch: Batch, moved: MemberCauses
    ) -> None:
        membership = self._index.membership
        joined, left, gained, lost = membership.update(address)
        unproven = bool(left or joined or gained or lost) and proof.unproven(
            address, owner, before, self._index.workloads, dirty
        )
        if joined and owner is not None:
            batch.joined += [
                MemberChange(key, address, unproven=unproven and before is not None and membership.opens(key))
                for key in joined
            ]
            moved.add(joined, owner, joined=True)
        if unproven:
            for key in gained:
                dirty.widened.setdefault(key, []).append(address)
            for key in lost:
                if not proof.service_gone(key, dirty):
                    dirty.narrowed.setdefault(key, []).append(address)
        leaver = self._known(before, dirty)
        if left:
            found_gone = address in dirty.unproven and owner is None
            batch.left += [
                MemberChange(key, address, found_gone, unproven and not proof.service_gone(key, dirty)) for key in left
            ]
            if leaver is not None:
                moved.add(left, leaver, joined=False)
        about = owner or leaver
        if about is not None:
            moved.add(gained, about, joined=owner is not None)
            moved.add(lost, about, joined=False)

    def _known(self, uid: str | None, dirty: Dirty) -> Pod | None:
        """The pod as it is or was last."""
        if uid is None:
            return None
        return dirty.pods.get(uid) or dirty.pods_gone.get(uid) or self._pods.get(uid)
