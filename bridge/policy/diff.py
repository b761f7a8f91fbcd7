"""From what a device holds and what it should hold to the steps between, in an order that is safe to stop anywhere (SEMANTICS 6)."""

from collections.abc import Iterable

from bridge.model.capabilities import Capabilities, Limits
from bridge.model.identity import ObjectKey
from bridge.model.intent import Intent, Objects
from bridge.model.plan import Held, Op, Plan, Step
from bridge.policy.transition import Transition, position


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
    steps += [Step(Op.DELETE, key, have[key], None) for key in sorted(gone) if key in have]
    return steps


def plan(
    device: str,
    steps: list[Step],
    have: Objects,
    can: Capabilities,
    limits: Limits,
    held: Iterable[Held] = (),
    refused: frozenset[ObjectKey] = frozenset(),
) -> Plan:
    """The steps in phases: one transaction where the device has one and they fit, else as `Transition` says. What is `refused` stays."""
    ordered = sorted(steps, key=position)
    at_once = len(ordered) <= 1 or (can.atomic and len(ordered) <= limits.batch)
    phases = [ordered] if at_once else list(Transition(have, ordered, refused).phases())
    return Plan(device, tuple(tuple(phase) for phase in phases if phase), tuple(held))
