"""From what is in force in a cluster to what each of its devices should hold, and what of that is new."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from operator import attrgetter, itemgetter

from bridge.dialects.annotations import Groups
from bridge.intake.freezes import DEFAULT, Drawing
from bridge.intake.policies import InForce
from bridge.model.baseline import kept_key, kept_tag, plain_key
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, RuleList
from bridge.model.kinds import BY_REF
from bridge.model.policy import Governance, Ref, Source
from bridge.model.reasons import Reason
from bridge.model.rendering import digest_of, digest_of_list, entry_line
from bridge.policy.compile import ClusterPolicy, Compiled, Remark, Target, compile_policy
from bridge.policy.memory import Memory, runs
from bridge.state.batch import DesiredObject, Placement, Verdict

_BARRED = (Reason.UNSUPPORTED, Reason.OVER_BROAD)  # reasons for which a rule cannot be accepted as it stands
SELECTED = "selected"  # the digest of a group whose members live in the member table
KEPT = "kept"  # the same, where they are counted apart because the group is defined otherwise now

Place = tuple[str, ObjectKey]
"""Device and key."""


@dataclass(slots=True)
class Outline:
    """The desired objects of all devices of one cluster, without the members of selected groups, and whose they are."""

    desired: dict[Place, DesiredObject] = field(default_factory=dict)
    definitions: dict[ObjectKey, tuple[Source, ...]] = field(default_factory=dict)
    watched: dict[ObjectKey, tuple[Source, ...]] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by device
    placements: dict[tuple[Ref, str], Placement] = field(default_factory=dict)
    concerned: dict[str, Mapping[Ref, Placement]] = field(
        default_factory=dict
    )  # by device in a freeze, of what was edited


def outline(
    cluster: str,
    governance: Governance,
    drawings: Sequence[Drawing],
    asked: Groups,
    at: datetime,
    names: Mapping[str, tuple[str, ...]],
    shared: Mapping[ObjectKey, str],
    memory: Memory | None = None,
) -> Outline:
    """Compile for every device as of this moment, those in a freeze last.

    `asked` are the groups by annotation, `names` what was resolved, `shared` who else was counted behind the addresses of groups. With a
    memory of the last time it takes as long as what has changed since, and comes to the same.
    """
    memory = memory or Memory()
    result = Outline()
    policies: dict[int, ClusterPolicy] = {}

    def policy(in_force: InForce) -> ClusterPolicy:
        if id(in_force) not in policies:
            policies[id(in_force)] = ClusterPolicy(
                cluster,
                governance,
                in_force.rules,
                in_force.externals,
                in_force.address_groups,
                asked.sources,
                asked.carriers,
                at,
                names,
                shared,
            )
        return policies[id(in_force)]

    for drawing in drawings:
        target, known = drawing.target, memory.within(drawing.target.name)
        if drawing.kept is None:
            _take(compile_policy(policy(drawing.in_force), target, known), target, known, result)
            continue
        kept = replace(policy(drawing.kept.in_force), shared=_as_kept(shared, target.name))
        _take(compile_policy(kept, target, known), target, known, result, kept=True)
        if drawing.edits:
            now = compile_policy(policy(drawing.in_force), drawing.now, memory.within(f"{target.name} now"))
            result.concerned[target.name] = _concerned(drawing, now, result)
    return result


def _take(compiled: Compiled, target: Target, known: Memory, result: Outline, *, kept: bool = False) -> None:
    """What one device is to hold. A group that it keeps as it was, and that is another now, is counted beside that one."""
    apart: dict[ObjectKey, ObjectKey] = {}
    for found, drawn in ((compiled.groups, result.definitions), (compiled.watched, result.watched)):
        for key, definition in found.items():
            own = key
            if kept and (drawn.get(key) or result.definitions.get(key, definition)) != definition:
                own = apart[key] = kept_key(key, target.name)
            drawn[own] = definition
    for one in _desired(compiled, target.name, known):
        counted = apart.get(one.key) if one.body is None else None
        result.desired[target.name, one.key] = one if counted is None else replace(one, digest=KEPT, members_of=counted)
    result.notes[target.name] = tuple(compiled.notes)
    for some in _placements(compiled, target.name, known):
        result.placements.update(some)


def _as_kept(shared: Mapping[ObjectKey, str], device: str) -> Mapping[ObjectKey, str]:
    """Who else is behind the addresses of groups, as this device keeps them."""
    own = {plain_key(key): words for key, words in shared.items() if key.part == kept_tag(device)}
    return {**shared, **own} if own else shared


def _concerned(drawing: Drawing, now: Compiled, result: Outline) -> dict[Ref, Placement]:
    """Of what was edited, each object that is, or would be, something on the device, as it is placed there in either version."""
    device = drawing.target.name
    found = {}
    for edit in drawing.edits:
        placed = result.placements.get((edit.ref, device))
        if placed is not None or edit.ref in now.placed or edit.ref in now.remarks or edit.ref.kind == DEFAULT:
            kind = BY_REF.get(edit.ref.kind)
            found[edit.ref] = placed or Placement(edit.ref, device, (), kind.tier if kind is not None else None)
    return found


def _desired(compiled: Compiled, device: str, memory: Memory) -> list[DesiredObject]:
    """Every object, digested. A list is digested by its lines: one that is edited has nearly all of them still."""
    texts = memory.within("texts")

    def fixed(body: DeviceObject) -> DesiredObject:
        digest = _digest_of_list(body, texts) if isinstance(body, RuleList) else digest_of(body)
        return DesiredObject(device, body.key, body, digest)

    found = memory.each("fixed", zip(compiled.objects.values()), fixed)
    texts.keep({str(one.key) for one in found if one.key.kind is Kind.RULE_LIST})
    given = ((run[0], run, device) for run in runs(tuple(compiled.groups), attrgetter("name")))
    return [*found, *chain.from_iterable(memory.each("selected", given, _selected))]


def _digest_of_list(body: RuleList, texts: Memory) -> str:
    given = ((run[0], run) for run in runs(body.entries, attrgetter("name")))
    return digest_of_list(texts.each(str(body.key), given, lambda _, run: ", ".join(map(entry_line, run))))


def _selected(_: ObjectKey, keys: tuple[ObjectKey, ...], device: str) -> list[DesiredObject]:
    return [DesiredObject(device, key, None, SELECTED) for key in keys]


def _placements(compiled: Compiled, device: str, memory: Memory) -> Iterator[Mapping[tuple[Ref, str], Placement]]:
    """In runs, with what there is to remark about them."""
    remark = compiled.remarks.get
    given = (
        (run[0][0], run, tuple(map(remark, map(itemgetter(0), run))), device)
        for run in runs(tuple(compiled.placed.items()), itemgetter(0))
    )
    yield from memory.each("placements", given, _placed)


def _placed(
    _: Ref, run: tuple[tuple[Ref, AbstractSet[ObjectKey]], ...], remarks: tuple[Remark | None, ...], device: str
) -> dict[tuple[Ref, str], Placement]:
    return {
        (ref, device): Placement(
            ref,
            device,
            tuple(sorted(keys)),
            BY_REF[ref.kind].tier,
            remark.reason if remark else "",
            remark.message if remark else "",
        )
        for (ref, keys), remark in zip(run, remarks, strict=True)
    }


def changes(before: Mapping[Place, str], after: Mapping[Place, DesiredObject]) -> tuple[list[Place], list[Place]]:
    """Where desired objects are new or differ, and where there should be none any more."""
    fresh = [place for place, one in after.items() if before.get(place) != one.digest]
    return fresh, [place for place in before if place not in after]


def about_defaults(notes: Mapping[str, Iterable[str]]) -> dict[Ref, Verdict]:
    """What is not in force on a device and is no object of the cluster: its default. Only status can tell of it."""
    told = {device: "; ".join(lines) for device, lines in notes.items()}
    refs = {Ref("Default", "", device): words for device, words in told.items() if words}
    return {ref: Verdict(ref, "", 0, False, str(Reason.OVER_BROAD), words) for ref, words in refs.items()}


def with_remarks(verdicts: Mapping[Ref, Verdict], placements: Iterable[Placement]) -> dict[Ref, Verdict]:
    """The verdicts with what the compilers had to say. A rule that some device cannot express is not accepted as it stands; one that
    stands there otherwise than written is, with a warning."""
    found = dict(verdicts)
    for one in placements:
        barred = one.reason in _BARRED
        if one.ref not in found or (not barred and (one.reason or not one.message)):
            continue  # what was deleted has nobody to be told any more, though a device in a freeze holds it
        verdict = found[one.ref]
        line = f"on {one.device}: {one.reason}: {one.message}" if barred else f"on {one.device}: {one.message}"
        message = f"{verdict.message}; {line}" if verdict.message else line
        reason = one.reason if barred and verdict.ok else verdict.reason
        found[one.ref] = replace(verdict, message=message, reason=reason, ok=verdict.ok and not barred)
    return found
