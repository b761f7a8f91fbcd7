"""From what is in force in a cluster to what each of its devices should hold, and what of that is new."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from operator import attrgetter, itemgetter

from bridge.dialects.annotations import Groups
from bridge.intake.policies import InForce
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


def outline(
    cluster: str,
    governance: Governance,
    in_force: InForce,
    asked: Groups,
    targets: Sequence[Target],
    at: datetime,
    names: Mapping[str, tuple[str, ...]],
    shared: Mapping[ObjectKey, str],
    memory: Memory | None = None,
) -> Outline:
    """Compile for every device as of this moment.

    `asked` are the groups by annotation, `names` what was resolved, `shared` who else was counted behind the addresses of groups. With a
    memory of the last time it takes as long as what has changed since, and comes to the same.
    """
    policy = ClusterPolicy(
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
    memory = memory or Memory()
    result = Outline()
    for target in targets:
        known = memory.within(target.name)
        compiled = compile_policy(policy, target, known)
        result.desired.update(((target.name, one.key), one) for one in _desired(compiled, target.name, known))
        result.definitions.update(compiled.groups)
        result.watched.update(compiled.watched)
        result.notes[target.name] = tuple(compiled.notes)
        for some in _placements(compiled, target.name, known):
            result.placements.update(some)
    return result


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
        if not barred and (one.reason or not one.message):
            continue
        verdict = found[one.ref]
        line = f"on {one.device}: {one.reason}: {one.message}" if barred else f"on {one.device}: {one.message}"
        message = f"{verdict.message}; {line}" if verdict.message else line
        reason = one.reason if barred and verdict.ok else verdict.reason
        found[one.ref] = replace(verdict, message=message, reason=reason, ok=verdict.ok and not barred)
    return found
