"""From what is in force in a cluster to what each of its devices should hold, and what of that is new."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.intake.policies import InForce
from bridge.model.identity import ObjectKey
from bridge.model.policy import Governance, Ref, Source
from bridge.model.rendering import digest_of
from bridge.policy.compile import ClusterPolicy, Remark, Target, compile_tiered
from bridge.state.batch import DesiredObject, Verdict

SELECTED = "selected"  # the digest of a group whose members live in the member table


@dataclass(slots=True)
class Outline:
    """The desired objects of all devices of one cluster, without the members of selected groups."""

    desired: dict[tuple[str, ObjectKey], DesiredObject] = field(default_factory=dict)
    definitions: dict[ObjectKey, tuple[Source, ...]] = field(default_factory=dict)
    remarks: dict[Ref, list[tuple[str, Remark]]] = field(default_factory=dict)


def outline(
    cluster: str,
    governance: Governance,
    in_force: InForce,
    annotation_groups: Mapping[tuple[str, str], tuple[Source, ...]],
    targets: Sequence[Target],
) -> Outline:
    """Compile for every device."""
    policy = ClusterPolicy(
        cluster, governance, in_force.rules, in_force.externals, in_force.address_groups, annotation_groups
    )
    result = Outline()
    for target in targets:
        compiled = compile_tiered(policy, target)
        for key, body in compiled.objects.items():
            result.desired[target.name, key] = DesiredObject(target.name, key, body, digest_of(body))
        for key in compiled.groups:
            result.desired[target.name, key] = DesiredObject(target.name, key, None, SELECTED)
        result.definitions.update(compiled.groups)
        for ref, remark in compiled.remarks.items():
            result.remarks.setdefault(ref, []).append((target.name, remark))
    return result


def changes(
    before: Mapping[tuple[str, ObjectKey], str], after: Mapping[tuple[str, ObjectKey], DesiredObject], cause: str
) -> tuple[list[DesiredObject], list[tuple[str, ObjectKey]]]:
    """The desired objects that are new or differ, and those that should no longer exist."""
    fresh = [replace(one, cause=cause) for place, one in after.items() if before.get(place) != one.digest]
    return fresh, [place for place in before if place not in after]


def with_remarks(
    verdicts: Mapping[Ref, Verdict], remarks: Mapping[Ref, Iterable[tuple[str, Remark]]]
) -> dict[Ref, Verdict]:
    """The verdicts with what the compilers had to say. A rule that some device cannot express is not accepted as it stands."""
    found = dict(verdicts)
    for ref, said in remarks.items():
        verdict = found[ref]
        lines = "; ".join(f"on {device}: {remark.reason}: {remark.message}" for device, remark in said)
        message = f"{verdict.message}; {lines}" if verdict.message else lines
        unsupported = any(remark.reason == "Unsupported" for _, remark in said)
        reason = "Unsupported" if unsupported and verdict.ok else verdict.reason
        found[ref] = replace(verdict, message=message, reason=reason, ok=verdict.ok and not unsupported)
    return found
