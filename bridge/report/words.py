"""Times, spans and states in the words that every rendering for people uses."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from bridge.report.model import DeviceReport, HandoverTimes, Report

_MEMBERS = re.compile(r"[0-9a-f]{16} [-+]\[(.*)\]")  # as bridge.model.rendering.change_lines writes it
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """A span of time as a person says it: `350 ms`, `12 s`, `4 min`, `2 h`, `9 d`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    for unit, word in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {word}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def age(moment: datetime | None, at: datetime) -> str:
    """How long before `at` it was; `never` for nothing."""
    return "never" if moment is None else f"{span((at - moment).total_seconds())} before"


def clock(moment: datetime | None) -> str:
    """A time to the second, ISO 8601 in UTC."""
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def standing(device: DeviceReport) -> str:
    """How one device stands, in a few words."""
    if device.error:
        return "unreadable"
    if device.differences:
        return "differs"
    if device.quarantined:
        return f"refuses {counted(len(device.quarantined), 'object')}"
    if not device.active:
        return "stored, not yet enforced"
    words = ["in step", *(["stopped"] if device.state == "stopped" else [])]
    words += [f"{counted(len(device.held), 'change')} held"] if device.held else []
    words += [f"{counted(len(device.rejected), 'change')} rejected"] if device.rejected else []
    words += [loose] if (loose := not_attached(device.attached)) else []
    return ", ".join(words)


def handover_line(found: HandoverTimes) -> str:
    """How long the addresses of the last day took that changed hands."""
    if not found.count:
        return "no address changed hands in the last day"
    parts = (found.p50, found.p99, found.worst)
    p50, p99, worst = (f"{part:.3g} s" for part in parts if part is not None)
    both = f"; {found.both} may have had both permissions at once" if found.both else ""
    return (
        f"{found.count} addresses in the last day; half within {p50}, 99 of 100 within {p99}, the longest {worst}{both}"
    )


def not_attached(attached: Mapping[str, bool]) -> str:
    """Which tiers are on the device and nothing that is enforced refers to them; "" when there is none."""
    loose = [tier for tier, reachable in attached.items() if not reachable]
    return f"not attached: {', '.join(loose)}" if loose else ""


def unnamed(device: str, message: str) -> str:
    """What an error says, without the name of the device where that stands beside it anyway."""
    return message.removeprefix(f"{device}: ")


def counted(number: int, noun: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def doubted_line(cluster: str, number: int) -> str:
    """What there is to say of policy that stays in force though the lists of the cluster do not show it."""
    return (
        f"{counted(number, 'policy object')} of cluster {cluster} missing from its lists, and nobody saw a deletion: all of it stays in "
        f"force; if it was deleted, `fusion-bridge confirm cluster {cluster} --policy --by NAME --reason TEXT`"
    )


def members_of(text: str) -> str:
    """The members alone, where a line of the audit has a digest and the members that went or came; else the line as it is."""
    found = _MEMBERS.fullmatch(text)
    return (", ".join(re.findall("'([^']*)'", found[1])) or "no member") if found else text


def since_words(device: DeviceReport) -> str:
    """From when on changes and drift are told."""
    since = device.since
    return f"since report {since.number} of {clock(since.at)}" if since else "in the last 24 hours"


def changes_line(device: DeviceReport) -> str:
    """What was done to the device, in one line."""
    found = device.changes
    if not found.total:
        return "no changes"
    by_op = ", ".join(f"{count} {op}" for op, count in found.by_op.items())
    words = [f"{counted(found.total, 'change')} ({by_op})"]
    if found.refused:
        words.append(f"{found.refused} refused")
    if found.lag_median is not None and found.lag_max is not None:
        words.append(f"from cluster to device: median {span(found.lag_median)}, longest {span(found.lag_max)}")
    return "; ".join(words)


def flows_line(device: DeviceReport) -> str:
    """What becomes of flows that are under way when their permission is revoked."""
    if not device.closes_flows:
        return (
            "what is under way stays: a flow that the device tracks ends by itself, though its permission was revoked"
        )
    return f"{device.changes.flows_closed} closed that are denied now and were not before"


def report_line(report: Report) -> str:
    """The report in one line."""
    return (
        f"{report.groups} groups, {report.members} members, {report.rules} rules on {report.devices} devices, "
        f"{report.missing} missing, {report.extra} extra"
    )
