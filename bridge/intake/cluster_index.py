"""The picture of one cluster in memory, and which keys its changes made dirty. Events only mark; `Recorder` acts on what is marked."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from bridge.dialects.dialect import Context, Dialects
from bridge.intake.annotated_pods import AnnotatedPods
from bridge.intake.causes import cause, together
from bridge.intake.dirty import Dirty, Place
from bridge.intake.doubts import Doubts, Missing
from bridge.intake.landscape import Landscape
from bridge.intake.membership import Membership
from bridge.intake.names import NameBook
from bridge.intake.policies import NATIVE, PolicyBook
from bridge.intake.workloads import Workloads
from bridge.model.kinds import is_policy
from bridge.model.observed import (
    ALWAYS_WATCHED,
    KINDS,
    NO_LABELS,
    ORDER_RESOURCES,
    Change,
    EndpointSlice,
    Event,
    Labels,
    Namespace,
    Node,
    Observed,
    Order,
    Pod,
    PolicyObject,
    Resource,
    Service,
    Undecodable,
    resource_of,
)
from bridge.model.policy import Governance, Ref
from bridge.model.resolution import Resolution
from bridge.policy.guard import GuardLimits
from bridge.policy.select import ADDRESS_GROUP_ANNOTATION
from bridge.state.batch import Recorded, Slim

_LIMITS = GuardLimits()


class ClusterIndex:
    """Everything that intake knows of one cluster now."""

    def __init__(
        self,
        governance: Governance,
        recorded: Recorded,
        dialects: Dialects = NATIVE,
        limits: GuardLimits = _LIMITS,
    ) -> None:
        self.landscape = Landscape(governance)
        self.workloads = Workloads()
        self.annotated_pods = AnnotatedPods()
        self.membership = Membership(self.landscape, self.workloads)
        self.membership.start_from(recorded.members)
        written = [one for one in recorded.objects.values() if isinstance(one, PolicyObject)]
        self._carried: Counter[tuple[str, str]] = (
            Counter()
        )  # how many namespaces have a value of an annotation that dialects read
        around = Context(governance.pod_ranges, annotations=self._annotations, shared=self._is_shared)
        self.policies = PolicyBook(recorded.verdicts, dialects, around, written)
        self._dialects = dialects
        self.names = NameBook(recorded.names)
        self.dirty = Dirty()
        self.doubts = Doubts(limits)
        self._doubted: dict[str, Namespace] = {}  # that lists do not show, while pods of theirs are there
        self._uids: dict[Place, str] = {}  # who has a name now; pods are known by uid

    def take(self, events: Iterable[Event], at: datetime) -> None:
        """Fold events into the picture; an object that cannot be read is set aside and its last good version stays."""
        for event in events:
            value = event.value
            if isinstance(value, Pod):
                self._take_pod(event, value, at)
            elif resource_of(value) is Resource.PODS:
                self._take_unreadable_pod(event, value.uid)
            elif self._is_about_holder(event.change, value):
                self._take_other(event.change, value)

    def forget_unread(self, recorded: Iterable[Place]) -> None:
        """Of what a dialect that is no longer in use brought, nobody will say that it is gone."""
        watched = {*ALWAYS_WATCHED, *self._dialects.kinds}
        self.dirty.objects_gone |= {place for place in recorded if place[0] not in watched}

    def take_name(self, found: Resolution) -> None:
        """Fold in what a name stands for now."""
        carriers = self.names.take(found)
        if carriers is None:
            return
        self.dirty.names[found.name] = None
        for ref, words in carriers.items():
            self.dirty.named[ref] = None
            if words:
                self.dirty.policy = True
                self.dirty.causes[ref] = together(filter(None, [self.dirty.causes.get(ref), words]))

    def judge(self, at: datetime) -> None:
        """Let go of the policy that is missing now, or doubt that it is gone."""
        doubted = len(self.doubts)
        for value in self.doubts.judge(at, self.policies.counts):
            self._end_policy(Change.GONE, value)
        self.dirty.policy |= doubted != len(self.doubts)

    def let_go(self, refs: Iterable[Ref]) -> bool:
        """A person says that these were deleted; whether any of them was doubted."""
        found = self.doubts.let_go(refs)
        for value in found:
            self._end_policy(Change.GONE, value)
        return bool(found)

    def taken(self) -> Dirty:
        """What is dirty, leaving nothing dirty behind."""
        for value in self.policies.number():
            if _place(value) in self.dirty.objects:
                self.dirty.objects[_place(value)] = value
        dirty, self.dirty = self.dirty, Dirty()
        return dirty

    def uid_of_annotated(self, ref: Ref) -> str:
        """The uid of an object that asks for groups by annotation."""
        found: Iterable[Namespace | Service | Pod | None]
        match ref.kind:
            case "Namespace":
                found = (self.landscape.namespaces.get(ref.name),)
            case "Service":
                found = (self.landscape.services.get((ref.namespace, ref.name)),)
            case _:
                found = (pod for pod in self.annotated_pods if (pod.namespace, pod.name) == (ref.namespace, ref.name))
        return next((one.uid for one in found if one is not None), "")

    def _take_pod(self, event: Event, pod: Pod, at: datetime) -> None:
        if event.change is not Change.UPSERT:
            self._drop_pod(event, pod.uid, pod)
            return
        dirty = self.dirty
        if self.annotated_pods.put(pod):
            self._policy_moved(Change.UPSERT, pod)
        for address in self.workloads.put(pod, at):
            self._mark(address, event.since)
        dirty.pods[pod.uid] = self.workloads.pods[pod.uid]
        dirty.pods_gone.pop(pod.uid, None)

    def _mark(self, address: str, since: datetime | None) -> None:
        """The address may have another owner now, or its owner other groups; with `since` it may have had that any time since then."""
        self.dirty.addresses[address] = None
        if since is not None:
            self.dirty.unwatched.setdefault(address, since)

    def _take_unreadable_pod(self, event: Event, uid: str) -> None:
        """The last good version stays until the pod is gone."""
        if event.change is not Change.UPSERT:
            self._drop_pod(event, uid, None)

    def _drop_pod(self, event: Event, uid: str, pod: Pod | None) -> None:
        self.dirty.pods.pop(uid, None)
        # The last version of a pod that was found gone is nobody's word for its going.
        self.dirty.pods_gone[uid] = replace(pod, resource_version="") if pod and event.change is Change.GONE else pod
        (self.dirty.found_gone.add if event.change is Change.GONE else self.dirty.found_gone.discard)(uid)
        if self.annotated_pods.remove(uid):
            self._policy_moved(event.change, event.value)
        for address in self.workloads.remove(uid) or (pod.addresses if pod else ()):
            self._mark(address, event.since)
            if event.change is Change.GONE:
                self.dirty.unproven[address] = event.since
            else:
                self.dirty.unproven.pop(address, None)
        for value in list(self._doubted.values()):
            self._take_object(Change.GONE, value)

    def _is_about_holder(self, change: Change, value: Slim | Undecodable) -> bool:
        """Whether an event is about the object that has the name now. One list shows a new object before the end of its predecessor."""
        key = _place(value)
        if change is Change.UPSERT:
            self._uids[key] = value.uid
            return True
        holder = self._uids.get(key, value.uid)
        if value.uid and holder and holder != value.uid:
            return False
        self._uids.pop(key, None)
        return True

    def _take_other(self, change: Change, value: Slim | Undecodable) -> None:
        if isinstance(value, Undecodable):
            self._take_unreadable(change, value)
        else:
            self._take_object(change, value)

    def _take_object(self, change: Change, value: Slim) -> None:
        gone = change is not Change.UPSERT
        if isinstance(value, Namespace) and not self._believed(change, value):
            return
        match value:
            case Namespace():
                self._take_namespace(change, value)
            case Service():
                self._take_service(change, value)
            case EndpointSlice():
                self._take_slice(change, value)
                return  # addresses come and go with their pods, which are recorded: nothing here to keep
            case PolicyObject():
                if value.resource not in self._dialects.kinds:
                    return
                if not self._is_certain(change, value):
                    return
                value = self.policies.stamped(value)
                self._take_policy(change, value)
            case Order():
                self.dirty.orders[value.resource, value.name] = change, value
            case Node():
                self._take_node(change, value)
        self._mark_object(value, gone)

    def _believed(self, change: Change, value: Namespace) -> bool:
        """Kubernetes takes a namespace away after all that is in it: one that lists do not show while its pods are there is there too."""
        if change is Change.GONE and next(self.workloads.of_namespace(value.name), None) is not None:
            self._doubted[value.name] = value
            return False
        self._doubted.pop(value.name, None)
        return True

    def _is_certain(self, change: Change, value: Missing) -> bool:
        """Whether the object is there, or was seen going; of one that is missing it is judged when all that came with it is known."""
        if change is Change.GONE and self.policies.knows(_ref(value)):
            self.doubts.note(value)
            return False
        if self.doubts.drop(value):
            self.dirty.policy = True
        return True

    def _end_policy(self, change: Change, value: Missing) -> None:
        self.policies.remove(_ref(value))
        self._mark_gone(_place(value))
        self._policy_moved(change, value)

    def _mark_object(self, value: Slim, gone: bool) -> None:
        key = _place(value)
        if gone:
            self._mark_gone(key)
        else:
            self.dirty.objects[key] = value
            self.dirty.objects_gone.discard(key)

    def _mark_gone(self, key: Place) -> None:
        self.dirty.objects.pop(key, None)
        self.dirty.objects_gone.add(key)

    def _take_namespace(self, change: Change, value: Namespace) -> None:
        known, gone = self.landscape.namespaces, change is not Change.UPSERT
        before = known.get(value.name)
        governed = self.landscape.governs(value.name)
        if gone:
            known.pop(value.name, None)
        else:
            known[value.name] = value
            self.doubts.begin_of(value.name)
        if change is Change.DELETED:
            for one in self.doubts.end_of(value.name, held_policy=self.policies.reaches(value.name)):
                self._end_policy(change, one)
        if before is None or gone or before.labels != value.labels:
            self._members_moved(change, value, value.name)
        after = None if gone else value
        reread = self._read_otherwise(before, after)
        for namespace in reread:
            self.policies.reread(namespace)
        if reread or governed != self.landscape.governs(value.name) or _regrouped(before, after):
            self._policy_moved(change, value)

    def _read_otherwise(self, before: Namespace | None, after: Namespace | None) -> set[str]:
        """The namespaces whose rules are read otherwise now that an annotation of one of them changed: those that share its value too."""
        was, now = (one.annotations if one else NO_LABELS for one in (before, after))
        changed = [name for name in self._dialects.namespace_annotations if was.get(name) != now.get(name)]
        values = {(name, value) for name in changed for value in (was.get(name), now.get(name)) if value is not None}
        self._carried.subtract((name, was[name]) for name in changed if name in was)
        self._carried.update((name, now[name]) for name in changed if name in now)
        own = {one.name for one in (before, after) if one is not None and changed}
        if not any(self._carried[value] for value in values):
            return own
        return own | {
            one.name
            for one in self.landscape.namespaces.values()
            if any(one.annotations.get(name) == value for name, value in values)
        }

    def _is_shared(self, annotation: str, value: str) -> bool:
        return self._carried[annotation, value] > 1

    def _annotations(self, namespace: str) -> Labels:
        found = self.landscape.namespaces.get(namespace)
        return found.annotations if found else NO_LABELS

    def _take_node(self, change: Change, value: Node) -> None:
        known = None if change is not Change.UPSERT else value
        if self.membership.seen.tally.put_node(value.name, known, proven=change is not Change.GONE):
            self._cause(change, value)

    def _take_service(self, change: Change, value: Service) -> None:
        known, place, gone = self.landscape.services, (value.namespace, value.name), change is not Change.UPSERT
        before = known.get(place)
        if gone:
            known.pop(place, None)
        else:
            known[place] = value
        if change is Change.DELETED:
            self.dirty.services_deleted.add(place)
        changed = gone or before is None or before.selector != value.selector
        if changed and self.membership.uses_service(*place):
            self._members_moved(change, value, value.namespace)
        if _regrouped(before, None if gone else value):
            self._policy_moved(change, value)

    def _take_slice(self, change: Change, value: EndpointSlice) -> None:
        pieces = [self.landscape.drop_slice(value.namespace, value.name), value]
        if change is Change.UPSERT:
            self.landscape.put_slice(value)
        for piece in pieces:
            if piece is not None and self.landscape.by_endpoints(piece.namespace, piece.service):
                self.dirty.addresses.update(dict.fromkeys(piece.addresses))
                self._cause(change, value)

    def _take_policy(self, change: Change, value: PolicyObject) -> None:
        """An echo of what we told about the object ourselves says nothing new."""
        if change is not Change.UPSERT:
            self.policies.remove(_ref(value))
        elif not self.policies.put(value):
            return
        self._policy_moved(change, value)

    def _take_unreadable(self, change: Change, value: Undecodable) -> None:
        """The last good version stays until the object is gone; about a policy object its author is told."""
        if value.resource in ORDER_RESOURCES:
            # What can be told of it is who bears the name: that it is an order is known all the same.
            if value.uid and value.name:
                self._take_object(change, Order(value.resource, value.uid, value.name, value.resource_version, None))
        elif is_policy(value.resource):
            if not self._is_certain(change, value):
                return
            if change is Change.UPSERT:
                self.policies.put_unreadable(value)
                self._policy_moved(change, value)
            else:
                self._end_policy(change, value)
        elif change is not Change.UPSERT:
            known = self.landscape.find(value.resource, value.namespace, value.name)
            if known is not None:
                self._take_object(change, known)

    def _policy_moved(self, change: Change, value: Observed | Undecodable) -> None:
        self.dirty.policy = True
        self._cause(change, value)

    def _members_moved(self, change: Change, value: Namespace | Service, namespace: str) -> None:
        self.dirty.namespaces.add(namespace)
        self._cause(change, value)

    def _cause(self, change: Change, value: Observed | Undecodable) -> None:
        self.dirty.causes[_ref(value)] = cause(change, value)


def _place(value: Slim | Undecodable) -> Place:
    return (resource_of(value), getattr(value, "namespace", ""), value.name)


def _ref(value: Observed | Undecodable) -> Ref:
    return Ref(KINDS[resource_of(value)], getattr(value, "namespace", ""), value.name)


def _regrouped(before: Namespace | Service | None, after: Namespace | Service | None) -> bool:
    """Whether the groups that an object asks for by annotation changed."""
    was = before.annotations.get(ADDRESS_GROUP_ANNOTATION) if before else None
    now = after.annotations.get(ADDRESS_GROUP_ANNOTATION) if after else None
    return was != now
