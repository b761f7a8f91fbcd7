"""Plans as documents and as text: what would be done to each device, and who would reach what."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bridge.model.plan import Plan
from bridge.report.document import plan_document
from bridge.report.reachability import Reaching, digest
from bridge.report.text import Sheet, plan_sheets

SCHEMA = 1


class PlannedStep(msgspec.Struct, frozen=True, rename="camel"):
    """One change of one object: what of it is added and removed. Phases are applied one after another."""

    phase: int
    op: str
    object: str
    kind: str
    cluster: str
    scope: str
    namespace: str
    name: str
    part: str
    add: tuple[str, ...]
    remove: tuple[str, ...]
    text: str


class HeldStep(msgspec.Struct, frozen=True, rename="camel"):
    """Part of a step that waits for a person."""

    object: str
    kind: str
    cluster: str
    scope: str
    namespace: str
    name: str
    members: tuple[str, ...]
    reason: str


class Remark(msgspec.Struct, frozen=True, rename="camel"):
    """What is to be said of one object: of how it stands on a device, or why it is not in force as written."""

    object: str
    reason: str
    message: str


class PlannedDevice(msgspec.Struct, frozen=True, rename="camel"):
    """One device. `changes` counts the steps; `digest` is over them."""

    device: str
    kind: str
    digest: str
    changes: int
    steps: tuple[PlannedStep, ...]
    held: tuple[HeldStep, ...]
    reachability: tuple[Reaching, ...]
    remarks: tuple[Remark, ...] = ()


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that `validate` finds in the manifests."""

    path: str
    line: int | None
    object: str
    field: str
    severity: str
    message: str


class ManifestPlan(msgspec.Struct, frozen=True, rename="camel"):
    """What manifests would change. `at` is the moment whose rules count. The digest is over all else but `against` and where files lie."""

    schema: int
    cluster: str
    against: str
    at: str
    digest: str
    different: bool
    held: bool
    findings: tuple[Finding, ...]
    unaccepted: tuple[Remark, ...]
    notes: tuple[str, ...]
    devices: tuple[PlannedDevice, ...]


def planned_device(
    kind: str, plan: Plan, reachability: tuple[Reaching, ...], remarks: Iterable[Remark] = ()
) -> PlannedDevice:
    """One device of a plan."""
    document = plan_document(kind, plan)
    found = msgspec.convert({**document, "reachability": (), "remarks": ()}, PlannedDevice)
    return msgspec.structs.replace(found, reachability=reachability, remarks=tuple(remarks))


def manifest_plan(
    cluster: str,
    against: str,
    at: str,
    devices: Iterable[PlannedDevice],
    findings: Iterable[Finding],
    unaccepted: Iterable[Remark],
    notes: Iterable[str],
) -> ManifestPlan:
    """All of it, with its digest."""
    whole = (tuple(devices), tuple(findings), tuple(unaccepted), tuple(notes))
    said = [(one.object, one.field, one.severity, one.message) for one in whole[1]]  # wherever the files lie
    return ManifestPlan(
        SCHEMA,
        cluster,
        against,
        at,
        digest(SCHEMA, cluster, whole[0], said, *whole[2:]),
        any(one.steps or one.reachability for one in whole[0]),
        any(one.held for one in whole[0]),
        whole[1],
        whole[2],
        whole[3],
        whole[0],
    )


def document(found: msgspec.Struct) -> dict[str, Any]:
    """As plain values."""
    value: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return value


def plan_schema() -> dict[str, Any]:
    """A JSON schema of what `plan --manifests` prints; `plan` prints the same for each of its devices."""
    (found,), definitions = msgspec.json.schema_components([ManifestPlan], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Fusion Bridge plan of manifests, schema {SCHEMA}",
        **found,
        "$defs": definitions,
    }


def device_sheets(plan: Plan, found: PlannedDevice) -> Iterator[Sheet]:
    """The steps, what is held, what is to be said of rules, and who gains and loses what; a sheet without columns has lines."""
    yield from plan_sheets(plan)
    if found.remarks:
        rows = tuple((one.object, one.reason or "otherwise than written", one.message) for one in found.remarks)
        yield Sheet(f"{plan.device}: not as written", ("object", "reason", "message"), rows)
    yield reach_sheet(plan.device, found.reachability)


def reach_sheet(device: str, found: tuple[Reaching, ...]) -> Sheet:
    """One line for each change."""
    if not found:
        return Sheet(f"{device}: nobody gains or loses anything", (), ())
    return Sheet(f"{device}: reachability", (), tuple((one.text,) for one in found))
