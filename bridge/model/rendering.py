"""Device objects as one line of text: the same for plans, digests, audit and reports."""

import hashlib
from collections.abc import Iterable

from bridge.model.intent import Attachment, DeviceObject, Group, Policy, Ports, RuleEntry, RuleList, Shard


def line_of(value: DeviceObject | None) -> str:
    """The whole content of an object in one line, in a stable order; "-" for nothing."""
    match value:
        case None:
            return "-"
        case Group():
            inside = [f"shards={value.shards}"] if value.shards else []
            return _braces([*inside, *sorted(value.members), *(f"fqdn={name}" for name in sorted(value.fqdns))])
        case Shard():
            return _braces(sorted(value.members))
        case Ports():
            return _braces(str(port) for port in value.ports)
        case RuleList():
            return _braces(entry_line(entry) for entry in value.entries)
        case Policy():
            return _braces(str(key) for key in value.lists)
        case Attachment():
            return _braces([str(value.policy)])


def entry_line(entry: RuleEntry) -> str:
    """One line of a rule list as a person reads it."""
    ports = f":{entry.ports}" if entry.ports else ""
    log = " log" if entry.log else ""
    sources = "+".join(str(key) for key in entry.sources)
    destinations = "+".join(str(key) for key in entry.destinations)
    return f"{entry.name} {entry.action} {sources} to {destinations} {entry.protocol}{ports}{log}"


def digest_of(value: DeviceObject | None) -> str:
    """SHA-256 of the line, as 16 hexadecimal digits."""
    return hashlib.sha256(line_of(value).encode()).hexdigest()[:16]


def _braces(items: Iterable[str]) -> str:
    return "{" + ", ".join(items) + "}"
