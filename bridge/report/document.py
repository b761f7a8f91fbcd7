"""Reports and plans as plain values for JSON: stable names, stable order, times in ISO 8601."""

from datetime import datetime
from typing import Any

from bridge.model.identity import ObjectKey
from bridge.model.plan import Held, Plan, Step
from bridge.report.build import items
from bridge.report.model import Counts, DeviceReport, HeldPart, ObjectReport, Report


def report_document(report: Report, *, members: bool = False) -> dict[str, Any]:
    """The whole report. With `members` each object comes with all its items, wanted and present."""
    return {
        "at": time_text(report.at),
        "inStep": report.in_step,
        "held": report.held,
        "devices": len(report.devices),
        **counts_document(report.actual),
        "missing": report.missing,
        "extra": report.extra,
        "byDevice": [_device(device, members) for device in report.devices],
    }


def plan_document(kind: str, plan: Plan) -> dict[str, Any]:
    """One plan: its digest, the ordered steps with their phase, and what is held."""
    return {
        "device": plan.device,
        "kind": kind,
        "digest": plan.digest,
        "changes": len(plan.steps),
        "steps": [_step(step, phase) for phase, steps in enumerate(plan.phases, 1) for step in steps],
        "held": [_held_step(held) for held in plan.held],
    }


def counts_document(counts: Counts) -> dict[str, int]:
    """Groups, members and rules."""
    return {"groups": counts.groups, "members": counts.members, "rules": counts.rules}


def key_document(key: ObjectKey) -> dict[str, str]:
    """An object's key, whole and in its parts."""
    return {
        "object": str(key),
        "kind": key.kind.value,
        "cluster": key.cluster,
        "scope": key.scope.value,
        "namespace": key.namespace,
        "name": key.name,
    }


def time_text(at: datetime | None) -> str | None:
    """ISO 8601, or null."""
    return None if at is None else at.isoformat()


def _device(device: DeviceReport, members: bool) -> dict[str, Any]:
    return {
        "device": device.device,
        "kind": device.kind,
        "error": device.error,
        "identity": device.identity,
        "active": device.active,
        "attached": dict(device.attached),
        "attachBy": dict(device.attach_by),
        "desired": counts_document(device.desired),
        "actual": counts_document(device.actual),
        "missing": device.missing,
        "extra": device.extra,
        "objects": [_object(one, members) for one in device.objects],
        "foreign": device.foreign,
        "lookAlikes": [{"name": one.name, "why": one.why} for one in device.look_alikes],
        "held": [_held(one) for one in device.held],
        "quarantined": [{**key_document(one.key), "message": one.message} for one in device.quarantined],
    }


def _object(one: ObjectReport, members: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        **key_document(one.key),
        "desired": None if one.desired is None else len(one.desired),
        "actual": None if one.actual is None else len(one.actual),
        "missing": list(one.missing),
        "extra": list(one.extra),
    }
    if members:
        found["desiredItems"], found["actualItems"] = list(one.desired or ()), list(one.actual or ())
    return found


def _held(one: HeldPart) -> dict[str, Any]:
    return {
        **key_document(one.key),
        "members": list(one.members),
        "reason": one.reason,
        "since": time_text(one.since),
        "digest": one.digest,
    }


def _step(step: Step, phase: int) -> dict[str, Any]:
    before, after = items(step.before) if step.before else (), items(step.after) if step.after else ()
    return {
        "phase": phase,
        "op": step.op.value,
        **key_document(step.key),
        "part": step.key.part,
        "add": [one for one in after if one not in set(before)],
        "remove": [one for one in before if one not in set(after)],
        "text": str(step),
    }


def _held_step(held: Held) -> dict[str, Any]:
    return {**key_document(held.key), "members": sorted(held.members), "reason": held.reason}
