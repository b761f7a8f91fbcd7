"""Reports and plans as JSON: stable names, stable order, times in ISO 8601."""

from typing import Any

import msgspec

from bridge.errors import StateError
from bridge.model.identity import ObjectKey
from bridge.model.plan import Held, Plan, Step
from bridge.report.difference import Difference
from bridge.report.items import items
from bridge.report.model import SCHEMA, ItemState, Report, Summary
from bridge.state.reported import KeptReport


def report_document(report: Report, *, members: bool = False) -> dict[str, Any]:
    """The whole report as plain values. With `members` each object also lists its items as plain texts, wanted and present."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report))
    if members:
        for device, found in zip(report.by_device, document["byDevice"], strict=True):
            for one, written in zip(device.objects, found["objects"], strict=True):
                written["desiredItems"] = [item.item for item in one.items if item.state is not ItemState.EXTRA]
                written["actualItems"] = [item.item for item in one.items if item.on_device]
    return document


def report_text(report: Report) -> str:
    """The whole report as JSON text, as it is kept."""
    return msgspec.json.encode(report).decode()


def report_from(text: str) -> Report:
    """A report that was kept. StateError for one that this version cannot read."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        raise StateError(f"this report was kept by another version, which can show it: {error}") from None


def report_schema() -> dict[str, Any]:
    """A JSON schema of the document."""
    (found,), definitions = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Fusion Bridge reconciliation report, schema {SCHEMA}",
        **found,
        "$defs": definitions,
    }


def difference_document(found: Difference) -> dict[str, Any]:
    """Two reports side by side, as plain values."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return document


def kept_document(kept: KeptReport) -> dict[str, Any]:
    """A kept report in a list: number, time, why it was made, and its numbers."""
    summary = msgspec.json.decode(kept.summary, type=Summary)
    times = {"at": kept.at, "slot": kept.slot}
    document: dict[str, Any] = msgspec.to_builtins({"number": kept.number, "origin": kept.origin, **times})
    document.update(msgspec.to_builtins(summary))
    return document


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


def _step(step: Step, phase: int) -> dict[str, Any]:
    before, after = items(step.before, {}) if step.before else (), items(step.after, {}) if step.after else ()
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
