"""From what a device holds and what it should hold to the steps between, in an order that is safe to stop anywhere (SEMANTICS 6)."""

from collections.abc import Iterable, Iterator, Mapping

from bridge.model.capabilities import Capabilities, Limits
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import CREATION_ORDER, DeviceObject, Group, Intent, Objects, RuleList, Shard
from bridge.model.plan import Held, Op, Plan, Step
from bridge.model.policy import Action

_RANK = {kind: rank for rank, kind in enumerate(CREATION_ORDER)}


def diff(have: Objects, want: Intent) -> list[Step]:
    """One step for each object that differs. A part of an intent leaves what it does not name as it is."""
    steps = []
    for key, after in want.objects.items():
        before = have.get(key)
        if before is None:
            steps.append(Step(Op.CREATE, key, None, after))
        elif before != after:
            steps.append(Step(Op.UPDATE, key, before, after))
    gone: Iterable[ObjectKey] = have.keys() - want.objects.keys() if want.complete else want.absent
    steps += [Step(Op.DELETE, key, have[key], None) for key in gone if key in have]
    return steps


def plan(
    device: str, steps: list[Step], have: Objects, can: Capabilities, limits: Limits, held: Iterable[Held] = ()
) -> Plan:
    """The steps in phases. One transaction where the device has one and the steps fit; else narrow, change the rules, widen."""
    ordered = sorted(steps, key=_position)
    if len(ordered) <= 1 or (can.atomic and len(ordered) <= limits.batch):
        phases = [ordered]
    else:
        phases = list(_phases(ordered, polarity(have, steps)))
    return Plan(device, tuple(tuple(phase) for phase in phases if phase), tuple(held))


def polarity(have: Objects, steps: Iterable[Step]) -> Mapping[ObjectKey, bool]:
    """For each group, whether growth may open something: False only where every line that names it denies, before and after."""
    opens: dict[ObjectKey, bool] = {}
    lists = [value for value in have.values() if isinstance(value, RuleList)]
    lists += [step.after for step in steps if isinstance(step.after, RuleList)]
    for entry in (entry for each in lists for entry in each.entries):
        denies = entry.action in (Action.DENY, Action.REJECT)
        for key in (*entry.sources, *entry.destinations):
            opens[key] = opens.get(key, False) or not denies
    return opens


def _position(step: Step) -> tuple[int, int, str]:
    """Creations and updates from the referred to the referring, then deletions the other way round."""
    if step.op is Op.DELETE:
        return (1, -_RANK[step.key.kind], str(step.key))
    return (0, _RANK[step.key.kind], str(step.key))


def _phases(steps: list[Step], opens: Mapping[ObjectKey, bool]) -> Iterator[list[Step]]:
    creations = [s for s in steps if s.op is Op.CREATE and s.key.kind not in (Kind.POLICY, Kind.ATTACHMENT)]
    splits = [_split(s, opens.get(s.key.group, True)) for s in steps if s.op is Op.UPDATE and _has_members(s)]
    rules = [s for s in steps if s.op is Op.UPDATE and not _has_members(s)]
    rules += [s for s in steps if s.op is Op.CREATE and s.key.kind in (Kind.POLICY, Kind.ATTACHMENT)]
    yield creations
    yield [first for first, _ in splits if first]
    yield sorted(rules, key=_position)
    yield [second for _, second in splits if second]
    yield [s for s in steps if s.op is Op.DELETE]


def _has_members(step: Step) -> bool:
    """Whether both sides hold members, so that there is a state between them; a change of shards is one write."""
    return all(
        isinstance(value, Shard) or (isinstance(value, Group) and not value.shards)
        for value in (step.before, step.after)
    )


def _split(step: Step, opens: bool) -> tuple[Step | None, Step | None]:
    """An update in two: first to what neither side would complain of, then to the end. A half that does nothing is left out."""
    between = _between(step.before, step.after, opens)
    first = None if between == step.before else Step(Op.UPDATE, step.key, step.before, between)
    second = None if between == step.after else Step(Op.UPDATE, step.key, between, step.after)
    return first, second


def _between(before: DeviceObject | None, after: DeviceObject | None, opens: bool) -> DeviceObject:
    """Where growth opens: what both sides hold; where it closes: what either holds."""
    if isinstance(before, Shard) and isinstance(after, Shard):
        members = before.members & after.members if opens else before.members | after.members
        return Shard(after.key, members)
    if isinstance(before, Group) and isinstance(after, Group):
        if opens:
            return Group(after.key, before.members & after.members, before.fqdns & after.fqdns)
        return Group(after.key, before.members | after.members, before.fqdns | after.fqdns)
    raise TypeError(f"no state between {before!r} and {after!r}")
