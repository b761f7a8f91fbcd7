"""From what is dirty in the picture of a cluster to the batch that records it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TypeVar

import structlog

from bridge.dialects import orders
from bridge.dialects.annotations import annotation_groups
from bridge.errors import PolicyError
from bridge.intake import compiler
from bridge.intake.causes import OF_OURSELVES, MemberCauses, together
from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.counting import Counting
from bridge.intake.dirty import Dirty
from bridge.intake.freezes import Drawing, Freezes
from bridge.intake.gates import Gates
from bridge.intake.holdings import Holdings
from bridge.intake.likeness import alike, same_order, same_verdict
from bridge.intake.names import Asked
from bridge.intake.policies import InForce
from bridge.intake.timetable import Timetable
from bridge.intake.unreached import Unreached
from bridge.intake.workloads import held
from bridge.model.identity import ObjectKey
from bridge.model.observed import Change, Order, Pod, Resource
from bridge.model.policy import Governance, Ref
from bridge.model.reasons import RESTING, Reason
from bridge.policy.compile import Target
from bridge.policy.memory import Memory
from bridge.state.batch import Batch, Placement, Recorded, Verdict

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class Recorder:
    """Knows what is recorded, so that a batch holds just the difference. One for each start of a cluster's intake."""

    def __init__(
        self, cluster: str, governance: Governance, targets: Sequence[Target], index: ClusterIndex, recorded: Recorded
    ) -> None:
        self._cluster = cluster
        self._beginning = f"first picture of cluster {cluster}"
        self._governance = governance
        self._targets = targets
        self._index = index
        self._seen_at = recorded.seen_at
        self._pods: dict[str, Pod] = dict(recorded.pods)
        self._objects = dict(recorded.objects)
        self._holdings = Holdings(index, recorded.leases, self._pods)
        self._desired = dict(recorded.desired)
        self._said: dict[Ref, Verdict] = {}  # about what people wrote, as of the last compilation
        self._plain: Mapping[Ref, Verdict] = {}  # of external services with names, before what names have to say
        self._counting = Counting(index)
        self._notes: Mapping[str, tuple[str, ...]] = {}
        self._memory = Memory()
        self._gates = Gates(index, recorded.gates)
        self._unreached = Unreached(index.landscape, index.workloads, index.membership)
        self._verdicts = dict(recorded.verdicts)
        self._placements = dict(recorded.placements)
        index.doubts.start_from(recorded.verdicts.values())
        self._freezes = Freezes(cluster, targets, index.policies, recorded)
        self.timetable = Timetable()

    def first(self, at: datetime) -> Batch:
        """The batch that brings the record up to the first complete lists, whatever happened meanwhile."""
        index = self._index
        index.judge(at)
        index.policies.forget_absent()
        dirty = index.taken()
        dirty.policy = True
        for address in self._holdings.addresses:
            if index.workloads.owner(address) is None and address not in dirty.addresses:
                dirty.unproven[address] = self._seen_at
        for address in (*self._holdings.addresses, *index.workloads.addresses, *index.membership.known_addresses):
            dirty.addresses[address] = None
        return self._record(dirty, at, first=True)

    def next(self, at: datetime) -> Batch:
        """The batch for what is dirty now, and for the rules that begin or cease to count."""
        self._index.judge(at)
        dirty = self._index.taken()
        dirty.policy = dirty.policy or self.timetable.due(at)
        return self._record(dirty, at, first=False)

    def _record(self, dirty: Dirty, at: datetime, *, first: bool) -> Batch:
        batch = Batch(at)
        moved, doubtful = MemberCauses(), self._unreached.doubtful
        self._record_pods(dirty, batch)
        self._freezes.start()
        self._record_orders(dirty, batch)
        self._record_objects(dirty, batch)
        if dirty.namespaces:
            self._index.membership.forget_cache()
        dirty.policy = self._counting.take(dirty) or dirty.policy or self._freezes.moving
        if dirty.policy:
            self._record_policy(dirty, batch, first=first)
        self._record_names(dirty, batch)
        self._spread(dirty)
        suspects = dict.fromkeys(self._unreached.among(dirty.pods, dirty.pods_gone))
        suspects.update(dict.fromkeys(self._unreached.on_hosts(None if first else dirty.namespaces)))
        for address in dirty.addresses:
            self._holdings.update(address, dirty, batch, moved, first=first)
            for uid in doubtful(address):
                suspects[uid] = None
        self._holdings.follow(dirty, batch, moved)
        self._gates.record(dirty, batch, first=first)
        batch.causes |= moved.lines(dirty.changed, together(dirty.causes.values()))
        about = self._unreached.update(suspects) | dirty.named.keys()
        if dirty.policy:
            about |= {ref for ref, _ in _other(self._verdicts, self._said)} | (
                self._verdicts.keys() - self._said.keys()
            )
        self._record_verdicts(about, batch)
        return batch

    def _record_pods(self, dirty: Dirty, batch: Batch) -> None:
        """Pods are recorded once they hold an address, and again when something that policy sees has changed."""
        for uid, pod in dirty.pods.items():
            known = self._pods.get(uid)
            if known is None and not held(pod):
                continue
            if known is None or not alike(known, pod):
                self._pods[uid] = pod
                batch.pods.append(pod)
        for uid, last in dirty.pods_gone.items():
            known = self._pods.pop(uid, None)
            if known is not None:
                batch.pods_gone.append(uid)
                dirty.pods_gone[uid] = last or known

    def _record_objects(self, dirty: Dirty, batch: Batch) -> None:
        for key, value in dirty.objects.items():
            known = self._objects.get(key)
            if known is None or not alike(known, value):
                self._objects[key] = value
                batch.objects.append(value)
        for key in dirty.objects_gone:
            if self._objects.pop(key, None) is not None:
                batch.objects_gone.append(key)

    def _record_orders(self, dirty: Dirty, batch: Batch) -> None:
        """What people decided. A stop that is merely absent stays in force: only its deletion, seen, ends it as lifting it does."""
        serving = [target.name for target in self._targets]
        for (resource, name), (change, order) in dirty.orders.items():
            known = self._objects.get((resource, "", name))
            if change is Change.UPSERT and isinstance(known, Order) and same_order(known, order):
                continue
            if resource is Resource.DECISIONS:
                if change is Change.UPSERT:
                    written = orders.decision(order, self._cluster, serving, batch.at)
                    batch.decisions.append(self._freezes.decide(written))
                else:
                    batch.decisions_gone.append(order.uid)
            elif change is Change.UPSERT:
                batch.stops.append(orders.stop(order, self._cluster, batch.at))
            elif change is Change.DELETED:
                batch.stops_deleted.append(name)
            else:
                log.warning("a stop is absent, and stays in force", cluster=self._cluster, stop=name)

    def _record_policy(self, dirty: Dirty, batch: Batch, *, first: bool) -> None:
        """Compile anew, and mark the namespaces whose members must be looked at for that."""
        index, landscape = self._index, self._index.landscape
        in_force = index.policies.settle(landscape.governs)
        drawings = self._freezes.settle(in_force, batch.at)
        asked = annotation_groups(landscape.namespaces.values(), landscape.services.values(), index.annotated_pods)
        names = index.names.meanings
        drawn = self._counting.settle(
            partial(
                compiler.outline,
                self._cluster,
                self._governance,
                drawings,
                asked,
                batch.at,
                names,
                memory=self._memory,
            ),
            dirty,
        )
        drawn.placements.update(
            {(one.ref, one.device): one for one in self._freezes.tell(drawings, drawn.concerned, batch.at)}
        )
        dirty.causes.update(self._freezes.causes)
        policies = list(_policies(in_force, self._targets, drawings))
        batch.names_gone = index.names.settle(policies, drawn.placements)
        rules = chain.from_iterable(one.rules for one in policies)
        self.timetable.settle(rules, batch.at, self._freezes.windows)
        others = _other(self._placements, drawn.placements)
        self._name_hours(others, dirty)
        fresh, batch.desired_gone = compiler.changes(self._desired, drawn.desired)
        otherwise = self._beginning if first and not self._desired else together(dirty.causes.values()) or OF_OURSELVES
        causes = self._causes(dirty, drawn.placements)
        batch.desired = [replace(drawn.desired[place], cause=causes.get(place[1], otherwise)) for place in fresh]
        batch.causes = {key: causes.get(key, otherwise) for _, key in batch.desired_gone}
        self._desired = {place: one.digest for place, one in drawn.desired.items()}
        self._said = {
            **compiler.with_remarks(in_force.verdicts, drawn.placements.values()),
            **self._complaints(asked.errors),
            **compiler.about_defaults(drawn.notes),
        }
        self._said |= index.doubts.told(self._said)
        self._plain = {ref: self._said[ref] for ref in index.names.carriers}
        self._said |= {ref: index.names.told(verdict) for ref, verdict in self._plain.items()}
        self._record_placements(drawn.placements, others, batch)
        batch.frozen, batch.thawed, batch.frozen_lists = self._freezes.begun, self._freezes.ended, self._freezes.lists
        self._log(drawn.notes)
        established = index.membership.established()
        batch.groups, batch.groups_gone, batch.groups_parted = established.new, established.gone, established.parted
        dirty.addresses.update(dict.fromkeys(established.strays))
        for key in batch.groups_gone:
            batch.left += [self._holdings.left_with(key, address, dirty) for address in index.membership.forget(key)]

    def _log(self, notes: Mapping[str, tuple[str, ...]]) -> None:
        """What is not in force on a device and is nobody's object: said once, when it begins and when it ends."""
        for device, after in notes.items():
            before = self._notes.get(device, ())
            for note in after:
                if note not in before:
                    log.warning("not in force", device=device, cluster=self._cluster, note=note)
            if before and not after:
                log.info("in force again", device=device, cluster=self._cluster)
        self._notes = notes

    def _record_names(self, dirty: Dirty, batch: Batch) -> None:
        """What names stand for now, and what there is to say of it to those who wrote them."""
        names = self._index.names
        batch.names = [names.known[name] for name in dirty.names if name in names.known]
        for ref in dirty.named:
            if ref in self._plain:
                self._said[ref] = names.told(self._plain[ref])

    def _name_hours(self, others: Iterable[tuple[tuple[Ref, str], Placement]], dirty: Dirty) -> None:
        """Rules that count or do not because of the hour, named among the causes where nothing else happened to them."""
        for place, one in others:
            before = self._placements.get(place)
            if before is None or before.reason == one.reason or place[0] in dirty.causes:
                continue
            if one.reason in RESTING:
                dirty.causes[place[0]] = f"{place[0]} no longer counts ({one.reason})"
            elif before.reason in RESTING:
                dirty.causes[place[0]] = f"{place[0]} counts by its times"
            elif Reason.OVER_BROAD in (one.reason, before.reason):
                broad = "over-broad" if one.reason == Reason.OVER_BROAD else "no longer over-broad"
                dirty.causes[place[0]] = f"{place[0]} is {broad} on {one.device}"

    def _causes(self, dirty: Dirty, after: Mapping[tuple[Ref, str], Placement]) -> dict[ObjectKey, str]:
        """For each object of a device that something changed became, or becomes now: what changed."""
        found: dict[ObjectKey, dict[str, None]] = {}
        for ref, words in dirty.causes.items():
            for target in self._targets:
                for placements in (self._placements, after):
                    one = placements.get((ref, target.name))
                    for key in one.keys if one else ():
                        found.setdefault(key, {})[words] = None
        return {key: together(words) for key, words in found.items()}

    def _record_placements(
        self,
        after: dict[tuple[Ref, str], Placement],
        others: Iterable[tuple[tuple[Ref, str], Placement]],
        batch: Batch,
    ) -> None:
        before, self._placements = self._placements, after
        batch.placements = [one for place, one in others if before.get(place) != one]
        batch.placements_gone = list(before.keys() - after.keys())

    def _record_verdicts(self, about: Iterable[Ref], batch: Batch) -> None:
        """What is said about these objects now, where it is not what was said."""
        for ref in about:
            verdict = self._said.get(ref) or self._unreached.verdicts.get(ref)
            if verdict is None:
                if self._verdicts.pop(ref, None) is not None:
                    batch.verdicts_gone.append(ref)
            else:
                if not same_verdict(self._verdicts.get(ref), verdict):
                    batch.verdicts.append(verdict)
                self._verdicts[ref] = verdict

    def _complaints(self, errors: Mapping[Ref, PolicyError]) -> dict[Ref, Verdict]:
        """What is wrong with annotations, said about the objects that carry them."""
        return {
            ref: Verdict(ref, self._index.uid_of_annotated(ref), 0, False, str(Reason.INVALID), str(error))
            for ref, error in errors.items()
        }

    def _spread(self, dirty: Dirty) -> None:
        """Mark every address of the namespaces that must be looked at."""
        workloads = self._index.workloads
        if "" in dirty.namespaces:
            dirty.addresses.update(dict.fromkeys(workloads.addresses))
            return
        for namespace in dirty.namespaces:
            for pod in workloads.of_namespace(namespace):
                dirty.addresses.update(dict.fromkeys(held(pod)))


def _policies(in_force: InForce, targets: Sequence[Target], drawings: Iterable[Drawing]) -> Iterable[Asked]:
    """The policy as it is now, and that of each device which keeps to another."""
    yield Asked(in_force.rules, in_force.externals, targets)
    for one in drawings:
        if one.kept is not None:
            yield Asked(one.kept.in_force.rules, one.kept.in_force.externals, [one.now])


def _other(before: Mapping[K, V], after: Mapping[K, V]) -> list[tuple[K, V]]:
    """What is not the very same as before: nearly everything is, whatever was edited."""
    known = before.get
    return [(key, value) for key, value in after.items() if known(key) is not value]
