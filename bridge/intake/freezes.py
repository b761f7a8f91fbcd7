"""Devices in a freeze: each keeps to the policy that was accepted when the freeze began, and everybody may see what is kept from it.

Policy is what people write and what the settings say of defaults. Who is in a group, what a name stands for, and whether the hour of a rule
has come are none of it: that goes on. What was edited meanwhile is one list for each device, with a digest; to release it moves the policy
that the device keeps to on to the moment of that list.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.intake.policies import InForce, PolicyBook
from bridge.model.baseline import Baseline, FrozenList, Stance
from bridge.model.decisions import Choice, DecisionRecord, Settled
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import PolicyObject
from bridge.model.plan import Held, HoldKind, held_digest
from bridge.model.policy import Ref, Rule
from bridge.model.reasons import Reason
from bridge.policy.compiled import Target
from bridge.policy.freeze import Freeze, frozen, lasts
from bridge.state.batch import Placement, Recorded

_LISTS = 16  # of one device, that can still be released
DEFAULT = "Default"  # in place of a kind: what the settings say follows the last tier

Concerned = Mapping[Ref, Placement]
"""Objects of which an edit is kept from a device, each with what it becomes there in one version or the other."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One object of the cluster, or the device's defaults, that is otherwise now than a device keeps to."""

    ref: Ref
    kept: PolicyObject | None
    now: PolicyObject | None

    @property
    def words(self) -> str:
        """What is kept from the device."""
        if self.ref.kind == DEFAULT:
            return "the defaults that the settings state are others now"
        if self.now is None:
            return "it was deleted, and stays in force there"
        if self.kept is None:
            return f"generation {self.now.generation} is new, and not in force there yet"
        return f"generation {self.now.generation} waits; generation {self.kept.generation} stays in force there"

    @property
    def identity(self) -> str:
        """Which edit it is, whatever else happens."""
        return f"{self.ref} {_version(self.kept)} -> {_version(self.now)}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a device in a freeze keeps to, and in which words people are told."""

    in_force: InForce
    stance: Stance
    words: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one device is compiled from. In a freeze `kept` is what it keeps to, `target` is as it was then, and `edits` differ from that.

    `now` and `in_force`: as the settings and the cluster have it now.
    """

    target: Target
    now: Target
    in_force: InForce
    kept: Kept | None = None
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """One device in its freeze. The kept policy is that of `as_of`; None: of before the batch that is to record it."""

    names: tuple[str, ...]
    until: datetime | None
    kept: Kept
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class _Listed:
    """A list as it was told: what it would move a device on to."""

    told: FrozenList
    in_force: InForce
    stance: Stance
    at: datetime


class Freezes:
    """All devices of one cluster that are in a freeze. `begun` and `ended` are what is to be recorded of that with the next batch."""

    def __init__(self, cluster: str, targets: Sequence[Target], policies: PolicyBook, recorded: Recorded) -> None:
        self._cluster = cluster
        self._targets = targets
        self._policies = policies
        self._recorded = dict(recorded.baselines)
        self._known = recorded if _anything(recorded) else None
        self._before: InForce | None = None
        self._states: dict[str, _State] = {}
        self._lists: dict[str, dict[str, _Listed]] = {one.name: {} for one in targets}
        self._current: dict[str, FrozenList] = dict(recorded.frozen_lists)
        self._pending: dict[str, _Listed] = {}
        self.begun: list[Baseline] = []
        self.ended: list[str] = []
        self.lists: list[FrozenList] = []
        self.causes: dict[Ref, str] = {}
        self._remember(recorded)

    def _remember(self, recorded: Recorded) -> None:
        """The last list of each device, which is that of the policy as recorded."""
        stances = {one.name: _stance(one) for one in self._targets}
        for device, told in recorded.frozen_lists.items():
            earlier = self._earlier()
            if device in self._lists and earlier is not None and recorded.seen_at is not None:
                self._lists[device][told.digest] = _Listed(told, earlier, stances[device], recorded.seen_at)

    def start(self) -> None:
        """What is told from now on goes into another batch."""
        self.begun, self.ended, self.lists, self.causes = [], [], [], {}

    @property
    def windows(self) -> tuple[Freeze, ...]:
        """Of all devices, to know when they begin and end."""
        return tuple(dict.fromkeys(one for target in self._targets for one in target.freezes))

    def settle(self, in_force: InForce, at: datetime) -> list[Drawing]:
        """What each device is compiled from at this moment: those in a freeze last."""
        found = [self._drawing(target, in_force, at) for target in self._targets]
        for device in self._recorded.keys() - self._lists.keys():  # in the settings no more
            self.ended.append(device)
            self._tell(device, None)
        self._before, self._known, self._recorded = in_force, None, {}
        return sorted(found, key=lambda one: one.kept is not None)

    def _drawing(self, target: Target, in_force: InForce, at: datetime) -> Drawing:
        now = frozen(target.freezes, at) if target.freezes else None
        moved = self._pending.pop(target.name, None)  # nothing to move on where the freeze is over
        state = self._states.get(target.name) or self._continued(target, at)
        if now is None:
            if state is not None:
                self._end(target, state, in_force)
            return Drawing(target, target, in_force)
        if state is None:
            kept = Kept(self._earlier() or in_force, _stance(target), now.words)
            state = _State(now.names, now.until, kept, None)
            self._note(target.name, state)
        elif moved is not None:
            kept = Kept(moved.in_force, moved.stance, now.words)
            state = _State(now.names, now.until, kept, None if moved.in_force is self._before else moved.at)
            self._note(target.name, state)
        elif (state.names, state.until) != (now.names, now.until):
            state = replace(state, names=now.names, until=now.until)
            self._note(target.name, state)
        if state.kept.words != now.words:
            state = replace(state, kept=replace(state.kept, words=now.words))
        self._states[target.name] = state
        edits = tuple(_edits(target, state.kept, in_force))
        return Drawing(_as_kept(target, state.kept), target, in_force, state.kept, edits)

    def _continued(self, target: Target, at: datetime) -> _State | None:
        """The freeze that was recorded, where it lasts: one that ended while nobody was there is another."""
        found = self._recorded.get(target.name)
        if found is None:
            return None
        kept = Kept(self._policies.then(found.policy, found.surroundings), found.stance, "")
        state = _State(found.names, found.until, kept, found.as_of)
        if found.until is None or found.until > at or lasts(target.freezes, found.until, at):
            return state
        self._end(target, state, self._earlier())
        return None

    def _end(self, target: Target, state: _State, in_force: InForce | None) -> None:
        """All that was kept from the device goes there now."""
        self._states.pop(target.name, None)
        self._lists[target.name].clear()
        self.ended.append(target.name)
        if in_force is not None:
            why = f"after the freeze {', '.join(state.names)}"
            self.causes |= {edit.ref: f"{edit.ref} {why}" for edit in _edits(target, state.kept, in_force)}
        self._tell(target.name, None)

    def _note(self, device: str, state: _State) -> None:
        self.begun.append(Baseline(device, state.names, state.until, state.kept.stance, state.as_of))

    def _earlier(self) -> InForce | None:
        """What was in force before this moment; None where nothing is known of it: then the first picture is what a device keeps to."""
        if self._before is None and self._known is not None:
            accepted = (one.accepted for one in self._known.verdicts.values() if one.accepted is not None)
            self._before = self._policies.then(accepted)
        return self._before

    # ---- what is kept from devices, and what people decide about it

    def tell(self, drawings: Iterable[Drawing], concerned: Mapping[str, Concerned], at: datetime) -> list[Placement]:
        """Make a list of what concerns each device in a freeze, as drawn; returns how the objects stand there."""
        found: list[Placement] = []
        for drawing in drawings:
            if drawing.kept is not None:
                found += self._list(drawing, drawing.kept, concerned.get(drawing.now.name, {}), at)
        return found

    def _list(self, drawing: Drawing, kept: Kept, concerned: Concerned, at: datetime) -> Iterator[Placement]:
        device = drawing.now.name
        edits = [(edit, concerned[edit.ref]) for edit in drawing.edits if edit.ref in concerned]
        steps = tuple(_step(self._cluster, kept, edit, placed) for edit, placed in edits)
        told = FrozenList(device, held_digest(device, self._cluster, steps), steps) if steps else None
        if told is not None and told.digest not in self._lists[device]:
            known = self._lists[device]
            known[told.digest] = _Listed(told, drawing.in_force, _stance(drawing.now), at)
            for digest in list(known)[:-_LISTS]:
                del known[digest]
        self._tell(device, told)
        current = self._current.get(device)
        by = f"; rejected by {current.rejected[0]}: {current.rejected[1]}" if current and current.rejected else ""
        for edit, placed in edits:
            if edit.ref.kind != DEFAULT:
                yield replace(placed, reason=str(Reason.HELD), message=f"{kept.words}: {edit.words}{by}")

    def _tell(self, device: str, told: FrozenList | None) -> None:
        before = self._current.pop(device, None)
        if told is None:
            self.lists += [replace(before, edits=())] if before is not None else []
            return
        now = replace(told, rejected=before.rejected) if before is not None and before.digest == told.digest else told
        self._current[device] = now
        if now != before:
            self.lists.append(now)

    def decide(self, record: DecisionRecord) -> DecisionRecord:
        """A decision, settled where it is about a list of a freeze; any other stays as it is."""
        decision = record.decision
        found = self._lists.get(decision.device, {}).get(decision.digest)
        if record.state is not Settled.WAITING or found is None:
            return record
        by = (decision.by, decision.reason)
        current = self._current.get(decision.device)
        if decision.verdict is Choice.RELEASE:
            self._pending[decision.device] = found
            self.lists.append(replace(found.told, released=by))
            count = len(found.told.edits)
            return replace(
                record, state=Settled.DONE, message=f"{count} edit(s) go to {decision.device}, frozen as it is"
            )
        if current is not None and current.digest == decision.digest:
            self._current[decision.device] = replace(current, rejected=by)
            self.lists.append(self._current[decision.device])
            return replace(record, state=Settled.DONE, message=f"kept from {decision.device} until the freeze ends")
        return replace(record, state=Settled.NOTHING_HELD, message="another list has taken the place of this one")

    @property
    def moving(self) -> bool:
        """Whether a decision changes what a device is to hold, or is told of: policy is then to be compiled anew."""
        return bool(self._pending) or any(one.rejected for one in self.lists)


def _anything(recorded: Recorded) -> bool:
    return bool(recorded.verdicts or recorded.desired or recorded.pods or recorded.objects)


def _stance(target: Target) -> Stance:
    namespaces = None if target.namespaces is None else tuple(sorted(target.namespaces))
    return Stance(target.defaults, target.accept_shared, namespaces)


def _as_kept(target: Target, kept: Kept) -> Target:
    stance = kept.stance
    namespaces = None if stance.namespaces is None else frozenset(stance.namespaces)
    return replace(target, defaults=stance.defaults, accept_shared=stance.accept_shared, namespaces=namespaces)


def _edits(target: Target, kept: Kept, now: InForce) -> Iterator[Edit]:
    """What is otherwise now, wherever it counts."""
    if kept.stance != _stance(target):
        yield Edit(Ref(DEFAULT, "", target.name), None, None)
    if kept.in_force is now:
        return
    before, after = _by_ref(kept.in_force), _by_ref(now)
    for ref in sorted(before.keys() | after.keys()):
        was, found = before.get(ref), after.get(ref)
        if was is not found and was != found:
            yield Edit(ref, _accepted(kept.in_force, ref), _accepted(now, ref))


def _by_ref(in_force: InForce) -> dict[Ref, object]:
    rules: Iterable[Rule] = in_force.rules
    found: dict[Ref, object] = {one.ref: one for one in rules}
    return found | dict(in_force.externals) | {one.ref: one for one in in_force.address_groups}


def _accepted(in_force: InForce, ref: Ref) -> PolicyObject | None:
    verdict = in_force.verdicts.get(ref)
    return verdict.accepted if verdict is not None else None


def _version(one: PolicyObject | None) -> str:
    return f"{one.uid}/{one.generation}" if one is not None else "-"


def _step(cluster: str, kept: Kept, edit: Edit, placed: Placement) -> Held:
    """The edit as a held step: of the list of the rule, where it is one."""
    lists = [key for key in placed.keys if key.kind is Kind.RULE_LIST]
    key = next(iter(lists or placed.keys), ObjectKey(Kind.RULE_LIST, cluster, Scope.DEFAULT))
    return Held(key, frozenset({edit.identity}), f"{kept.words}: {edit.ref}: {edit.words}", HoldKind.EDIT)
