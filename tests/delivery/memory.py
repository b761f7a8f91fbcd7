"""A device in memory that keeps the contract: what the worker is tested against where HTTP adds nothing."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from bridge.errors import FencedOff, Rejected, Unsupported
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Group, Intent, Objects, ReadScope, RuleList, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Tier


@dataclass
class MemoryDevice:
    """The state of a device, and the failures and refusals that a test asks of it.

    `failures` are raised one a call; `fail_after` counts the steps that an apply still makes before the next failure strikes in it.
    """

    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    fence: FenceState = field(default_factory=FenceState)
    refuses: dict[ObjectKey, str] = field(default_factory=dict)
    unsupported: dict[ObjectKey, str] = field(default_factory=dict)
    refuses_feeds: bool = False
    failures: list[Exception] = field(default_factory=list)
    fail_after: int | None = None
    writes: int = 0
    reads: int = 0
    applies: int = 0
    history: list[dict[ObjectKey, DeviceObject]] = field(default_factory=list)
    active: bool = True
    saved: int = 0
    flows: list[Flow] = field(default_factory=list)  # tracked now
    closed: list[Flow] = field(default_factory=list)
    asked: list[frozenset[str]] = field(default_factory=list)  # whose flows were asked for
    unable: list[Exception] = field(default_factory=list)  # raised one a question about flows
    unclosed: list[Exception] = field(default_factory=list)  # raised one a closing of flows
    seconds: Callable[[], None] = field(default=lambda: None)  # called with each question about flows: time passes
    attached: dict[Tier, bool] = field(default_factory=dict)


class MemoryAdapter:
    """The contract over a MemoryDevice; refuses dangling references as a real device does, and reports names of lines in capitals."""

    def __init__(
        self,
        memory: MemoryDevice,
        name: str = "edge",
        *,
        limits: Limits | None = None,
        atomic: bool = True,
        permit: Callable[[], None] = lambda: None,
    ) -> None:
        self.memory = memory
        self.permit = permit
        self.device = name
        self.capabilities = Capabilities(Form.TIERED, atomic=atomic, close_flows=True)
        self.limits = limits or Limits(shard_members=8, batch=50)

    @property
    def calls(self) -> int:
        """Readings and applied plans."""
        return self.memory.reads + self.memory.applies

    def normalize(self, intent: Intent) -> Objects:
        """Names of lines in capitals; everything else is held as it is."""
        unsupported = {
            str(key): self.memory.unsupported[key] for key in intent.objects if key in self.memory.unsupported
        }
        if unsupported:
            raise Unsupported(self.device, unsupported)
        return {key: _capitals(value) for key, value in intent.objects.items()}

    def read(self, scope: ReadScope) -> Snapshot:
        """All of it, or the named part."""
        self.memory.reads += 1
        if self.memory.fail_after is None:
            self._fail()
        objects = {k: v for k, v in self.memory.objects.items() if scope.keys is None or k in scope.keys}
        attached = dict(self.memory.attached)
        return Snapshot(self.device, objects, fence=self.memory.fence, identity="memory-1", attached=attached)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Phase by phase; a phase is a transaction when the device is atomic, and every step one when it is not."""
        if not fence.passes(self.memory.fence):
            raise FencedOff(self.device, "a higher epoch stands on the device")
        self.memory.applies += 1
        for phase in plan.phases:
            for steps in [phase] if self.capabilities.atomic else [(step,) for step in phase]:
                self._transaction(steps)
        final = {step.key: self.memory.objects.get(step.key) for step in plan.steps}
        return Outcome(final, active=self.memory.active, calls=len(plan.steps))

    def raise_fence(self, fence: Fence) -> None:
        """Write the fence."""
        self.permit()
        self.memory.fence = FenceState(fence.epoch, fence.installation)

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """Nothing stands here that is not ours."""

    def active(self) -> bool:
        """As the test says."""
        return self.memory.active

    def save(self) -> None:
        """Count it."""
        self.memory.saved += 1

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """Those that the test put there."""
        self.memory.asked.append(frozenset(sources))
        self.memory.seconds()
        if self.memory.unable:
            raise self.memory.unable.pop(0)
        return [flow for flow in self.memory.flows if flow.source in sources]

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """Move them to those that are closed."""
        self.permit()
        if not fence.passes(self.memory.fence):
            raise FencedOff(self.device, "a higher epoch stands on the device")
        if self.memory.unclosed:
            raise self.memory.unclosed.pop(0)
        found = [flow for flow in self.memory.flows if flow in flows]
        self.memory.flows = [flow for flow in self.memory.flows if flow not in flows]
        self.memory.closed += found
        return len(found)

    def examine(self) -> Sequence[Finding]:
        """Nothing to look at."""
        return ()

    def close(self) -> None:
        """Nothing to close."""

    def _transaction(self, steps: tuple[Step, ...]) -> None:
        self.permit()
        draft = dict(self.memory.objects)
        for step in steps:
            self._strike()
            if step.key in self.memory.refuses:
                raise Rejected(self.device, {str(step.key): self.memory.refuses[step.key]})
            if self.memory.refuses_feeds and isinstance(step.after, Group) and step.after.pushed:
                raise Rejected(self.device, {str(step.key): "no room for another feed"})
            if step.op is Op.DELETE:
                draft.pop(step.key, None)
            else:
                assert step.after is not None
                draft[step.key] = step.after
        for key, value in draft.items():
            for reference in value.references():
                if reference not in draft:
                    guilty = key if any(step.key == key for step in steps) else reference
                    raise Rejected(self.device, {str(guilty): f"{key} refers to {reference}, which would not exist"})
        self.memory.objects = draft
        self.memory.writes += len(steps)
        self.memory.history.append(dict(draft))

    def _strike(self) -> None:
        memory = self.memory
        if memory.fail_after is None or memory.fail_after > 0:
            memory.fail_after = None if memory.fail_after is None else memory.fail_after - 1
            return
        memory.fail_after = None
        self._fail()

    def _fail(self) -> None:
        if self.memory.failures:
            raise self.memory.failures.pop(0)


def _capitals(value: DeviceObject) -> DeviceObject:
    if not isinstance(value, RuleList):
        return value
    return replace(value, entries=tuple(replace(entry, name=entry.name.upper()) for entry in value.entries))


Change = Callable[[dict[ObjectKey, DeviceObject]], None]


def tampered(memory: MemoryDevice, change: Change) -> None:
    """Somebody changes the device by hand."""
    objects = dict(memory.objects)
    change(objects)
    memory.objects = objects
