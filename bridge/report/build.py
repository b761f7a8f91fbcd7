"""Reports from what was read: pure functions over a device's snapshot, the plan for it, and what the state says."""

from collections.abc import Iterable, Mapping

from bridge.model.addresses import sort_key
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Attachment, DeviceObject, Group, Objects, Policy, Ports, RuleList, Shard, Snapshot
from bridge.model.plan import Plan
from bridge.model.rendering import entry_line
from bridge.report.model import Counts, DeviceReport, HeldPart, LookAlike, ObjectReport, SetAside
from bridge.state.desired import ObjectState
from bridge.state.reported import HeldPlan, ObjectStanding

_ORDERED = (Kind.RULE_LIST, Kind.POLICY)


def device_report(
    kind: str, snapshot: Snapshot, plan: Plan, standings: Iterable[ObjectStanding], held: Iterable[HeldPlan]
) -> DeviceReport:
    """One device. What it should hold is what it holds once the plan is applied: neither held nor refused parts are in it."""
    desired, actual = joined(after(snapshot.objects, plan)), joined(snapshot.objects)
    return DeviceReport(
        device=snapshot.device,
        kind=kind,
        identity=snapshot.identity,
        active=snapshot.active,
        attached={tier.value: reachable for tier, reachable in sorted(snapshot.attached.items())},
        attach_by={tier.value: line for tier, line in sorted(snapshot.attach_by.items())},
        desired=counts(desired),
        actual=counts(actual),
        objects=compared(desired, actual),
        foreign=len(snapshot.foreign),
        look_alikes=tuple(LookAlike(one.name, one.look_alike) for one in snapshot.foreign if one.look_alike),
        held=held_parts(plan, held),
        quarantined=set_aside(standings),
    )


def after(objects: Objects, plan: Plan) -> dict[ObjectKey, DeviceObject]:
    """The objects once every step is done."""
    result = dict(objects)
    for step in plan.steps:
        if step.after is None:
            result.pop(step.key, None)
        else:
            result[step.key] = step.after
    return result


def joined(objects: Objects) -> dict[ObjectKey, DeviceObject]:
    """The objects with the shards of each group put together: how a group is split is no difference."""
    members: dict[ObjectKey, set[str]] = {}
    result: dict[ObjectKey, DeviceObject] = {}
    for key, value in objects.items():
        if isinstance(value, Shard):
            members.setdefault(key.group, set()).update(value.members)
        else:
            result[key] = value
    for key, found in members.items():
        group = result.get(key)
        own, names = (group.members, group.fqdns) if isinstance(group, Group) else (frozenset(), frozenset())
        result[key] = Group(key, own | found, names)
    return result


def counts(objects: Objects) -> Counts:
    """How much these are; groups must be joined."""
    groups = [value for value in objects.values() if isinstance(value, Group)]
    lists = [value for value in objects.values() if isinstance(value, RuleList)]
    members = sum(len(group.members) + len(group.fqdns) for group in groups)
    return Counts(len(groups), members, sum(len(one.entries) for one in lists))


def compared(desired: Objects, actual: Objects) -> tuple[ObjectReport, ...]:
    """Every object of either side, by key."""
    return tuple(_compared(key, desired.get(key), actual.get(key)) for key in sorted(desired.keys() | actual.keys()))


def items(value: DeviceObject) -> tuple[str, ...]:
    """What an object is made of, each part as a person reads it; sets in the order of addresses."""
    match value:
        case Group():
            return (*sorted(value.members, key=sort_key), *sorted(value.fqdns))
        case Shard():
            return tuple(sorted(value.members, key=sort_key))
        case Ports():
            return tuple(str(port) for port in value.ports)
        case RuleList():
            return tuple(entry_line(entry) for entry in value.entries)
        case Policy():
            return tuple(str(key) for key in value.lists)
        case Attachment():
            return (str(value.policy),)


def held_parts(plan: Plan, recorded: Iterable[HeldPlan]) -> tuple[HeldPart, ...]:
    """What waits for a person now, with the time and the digest under which it was recorded."""
    known = {part.key: one for one in recorded if one.state == "held" for part in one.held}
    return tuple(_held(part.key, part.members, part.reason, known) for part in plan.held)


def set_aside(standings: Iterable[ObjectStanding]) -> tuple[SetAside, ...]:
    """The objects that the device refuses or cannot express."""
    states = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED)
    return tuple(SetAside(one.key, one.message) for one in standings if one.state in states)


def _held(key: ObjectKey, members: frozenset[str], reason: str, known: Mapping[ObjectKey, HeldPlan]) -> HeldPart:
    plan = known.get(key)
    return HeldPart(key, tuple(sorted(members)), reason, plan.since if plan else None, plan.digest if plan else "")


def _compared(key: ObjectKey, desired: DeviceObject | None, actual: DeviceObject | None) -> ObjectReport:
    wanted, present = None if desired is None else items(desired), None if actual is None else items(actual)
    if desired == actual:
        return ObjectReport(key, wanted, present)
    if wanted is None or present is None:
        return ObjectReport(key, wanted, present, _whole(wanted), _whole(present))
    if key.kind in _ORDERED and sorted(wanted) == sorted(present):
        wanted_at, present_at = _placed(wanted), _placed(present)
    else:
        wanted_at, present_at = wanted, present
    missing, extra = _less(wanted_at, present_at), _less(present_at, wanted_at)
    return ObjectReport(key, wanted, present, missing, extra)


def _whole(parts: tuple[str, ...] | None) -> tuple[str, ...]:
    return () if parts is None else parts or ("(empty)",)


def _placed(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{place}. {part}" for place, part in enumerate(parts, 1))


def _less(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    out = set(right)
    return tuple(part for part in left if part not in out)
