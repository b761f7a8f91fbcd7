"""What intake would make of manifests, told in memory: nothing is recorded, and no cluster is asked.

It is intake itself, started from what is recorded of a cluster: the same book of policy, the same compilers, the same membership.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.dialects.dialect import Dialects
from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.policies import NATIVE
from bridge.intake.recorder import Recorder
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject
from bridge.model.observed import (
    Change,
    EndpointSlice,
    Event,
    Node,
    Pod,
    PolicyObject,
    Resource,
    Service,
    Undecodable,
    resource_of,
)
from bridge.model.policy import Governance, Ref
from bridge.policy.compile import Target
from bridge.state.batch import Batch, DesiredObject, Placement, Recorded, Slim, Verdict

Manifest = Slim | Undecodable
"""An object as it would be after the manifests were applied."""
Place = tuple[Resource, str, str]
"""Resource, namespace ("" when cluster-scoped) and name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one device is to hold: what is fixed, and the members of every group that is counted."""

    fixed: Mapping[ObjectKey, DeviceObject]
    groups: Mapping[ObjectKey, frozenset[str]]


class Rehearsal:
    """One cluster as recorded, at a moment; then with manifests laid over it."""

    def __init__(
        self,
        cluster: str,
        governance: Governance,
        targets: Sequence[Target],
        recorded: Recorded,
        at: datetime,
        dialects: Dialects = NATIVE,
    ) -> None:
        self._cluster = cluster
        self._at = at
        self._recorded = recorded
        # Nothing desired and nobody a member yet: the first batch then holds everything.
        base = replace(recorded, desired={}, members={}, placements={})
        self.index = ClusterIndex(governance, base, dialects)
        self._recorder = Recorder(cluster, governance, targets, self.index, base)
        self._desired: dict[tuple[str, ObjectKey], DesiredObject] = {}
        self._groups: dict[ObjectKey, frozenset[str]] = {}
        self.verdicts: dict[Ref, Verdict] = dict(recorded.verdicts)
        self.placements: dict[tuple[Ref, str], Placement] = {}
        known = [*recorded.pods.values(), *recorded.objects.values(), *self._slices()]
        self.index.take([Event(Change.UPSERT, resource_of(one), one) for one in known], at)
        self._fold(self._recorder.first(at))

    def lay(self, manifests: Iterable[Manifest], gone: Iterable[Place] = ()) -> None:
        """The manifests are applied, and what is `gone` is deleted."""
        events = []
        for value in manifests:
            event = Event(Change.UPSERT, resource_of(value), self._successor(value))
            events.append(event)
        for place in gone:
            known = self._recorded.objects.get(place)
            if known is not None:
                events.append(Event(Change.DELETED, place[0], known))
        self.index.take(events, self._at)
        self._fold(self._recorder.next(self._at))

    def wish(self, device: str) -> Wish:
        """What the device is to hold now."""
        here = {key: one for (name, key), one in self._desired.items() if name == device}
        fixed = {key: one.body for key, one in here.items() if one.body is not None}
        groups = {key: self._groups.get(key, frozenset()) for key, one in here.items() if one.body is None}
        return Wish(fixed, groups)

    def holder(self, address: str) -> Pod | None:
        """The pod that holds the address."""
        return self.index.workloads.owner(address)

    @property
    def addresses(self) -> Iterable[str]:
        """Every address that some pod claims."""
        return self.index.workloads.addresses

    @property
    def nodes(self) -> Mapping[str, str]:
        """Addresses of nodes, each with the node's name."""
        nodes = (one for one in self._recorded.objects.values() if isinstance(one, Node))
        return {address: node.name for node in nodes for address in node.addresses}

    @property
    def unknown_services(self) -> frozenset[tuple[str, str]]:
        """Services that select by EndpointSlices of which nothing is recorded: nobody is taken to stand behind them."""
        slices = {(one.namespace, one.service) for one in self.index.landscape.slices.values()}
        blind = (place for place, one in self.index.landscape.services.items() if not one.selector)
        return frozenset(place for place in blind if place not in slices)

    def _slices(self) -> Iterable[EndpointSlice]:
        """EndpointSlices are not recorded, but the members that they made of a group are."""
        for one in self._recorded.objects.values():
            if isinstance(one, Service) and not one.selector:
                key = ObjectKey(Kind.GROUP, self._cluster, Scope.SERVICE, one.namespace, one.name)
                members = self._recorded.members.get(key)
                if members is not None:
                    addresses = tuple(sorted(members))
                    yield EndpointSlice("", one.namespace, f"{one.name}-recorded", "", one.name, addresses)

    def _successor(self, value: Manifest) -> Manifest:
        """The object as the API server would have it: its predecessor's uid, and a generation more where its spec changed."""
        known = self._recorded.objects.get(_place(value))
        uid = known.uid if known is not None else f"new-{resource_of(value)}-{value.name}"
        if not isinstance(value, PolicyObject):
            return replace(value, uid=uid)
        before = known if isinstance(known, PolicyObject) else None
        generation = before.generation + (before.spec != value.spec) if before else 1
        return replace(value, uid=uid, generation=generation)

    def _fold(self, batch: Batch) -> None:
        """Take a batch as the database would."""
        for place in batch.desired_gone:
            self._desired.pop(place, None)
        self._desired.update({(one.device, one.key): one for one in batch.desired})
        moved = {one.group for one in (*batch.joined, *batch.left)} | set(batch.groups)
        for key in batch.groups_gone:
            self._groups.pop(key, None)
        for key in moved - set(batch.groups_gone):
            self._groups[key] = frozenset(self.index.membership.members[key])
        for ref in batch.verdicts_gone:
            self.verdicts.pop(ref, None)
        self.verdicts.update({one.ref: one for one in batch.verdicts})
        for where in batch.placements_gone:
            self.placements.pop(where, None)
        self.placements.update({(one.ref, one.device): one for one in batch.placements})


def _place(value: Manifest) -> Place:
    return (resource_of(value), getattr(value, "namespace", ""), value.name)
