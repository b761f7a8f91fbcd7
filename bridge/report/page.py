"""Reports as one HTML page that needs nothing besides itself: no script, no font, no picture from elsewhere."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import starmap

from jinja2 import Environment, PackageLoader, StrictUndefined

from bridge.report import picture
from bridge.report.model import DeviceReport, Item, ItemState, ObjectReport, Report, RuleLine
from bridge.report.naming import scope_word, title
from bridge.report.words import (
    changes_line,
    clock,
    counted,
    doubted_line,
    flows_line,
    handover_line,
    members_of,
    report_line,
    since_words,
    span,
    standing,
)

# What a page shows of much: browsers and people have limits, JSON and CSV have none.
_GROUPS, _ROWS, _PROBLEMS = 500, 60, 200
_ROWS_OF_MANY, _MANY = 12, 200  # rows of a group, when there are so many groups
_WORKLOADS, _LINES = 4, 1000


@dataclass(frozen=True, slots=True)
class GroupView:
    """One address group as the page shows it: the members that need a look first, then some of the others."""

    report: ObjectReport
    title: str
    scope: str
    size: int
    workloads: tuple[tuple[str, int], ...]  # how many members stand for each; the largest
    more_workloads: int
    items: tuple[Item, ...]
    more: int

    @property
    def told(self) -> str:
        """How it stands, in a word."""
        return "differs" if not self.report.equal else self.report.state or "ok"


@dataclass(frozen=True, slots=True)
class ListView:
    """One rule list: its tier, whose it is, and its lines."""

    tier: str
    owner: str
    lines: tuple[RuleLine, ...]


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device as the page shows it."""

    report: DeviceReport
    anchor: str
    standing: str
    tone: str
    urgent: tuple[GroupView, ...]  # groups that need a look
    groups: tuple[GroupView, ...]  # the others
    more_groups: int
    lists: tuple[ListView, ...]
    more_lines: int
    others: tuple[ObjectReport, ...]
    changes: picture.Chart | None
    lag: picture.Chart | None


def page(report: Report) -> str:
    """The report as HTML."""
    devices = [_device(device, place) for place, device in enumerate(report.by_device, 1)]
    template = _environment().get_template("report.html.j2")
    return template.render(
        report=report,
        devices=devices,
        verdict=_verdict(report),
        line=report_line(report),
        clock=clock,
        flows_line=flows_line,
        handover_line=handover_line,
        since=lambda moment: _since(moment, report.at),
        chart=picture,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first thing that a reader wants to know."""

    tone: str
    words: str
    reasons: tuple[str, ...]


def _verdict(report: Report) -> Verdict:
    reasons = tuple(f"{device.device}: {words}" for device in report.by_device for words in _reasons(device))
    if not report.in_step:
        return Verdict("bad", "Out of step", reasons)
    if any(_loose(device) for device in report.by_device):
        return Verdict("warn", "In step, and not all of it is enforced", reasons)
    if report.held:
        return Verdict("warn", "In step, and something waits for a person", reasons)
    if not report.by_device:
        return Verdict("warn", "No devices", ())
    return Verdict("good", "In step", ("Every device holds exactly what it should.", *reasons))


def _reasons(device: DeviceReport) -> Iterable[str]:
    """What of a device the first lines of the page must tell."""
    if device.error:
        yield f"could not be compared: {device.error}"
    if device.missing or device.extra:
        yield f"{device.missing} missing and {device.extra} extra in {counted(len(device.differences), 'object')}"
    if device.quarantined:
        yield f"{counted(len(device.quarantined), 'object')} refused by the device"
    if device.held:
        yield f"{counted(len(device.held), 'change')} held until a person decides"
    if device.state == "stopped" and device.message:
        yield device.message
    yield from starmap(doubted_line, device.doubted.items())
    if device.drift_total:
        yield f"{counted(device.drift_total, 'object')} changed by somebody else {since_words(device)}"
    if not device.active:
        yield "stored, not yet enforced"
    for tier, reachable in device.attached.items():
        if not reachable:
            yield f"the {tier} policy is not attached: nothing of it is enforced"


def _device(device: DeviceReport, place: int) -> DeviceView:
    groups = [one for one in device.objects if one.kind == "group"]
    urgent, calm = [one for one in groups if _urgent(one)], [one for one in groups if not _urgent(one)]
    rows = _ROWS_OF_MANY if len(groups) > _MANY else _ROWS
    lines = device.rules[:_LINES]
    return DeviceView(
        report=device,
        anchor=f"device-{place}",
        standing=standing(device),
        tone=_tone(device),
        urgent=tuple(_group(one, rows) for one in urgent[:_GROUPS]),
        groups=tuple(_group(one, rows) for one in calm[:_GROUPS]),
        more_groups=sum(max(len(some) - _GROUPS, 0) for some in (urgent, calm)),
        lists=tuple(_lists(lines)),
        more_lines=len(device.rules) - len(lines),
        others=tuple(one for one in device.objects if one.kind not in ("group", "rules")),
        changes=picture.changes_chart(device.picture) if device.picture else None,
        lag=picture.lag_chart(device.picture) if device.picture else None,
    )


def _tone(device: DeviceReport) -> str:
    if device.error or not device.in_step:
        return "bad"
    return "warn" if device.held or _loose(device) else "good"


def _loose(device: DeviceReport) -> bool:
    """Whether something that the device holds is not in force there."""
    return not device.active or not all(device.attached.values())


def _urgent(one: ObjectReport) -> bool:
    """Whether something of it is not as it should be."""
    return any(item.state is not ItemState.OK for item in one.items) or not one.equal


def _group(one: ObjectReport, rows: int) -> GroupView:
    problems = [item for item in one.items if item.state is not ItemState.OK][:_PROBLEMS]
    others = [item for item in one.items if item.state is ItemState.OK][: max(rows - len(problems), 0)]
    workloads = Counter(_workload(item) for item in one.items if item.pod).most_common()
    shown = (*problems, *others)
    return GroupView(
        report=one,
        title=title(one.key),
        scope=scope_word(one.scope),
        size=sum(item.on_device for item in one.items),
        workloads=tuple(workloads[:_WORKLOADS]),
        more_workloads=max(len(workloads) - _WORKLOADS, 0),
        items=shown,
        more=len(one.items) - len(shown),
    )


def _workload(item: Item) -> str:
    return f"{item.namespace}/{item.workload.rpartition('/')[2] or item.pod}" if item.namespace else item.stands_for


def _lists(lines: Iterable[RuleLine]) -> Iterable[ListView]:
    found: dict[str, list[RuleLine]] = {}
    for line in lines:
        found.setdefault(line.object, []).append(line)
    for listed in found.values():
        first = listed[0]
        owner = f"namespace {first.namespace}" if first.namespace else f"cluster {first.cluster}"
        yield ListView(first.tier, owner, tuple(listed))


def _since(moment: datetime | None, at: datetime) -> str:
    return "never" if moment is None else span((at - moment).total_seconds())


@cache
def _environment() -> Environment:
    """Everything is escaped, and a name that is not there is an error."""
    environment = Environment(
        loader=PackageLoader("bridge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(span=span, title=lambda one: title(one.key), counted=counted, members=members_of)
    environment.globals.update(changes_line=changes_line, since_words=since_words)
    return environment
