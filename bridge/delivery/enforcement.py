"""One device as last verified, and the step from there to what is wanted: plan, apply, check."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

import structlog

from bridge import metrics
from bridge.contract import Adapter
from bridge.delivery.handover import HandoverWatch
from bridge.delivery.quarantine import Quarantine
from bridge.delivery.wanted import Todo, Wanted
from bridge.errors import DeviceError, Drifted, FencedOff, NotOwned, Rejected, Unsupported
from bridge.model.handover import Handed
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, DeviceObject, FenceState, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Outcome, Plan
from bridge.policy.diff import diff, plan
from bridge.state.recognition import Recognition, refused_identity

log = structlog.get_logger(__name__)

_NOTHING = ReadScope(frozenset())


class Enforcement:
    """What the device holds of ours, moved forward by what was observed of each write, and what it refuses."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.device = adapter.device
        self.quarantine = Quarantine()
        self.objects: dict[ObjectKey, DeviceObject] = {}
        self.known = False  # False: read everything before anything else
        self.seen = False  # whether `objects` is what was seen, if not at once then some time ago
        self.overtaken: FenceState | None = (
            None  # what the fence said before we raised it, until somebody has noted that
        )
        self.stopped_by: FenceState | None = None  # the fence that stops us, until somebody has noted that
        self._series = metrics.device(adapter.device)
        self._moves = HandoverWatch()
        self._asked: Mapping[ObjectKey, DeviceObject] = {}  # what the last plan was to bring about

    def read(self, fence: Fence, recognition: Recognition, *, write: bool) -> Snapshot:
        """Read everything; take the device over when the fence is older than ours, and mark what a person has let us adopt.

        Raises Refused when another device answers, FencedOff when somebody newer, or another installation, owns it; Busy, Denied.
        """
        snapshot = self.adapter.read(EVERYTHING)
        if not recognition.knows(snapshot.identity):
            raise refused_identity(self.device, recognition.identities, snapshot.identity)
        fence = replace(fence, replaces=recognition.replaces)
        if snapshot.fence == recognition.stopped_by or not fence.passes(snapshot.fence):
            self.stopped_by = snapshot.fence
            raise FencedOff(
                self.device,
                f"epoch {snapshot.fence.epoch} of installation {snapshot.fence.installation or 'unknown'} stands on the device, "
                f"ours is {fence.epoch} of {fence.installation}: stop the other bridge, or, where there is none any more, "
                f"`fusion-bridge fence reset {self.device} --by NAME --reason TEXT`",
            )
        if write and (snapshot.fence.epoch, snapshot.fence.installation) != (fence.epoch, fence.installation):
            self.overtaken = snapshot.fence
            with self._shut_out(fence):
                self.adapter.raise_fence(fence)
        if write and recognition.adopting:
            with self._shut_out(fence):
                self.adapter.adopt(recognition.adopting, fence)
            snapshot = self.adapter.read(EVERYTHING)
        return snapshot

    def take(self, snapshot: Snapshot) -> None:
        """Go on from this snapshot."""
        self.objects = dict(snapshot.objects)
        self.known = self.seen = True

    def reconsider(self, wanted: Wanted) -> bool:
        """Whether something that was refused is wanted otherwise now: what was withheld for its sake is then to be looked at again."""
        return self.quarantine.lift(wanted.now)

    def plan(self, wanted: Wanted, todo: Todo, *, complete: bool) -> Plan:
        """The steps that bring the todo, or everything, onto the device; nothing that is set aside.

        Raises Rejected when something turns out to be inexpressible: everything below it must be looked at again.
        """
        self._asked = wanted.everything() if complete else wanted.part(todo)
        objects = wanted.settled(self._asked, self.objects, self.quarantine.keys)
        absent = frozenset() if complete else frozenset(todo.absent - objects.keys())
        intent = Intent(self.device, objects, complete=complete, absent=absent)
        meant = replace(intent, objects=self._normalized(intent))
        steps = self.quarantine.filter(diff(self.objects, meant))
        held = tuple(wanted.held[place] for place in sorted(wanted.held))
        can, limits = self.adapter.capabilities, self.adapter.limits
        return plan(self.device, steps, self.objects, can, limits, held, self.quarantine.keys)

    def apply(self, made: Plan, fence: Fence) -> Outcome:
        """Make the plan true and check what came of it.

        What the device refuses is set aside. Raises Drifted when an object is not as it was written or the refusal names nothing of
        the plan, and whatever the adapter raises.
        """
        if made.empty:
            return Outcome({})
        self._moves.sends(made, self.objects)
        try:
            with self._shut_out(fence):
                outcome = self.adapter.apply(made, fence)
        except (Rejected, NotOwned) as error:
            self._set_aside({ObjectKey.parse(text): words for text, words in error.objects.items()}, made, error)
            raise
        self._set_aside(outcome.refused, made, None)
        self._check(made, outcome)
        for key, value in outcome.observed.items():
            if value is None:
                self.objects.pop(key, None)
            else:
                self.objects[key] = value
        return outcome

    def observe(self, todo: Todo, wanted: Wanted, now: datetime) -> list[Handed]:
        """Show how long what is on the device since now was waited for. What is held or refused is not on it.

        Returns the addresses that have changed hands."""
        aside = {refused.group for refused in self.quarantine.keys} | {key for key, _ in wanted.held} | wanted.frozen
        for key, row in todo.rows.items():
            if row.applied_generation >= row.generation or key in aside:
                continue
            self._series.lag.observe(max(0.0, (now - (row.waiting_since or row.changed_at)).total_seconds()))
        handed = list(self._moves.seen(todo.rows, {key.group for key in self.quarantine.keys}, now))
        for one in handed:
            self._series.handover.observe(one.seconds)
            self._series.handover_both.inc(one.both)
        return handed

    @contextmanager
    def _shut_out(self, fence: Fence) -> Iterator[None]:
        """Note the fence that stops us in the middle of our work, as one that is read at the beginning."""
        try:
            yield
        except FencedOff:
            with suppress(DeviceError):
                standing = self.adapter.read(_NOTHING).fence
                self.stopped_by = None if fence.passes(standing) else standing
            raise

    def _set_aside(self, refused: Mapping[ObjectKey, str], made: Plan, error: Rejected | NotOwned | None) -> None:
        news = {step.key for step in made.steps} & refused.keys() - self.quarantine.keys
        if refused:
            log.warning("objects refused", device=self.device, objects={str(key): why for key, why in refused.items()})
            self.quarantine.put(refused, self._asked)
        if isinstance(error, Rejected) and not news:
            raise Drifted(self.device, f"refusal of what was not asked: {error}") from error

    def _check(self, made: Plan, outcome: Outcome) -> None:
        """An answer that says otherwise is no success."""
        for key, meant in {step.key: step.after for step in made.steps}.items():
            if key not in outcome.refused and (key not in outcome.observed or outcome.observed[key] != meant):
                raise Drifted(self.device, f"{key} is not as it was written")

    def expected(self, wanted: Wanted) -> Objects:
        """All that is wanted, as the device would show it; what it cannot express is left out."""
        intent = Intent(self.device, wanted.everything())
        try:
            return self.adapter.normalize(intent)
        except Unsupported as error:
            rest = {key: value for key, value in intent.objects.items() if str(key) not in error.objects}
            return self.adapter.normalize(replace(intent, objects=rest))

    def _normalized(self, intent: Intent) -> Mapping[ObjectKey, DeviceObject]:
        """As the device would report it, less what it cannot express."""
        try:
            return self.adapter.normalize(intent)
        except Unsupported as error:
            refused = {ObjectKey.parse(text): why for text, why in error.objects.items()}
            self._note_unsupported(refused)
            rest = {key: value for key, value in intent.objects.items() if key not in refused}
            return self.adapter.normalize(replace(intent, objects=rest))

    def _note_unsupported(self, refused: Mapping[ObjectKey, str]) -> None:
        fresh = {key: why for key, why in refused.items() if key not in self.quarantine}
        if fresh:
            log.warning("not expressible", device=self.device, objects={str(key): why for key, why in fresh.items()})
            self.quarantine.put(fresh, self._asked)
            raise Rejected(self.device, {str(key): why for key, why in fresh.items()})
