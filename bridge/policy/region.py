"""Sets of packets in policy's own terms: who sends, where to, what. Exact to intersect and to subtract, and written back as rules.

A region is a box, and every operation on boxes gives boxes again. Who is symbolic (pods come and go); where is exact prefix arithmetic;
what is protocols, each with numbers: ports, types of ICMP (as `IcmpType.span` counts them), or the numbers of the protocols without a
name. Names are not in it: nobody knows what they stand for, so they are never intersected or subtracted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from bridge.model import addresses
from bridge.model.policy import (
    NUMBERS,
    AddressSource,
    IcmpType,
    Operator,
    PortRange,
    Protocol,
    Requirement,
    Source,
    SourceKind,
    Traffic,
)
from bridge.policy.overlap import homes, sources_overlap
from bridge.policy.select import NAME_LABEL

_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_ICMP = (Protocol.ICMP, Protocol.ICMPV6)
_PROTOCOLS = (*_WITH_PORTS, *_ICMP, Protocol.OTHER)
_MOST = 64  # lines or types that one piece of traffic is written back as

Ports = tuple[PortRange, ...]


@dataclass(frozen=True, slots=True)
class Who:
    """The workloads that every one of `all_of` selects and none of `none_of` does.

    Where a device does not see the addresses of pods, one may stand for several of them: sources still meet there that no workload is in
    together.
    """

    all_of: frozenset[Source]
    none_of: frozenset[Source] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether it is surely nobody, whatever pods there are: contradictory, or of two namespaces at once."""
        if any(holds(out, one) for out in self.none_of for one in self.all_of):
            return True
        return not self._shared and (
            not all(sources_overlap(a, b) for a, b in combinations(self.all_of, 2))
            or _contradict(one for source in self.all_of for one in source.pods.requirements)
            or _contradict(one for source in self.all_of for one in source.namespaces.requirements)
        )

    @property
    def _shared(self) -> bool:
        return any(one.view.source is not AddressSource.POD for one in self.all_of)

    def both(self, other: "Who") -> "Who":
        """Those in this and in the other."""
        return self._of(self.all_of | other.all_of, self.none_of | other.none_of)

    def without(self, other: "Who") -> Iterator["Who"]:
        """Those in this and not in the other, as pieces that share nobody."""
        base = self
        for source in sorted(other.all_of - self.all_of):
            yield base._of(base.all_of, base.none_of | {source})
            base = base._of(base.all_of | {source}, base.none_of)
        for source in sorted(other.none_of - self.none_of):
            yield base._of(base.all_of | {source}, base.none_of)
            base = base._of(base.all_of, base.none_of | {source})

    def _of(self, all_of: frozenset[Source], none_of: frozenset[Source]) -> "Who":
        """The same people by fewer sources: what holds another adds nothing to it, nor does taking out whom nobody of these can be."""
        inner = frozenset(one for one in all_of if not any(_rather(other, one, holds(one, other)) for other in all_of))
        out = none_of
        if not self._shared:
            out = frozenset(one for one in out if all(sources_overlap(one, each) for each in inner))
        widest = frozenset(one for one in out if not any(_rather(other, one, holds(other, one)) for other in out))
        return Who(inner, widest)


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


def holds(outer: Source, inner: Source) -> bool:
    """Whether everyone of `inner` is surely in `outer`, the exempt aside, of whom no region is. False when in doubt."""
    if outer == inner or everyone(outer):
        return True
    if outer.kind is SourceKind.BUILTIN:
        return inner.kind is not SourceKind.PREFIXES and not everyone(inner)
    if outer.kind not in (SourceKind.NAMESPACE, SourceKind.CLUSTER) or inner.kind in (
        SourceKind.PREFIXES,
        SourceKind.BUILTIN,
    ):
        return False
    accounts = not outer.service_accounts or (
        bool(inner.service_accounts) and set(inner.service_accounts) <= set(outer.service_accounts)
    )
    return accounts and set(outer.pods.requirements) <= set(inner.pods.requirements) and _reaches(outer, inner)


def everyone(source: Source) -> bool:
    """Whether it is the pod ranges less the exempt."""
    named = source.kind is SourceKind.BUILTIN and source.service == "everyone"
    return source.whole_cluster or (named and not source.also and not source.unless)


def _reaches(outer: Source, inner: Source) -> bool:
    """Whether the outer source selects in every namespace in which the inner one does."""
    home = homes(inner)
    if outer.kind is SourceKind.NAMESPACE:
        return home is not None and home <= {outer.namespace}
    return all(
        one in inner.namespaces.requirements
        or (one.key == NAME_LABEL and one.operator is Operator.IN and home is not None and home <= set(one.values))
        for one in outer.namespaces.requirements
    )


def _rather(other: Source, one: Source, decided: bool) -> bool:
    """Whether the other makes this one needless; of two that are the same people the first stays."""
    return decided and other != one and (other < one or not (holds(one, other) and holds(other, one)))


def _contradict(requirements: Iterable[Requirement]) -> bool:
    """Whether no labels at all satisfy these."""
    by_key: dict[str, list[Requirement]] = {}
    for one in requirements:
        by_key.setdefault(one.key, []).append(one)
    return any(_impossible(each) for each in by_key.values() if len(each) > 1)


def _impossible(about_one_key: Iterable[Requirement]) -> bool:
    values: dict[Operator, list[frozenset[str]]] = {}
    for one in about_one_key:
        values.setdefault(one.operator, []).append(frozenset(one.values))
    if Operator.DOES_NOT_EXIST in values:
        return Operator.IN in values or Operator.EXISTS in values
    if Operator.IN not in values:
        return False
    return not frozenset.intersection(*values[Operator.IN]).difference(*values.get(Operator.NOT_IN, ()))


@lru_cache(maxsize=16_384)
def common(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses in both, as prefixes."""
    return addresses.subtract(left, less(left, right)) if left and right else ()


@lru_cache(maxsize=16_384)
def less(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses of the left that are not in the right."""
    return addresses.subtract(left, right)


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


def _less_ports(ports: Ports, holes: Ports) -> Ports:
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
    Protocol.OTHER: _less_ports((PortRange(0, 255),), tuple(PortRange(number, number) for number in NUMBERS.values())),
}
