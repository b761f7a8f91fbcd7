"""From what is dirty in the picture of a cluster to the batch that records it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.dialects.annotations import annotation_groups
from bridge.errors import PolicyError
from bridge.intake import compiler
from bridge.intake.cluster_index import ClusterIndex, Dirty
from bridge.intake.workloads import held
from bridge.model.observed import Pod, PolicyObject
from bridge.model.policy import Governance, Ref
from bridge.policy.compile import Target
from bridge.state.batch import Batch, LeaseEnd, LeaseStart, MemberChange, Recorded, Slim, Verdict

_CAUSES_NAMED = 3


class Recorder:
    """Knows what is recorded, so that a batch holds just the difference. One for each start of a cluster's intake."""

    def __init__(
        self, cluster: str, governance: Governance, targets: Sequence[Target], index: ClusterIndex, recorded: Recorded
    ) -> None:
        self._cluster = cluster
        self._governance = governance
        self._targets = targets
        self._index = index
        self._pods: dict[str, Pod] = dict(recorded.pods)
        self._objects = dict(recorded.objects)
        self._leases = {address: lease.uid for address, lease in recorded.leases.items()}
        self._desired = dict(recorded.desired)
        self._verdicts = dict(recorded.verdicts)

    def first(self, at: datetime) -> Batch:
        """The batch that brings the record up to the first complete lists, whatever happened meanwhile."""
        index = self._index
        index.policies.forget_absent()
        dirty = index.taken()
        dirty.policy = True
        for address in self._leases:
            if index.workloads.owner(address) is None and address not in dirty.addresses:
                dirty.unproven[address] = None
        for address in (*self._leases, *index.workloads.addresses, *index.membership.known_addresses):
            dirty.addresses[address] = None
        return self._record(dirty, at, first=True)

    def next(self, at: datetime) -> Batch:
        """The batch for what is dirty now."""
        return self._record(self._index.taken(), at, first=False)

    def _record(self, dirty: Dirty, at: datetime, *, first: bool) -> Batch:
        batch = Batch(at)
        self._record_pods(dirty, batch)
        self._record_objects(dirty, batch)
        if dirty.policy:
            dirty.namespaces |= self._record_policy(dirty, batch)
        if dirty.namespaces:
            self._index.membership.forget_cache()
            self._spread(dirty)
        for address in dirty.addresses:
            self._record_lease(address, dirty, batch, first=first)
            self._record_membership(address, dirty, batch)
        return batch

    def _record_pods(self, dirty: Dirty, batch: Batch) -> None:
        """Pods are recorded once they hold an address, and again when something that policy sees has changed."""
        for uid, pod in dirty.pods.items():
            known = self._pods.get(uid)
            if known is None and not held(pod):
                continue
            if known is None or not _alike(known, pod):
                self._pods[uid] = pod
                batch.pods.append(pod)
        for uid in dirty.pods_gone:
            if self._pods.pop(uid, None) is not None:
                batch.pods_gone.append(uid)

    def _record_objects(self, dirty: Dirty, batch: Batch) -> None:
        """Heartbeats of nodes and status written to policy objects are no change that anybody needs."""
        for key, value in dirty.objects.items():
            known = self._objects.get(key)
            if known is None or not _alike(known, value):
                self._objects[key] = value
                batch.objects.append(value)
        for key in dirty.objects_gone:
            if self._objects.pop(key, None) is not None:
                batch.objects_gone.append(key)

    def _record_policy(self, dirty: Dirty, batch: Batch) -> set[str]:
        """Compile anew; returns the namespaces whose members must be looked at, "" for all."""
        index, landscape = self._index, self._index.landscape
        in_force = index.policies.settle(landscape.governs)
        asked = annotation_groups(landscape.namespaces.values(), landscape.services.values(), index.annotated_pods)
        drawn = compiler.outline(self._cluster, self._governance, in_force, asked.sources, self._targets)
        batch.desired, batch.desired_gone = compiler.changes(self._desired, drawn.desired, cause_of(dirty.causes))
        self._desired = {place: one.digest for place, one in drawn.desired.items()}
        verdicts = {**compiler.with_remarks(in_force.verdicts, drawn.remarks), **_complaints(asked.errors)}
        batch.verdicts = [verdict for ref, verdict in verdicts.items() if self._verdicts.get(ref) != verdict]
        batch.verdicts_gone = [ref for ref in self._verdicts if ref not in verdicts]
        self._verdicts = verdicts
        batch.groups, batch.groups_gone, touched = index.membership.define(drawn.definitions)
        for key in batch.groups_gone:
            batch.left += [MemberChange(key, address) for address in index.membership.forget(key)]
        return touched

    def _spread(self, dirty: Dirty) -> None:
        """Mark every address of the namespaces that must be looked at."""
        workloads = self._index.workloads
        if "" in dirty.namespaces:
            dirty.addresses.update(dict.fromkeys(workloads.addresses))
            return
        for namespace in dirty.namespaces:
            for pod in workloads.of_namespace(namespace):
                dirty.addresses.update(dict.fromkeys(held(pod)))

    def _record_lease(self, address: str, dirty: Dirty, batch: Batch, *, first: bool) -> None:
        owner, before = self._index.workloads.owner(address), self._leases.get(address)
        if owner is not None and owner.uid == before:
            return
        if before is not None:
            unproven = owner is None and address in dirty.unproven
            batch.leases_ended.append(LeaseEnd(address, before, unproven, dirty.unproven.get(address)))
            del self._leases[address]
        if owner is not None:
            batch.leases.append(LeaseStart(address, owner, since=owner.started if first else None))
            self._leases[address] = owner.uid

    def _record_membership(self, address: str, dirty: Dirty, batch: Batch) -> None:
        joined, left = self._index.membership.update(address)
        batch.joined += [MemberChange(key, address) for key in joined]
        if left:
            unproven = address in dirty.unproven and self._index.workloads.owner(address) is None
            batch.left += [MemberChange(key, address, unproven) for key in left]


def _alike(known: Pod | Slim, value: Pod | Slim) -> bool:
    """Whether two versions of an object are the same to us: versions, a pod's way through its life and status are not looked at."""
    match known, value:
        case Pod(), Pod():
            level = replace(known, resource_version=value.resource_version, deleting=value.deleting, phase=value.phase)
            return level == value and known.terminal == value.terminal
        case PolicyObject(), PolicyObject():
            return replace(known, resource_version=value.resource_version, status=value.status) == value
        case _:
            return replace(known, resource_version=value.resource_version) == value


def cause_of(causes: Iterable[str]) -> str:
    """The causes of a batch in one line."""
    listed = list(causes)
    more = f" and {len(listed) - _CAUSES_NAMED} more" if len(listed) > _CAUSES_NAMED else ""
    return ", ".join(listed[:_CAUSES_NAMED]) + more


def _complaints(errors: Mapping[Ref, PolicyError]) -> dict[Ref, Verdict]:
    """What is wrong with annotations, said about the objects that carry them."""
    return {ref: Verdict(ref, "", 0, False, "Invalid", str(error)) for ref, error in errors.items()}
