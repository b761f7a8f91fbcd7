"""Reports and plans as tables of text, without any opinion on how a table is drawn."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bridge.model.plan import Plan, Step
from bridge.report.difference import DeviceDifference, Difference, Side
from bridge.report.items import items
from bridge.report.model import DeviceReport, Item, ObjectReport, Report, RuleLine, Summary
from bridge.report.words import (
    age,
    changes_line,
    clock,
    doubted_line,
    flows_line,
    handover_line,
    members_of,
    since_words,
    span,
    standing,
    unnamed,
)
from bridge.state.reported import KeptReport

_SHOWN = 20  # of one object's items; JSON and CSV have them all


@dataclass(frozen=True, slots=True)
class Sheet:
    """A titled table; without columns, the rows are lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def report_sheets(report: Report, *, objects: bool = False, members: bool = False) -> Iterator[Sheet]:
    """A line for each device, then what is not as it should be and what was done since the last report.

    With `objects` also every object and the rules in order, with `members` every item and whom it stands for.
    """
    yield Sheet("Devices", _DEVICE_COLUMNS, tuple(_device_row(device, report.at) for device in report.by_device))
    for device in report.by_device:
        yield from _findings(device, report.at)
        yield from _evidence(device)
        if objects or members:
            yield from _holdings(device, report.at)
        if members:
            yield from _members(device)


def kept_sheet(kept: Iterable[KeptReport]) -> Sheet:
    """The reports that are kept, a line for each."""
    rows = []
    for one in kept:
        found = msgspec.json.decode(one.summary, type=Summary)
        numbers = (len(found.devices), found.missing, found.extra, found.held, found.drift)
        told = (str(one.number), clock(one.at), one.origin, *(str(number) for number in numbers))
        rows.append((*told, ("yes" if found.in_step else "no") + ", not attached" * (not found.attached)))
    columns = ("number", "time", "origin", "devices", "missing", "extra", "held", "drift", "in step")
    return Sheet("Reports", columns, tuple(rows))


def plan_sheets(plan: Plan) -> Iterator[Sheet]:
    """The steps in order, then what is held."""
    steps = [(phase, step) for phase, phased in enumerate(plan.phases, 1) for step in phased]
    rows = []
    for number, (phase, step) in enumerate(steps, 1):
        before, after = items(step.before, {}) if step.before else (), items(step.after, {}) if step.after else ()
        gone, come = set(before) - set(after), set(after) - set(before)
        parts = [*(f"-{one}" for one in before if one in gone), *(f"+{one}" for one in after if one in come)]
        rows.append((str(number), str(phase), step.op.value, str(step.key), some(tuple(parts)) or _unmoved(step)))
    title = f"{plan.device}: {len(steps)} changes, digest {plan.digest}"
    yield Sheet(title, ("#", "phase", "op", "object", "change"), tuple(rows))
    if plan.held:
        held = tuple((str(one.key), str(len(one.members)), one.reason) for one in plan.held)
        yield Sheet(f"{plan.device}: held", ("object", "members", "reason"), held)


def _unmoved(step: Step) -> str:
    """What to say of a step by which nothing comes and nothing goes: an empty object that is made or deleted has no order."""
    return "in another order" if step.before and step.after else "empty"


def some(parts: tuple[str, ...]) -> str:
    """The first of these in one line, and how many more there are."""
    left = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {left} more" if left > 0 else "")


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
    "drift",
    "unapplied",
    "proven",
)


def _device_row(device: DeviceReport, at: datetime) -> tuple[str, ...]:
    waiting = device.oldest_unapplied
    told = (str(device.drift_total), age(waiting, at) if waiting else "-", age(device.last_verified, at))
    if device.error:
        return (device.device, device.kind, standing(device), *["-"] * 8, *told)
    pairs = (
        (device.actual.groups, device.desired.groups),
        (device.actual.members, device.desired.members),
        (device.actual.rules, device.desired.rules),
    )
    rest = (device.missing, device.extra, len(device.look_alikes), len(device.held), len(device.quarantined))
    amounts = [str(actual) if actual == desired else f"{actual} of {desired}" for actual, desired in pairs]
    return (device.device, device.kind, standing(device), *amounts, *(str(number) for number in rest), *told)


def _findings(device: DeviceReport, at: datetime) -> Iterator[Sheet]:
    """What is not as it should be."""
    name = device.device
    rows: tuple[tuple[str, ...], ...]
    if device.differences:
        rows = tuple((one.object, some(one.missing), some(one.extra)) for one in device.differences)
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
            (one.object, str(len(one.members)), one.reason, age(one.since, at) if one.since else "-", one.digest)
            for one in device.held
        )
        columns = ("object", "members", "reason", "since", "digest")
        yield Sheet(f"{name}: held until a person decides", columns, rows)
        ways = tuple((words,) for words in dict.fromkeys(one.decide for one in device.held))
        yield Sheet("", ("how to decide",), ways)
    if device.rejected:
        rejected = tuple(
            (one.object, str(len(one.members)), one.reason, one.digest, one.by, one.why) for one in device.rejected
        )
        about = ("object", "members", "reason", "digest", "by", "why")
        yield Sheet(f"{name}: rejected, and left undone", about, rejected)
    for frozen in device.frozen:
        end = f"until {clock(frozen.until)}" if frozen.until else "without an end in sight"
        edits = tuple((edit,) for edit in frozen.edits) or (("nothing was edited since",),)
        more = f", digest {frozen.digest}" if frozen.digest else ""
        more += f", rejected by {frozen.rejected_by}" if frozen.rejected_by else ""
        title = f"{name}: frozen {end} ({', '.join(frozen.windows)}); waiting from {frozen.cluster}{more}"
        yield Sheet(title, ("edit",), edits)
    if device.doubted:
        rows = tuple((doubted_line(cluster, number),) for cluster, number in device.doubted.items())
        yield Sheet(f"{name}: in force though nobody knows whether it is there", ("policy",), rows)
    if device.quarantined:
        rows = tuple((one.object, one.message) for one in device.quarantined)
        yield Sheet(f"{name}: refused by the device", ("object", "the device's words"), rows)


def _evidence(device: DeviceReport) -> Iterator[Sheet]:
    """What was found and done since the last report, and the end of the audit."""
    name, since = device.device, since_words(device)
    if device.drift:
        rows = tuple(
            (clock(one.at), one.object, one.cause, members_of(one.before), members_of(one.after), one.outcome)
            for one in device.drift[:_SHOWN]
        )
        more = f", the last {len(rows)} of {device.drift_total}" if device.drift_total > len(rows) else ""
        columns = ("at", "object", "by", "was", "is", "what became of it")
        yield Sheet(f"{name}: changed by somebody else {since}{more}", columns, rows)
    lines = [("not compared", device.error)] if device.error else []
    lines.append(("changes", changes_line(device)))
    lines.append(("live flows", flows_line(device)))
    lines += [("hand-over", handover_line(device.handover))] if device.handover.count else []
    if device.audit.number:
        lines.append(("audit", f"row {device.audit.number}, hash {device.audit.hash}"))
    if device.state not in ("", "ok"):
        message = unnamed(name, device.message)
        lines.append(("device", f"{device.state}: {message}" if message else device.state))
    if device.mode == "plan":
        lines.append(("mode", "plan: read and compared, never written"))
    yield Sheet(f"{name}: {since}", ("what", "found"), tuple(lines))


def _holdings(device: DeviceReport, at: datetime) -> Iterator[Sheet]:
    rows: tuple[tuple[str, ...], ...]
    if device.objects:
        rows = tuple(_object_row(one, at) for one in device.objects)
        columns = ("object", "desired", "actual", "missing", "extra", "state", "proven", "waiting")
        yield Sheet(f"{device.device}: objects", columns, rows)
    if device.rules:
        rows = tuple(_rule_row(line) for line in device.rules)
        yield Sheet(f"{device.device}: rules in order", _RULE_COLUMNS, rows)


_RULE_COLUMNS = ("tier", "list", "#", "rule", "action", "source", "destination", "traffic", "log", "state")


def _rule_row(line: RuleLine) -> tuple[str, ...]:
    return (
        line.tier,
        "/".join(part for part in (line.cluster, line.namespace) if part),
        str(line.position),
        line.name,
        line.action,
        " + ".join(line.sources),
        " + ".join(line.destinations),
        " ".join((line.protocol, ",".join(line.ports))).strip(),
        "log" if line.log else "-",
        f"{line.state}, withheld" if line.withheld else line.state.value,
    )


def _object_row(one: ObjectReport, at: datetime) -> tuple[str, ...]:
    sizes = ("-" if size is None else str(size) for size in (one.desired, one.actual))
    waiting = span((at - one.waiting_since).total_seconds()) if one.waiting_since else "-"
    state = one.state or ("ok" if one.equal else "differs")
    found = (str(len(one.missing)), str(len(one.extra)), state, age(one.verified_at, at), waiting)
    return (one.object, *sizes, *found)


def _members(device: DeviceReport) -> Iterator[Sheet]:
    rows = tuple(
        (one.object, item.item, item.stands_for or "-", item.workload or "-", item.state.value)
        for one in device.objects
        if one.kind == "group"
        for item in one.items
    )
    yield Sheet(f"{device.device}: members", ("group", "member", "stands for", "workload", "state"), rows)


def difference_sheets(found: Difference) -> Iterator[Sheet]:
    """What came and went, device by device; then one line."""
    for device in found.by_device:
        yield from _device_difference(device)


def difference_line(found: Difference) -> str:
    """The comparison in one line."""
    before, after = _side(found.before), _side(found.after)
    if found.equal:
        return f"no difference between {before} and {after}"
    came = sum(len(one.came) for device in found.by_device for one in device.items)
    went = sum(len(one.went) for device in found.by_device for one in device.items)
    return f"from {before} to {after}: {len(found.by_device)} devices differ, {came} items came, {went} went"


def _device_difference(device: DeviceDifference) -> Iterator[Sheet]:
    name = device.device
    whole = [(key, "came") for key in device.came] + [(key, "went") for key in device.went]
    if whole:
        yield Sheet(f"{name}: objects", ("object", "change"), tuple(whole))
    if device.items:
        rows = tuple((one.object, _texts(one.came), _texts(one.went)) for one in device.items)
        yield Sheet(f"{name}: items", ("object", "came", "went"), rows)
    if device.order:
        rows = tuple((one.object, ", ".join(one.before), ", ".join(one.after)) for one in device.order)
        yield Sheet(f"{name}: rules in another order", ("list", "before", "after"), rows)
    if device.states:
        rows = tuple((one.what, one.before or "-", one.after or "-") for one in device.states)
        yield Sheet(f"{name}: stands otherwise", ("what", "before", "after"), rows)


def _side(side: Side) -> str:
    return f"report {side.number} of {clock(side.at)}" if side.number else f"now, {clock(side.at)}"


def _texts(items: tuple[Item, ...]) -> str:
    return some(tuple(f"{one.item} ({one.stands_for})" if one.stands_for else one.item for one in items)) or "-"
