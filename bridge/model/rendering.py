"""Device objects as one line of text: the same for plans, digests, audit and reports."""

import hashlib
from collections.abc import Iterable

from bridge.model.intent import Attachment, DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Schedule, Shard
from bridge.model.schedules import moment

_DIGITS = 16  # of a digest
_LARGE = (Group, Shard, RuleList)


def line_of(value: DeviceObject | None) -> str:
    """The whole content of an object in one line, in a stable order; "-" for nothing."""
    return "-" if value is None else "{" + ", ".join(_content(value)) + "}"


def _content(value: DeviceObject) -> Iterable[str]:
    match value:
        case Group():
            inside = ["pushed"] if value.pushed else []
            inside += [f"shards={value.shards}"] if value.shards else []
            return [*inside, *sorted(value.members), *(f"fqdn={name}" for name in sorted(value.fqdns))]
        case Shard():
            return sorted(value.members)
        case Ports():
            return [str(port) for port in value.ports]
        case Schedule():
            return [f"until={moment(value.until)}"]
        case RuleList():
            return [entry_line(entry) for entry in value.entries]
        case Policy():
            return [str(key) for key in value.lists]
        case Attachment():
            return [str(value.policy)]


def change_lines(before: DeviceObject | None, after: DeviceObject | None) -> tuple[str, str]:
    """Before and after as two lines for the audit: digests, and of what may be large only the parts that went and those that came."""
    if not isinstance(before, _LARGE) or not isinstance(after, _LARGE):
        return line_of(before), line_of(after)
    was, now = list(_content(before)), list(_content(after))
    left, joined = sorted(set(was) - set(now)), sorted(set(now) - set(was))
    moved = " in another order" if isinstance(after, RuleList) and not left and not joined and was != now else ""
    return f"{digest_of_list(was)} -{left}", f"{digest_of_list(now)} +{joined}{moved}"


def digest_in(line: str) -> str:
    """The digest of the object that a line of the audit tells of, "" for nothing: what `digest_of` said of it."""
    if line == "-":
        return ""
    return hashlib.sha256(line.encode()).hexdigest()[:_DIGITS] if line.startswith("{") else line[:_DIGITS]


def entry_line(entry: RuleEntry) -> str:
    """One line of a rule list as a person reads it."""
    ports = f":{entry.ports}" if entry.ports else ""
    log = " log" if entry.log else ""
    sources = "+".join(str(key) for key in entry.sources)
    destinations = "+".join(str(key) for key in entry.destinations)
    withheld = " withheld" if entry.withheld else ""
    limit = f" bandwidth={entry.bandwidth}" if entry.bandwidth else ""
    until = f" {entry.schedule}" if entry.schedule else ""
    return (
        f"{entry.name} {entry.action} {sources} to {destinations} {entry.traffic}{ports}{log}{limit}{until}{withheld}"
    )


def digest_of(value: DeviceObject | None) -> str:
    """SHA-256 of the line, as 16 hexadecimal digits."""
    return hashlib.sha256(line_of(value).encode()).hexdigest()[:_DIGITS]


def digest_of_list(lines: Iterable[str]) -> str:
    """The digest of an object of which these are the lines or members, in order; there may be many."""
    return hashlib.sha256(("{" + ", ".join(lines) + "}").encode()).hexdigest()[:_DIGITS]
