"""Every change on a device becomes an audit entry that tells what it was for, what was before and what stands since.

`after` is always what the device holds then, as observed, so that the entries of an object, in their order, tell its whole life there.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.delivery.drift import Difference
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Objects, Policy
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.rendering import change_lines, digest_in, digest_of
from bridge.state.desired import AuditEntry, DesiredRow

DRIFT, FOUND, TAKE_OVER = "drift", "found", "take-over"  # beside the operations of steps

BY_OTHERS = "changed on the device, not by this bridge"
_UNWATCHED = "changed on the device while no bridge was watching it"
_UNTOLD = "changed while no bridge was watching: by one that ended in the middle of a plan, or by somebody else"
_FIRST = "stood on the device when its audit began"
_REPAIR = "repair of what was changed on the device"
_SET_RIGHT = f"{_REPAIR}, or somebody else has set it right"
_LEFTOVER = "nothing that is recorded asks for it"
_UNRECORDED = "a change of which no cause was recorded"
_FRAME = "a policy for each tier, which rule lists join later"
_ATTACHED = "the settings say where our policy is attached"
_LEFT = "left: the device is in mode plan"

_CAUSES_NAMED = 3  # of the lists behind a change of a policy
_TOGETHER = (Kind.RULE_LIST, Kind.POLICY, Kind.ATTACHMENT)  # these change for the sake of others too

Rows = Mapping[ObjectKey, DesiredRow]


def _nobody(_key: ObjectKey) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Note:
    """Entries that belong together, and the digest of the plan that they come from, if any."""

    entries: tuple[AuditEntry, ...]
    plan_digest: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a complete reading has shown: what is to be written down now, and what somebody else has changed."""

    notes: tuple[Note, ...]
    drift: tuple[ObjectKey, ...]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A plan that was sent, and what is needed to tell of its steps."""

    plan: Plan
    causes: Mapping[ObjectKey, str]
    rows: Rows


class Auditor:
    """What was tried on one device, and what was found there that nobody here did. Remembers between a plan and the next reading."""

    def __init__(self, *, writes: bool) -> None:
        self._writes = writes
        self._attempt: _Attempt | None = None
        self._late: dict[ObjectKey, tuple[Step, str]] = {}  # what was sent and had not happened when it was looked for
        self._drift: dict[ObjectKey, AuditEntry] = {}  # found, and not yet known how it ends
        self._repairs: set[ObjectKey] = set()
        self._refusals: dict[ObjectKey, tuple[str, str]] = {}

    @property
    def unsettled(self) -> dict[ObjectKey, str]:
        """What was found changed and is not told of yet, with the digest of what was found."""
        return {key: digest_in(entry.after) for key, entry in self._drift.items()}

    def forget(self) -> None:
        """As if nothing had been tried and nothing found."""
        self._attempt = None
        for remembered in (self._late, self._drift, self._repairs, self._refusals):
            remembered.clear()

    # ---- what we do

    def sends(
        self, made: Plan, rows: Rows, known: Rows, releases: Callable[[ObjectKey], Sequence[str]] = _nobody
    ) -> None:
        """A plan goes out. `rows` are those that it settles, `known` all that were ever heard of; `releases` tells who let a step pass."""
        causes = {
            step.key: "; ".join((*releases(step.key.group), self._cause(step, rows, known))) for step in made.steps
        }
        self._attempt = _Attempt(made, causes, rows)

    def done(self, outcome: Outcome, at: datetime, aside: Callable[[ObjectKey], str]) -> Note:
        """It is through: an entry for each step, and how what was found before ended. `aside` tells why an object was left alone."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return Note(())
        steps = attempt.plan.steps
        ended = list(self._ended(steps, outcome, aside))
        entries = [entry for step in steps for entry in self._step(step, attempt, outcome, at)]
        self._repairs -= {step.key for step in steps} - outcome.refused.keys()
        return Note((*ended, *entries), "" if attempt.plan.empty else attempt.plan.digest)

    def refused(self, words: Mapping[str, str], seen: Objects) -> Note:
        """It broke off because the device refuses these objects. What of it happened, the next reading will show; until then it holds
        what was last `seen`.
        """
        attempt = self._attempt
        if attempt is None:
            return Note(())
        last = {step.key: step for step in attempt.plan.steps if str(step.key) in words}
        told = (self._refused(step, seen.get(key), words[str(key)], attempt.causes[key]) for key, step in last.items())
        drift = self._given_up(last.keys(), "not repaired: the device refuses what is wanted")
        return Note((*drift, *(entry for entries in told for entry in entries)), attempt.plan.digest)

    def failed(self, why: str) -> Note:
        """It broke off, and nothing is tried again for a while."""
        return Note(tuple(self._given_up(self._drift.keys(), f"not repaired yet: {why}")))

    def taken_over(self, before: FenceState, fence: Fence) -> Note:
        """The fence was raised to ours."""
        cause = f"this replica keeps the device from now on, as epoch {fence.epoch}"
        was, now = _fence_line(before.epoch, before.installation), _fence_line(fence.epoch, fence.installation)
        return Note((AuditEntry(ObjectKey.fence(), TAKE_OVER, cause, was, now, "done"),))

    # ---- what we find

    def watched(self, differences: Iterable[Difference], at: datetime) -> Findings:
        """What changed under our eyes: what the last plan got done before it broke off, what came late, and drift."""
        attempt, self._attempt = self._attempt, None
        tried = {step.key: step for step in attempt.plan.steps} if attempt else {}
        ours: list[AuditEntry] = []
        late: list[AuditEntry] = []
        theirs: list[AuditEntry] = []
        different = list(differences)
        before = Note(tuple(self._given_up({one.key for one in different}, "not repaired before it changed again")))
        for one in different:
            sent, cause = self._late.pop(one.key, (None, ""))
            if attempt and one.key in tried:
                ours.append(_interrupted(one, attempt, at))
            elif sent is not None and sent.after == one.after:
                late.append(_entry(one, sent.op, cause, "done, after it was taken for lost"))
            else:
                theirs.append(_entry(one, DRIFT, BY_OTHERS, ""))
        if attempt:
            seen = {one.key for one in different}
            self._late = {key: (step, attempt.causes[key]) for key, step in tried.items() if key not in seen}
        else:
            self._late.clear()
        done = Note(tuple(ours), attempt.plan.digest if attempt else "")
        return Findings((before, done, self._found(late, theirs)), tuple(one.key for one in theirs))

    def unwatched(self, differences: Iterable[Difference], expected: Objects, rows: Rows, *, first: bool) -> Findings:
        """What changed while nobody here looked. `expected` is what is wanted now; `first`: nothing was ever recorded of the device.

        A row that is not applied may have been, by a bridge that ended before it recorded that: then it is nobody's drift.
        """
        if first:
            return Findings((Note(tuple(_entry(one, FOUND, _FIRST, "found") for one in differences)),), ())
        ours: list[AuditEntry] = []
        theirs: list[AuditEntry] = []
        pending = {key for key, row in rows.items() if row.applied_generation < row.generation}
        for bare in differences:
            one = bare.known_as(expected.get(bare.key))
            untold = one.key.group in pending or (bool(pending) and one.key.kind in _TOGETHER)
            if expected.get(one.key) == one.after and (untold or self._writes):
                step = Step(_op(one), one.key, None, one.after)
                cause = self._cause(step, rows, rows) if untold else _SET_RIGHT
                ours.append(_entry(one, step.op, cause, "done, and not recorded before the bridge ended"))
            else:
                theirs.append(_entry(one, DRIFT, _UNTOLD if untold else _UNWATCHED, ""))
        return Findings((self._found(ours, theirs),), tuple(one.key for one in theirs))

    def _found(self, certain: list[AuditEntry], drift: list[AuditEntry]) -> Note:
        """Drift is told once it is known how it ends; where nothing is written, that is now."""
        if not self._writes:
            return Note((*certain, *(replace(one, outcome=_LEFT) for one in drift)))
        self._drift.update((one.key, one) for one in drift)
        self._repairs.update(one.key for one in drift)
        return Note(tuple(certain))

    def _given_up(self, keys: Collection[ObjectKey], outcome: str) -> list[AuditEntry]:
        """The drift of these objects, told as it stands."""
        found = [self._drift.pop(key) for key in list(self._drift) if key in keys]
        return [replace(entry, outcome=outcome) for entry in found]

    def _ended(
        self, steps: Iterable[Step], outcome: Outcome, aside: Callable[[ObjectKey], str]
    ) -> Iterator[AuditEntry]:
        touched = {step.key for step in steps}
        for key, entry in self._drift.items():
            if key in outcome.refused:
                end = f"not repaired: the device refuses it: {outcome.refused[key]}"
            elif key in touched:
                end = "repaired"
            elif why := aside(key):
                end = f"left: {why}"
            else:
                end = "left: it is as wanted"
                self._repairs.discard(key)
            yield replace(entry, outcome=end)
        self._drift.clear()

    # ---- one step

    def _step(self, step: Step, attempt: _Attempt, outcome: Outcome, at: datetime) -> list[AuditEntry]:
        cause = attempt.causes[step.key]
        if step.key in outcome.refused:
            stands = outcome.observed.get(step.key, step.before)
            return self._refused(step, stands, outcome.refused[step.key], cause)
        self._refusals.pop(step.key, None)
        before, after = change_lines(step.before, step.after)
        return [AuditEntry(step.key, step.op, cause, before, after, "done", _lag(step, attempt.rows, at))]

    def _refused(self, step: Step, stands: DeviceObject | None, why: str, cause: str) -> list[AuditEntry]:
        """Told once: at every audit it is tried again."""
        refusal = (digest_of(step.after), why)
        if self._refusals.get(step.key) == refusal:
            return []
        self._refusals[step.key] = refusal
        same, asked = change_lines(stands, stands)[1], change_lines(stands, step.after)[1]
        return [AuditEntry(step.key, step.op, cause, same, same, f"refused: {why}; asked for: {asked}")]

    def _cause(self, step: Step, rows: Rows, known: Rows) -> str:
        causes = []
        row = rows.get(step.key.group) or known.get(step.key.group)
        pending = row is not None and row.applied_generation < row.generation
        if step.key in self._repairs:
            causes.append(_REPAIR)
        if row is not None and (pending or not causes):
            causes.append(row.cause or _UNRECORDED)
        if step.key.kind is Kind.POLICY and not causes:
            causes += _behind_policy(step, rows, known)
        if step.key.kind is Kind.ATTACHMENT and not causes:
            causes.append(_ATTACHED)
        return "; ".join(causes) or _LEFTOVER


def _behind_policy(step: Step, rows: Rows, known: Rows) -> list[str]:
    """Why a policy names other lists than before: what became of the lists."""
    had = set(step.before.lists) if isinstance(step.before, Policy) else set()
    has = set(step.after.lists) if isinstance(step.after, Policy) else set()
    moved = sorted(had ^ has)
    if not moved and step.op is Op.CREATE:
        return [_FRAME]
    found = (rows.get(key) or known.get(key) for key in moved)
    causes = list(dict.fromkeys(row.cause for row in found if row is not None and row.cause))
    more = [f"{len(causes) - _CAUSES_NAMED} more"] if len(causes) > _CAUSES_NAMED else []
    return [*causes[:_CAUSES_NAMED], *more] or [_UNRECORDED]


def _interrupted(one: Difference, attempt: _Attempt, at: datetime) -> AuditEntry:
    """What a plan that broke off made of one object, as the next reading shows it."""
    steps = [step for step in attempt.plan.steps if step.key == one.key]
    cause = attempt.causes[one.key]
    if one.after == steps[-1].after:
        return _entry(one, steps[-1].op, cause, "done, then interrupted", _lag(steps[-1], attempt.rows, at))
    if any(one.after == step.after for step in steps):
        return _entry(one, steps[-1].op, cause, "done in part, then interrupted")
    return _entry(one, steps[-1].op, f"{cause}; or {BY_OTHERS}", "interrupted, and found as neither before nor after")


def _entry(one: Difference, op: str, cause: str, outcome: str, lag: float | None = None) -> AuditEntry:
    before, after = one.lines
    return AuditEntry(one.key, op, cause, before, after, outcome, lag)


def _op(one: Difference) -> Op:
    if not one.before:
        return Op.CREATE
    return Op.DELETE if one.after is None else Op.UPDATE


def _lag(step: Step, rows: Rows, at: datetime) -> float | None:
    """Seconds from the oldest change that the step answers; None where it answers none."""
    keys = [step.key.group]
    if step.key.kind is Kind.POLICY:
        keys = [ref for value in (step.before, step.after) if isinstance(value, Policy) for ref in value.lists]
    waiting = [rows[key] for key in keys if key in rows and rows[key].applied_generation < rows[key].generation]
    since = min((row.waiting_since or row.changed_at for row in waiting), default=None)
    return None if since is None else max(0.0, (at - since).total_seconds())


def _fence_line(epoch: int, installation: str) -> str:
    return f"epoch {epoch} of {installation}" if epoch else "-"
