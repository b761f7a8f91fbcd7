"""The picture of one cluster in memory, and which keys its changes made dirty. Events only mark; `Recorder` acts on what is marked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from bridge.intake.annotated_pods import AnnotatedPods
from bridge.intake.landscape import Landscape
from bridge.intake.membership import Membership
from bridge.intake.policies import PolicyBook
from bridge.intake.workloads import Workloads
from bridge.model.observed import (
    KINDS,
    POLICY_RESOURCES,
    Change,
    EndpointSlice,
    Event,
    Namespace,
    Node,
    Pod,
    PolicyObject,
    Resource,
    Service,
    Undecodable,
    resource_of,
)
from bridge.model.policy import Governance, Ref
from bridge.policy.select import ADDRESS_GROUP_ANNOTATION
from bridge.state.batch import Recorded, Slim

_Place = tuple[Resource, str, str]


@dataclass(slots=True)
class Dirty:
    """What one batch of events touched."""

    pods: dict[str, Pod] = field(default_factory=dict)
    pods_gone: set[str] = field(default_factory=set)
    objects: dict[tuple[Resource, str, str], Slim] = field(default_factory=dict)
    objects_gone: set[tuple[Resource, str, str]] = field(default_factory=set)
    addresses: dict[str, None] = field(default_factory=dict)
    unproven: dict[str, datetime | None] = field(default_factory=dict)  # address -> last known present
    namespaces: set[str] = field(default_factory=set)
    policy: bool = False
    causes: dict[str, None] = field(default_factory=dict)


class ClusterIndex:
    """Everything that intake knows of one cluster now."""

    def __init__(self, governance: Governance, recorded: Recorded) -> None:
        self.landscape = Landscape(governance)
        self.workloads = Workloads()
        self.annotated_pods = AnnotatedPods()
        self.membership = Membership(self.landscape, self.workloads)
        self.membership.start_from(recorded.members)
        self.policies = PolicyBook(recorded.verdicts)
        self.dirty = Dirty()
        self._uids: dict[_Place, str] = {}  # who has a name now; pods are known by uid

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

    def taken(self) -> Dirty:
        """What is dirty, leaving nothing dirty behind."""
        dirty, self.dirty = self.dirty, Dirty()
        return dirty

    def _take_pod(self, event: Event, pod: Pod, at: datetime) -> None:
        if event.change is not Change.UPSERT:
            self._drop_pod(event, pod.uid, pod.addresses)
            return
        dirty = self.dirty
        dirty.pods[pod.uid] = pod
        dirty.pods_gone.discard(pod.uid)
        if self.annotated_pods.put(pod):
            dirty.policy = True
        for address in self.workloads.put(pod, at):
            dirty.addresses[address] = None

    def _take_unreadable_pod(self, event: Event, uid: str) -> None:
        """The last good version stays until the pod is gone."""
        if event.change is not Change.UPSERT:
            self._drop_pod(event, uid, ())

    def _drop_pod(self, event: Event, uid: str, addresses: tuple[str, ...]) -> None:
        self.dirty.pods.pop(uid, None)
        self.dirty.pods_gone.add(uid)
        if self.annotated_pods.remove(uid):
            self.dirty.policy = True
        for address in self.workloads.remove(uid) or addresses:
            self.dirty.addresses[address] = None
            if event.change is Change.GONE:
                self.dirty.unproven[address] = event.since
            else:
                self.dirty.unproven.pop(address, None)

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
        match value:
            case Namespace():
                self._take_namespace(value, gone)
            case Service():
                self._take_service(value, gone)
            case EndpointSlice():
                self._take_slice(value, gone)
                return  # addresses come and go with their pods, which are recorded: nothing here to keep
            case PolicyObject():
                self._take_policy(value, gone)
            case Node():
                pass
        self._mark_object(value, gone)

    def _mark_object(self, value: Slim, gone: bool) -> None:
        key = _place(value)
        if gone:
            self._mark_gone(key)
        else:
            self.dirty.objects[key] = value
            self.dirty.objects_gone.discard(key)

    def _mark_gone(self, key: _Place) -> None:
        self.dirty.objects.pop(key, None)
        self.dirty.objects_gone.add(key)

    def _take_namespace(self, value: Namespace, gone: bool) -> None:
        known = self.landscape.namespaces
        before = known.get(value.name)
        governed = self.landscape.governs(value.name)
        if gone:
            known.pop(value.name, None)
        else:
            known[value.name] = value
        if before is None or gone or before.labels != value.labels:
            self.dirty.namespaces.add(value.name)
        if governed != self.landscape.governs(value.name) or _regrouped(before, None if gone else value):
            self.dirty.policy = True

    def _take_service(self, value: Service, gone: bool) -> None:
        known, place = self.landscape.services, (value.namespace, value.name)
        before = known.get(place)
        if gone:
            known.pop(place, None)
        else:
            known[place] = value
        changed = gone or before is None or before.selector != value.selector
        if changed and self.membership.uses_service(*place):
            self.dirty.namespaces.add(value.namespace)
        if _regrouped(before, None if gone else value):
            self.dirty.policy = True

    def _take_slice(self, value: EndpointSlice, gone: bool) -> None:
        pieces = [self.landscape.drop_slice(value.namespace, value.name), value]
        if not gone:
            self.landscape.put_slice(value)
        for piece in pieces:
            if piece is not None and self.landscape.by_endpoints(piece.namespace, piece.service):
                self.dirty.addresses.update(dict.fromkeys(piece.addresses))

    def _take_policy(self, value: PolicyObject, gone: bool) -> None:
        if gone:
            self.policies.remove(Ref(KINDS[value.resource], value.namespace, value.name))
        else:
            self.policies.put(value)
        self.dirty.policy = True
        self._cause(value)

    def _take_unreadable(self, change: Change, value: Undecodable) -> None:
        """The last good version stays until the object is gone; about a policy object its author is told."""
        if value.resource in POLICY_RESOURCES:
            if change is Change.UPSERT:
                self.policies.put_unreadable(value)
            else:
                self.policies.remove(Ref(KINDS[value.resource], value.namespace, value.name))
                self._mark_gone(_place(value))
            self.dirty.policy = True
        elif change is not Change.UPSERT:
            known = self.landscape.find(value.resource, value.namespace, value.name)
            if known is not None:
                self._take_object(change, known)

    def _cause(self, value: PolicyObject) -> None:
        place = f"{value.namespace}/{value.name}" if value.namespace else value.name
        by = f" by {value.actor}" if value.actor else ""
        self.dirty.causes[f"{KINDS[value.resource]} {place} at {value.resource_version}{by}"] = None


def _place(value: Slim | Undecodable) -> _Place:
    return (resource_of(value), getattr(value, "namespace", ""), value.name)


def _regrouped(before: Namespace | Service | None, after: Namespace | Service | None) -> bool:
    """Whether the groups that an object asks for by annotation changed."""
    was = before.annotations.get(ADDRESS_GROUP_ANNOTATION) if before else None
    now = after.annotations.get(ADDRESS_GROUP_ANNOTATION) if after else None
    return was != now
