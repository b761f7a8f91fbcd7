"""What manifests would change on each device of a cluster: planned as delivery plans, between two states that nothing has written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.delivery.wanted import Wanted
from bridge.dialects.dialect import load
from bridge.intake.proposed import Proposed
from bridge.intake.rehearsal import Rehearsal, Wish
from bridge.intake.snapshot import ClusterSnapshot, PlannedDevice
from bridge.model.identity import ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Intent, Objects
from bridge.model.observed import KINDS
from bridge.model.plan import HoldKind, Plan
from bridge.model.policy import Ref
from bridge.policy.compile import ClusterPolicy
from bridge.policy.diff import diff, plan
from bridge.policy.reach import Difference, difference
from bridge.policy.reach_lines import members_of
from bridge.policy.remainder import outside
from bridge.report.reachability import People, Sender
from bridge.state.batch import Placement, Verdict
from bridge.state.desired import DesiredRow, MemberRow, Work

Say = Callable[[str], None]
_OFTEN = 1_000  # kinds of senders between two words


@dataclass(frozen=True, slots=True)
class DeviceProposal:
    """One device: what would be done to it, and who would reach what. `remarks` are what the compilers say that they did not say before."""

    device: str
    kind: str
    plan: Plan
    reach: Difference
    remarks: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One cluster with manifests laid over it. `unaccepted` are objects that would not be in force as written."""

    devices: tuple[DeviceProposal, ...]
    unaccepted: tuple[Verdict, ...]
    blind: tuple[str, ...]  # Services of which nobody knows who stands behind them
    people: People


def propose(
    snapshot: ClusterSnapshot,
    manifests: Proposed,
    at: datetime,
    *,
    prune: bool = False,
    say: Say | None = None,
) -> Proposal:
    """Lay the manifests over the cluster. Nothing is written anywhere. `say` is told now and then how far it is."""
    say = say or _nothing
    say(f"compiling the policy of {snapshot.cluster} for {len(snapshot.recorded.pods)} pods")
    targets = [one.target for one in snapshot.devices]
    dialects = load(snapshot.dialects, snapshot.options)
    rehearsal = Rehearsal(snapshot.cluster, snapshot.governance, targets, snapshot.recorded, at, dialects)
    was = {name: rehearsal.wish(name) for name in (target.name for target in targets)}
    verdicts, placements = dict(rehearsal.verdicts), dict(rehearsal.placements)
    gone = manifests.pruned(snapshot.recorded.objects) if prune else ()
    say(f"laying {len(manifests.objects)} objects over it")
    rehearsal.lay(manifests.objects.values(), gone)
    fresh = [one for place, one in rehearsal.placements.items() if one.message and placements.get(place) != one]
    devices = []
    for one in snapshot.devices:
        name = one.target.name
        remarks = tuple(sorted((said for said in fresh if said.device == name), key=lambda said: said.ref))
        devices.append(_device(snapshot, one, was[name], rehearsal.wish(name), remarks, say))
    concerned = {Ref(KINDS[resource], namespace, name) for resource, namespace, name in manifests.objects}
    unaccepted = tuple(
        one
        for ref, one in sorted(rehearsal.verdicts.items())
        if not one.ok and (ref in concerned or verdicts.get(ref) != one)
    )
    rules = {*verdicts, *rehearsal.verdicts}
    return Proposal(tuple(devices), unaccepted, _blind(rehearsal), _people(rehearsal, snapshot, rules))


def _device(
    snapshot: ClusterSnapshot,
    device: PlannedDevice,
    was: Wish,
    becomes: Wish,
    remarks: tuple[Placement, ...],
    say: Say,
) -> DeviceProposal:
    target, limits = device.target, device.limits
    if was == becomes:
        return DeviceProposal(target.name, device.kind, Plan(target.name), Difference(), remarks)
    say(f"planning for {target.name}")
    before, _ = _settled(was, {}, device, snapshot)
    after, wanted = _settled(becomes, before, device, snapshot)
    held = tuple(wanted.held[place] for place in sorted(wanted.held))
    steps = diff(before, Intent(target.name, after))
    made = plan(target.name, steps, before, target.capabilities, limits, held)
    everything = {snapshot.cluster: outside(ClusterPolicy(snapshot.cluster, snapshot.governance, (), {}))}

    def progress(done: int, of: int) -> None:
        if done and done % _OFTEN == 0:
            say(f"reachability through {target.name}: {done} of {of} kinds of senders")

    found = difference(before, _released(after, wanted), everything, progress)
    return DeviceProposal(target.name, device.kind, made, found, remarks)


def _settled(
    wish: Wish, present: Objects, device: PlannedDevice, snapshot: ClusterSnapshot
) -> tuple[dict[ObjectKey, DeviceObject], Wanted]:
    """What delivery would have a device hold that holds `present`: withheld Allows neither added nor widened, mass changes held."""
    wanted = Wanted(device.limits, snapshot.guard)
    wanted.load(_work(wish, snapshot.taken_at), present, _unproven, frozenset())
    return wanted.settled(wanted.everything(), present, frozenset()), wanted


def _unproven(removals: Mapping[ObjectKey, frozenset[str]]) -> Mapping[ObjectKey, frozenset[str]]:
    """Whoever leaves a group by an edit lives on: the guard counts them all."""
    return removals


def _work(wish: Wish, at: datetime) -> Work:
    rows = [_row(key, body, at) for key, body in wish.fixed.items()]
    rows += [_row(key, None, at) for key in wish.groups]
    members = (MemberRow(key, one, member=True, inferred=False) for key, found in wish.groups.items() for one in found)
    return Work(tuple(rows), tuple(members), {}, complete=True)


def _row(key: ObjectKey, body: DeviceObject | None, at: datetime) -> DesiredRow:
    return DesiredRow(key, 1, 0, body, gone=False, shards=0, changed_at=at, cause="")


def _released(after: Objects, wanted: Wanted) -> Objects:
    """As if a person had let pass what is held: whoever reviews a change must see what it comes to."""
    if not wanted.held:
        return after
    found = dict(after)
    for key in {key for key, _ in wanted.held}:
        group = after.get(key)
        names = group.fqdns if isinstance(group, Group) else frozenset()
        leaving = wanted.held.get((key, HoldKind.REMOVAL))
        members = members_of(after, key).union(*(one.members for one in wanted.holding(key)))
        found[key] = Group(key, members - leaving.members if leaving else members, names)
    return found


def _people(rehearsal: Rehearsal, snapshot: ClusterSnapshot, rules: Iterable[Ref]) -> People:
    nodes = rehearsal.nodes
    shared = {address for one in snapshot.devices for view in one.target.views for address in view.addresses}

    def who(address: str) -> Sender | None:
        pod = rehearsal.holder(address)
        if pod is not None:
            return Sender(pod.namespace, pod.owner, pod.name)
        if address in nodes:
            return Sender("", "", "", nodes[address])
        return Sender("", "", "", address) if address in shared else None

    return People(who, rehearsal.addresses, rules)


def _nothing(_words: str) -> None:
    """Nobody wants to know how far it is."""


def _blind(rehearsal: Rehearsal) -> tuple[str, ...]:
    named = {
        (ref.namespace, key.name)
        for (ref, _), one in rehearsal.placements.items()
        for key in one.keys
        if key.scope is Scope.SERVICE
    }
    return tuple(f"{namespace}/{name}" for namespace, name in sorted(named & rehearsal.unknown_services))
