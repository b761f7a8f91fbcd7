"""The record of one cluster as plain dictionaries, kept as strictly as the database keeps it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.dialects.dialect import Dialects
from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.policies import NATIVE
from bridge.intake.recorder import Recorder
from bridge.model.addresses import Ranges, covers
from bridge.model.baseline import Baseline, FrozenList
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group
from bridge.model.observed import Change, Event, Namespace, Observed, Pod, PolicyObject, Resource
from bridge.model.policy import (
    DefaultAction,
    Defaults,
    Governance,
    Operator,
    Ref,
    Requirement,
    Selector,
    UnknownAddresses,
)
from bridge.model.resolution import Resolution
from bridge.policy.compile import Target
from bridge.state.batch import Batch, LeaseEnd, OpenLease, Placement, Recorded, Slim, Verdict
from bridge.state.encoding import place_of
from tests.state.builders import at

CLUSTER = "east"
GOVERNANCE = Governance(
    pod_ranges=("10.0.0.0/24", "fd00::/64"),
    internal=("10.0.0.0/16", "fd00::/48"),
    namespaces=Selector((Requirement("egress", Operator.IN, ("governed",)),)),
)
EDGE = Target("edge", Capabilities(Form.TIERED), Defaults(DefaultAction.DENY, UnknownAddresses.DENY))
EXEMPT = ObjectKey(Kind.GROUP, CLUSTER, Scope.BUILTIN, "", "exempt")


@dataclass
class Record:
    """What the database knows; `take` refuses what the database would refuse, and what a batch must not say."""

    pods: dict[str, Pod] = field(default_factory=dict)
    objects: dict[tuple[Resource, str, str], Slim] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    ended: list[LeaseEnd] = field(default_factory=list)
    members: dict[ObjectKey, set[str]] = field(default_factory=dict)
    desired: dict[tuple[str, ObjectKey], str] = field(default_factory=dict)
    bodies: dict[tuple[str, ObjectKey], DeviceObject | None] = field(default_factory=dict)
    counted: dict[tuple[str, ObjectKey], ObjectKey] = field(default_factory=dict)  # whose members a group has
    verdicts: dict[Ref, Verdict] = field(default_factory=dict)
    placements: dict[tuple[Ref, str], Placement] = field(default_factory=dict)
    inferred: dict[tuple[ObjectKey, str], bool] = field(default_factory=dict)
    names: dict[str, Resolution] = field(default_factory=dict)
    accepted: dict[Ref, PolicyObject | None] = field(default_factory=dict)
    then: dict[datetime, tuple[PolicyObject, ...]] = field(default_factory=dict)  # what was accepted, by batch
    around: tuple[Namespace, ...] = ()
    around_then: dict[datetime, tuple[Namespace, ...]] = field(default_factory=dict)
    last: datetime | None = None
    baselines: dict[str, Baseline] = field(default_factory=dict)
    lists: dict[str, FrozenList] = field(default_factory=dict)

    def take(self, batch: Batch) -> None:
        """Fold one batch."""
        self._take_pods(batch)
        self._take_leases(batch)
        self._take_members(batch)
        for place in batch.desired_gone:
            del self.desired[place], self.bodies[place]
        for one in batch.desired:
            assert self.desired.get((one.device, one.key)) != one.digest, "nothing new about it"
            self.desired[one.device, one.key], self.bodies[one.device, one.key] = one.digest, one.body
            self.counted[one.device, one.key] = one.members_of or one.key
        for ref in batch.verdicts_gone:
            del self.verdicts[ref]
        self.verdicts.update({one.ref: one for one in batch.verdicts})
        self._take_placements(batch)
        self._take_freezes(batch)
        for name in batch.names_gone:
            del self.names[name]
        for known in batch.names:
            assert self.names.get(known.name) != known, "nothing new about it"
            self.names[known.name] = known

    def _take_placements(self, batch: Batch) -> None:
        for place in batch.placements_gone:
            del self.placements[place]
        for one in batch.placements:
            assert self.placements.get((one.ref, one.device)) != one, "nothing new about it"
            self.placements[one.ref, one.device] = one

    def _take_freezes(self, batch: Batch) -> None:
        before = {ref: one for ref, one in self.accepted.items() if one is not None}
        self.accepted = {ref: one.accepted for ref, one in self.verdicts.items()}
        for device in batch.thawed:
            del self.baselines[device]
        for frozen in batch.frozen:
            policy = self.then[frozen.as_of] if frozen.as_of else tuple(before.values())
            around = self.around_then[frozen.as_of] if frozen.as_of else self.around
            self.baselines[frozen.device] = replace(
                frozen, policy=policy, surroundings=around, as_of=frozen.as_of or self.last
            )
        self.around = tuple(one for one in self.objects.values() if isinstance(one, Namespace))
        self.then[batch.at] = tuple(one for one in self.accepted.values() if one is not None)
        self.around_then[batch.at], self.last = self.around, batch.at
        for told in batch.frozen_lists:
            if not told.edits or told.released:
                self.lists.pop(told.device, None)
            else:
                self.lists[told.device] = told

    def _take_pods(self, batch: Batch) -> None:
        assert not {pod.uid for pod in batch.pods} & set(batch.pods_gone)
        for uid in batch.pods_gone:
            del self.pods[uid]
        self.pods.update({pod.uid: pod for pod in batch.pods})
        places = [place_of(one) for one in batch.objects]
        assert len(places) == len(set(places))
        assert not set(places) & set(batch.objects_gone)
        for place in batch.objects_gone:
            self.objects.pop(place, None)
        self.objects.update(zip(places, batch.objects, strict=True))

    def _take_leases(self, batch: Batch) -> None:
        for end in batch.leases_ended:
            assert self.leases.pop(end.address) == end.uid, "ended another's lease"
            self.ended.append(end)
        for start in batch.leases:
            assert start.address not in self.leases, "two leases of one address"
            assert start.pod.uid in self.pods
            self.leases[start.address] = start.pod.uid

    def _take_members(self, batch: Batch) -> None:
        moved = [(one.group, one.address) for one in (*batch.left, *batch.joined)]
        assert len(moved) == len(set(moved)), "an address that left and joined again"
        for key in batch.groups:
            assert key not in self.members
            self.members[key] = set()
        for key, origin in batch.groups_parted:
            assert key in batch.groups
            self.members[key] = set(self.members[origin])
        for one in batch.left:
            self.members[one.group].remove(one.address)
            self.inferred[one.group, one.address] = one.inferred
        for key in batch.groups_gone:
            assert not self.members.pop(key)
        for one in batch.joined:
            assert one.address not in self.members[one.group]
            self.members[one.group].add(one.address)

    def recorded(self) -> Recorded:
        """As intake would load it."""
        leases = {address: OpenLease(address, uid) for address, uid in self.leases.items()}
        members = {key: frozenset(addresses) for key, addresses in self.members.items()}
        return Recorded(
            len(self.ended),
            "uid",
            dict(self.pods),
            dict(self.objects),
            leases,
            members,
            dict(self.desired),
            dict(self.verdicts),
            dict(self.placements),
            names=dict(self.names),
            baselines=dict(self.baselines),
            frozen_lists=dict(self.lists),
        )

    def check(self) -> None:
        """What must hold of any record."""
        inside = Ranges(GOVERNANCE.pod_ranges)
        for key, members in self.members.items():
            for address in members:
                if _is_as_seen(key):  # of a node or an egress: nobody holds it
                    assert address not in inside, f"{address} of {key} is one of a pod"
                    continue
                if _is_prefix_of(key, address):  # by whose address it is there, nobody holds
                    assert covers(GOVERNANCE.pod_ranges, (address,)), f"{address} of {key} is outside the pod ranges"
                    continue
                assert address in inside, f"{address} of {key} is outside the pod ranges"
                assert address in self.leases, f"{address} of {key} is held by nobody"
        for address, uid in self.leases.items():
            pod = self.pods[uid]
            assert address in pod.addresses
            assert not pod.terminal
            assert not pod.host_network
        selected = {self.counted[place] for place, body in self.bodies.items() if body is None}
        assert selected == set(self.members)
        for one in self.placements.values():
            assert {(one.device, key) for key in one.keys} <= self.desired.keys(), "names what is not there"

    def group(self, scope: Scope, name: str, namespace: str = "shop") -> set[str]:
        """The members of one group."""
        return self.members[ObjectKey(Kind.GROUP, CLUSTER, scope, namespace, name)]

    def destination(self, name: str, namespace: str = "shop") -> frozenset[str]:
        """The members of an external service on the device."""
        body = self.bodies["edge", ObjectKey(Kind.GROUP, CLUSTER, Scope.EXTERNAL, namespace, name)]
        assert isinstance(body, Group)
        return body.members


def _is_as_seen(key: ObjectKey) -> bool:
    return any(part.startswith(("node", "egress")) for part in key.name.split("-.")[1:])


def _is_prefix_of(key: ObjectKey, member: str) -> bool:
    """Whether a member is part of the pod ranges less somebody, which may come down to one address."""
    return "/" in member or key.name.startswith("everyone") or ".-" in key.name


class Bench:
    """One cluster's picture and recorder over a record, as a process of intake holds them."""

    def __init__(
        self,
        *targets: Target,
        record: Record | None = None,
        governance: Governance = GOVERNANCE,
        dialects: Dialects = NATIVE,
    ) -> None:
        self.record = record or Record()
        self._dialects = dialects
        self._targets = targets or (EDGE,)
        self._governance = governance
        self._now = 0
        self._begin()

    def _begin(self) -> None:
        recorded = self.record.recorded()
        self.index = ClusterIndex(self._governance, recorded, self._dialects)
        known: list[Observed] = [*recorded.pods.values(), *recorded.objects.values()]
        self.index.take((event(Change.UPSERT, value) for value in known), at(self._now))
        self.index.taken()
        self.index.forget_unread(recorded.objects)
        self._recorder = Recorder(CLUSTER, self._governance, self._targets, self.index, recorded)
        self._first = True

    def pass_time(self, seconds: int) -> None:
        """Nothing happens meanwhile."""
        self._now += seconds

    def restart(self) -> None:
        """Another process goes on from the record."""
        self._begin()

    def take(self, events: Iterable[Event]) -> None:
        """Take events without recording them yet."""
        self._now += 1
        self.index.take(events, at(self._now))

    def commit_only(self) -> Batch:
        """What is to be recorded of what is dirty; the first time, all that brings the record up to date."""
        self._now += 1
        batch = self._recorder.first(at(self._now)) if self._first else self._recorder.next(at(self._now))
        self._first = False
        return batch

    def commit(self) -> Batch:
        """Record what is dirty."""
        batch = self.commit_only()
        self.record.take(batch)
        self.record.check()
        return batch

    def see(self, *values: Observed, change: Change = Change.UPSERT) -> Batch:
        """Take these and record them."""
        self.take([event(change, value) for value in values])
        return self.commit()


def event(change: Change, value: Observed) -> Event:
    """One change."""
    return Event(change, Resource.PODS if isinstance(value, Pod) else place_of(value)[0], value)


def substance(batch: Batch) -> bool:
    """Whether a batch changes more than versions of objects."""
    parts = (
        batch.leases, batch.leases_ended, batch.joined, batch.left, batch.groups, batch.groups_gone, batch.desired,
        batch.desired_gone, batch.verdicts, batch.verdicts_gone, batch.placements, batch.placements_gone, batch.pods_gone,
        batch.objects_gone, batch.pods, batch.names, batch.names_gone,
    )  # fmt: skip
    return any(parts)
