"""Reports and plans as tables of text, without any opinion on how a table is drawn."""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.model.plan import Plan
from bridge.report.build import items
from bridge.report.model import DeviceReport, Report

_SHOWN = 20  # of one object's items; JSON has them all


@dataclass(frozen=True, slots=True)
class Sheet:
    """A titled table; without columns, the rows are lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def report_sheets(report: Report, *, objects: bool = False) -> Iterator[Sheet]:
    """A line for each device, then what is not as it should be; with `objects`, every object."""
    yield Sheet("Devices", _DEVICE_COLUMNS, tuple(_device_row(device) for device in report.devices))
    for device in report.devices:
        yield from _device_sheets(device, objects=objects)


def report_line(report: Report) -> str:
    """The report in one line."""
    found, devices = report.actual, len(report.devices)
    return (
        f"{found.groups} groups, {found.members} members, {found.rules} rules on {devices} devices, "
        f"{report.missing} missing, {report.extra} extra"
    )


def plan_sheets(plan: Plan) -> Iterator[Sheet]:
    """The steps in order, then what is held."""
    steps = [(phase, step) for phase, phased in enumerate(plan.phases, 1) for step in phased]
    rows = []
    for number, (phase, step) in enumerate(steps, 1):
        before, after = items(step.before) if step.before else (), items(step.after) if step.after else ()
        gone, come = set(before) - set(after), set(after) - set(before)
        parts = [*(f"-{one}" for one in before if one in gone), *(f"+{one}" for one in after if one in come)]
        rows.append((str(number), str(phase), step.op.value, str(step.key), _some(tuple(parts)) or "in another order"))
    title = f"{plan.device}: {len(steps)} changes, digest {plan.digest}"
    yield Sheet(title, ("#", "phase", "op", "object", "change"), tuple(rows))
    if plan.held:
        held = tuple((str(one.key), str(len(one.members)), one.reason) for one in plan.held)
        yield Sheet(f"{plan.device}: held", ("object", "members", "reason"), held)


_DEVICE_COLUMNS = (
    "device",
    "kind",
    "state",
    "groups",
    "members",
    "rules",
    "missing",
    "extra",
    "look-alikes",
    "held",
    "quarantined",
)


def _device_row(device: DeviceReport) -> tuple[str, ...]:
    if device.error:
        return (device.device, device.kind, device.error, *["-"] * 8)
    pairs = (
        (device.actual.groups, device.desired.groups),
        (device.actual.members, device.desired.members),
        (device.actual.rules, device.desired.rules),
    )
    rest = (device.missing, device.extra, len(device.look_alikes), len(device.held), len(device.quarantined))
    amounts = [str(actual) if actual == desired else f"{actual} of {desired}" for actual, desired in pairs]
    return (device.device, device.kind, _state(device), *amounts, *(str(number) for number in rest))


def _state(device: DeviceReport) -> str:
    if device.differences or device.quarantined:
        return "differs"
    if not device.active:
        return "stored, not yet enforced"
    loose = [tier for tier, reachable in device.attached.items() if not reachable]
    return f"in step, not attached: {', '.join(loose)}" if loose else "in step"


def _device_sheets(device: DeviceReport, *, objects: bool) -> Iterator[Sheet]:
    name = device.device
    rows: tuple[tuple[str, ...], ...]
    if objects and device.objects:
        rows = tuple(
            (str(one.key), _amount(one.desired), _amount(one.actual), str(len(one.missing)), str(len(one.extra)))
            for one in device.objects
        )
        yield Sheet(f"{name}: objects", ("object", "desired", "actual", "missing", "extra"), rows)
    if device.differences:
        rows = tuple((str(one.key), _some(one.missing), _some(one.extra)) for one in device.differences)
        yield Sheet(f"{name}: differences", ("object", "missing", "extra"), rows)
    if device.look_alikes:
        rows = tuple((one.name, one.why) for one in device.look_alikes)
        yield Sheet(f"{name}: not ours, though it looks so; left alone", ("name", "why"), rows)
    if device.attach_by:
        yield Sheet(
            f"{name}: not attached; its owner attaches it by", ("tier", "line"), tuple(device.attach_by.items())
        )
    if device.held:
        rows = tuple(
            (str(one.key), str(len(one.members)), one.reason, one.since.isoformat() if one.since else "-", one.digest)
            for one in device.held
        )
        yield Sheet(f"{name}: held until a person decides", ("object", "members", "reason", "since", "digest"), rows)
    if device.quarantined:
        rows = tuple((str(one.key), one.message) for one in device.quarantined)
        yield Sheet(f"{name}: refused by the device", ("object", "the device's words"), rows)


def _amount(parts: tuple[str, ...] | None) -> str:
    return "-" if parts is None else str(len(parts))


def _some(parts: tuple[str, ...]) -> str:
    left = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
