"""What a device in memory does with a packet, read from what it holds and from nothing else."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from time import time

from bridge.lab.devices.memory.contents import AddressSet, Contents, Entry, PortSet, Until
from bridge.model.addresses import overlap
from bridge.model.policy import NUMBERS
from bridge.policy.evaluate import Packet, Verdict

_VERDICTS = {"allow": Verdict.ALLOW, "deny": Verdict.DENY, "reject": Verdict.REJECT}


def verdict(held: Contents, packet: Packet, at: float | None = None) -> Verdict:
    """The first entry in force that matches, now or at that second; UNMATCHED where none does, which an allow-only device drops."""
    now = time() if at is None else at
    found = (entry for _, entry in held.enforced() if _counts(held, entry, now) and _matches(held, entry, packet))
    entry = next(found, None)
    return Verdict.UNMATCHED if entry is None else _VERDICTS[entry.action]


def dangling(held: Contents) -> Iterator[str]:
    """References to what is not there."""
    for name, stored in held.objects.items():
        yield from (f"{name} -> {to}" for to in stored.body.references() if to not in held.objects)
    yield from (f"place {place} -> {to}" for place, to in held.places.items() if to not in held.objects)


def _counts(held: Contents, entry: Entry, now: float) -> bool:
    stored = held.objects.get(entry.until)
    return stored is None or not isinstance(stored.body, Until) or now < stored.body.second


def _matches(held: Contents, entry: Entry, packet: Packet) -> bool:
    number = NUMBERS.get(packet.protocol, packet.number)
    if entry.protocol is not None and entry.protocol != number:
        return False
    if entry.ports and not _has_port(held, entry.ports, packet.port):
        return False
    if entry.icmp and not _is_message(entry, packet):
        return False
    return _holds(held, entry.sources, packet.source) and _holds(held, entry.destinations, packet.destination)


def _is_message(entry: Entry, packet: Packet) -> bool:
    seen = packet.icmp
    return seen is not None and any(kind == seen.type and code in (None, seen.code) for kind, code in entry.icmp)


def _has_port(held: Contents, name: str, port: int) -> bool:
    stored = held.objects.get(name)
    spans = stored.body.spans if stored and isinstance(stored.body, PortSet) else ()
    return any(first <= port <= last for first, last in spans)


def _holds(held: Contents, names: Iterable[str], address: str) -> bool:
    sets = (held.objects.get(name) for name in names)
    return any(_within(one.body.addresses, address) for one in sets if one and isinstance(one.body, AddressSet))


@lru_cache(maxsize=65536)
def _within(addresses: tuple[str, ...], address: str) -> bool:
    return overlap(addresses, (address,))
