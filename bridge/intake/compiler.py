"""From what is in force in a cluster to what each of its devices should hold, and what of that is new."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.dialects.annotations import Groups
from bridge.intake.policies import InForce
from bridge.model.identity import ObjectKey
from bridge.model.policy import Governance, Ref, Rule, Source
from bridge.model.reasons import Reason
from bridge.model.rendering import digest_of
from bridge.policy.compile import ClusterPolicy, Compiled, Target, compile_policy
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
) -> Outline:
    """Compile for every device as of this moment.

    `asked` are the groups by annotation, `names` what was resolved, `shared` who else was counted behind the addresses of groups.
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
    rules = {rule.ref: rule for rule in in_force.rules}
    result = Outline()
    for target in targets:
        compiled = compile_policy(policy, target)
        for key, body in compiled.objects.items():
            result.desired[target.name, key] = DesiredObject(target.name, key, body, digest_of(body))
        for key in compiled.groups:
            result.desired[target.name, key] = DesiredObject(target.name, key, None, SELECTED)
        result.definitions.update(compiled.groups)
        result.watched.update(compiled.watched)
        result.notes[target.name] = tuple(compiled.notes)
        for one in _placements(compiled, target.name, rules):
            result.placements[one.ref, target.name] = one
    return result


def _placements(compiled: Compiled, device: str, rules: Mapping[Ref, Rule]) -> Iterable[Placement]:
    for ref, keys in compiled.placed.items():
        rule, remark = rules.get(ref), compiled.remarks.get(ref)
        said = (remark.reason, remark.message) if remark else ("", "")
        yield Placement(ref, device, tuple(sorted(keys)), rule.tier if rule else None, *said)


def changes(before: Mapping[Place, str], after: Mapping[Place, DesiredObject]) -> tuple[list[Place], list[Place]]:
    """Where desired objects are new or differ, and where there should be none any more."""
    fresh = [place for place, one in after.items() if before.get(place) != one.digest]
    return fresh, [place for place in before if place not in after]


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
