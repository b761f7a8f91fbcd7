"""Sets of packets in policy's own terms: who sends, where to, what. Exact to intersect and to subtract, and written back as rules.

A region is a box, and every operation on boxes gives boxes again. Who is symbolic (pods come and go); where is exact prefix arithmetic;
what is protocols, each with numbers: ports, types of ICMP (as `IcmpType.span` counts them), or the numbers of the protocols without a
name. Names are not in it: nobody knows what they stand for, so they are never intersected or subtracted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from bridge.model import addresses
from bridge.model.policy import NUMBERS, IcmpType, PortRange, Protocol, Source, SourceKind, Traffic

_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_ICMP = (Protocol.ICMP, Protocol.ICMPV6)
_PROTOCOLS = (*_WITH_PORTS, *_ICMP, Protocol.OTHER)
_MOST = 64  # lines or types that one piece of traffic is written back as

Ports = tuple[PortRange, ...]


@dataclass(frozen=True, slots=True)
class Who:
    """The workloads that every one of `all_of` selects and none of `none_of` does."""

    all_of: frozenset[Source]
    none_of: frozenset[Source] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether it is surely nobody, whatever pods there are: contradictory, or of two namespaces at once."""
        if any(excluded.whole_cluster or excluded in self.all_of for excluded in self.none_of):
            return True
        homes = {one.namespace for one in self.all_of if one.kind is not SourceKind.CLUSTER}
        return len(homes) > 1 or any(_holds(out, one) for out in self.none_of for one in self.all_of)

    def both(self, other: "Who") -> "Who":
        """Those in this and in the other."""
        return Who(_fewest(self.all_of | other.all_of), self.none_of | other.none_of)

    def without(self, other: "Who") -> Iterator["Who"]:
        """Those in this and not in the other, as pieces that share nobody."""
        base = self
        for source in sorted(other.all_of - self.all_of):
            yield replace(base, none_of=base.none_of | {source})
            base = replace(base, all_of=_fewest(base.all_of | {source}))
        for source in sorted(other.none_of - self.none_of):
            yield replace(base, all_of=_fewest(base.all_of | {source}))
            base = replace(base, none_of=base.none_of | {source})


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
        left = {protocol: _less(ports, other.ports.get(protocol, ())) for protocol, ports in self.ports.items()}
        return What({protocol: ports for protocol, ports in left.items() if ports})

    def traffic(self) -> tuple[Traffic, ...] | None:
        """As a rule writes it; None where that would be long: "every protocol but these", "every type but this code of that"."""
        if all(self.ports.get(protocol) == _FULL[protocol] for protocol in _PROTOCOLS):
            return (Traffic(Protocol.ANY),)
        found: list[Traffic] = []
        for protocol, spans in self.ports.items():
            types = _types(spans) if protocol in _ICMP else ()
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
        found = Region(self.who.both(other.who), _common(self.where, other.where), self.what.both(other.what))
        return None if found.empty else found

    def without(self, other: "Region") -> tuple["Region", ...]:
        """The packets in this and not in the other, as regions that share none: by destination, then by traffic, then by sender."""
        common = self.both(other)
        if common is None:
            return (self,)
        pieces = [
            Region(self.who, addresses.subtract(self.where, other.where), self.what),
            Region(self.who, common.where, self.what.without(other.what)),
            *(Region(who, common.where, common.what) for who in self.who.without(other.who)),
        ]
        return tuple(piece for piece in pieces if not piece.empty)


def who(source: Source) -> Who:
    """The workloads that one source selects."""
    return Who(frozenset((source,)))


def what(traffic: Iterable[Traffic]) -> What:
    """What any of these lines lets through."""
    found: dict[Protocol, Ports] = {}
    for line in traffic:
        for protocol in _PROTOCOLS if line.protocol is Protocol.ANY else (line.protocol,):
            own = (PortRange(line.number, line.number),) if line.number else line.spans
            found[protocol] = _merged((*found.get(protocol, ()), *(own or _FULL[protocol])))
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


def _fewest(sources: frozenset[Source]) -> frozenset[Source]:
    """The same people named by fewer sources: what holds another adds nothing to it."""
    return frozenset(one for one in sources if not any(other != one and _holds(one, other) for other in sources))


def _holds(outer: Source, inner: Source) -> bool:
    """Whether everyone of `inner` is surely in `outer`. False when in doubt."""
    if outer == inner or outer.whole_cluster:
        return True
    if outer.kind is not SourceKind.NAMESPACE or inner.kind is SourceKind.CLUSTER:
        return False
    plain = not outer.pods.requirements and not outer.service_accounts
    return plain and outer.namespace == inner.namespace


def _common(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return addresses.subtract(left, addresses.subtract(left, right)) if left and right else ()


def _merged(ports: Iterable[PortRange]) -> Ports:
    merged: list[PortRange] = []
    for one in sorted(ports):
        if merged and one.first <= merged[-1].last + 1:
            merged[-1] = PortRange(merged[-1].first, max(merged[-1].last, one.last))
        else:
            merged.append(one)
    return tuple(merged)


def _meet(left: Ports, right: Ports) -> Ports:
    pairs = ((max(a.first, b.first), min(a.last, b.last)) for a in left for b in right)
    return _merged(PortRange(first, last) for first, last in pairs if first <= last)


def _less(ports: Ports, holes: Ports) -> Ports:
    left = list(ports)
    for hole in holes:
        pieces = (
            (a, b)
            for one in left
            for a, b in ((one.first, min(one.last, hole.first - 1)), (max(one.first, hole.last + 1), one.last))
        )
        left = [PortRange(a, b) for a, b in pieces if a <= b]
    return _merged(left)


_ALL = (PortRange(0, 65535),)
_FULL: Mapping[Protocol, Ports] = {
    **dict.fromkeys((*_WITH_PORTS, *_ICMP), _ALL),
    Protocol.OTHER: _less((PortRange(0, 255),), tuple(PortRange(number, number) for number in NUMBERS.values())),
}
