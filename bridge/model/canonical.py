"""What stands in one form on every device: the pieces of which `normalize` of an adapter is made. Pure and idempotent.

Each ValueError says why an object cannot be expressed; `expressed` gathers them. What is a fact of one device stays in its adapter.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.errors import Unsupported
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Intent, RuleEntry
from bridge.model.policy import NUMBERS, WITH_PORTS, WITH_TYPES, Action, PortRange, Protocol


def expressed(intent: Intent, express: Callable[[DeviceObject], DeviceObject | None]) -> dict[ObjectKey, DeviceObject]:
    """What `express` makes of each object, less those of which it makes None.

    Unsupported names every object for which it raises ValueError, with the reason.
    """
    found: dict[ObjectKey, DeviceObject] = {}
    problems: dict[str, str] = {}
    for key, value in intent.objects.items():
        try:
            made = express(value)
        except ValueError as error:
            problems[str(key)] = str(error)
            continue
        if made is not None:
            found[key] = made
    if problems:
        raise Unsupported(intent.device, problems)
    return found


def check_ports(ports: Iterable[PortRange], lowest: int = 0) -> None:
    """ValueError where one of them is no range of ports from `lowest` to 65535."""
    for port in ports:
        if not lowest <= port.first <= port.last <= 65535:
            raise ValueError(f"{port} is no range of ports from {lowest} to 65535")


def lines(entries: Iterable[RuleEntry], line: Callable[[RuleEntry], RuleEntry]) -> tuple[RuleEntry, ...]:
    """What `line` makes of each, in order. ValueError where two have one name."""
    made = tuple(map(line, entries))
    if len({entry.name for entry in made}) != len(made):
        raise ValueError("two lines have one name")
    return made


NO_SCHEDULES = "the device ends no line by itself"


def check_line(entry: RuleEntry, *, schedules: bool = False) -> None:
    """ValueError where a line would match any, or has ports or types that its protocol has not, or a schedule that is not for it."""
    if entry.schedule and not schedules:
        raise ValueError(f"line {entry.name}: {NO_SCHEDULES}")
    if entry.schedule and entry.action is not Action.ALLOW:
        raise ValueError(
            f"line {entry.name}: without a {entry.action} more would be let through; it does not end by itself"
        )
    if not entry.sources or not entry.destinations:
        raise ValueError(f"line {entry.name}: without a source or a destination it would match any")
    if entry.ports and entry.protocol not in WITH_PORTS:
        raise ValueError(f"line {entry.name}: {entry.protocol} has no ports")
    if entry.icmp and entry.protocol not in WITH_TYPES:
        raise ValueError(f"line {entry.name}: {entry.protocol} has no types of ICMP")


def check_number(entry: RuleEntry, numbers: range) -> None:
    """ValueError where a protocol with a name has a number besides, or OTHER one that has a name or that the device does not take."""
    nameless = entry.number in numbers and entry.number not in NUMBERS.values()
    if not (nameless if entry.protocol is Protocol.OTHER else entry.number == 0):
        raise ValueError(f"line {entry.name}: {entry.protocol} does not go with number {entry.number}")


def in_order(entry: RuleEntry) -> RuleEntry:
    """The line with its groups and types in order, each once."""
    return replace(
        entry,
        sources=tuple(sorted(set(entry.sources))),
        destinations=tuple(sorted(set(entry.destinations))),
        icmp=tuple(sorted(set(entry.icmp))),
    )
