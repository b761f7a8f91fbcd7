"""Device objects as one line of text: the same for plans, digests, audit and reports."""

import hashlib
from collections.abc import Iterable

from bridge.model.intent import Attachment, DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Shard


def line_of(value: DeviceObject | None) -> str:
    """The whole content of an object in one line, in a stable order; "-" for nothing."""
    return "-" if value is None else "{" + ", ".join(_content(value)) + "}"


def _content(value: DeviceObject) -> Iterable[str]:
    match value:
        case Group():
            inside = [f"shards={value.shards}"] if value.shards else []
            return [*inside, *sorted(value.members), *(f"fqdn={name}" for name in sorted(value.fqdns))]
        case Shard():
            return sorted(value.members)
        case Ports():
            return [str(port) for port in value.ports]
        case RuleList():
            return [entry_line(entry) for entry in value.entries]
        case Policy():
            return [str(key) for key in value.lists]
        case Attachment():
            return [str(value.policy)]


def change_lines(before: DeviceObject | None, after: DeviceObject | None) -> tuple[str, str]:
    """Before and after as two lines for the audit: digests, and of large sets of members only those that went and those that came."""
    if isinstance(before, Group | Shard) and isinstance(after, Group | Shard):
        left, joined = sorted(before.members - after.members), sorted(after.members - before.members)
        return f"{digest_of(before)} -{left}", f"{digest_of(after)} +{joined}"
    return line_of(before), line_of(after)


def entry_line(entry: RuleEntry) -> str:
    """One line of a rule list as a person reads it."""
    ports = f":{entry.ports}" if entry.ports else ""
    log = " log" if entry.log else ""
    sources = "+".join(str(key) for key in entry.sources)
    destinations = "+".join(str(key) for key in entry.destinations)
    withheld = " withheld" if entry.withheld else ""
    return f"{entry.name} {entry.action} {sources} to {destinations} {entry.protocol}{ports}{log}{withheld}"


def digest_of(value: DeviceObject | None) -> str:
    """SHA-256 of the line, as 16 hexadecimal digits."""
    return hashlib.sha256(line_of(value).encode()).hexdigest()[:16]
