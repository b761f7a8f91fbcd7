"""A device in memory that keeps the contract: what the worker is tested against where HTTP adds nothing."""

from dataclasses import dataclass, field

from bridge.errors import DeviceError, FencedOff, Rejected
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan


@dataclass
class MemoryDevice:
    """The state of a device, and the refusals that a test asks of it."""

    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    fence: FenceState = field(default_factory=FenceState)
    refuses: dict[ObjectKey, str] = field(default_factory=dict)
    failures: list[DeviceError] = field(default_factory=list)
    writes: int = 0
    reads: int = 0
    history: list[dict[ObjectKey, DeviceObject]] = field(default_factory=list)
    active: bool = True


class MemoryAdapter:
    """The contract over a MemoryDevice; refuses dangling references as a real device does."""

    def __init__(
        self, memory: MemoryDevice, name: str = "memory", *, limits: Limits | None = None, atomic: bool = True
    ) -> None:
        self.memory = memory
        self.device = name
        self.capabilities = Capabilities(Form.TIERED, atomic=atomic)
        self.limits = limits or Limits(shard_members=8, batch=50)

    def normalize(self, intent: Intent) -> Objects:
        """Everything can be held as it is."""
        return dict(intent.objects)

    def read(self, scope: ReadScope) -> Snapshot:
        """All of it, or the named part."""
        self.memory.reads += 1
        self._fail()
        objects = {k: v for k, v in self.memory.objects.items() if scope.keys is None or k in scope.keys}
        return Snapshot(self.device, objects, fence=self.memory.fence, identity="memory-1")

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Phase by phase; a phase is a transaction when the device is atomic."""
        if not fence.passes(self.memory.fence):
            raise FencedOff(self.device, "a higher epoch stands on the device")
        self._fail()
        for phase in plan.phases:
            draft = dict(self.memory.objects)
            for step in phase:
                if step.key in self.memory.refuses:
                    raise Rejected(self.device, {str(step.key): self.memory.refuses[step.key]})
                if step.op is Op.DELETE:
                    draft.pop(step.key, None)
                else:
                    assert step.after is not None
                    draft[step.key] = step.after
                if not self.capabilities.atomic:
                    self._commit(draft)
                self.memory.writes += 1
            self._commit(draft)
        final = {step.key: self.memory.objects.get(step.key) for step in plan.steps}
        return Outcome(final, active=self.memory.active, calls=len(plan.steps))

    def raise_fence(self, fence: Fence) -> None:
        """Write the fence."""
        self.memory.fence = FenceState(fence.epoch, fence.installation)

    def active(self) -> bool:
        """As the test says."""
        return self.memory.active

    def save(self) -> None:
        """Nothing to save."""

    def close(self) -> None:
        """Nothing to close."""

    def _fail(self) -> None:
        if self.memory.failures:
            raise self.memory.failures.pop(0)

    def _commit(self, draft: dict[ObjectKey, DeviceObject]) -> None:
        for key, value in draft.items():
            for reference in value.references():
                if reference not in draft:
                    raise Rejected(self.device, {str(key): f"refers to {reference}, which does not exist"})
            if key.kind is Kind.SHARD and key.group not in draft and key not in self.memory.objects:
                continue
        self.memory.objects = draft
        self.memory.history.append(dict(draft))
