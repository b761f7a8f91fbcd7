"""Reports from what was read: pure functions over a device's snapshot, the plan for it, and what the state says."""

from collections.abc import Iterable, Mapping

import msgspec

from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Group, Objects, RuleList, Snapshot
from bridge.model.plan import Held, Plan
from bridge.model.reasons import MEANINGS, Reason
from bridge.report.about import about
from bridge.report.changes import AuditHead
from bridge.report.evidence import Evidence
from bridge.report.items import aligned, differences, joined, member_order, parts, standing
from bridge.report.model import Counts, DeviceReport, HeldPart, LookAlike, ObjectReport, SetAside
from bridge.report.rules import rule_lines
from bridge.state.desired import ObjectState
from bridge.state.reported import HeldPlan, ObjectStanding

_REFUSED = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED)

# How a person decides about what is held.
_DECIDE = (
    "if it is meant, `fusion-bridge release {digest} --device {device} --by NAME --reason TEXT`; if it is not, set right in the cluster "
    "what brought it about: it is then no longer wanted, and goes from this list. `reject` in place of `release` leaves it undone for good"
)
_UNLISTED = "it is not listed yet: look again in some seconds"


def device_report(
    kind: str, snapshot: Snapshot, plan: Plan, standings: Iterable[ObjectStanding], evidence: Evidence
) -> DeviceReport:
    """One device. What it should hold is what it holds once the plan is applied: neither held nor refused parts are in it."""
    desired, actual = joined(after(snapshot.objects, plan)), joined(snapshot.objects)
    rows = {one.key: one for one in standings}
    quarantined = set_aside(rows.values())
    objects = compared(desired, actual, plan, rows, evidence)
    return msgspec.structs.replace(
        recorded(snapshot.device, kind, evidence),
        identity=snapshot.identity,
        active=snapshot.active,
        attached={tier.value: reachable for tier, reachable in sorted(snapshot.attached.items())},
        attach_by={tier.value: line for tier, line in sorted(snapshot.attach_by.items())},
        desired=counts(desired),
        actual=counts(actual),
        missing=sum(len(one.missing) for one in objects),
        extra=sum(len(one.extra) for one in objects),
        objects=objects,
        foreign=len(snapshot.foreign),
        look_alikes=tuple(LookAlike(one.name, one.look_alike) for one in snapshot.foreign if one.look_alike),
        held=held_parts(plan, evidence.held),
        rejected=rejected_parts(plan, evidence.held),
        quarantined=quarantined,
        in_step=all(one.equal for one in objects) and not quarantined,
        rules=rule_lines(desired, actual, frozenset(one.key for one in quarantined)),
    )


def recorded(device: str, kind: str, evidence: Evidence, error: str = "") -> DeviceReport:
    """What the state says of a device, whether or not it could be read now."""
    found = DeviceReport(
        device=device,
        kind=kind,
        error=error,
        oldest_unapplied=evidence.oldest_unapplied,
        since=evidence.since,
        drift_total=evidence.drift_total,
        drift=evidence.drift,
        changes=evidence.changes,
        picture=evidence.picture,
        frozen=evidence.frozen,
        handover=evidence.handover,
        doubted=evidence.doubted,
    )
    told = evidence.standing
    if told is None:
        return found
    return msgspec.structs.replace(
        found,
        identity=told.health.identity,
        state=told.health.state,
        message=told.health.message,
        mode=told.mode,
        last_read=told.last_read,
        last_verified=told.last_verified,
        audit=AuditHead(told.audit_number, told.audit_head),
    )


def after(objects: Objects, plan: Plan) -> dict[ObjectKey, DeviceObject]:
    """The objects once every step is done."""
    result = dict(objects)
    for step in plan.steps:
        if step.after is None:
            result.pop(step.key, None)
        else:
            result[step.key] = step.after
    return result


def counts(objects: Objects) -> Counts:
    """How much these are; groups must be joined."""
    groups = [value for value in objects.values() if isinstance(value, Group)]
    lists = [value for value in objects.values() if isinstance(value, RuleList)]
    members = sum(len(group.members) + len(group.fqdns) for group in groups)
    return Counts(len(groups), members, sum(len(one.entries) for one in lists))


def compared(
    desired: Objects, actual: Objects, plan: Plan, standings: Mapping[ObjectKey, ObjectStanding], evidence: Evidence
) -> tuple[ObjectReport, ...]:
    """Every object of either side, by key."""
    held = held_members(plan)
    keys = sorted(desired.keys() | actual.keys())
    return tuple(
        _compared(key, desired, actual, held.get(key, frozenset()), standings.get(key), evidence) for key in keys
    )


def held_members(plan: Plan) -> Mapping[ObjectKey, frozenset[str]]:
    """The members of each group that wait for a person."""
    found: dict[ObjectKey, frozenset[str]] = {}
    for one in plan.held:
        found[one.key] = found.get(one.key, frozenset()) | one.members
    return found


def held_parts(plan: Plan, recorded: Iterable[HeldPlan]) -> tuple[HeldPart, ...]:
    """What waits for a person now, with the time and the digest under which it was recorded."""
    lists = tuple(recorded)
    parts = ((part, part.members - _rejected(part, lists)) for part in plan.held)
    return tuple(_held(plan.device, part, members, lists) for part, members in parts if members or not part.members)


def rejected_parts(plan: Plan, recorded: Iterable[HeldPlan]) -> tuple[HeldPart, ...]:
    """What is still wanted of what somebody rejected."""
    lists = tuple(recorded)
    return tuple(
        HeldPart(
            *about(part.key), tuple(sorted(members)), part.reason, one.since, one.digest, by=one.by, why=one.reason
        )
        for one in lists
        if one.state == "rejected"
        for part in plan.held
        if (members := part.members & _listed(part, one))
    )


def set_aside(standings: Iterable[ObjectStanding]) -> tuple[SetAside, ...]:
    """The objects that the device refuses or cannot express."""
    return tuple(
        SetAside(*about(one.key), one.message, one.state.value, MEANINGS[Reason(one.state.value)].remedy)
        for one in standings
        if one.state in _REFUSED
    )


def _held(device: str, part: Held, members: frozenset[str], lists: Iterable[HeldPlan]) -> HeldPart:
    known = next((one for one in lists if one.state == "held" and members & _listed(part, one)), None)
    since, digest = (known.since, known.digest) if known else (None, "")
    decide = _DECIDE.format(digest=digest, device=device) if known else _UNLISTED
    return HeldPart(*about(part.key), tuple(sorted(members)), part.reason, since, digest, decide)


def _rejected(part: Held, lists: Iterable[HeldPlan]) -> frozenset[str]:
    return frozenset().union(*(_listed(part, one) for one in lists if one.state == "rejected"))


def _listed(part: Held, plan: HeldPlan) -> frozenset[str]:
    """The members of which a list says that the same waits."""
    return frozenset().union(*(one.members for one in plan.held if (one.key, one.kind) == (part.key, part.kind)))


def _compared(
    key: ObjectKey,
    desired: Objects,
    actual: Objects,
    held: frozenset[str],
    told: ObjectStanding | None,
    evidence: Evidence,
) -> ObjectReport:
    wanted = parts(desired[key], desired) if key in desired else None
    same = desired.get(key) == actual.get(key)
    present = wanted if same else parts(actual[key], actual) if key in actual else None
    sizes = [None if one is None else len(one) for one in (wanted, present)]
    if wanted is not None and present is not None:
        wanted, present = aligned(key.kind, wanted, present)
    missing, extra = differences(wanted, present)
    refused = told is not None and told.state in _REFUSED
    holders = evidence.holders.get(key.cluster, {}) if key.kind is Kind.GROUP else {}
    items = standing(wanted or {}, present or {}, held, refused=refused, holders=holders)
    report = ObjectReport(
        *about(key),
        desired=sizes[0],
        actual=sizes[1],
        missing=missing,
        extra=extra,
        items=member_order(items) if key.kind is Kind.GROUP else items,
    )
    if told is None:
        return msgspec.structs.replace(report, verified_at=evidence.at if report.equal else None)
    return msgspec.structs.replace(
        report,
        state=told.state.value,
        message=told.message,
        cause=told.cause,
        changed_at=told.changed_at,
        waiting_since=told.waiting_since,
        verified_at=told.verified_at,
    )
