"""The picture of one cluster in memory, and which keys its changes made dirty. Events only mark; `Recorder` acts on what is marked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from bridge.intake.landscape import Landscape
from bridge.intake.membership import Membership
from bridge.intake.policies import PolicyBook
from bridge.intake.workloads import Workloads
from bridge.model.observed import (
    KINDS,
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
)
from bridge.model.policy import Governance, Ref
from bridge.policy.select import ADDRESS_GROUP_ANNOTATION
from bridge.state.batch import Recorded, Slim


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
        self.membership = Membership(self.landscape, self.workloads)
        self.membership.start_from(recorded.members)
        self.policies = PolicyBook(recorded.verdicts)
        self.dirty = Dirty()

    def take(self, events: Iterable[Event], at: datetime) -> None:
        """Fold events into the picture; an object that cannot be read is set aside and its last good version stays."""
        for event in events:
            value = event.value
            if isinstance(value, Undecodable):
                self._take_unreadable(event.change, value)
            elif isinstance(value, Pod):
                self._take_pod(event, value, at)
            else:
                self._take_object(event.change, value)

    def taken(self) -> Dirty:
        """What is dirty, leaving nothing dirty behind."""
        dirty, self.dirty = self.dirty, Dirty()
        return dirty

    def _take_pod(self, event: Event, pod: Pod, at: datetime) -> None:
        dirty = self.dirty
        if event.change is Change.UPSERT:
            touched = self.workloads.put(pod, at)
            dirty.pods[pod.uid] = pod
            dirty.pods_gone.discard(pod.uid)
        else:
            touched = self.workloads.remove(pod.uid) or pod.addresses
            dirty.pods.pop(pod.uid, None)
            dirty.pods_gone.add(pod.uid)
        for address in touched:
            dirty.addresses[address] = None
            if event.change is Change.GONE:
                dirty.unproven[address] = event.since

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
        key = (resource_of(value), getattr(value, "namespace", ""), value.name)
        if gone:
            self.dirty.objects.pop(key, None)
            self.dirty.objects_gone.add(key)
        else:
            self.dirty.objects[key] = value
            self.dirty.objects_gone.discard(key)

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
        before = self.landscape.drop_slice(value.namespace, value.name)
        if not gone:
            self.landscape.put_slice(value)
        if self.landscape.by_endpoints(value.namespace, value.service):
            touched = (*(before.addresses if before else ()), *value.addresses)
            self.dirty.addresses.update(dict.fromkeys(touched))

    def _take_policy(self, value: PolicyObject, gone: bool) -> None:
        if gone:
            self.policies.remove(Ref(KINDS[value.resource], value.namespace, value.name))
        else:
            self.policies.put(value)
        self.dirty.policy = True
        self._cause(value)

    def _take_unreadable(self, change: Change, value: Undecodable) -> None:
        if value.resource in (
            Resource.PODS,
            Resource.NAMESPACES,
            Resource.SERVICES,
            Resource.ENDPOINT_SLICES,
            Resource.NODES,
        ):
            return  # the last good version stays
        if change is Change.UPSERT:
            self.policies.put_unreadable(value)
        else:
            self.policies.remove(Ref(KINDS[value.resource], value.namespace, value.name))
        self.dirty.policy = True

    def _cause(self, value: PolicyObject) -> None:
        place = f"{value.namespace}/{value.name}" if value.namespace else value.name
        by = f" by {value.actor}" if value.actor else ""
        self.dirty.causes[f"{KINDS[value.resource]} {place} at {value.resource_version}{by}"] = None


def resource_of(value: Slim) -> Resource:
    """The resource that a value came from."""
    match value:
        case PolicyObject():
            return value.resource
        case Namespace():
            return Resource.NAMESPACES
        case Service():
            return Resource.SERVICES
        case EndpointSlice():
            return Resource.ENDPOINT_SLICES
        case Node():
            return Resource.NODES


def _regrouped(before: Namespace | Service | None, after: Namespace | Service | None) -> bool:
    """Whether the groups that an object asks for by annotation changed."""
    was = before.annotations.get(ADDRESS_GROUP_ANNOTATION) if before else None
    now = after.annotations.get(ADDRESS_GROUP_ANNOTATION) if after else None
    return was != now
