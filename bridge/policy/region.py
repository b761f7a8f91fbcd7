"""Sets of packets in policy's own terms: who sends, where to, what. Exact to intersect and to subtract, and written back as rules.

A region is a box, and every operation on boxes gives boxes again. Who is symbolic (pods come and go); where is exact prefix arithmetic;
what is protocols, each with numbers: ports, types of ICMP (as `IcmpType.span` counts them), or the numbers of the protocols without a
name. Names are not in it: nobody knows what they stand for, so they are never intersected or subtracted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from bridge.model import addresses
from bridge.model.policy import (
    NUMBERS,
    IcmpType,
    PortRange,
    Protocol,
    Traffic,
)
from bridge.model.ports import merged
from bridge.policy.who import Who

_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_ICMP = (Protocol.ICMP, Protocol.ICMPV6)
_PROTOCOLS = (*_WITH_PORTS, *_ICMP, Protocol.OTHER)
_MOST = 64  # lines or types that one piece of traffic is written back as

Ports = tuple[PortRange, ...]


@dataclass(frozen=True, slots=True)
class What:
    """Protocols with their numbers; a protocol that was written without any has all of them. OTHER has those of protocols."""

    ports: Mapping[Protocol, Ports]

    @property
    def empty(self) -> bool:
        """Whether no packet is meant."""
        return not self.ports

    def both(self, other: "What") -> "What":
        """What is in both."""
        shared = {p: _meet(self.ports[p], other.ports[p]) for p in _PROTOCOLS if p in self.ports and p in other.ports}
        return What({protocol: ports for protocol, ports in shared.items() if ports})

    def without(self, other: "What") -> "What":
        """What is in this and not in the other."""
        left = {protocol: _less_ports(ports, other.ports.get(protocol, ())) for protocol, ports in self.ports.items()}
        return What({protocol: ports for protocol, ports in left.items() if ports})

    def traffic(self) -> tuple[Traffic, ...] | None:
        """As a rule writes it; None where that would be long: "every protocol but these", "every type but this code of that"."""
        if all(self.ports.get(protocol) == _FULL[protocol] for protocol in _PROTOCOLS):
            return (Traffic(Protocol.ANY),)
        found: list[Traffic] = []
        for protocol, spans in self.ports.items():
            types = _types(spans) if protocol in _ICMP and spans != _FULL[protocol] else ()
            if spans == _FULL[protocol] and protocol is not Protocol.OTHER:
                found.append(Traffic(protocol))
            elif protocol is Protocol.OTHER:
                numbers = (number for span in spans for number in range(span.first, span.last + 1))
                found += [Traffic(protocol, number=number) for number in numbers]
            else:
                found.append(Traffic(protocol, icmp=types) if types else Traffic(protocol, spans))
            if len(found) > _MOST or len(types) > _MOST:
                return None
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Region:
    """Packets from `who` to `where` (canonical members) that are `what`."""

    who: Who
    where: tuple[str, ...]
    what: What

    @property
    def empty(self) -> bool:
        """Whether surely no packet is meant."""
        return self.who.empty or not self.where or self.what.empty

    def both(self, other: "Region") -> "Region | None":
        """The packets in both; None when there are surely none."""
        what = self.what.both(other.what)
        if what.empty:
            return None
        who = self.who.both(other.who)
        if who.empty:
            return None
        where = common(self.where, other.where)
        return Region(who, where, what) if where else None

    def without(self, other: "Region") -> tuple["Region", ...]:
        """The packets in this and not in the other, as regions that share none: by destination, then by traffic, then by sender."""
        shared = self.both(other)
        if shared is None:
            return (self,)
        pieces = [
            Region(self.who, less(self.where, other.where), self.what),
            Region(self.who, shared.where, self.what.without(other.what)),
            *(Region(who, shared.where, shared.what) for who in self.who.without(other.who)),
        ]
        return tuple(piece for piece in pieces if not piece.empty)


def what(traffic: Iterable[Traffic]) -> What:
    """What any of these lines lets through."""
    found: dict[Protocol, Ports] = {}
    for line in traffic:
        for protocol in _PROTOCOLS if line.protocol is Protocol.ANY else (line.protocol,):
            own = (PortRange(line.number, line.number),) if line.number else line.spans
            found[protocol] = merged((*found.get(protocol, ()), *(own or _FULL[protocol])))
    return What(found)


def _types(spans: Iterable[PortRange]) -> tuple[IcmpType, ...]:
    """Types of ICMP from their numbers, a type whole where every code of it is meant."""
    found: list[IcmpType] = []
    for span in spans:
        first = span.first
        while first <= span.last:
            whole = first % 256 == 0 and first + 255 <= span.last
            found.append(IcmpType(first // 256, None if whole else first % 256))
            first += 256 if whole else 1
    return tuple(found)


@lru_cache(maxsize=16_384)
def common(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses in both, as prefixes."""
    return addresses.subtract(left, less(left, right)) if left and right else ()


@lru_cache(maxsize=16_384)
def less(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses of the left that are not in the right."""
    return addresses.subtract(left, right)


def _meet(left: Ports, right: Ports) -> Ports:
    pairs = ((max(a.first, b.first), min(a.last, b.last)) for a in left for b in right)
    return merged(PortRange(first, last) for first, last in pairs if first <= last)


def _less_ports(ports: Ports, holes: Ports) -> Ports:
    left = list(ports)
    for hole in holes:
        pieces = (
            (a, b)
            for one in left
            for a, b in ((one.first, min(one.last, hole.first - 1)), (max(one.first, hole.last + 1), one.last))
        )
        left = [PortRange(a, b) for a, b in pieces if a <= b]
    return merged(left)


_ALL = (PortRange(0, 65535),)
_FULL: Mapping[Protocol, Ports] = {
    **dict.fromkeys((*_WITH_PORTS, *_ICMP), _ALL),
    Protocol.OTHER: _less_ports((PortRange(0, 255),), tuple(PortRange(number, number) for number in NUMBERS.values())),
}
