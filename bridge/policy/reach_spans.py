"""Destinations and traffic as stretches of whole numbers, on which meeting, joining and taking away are exact and quick.

IPv4 lies below 2**32 and IPv6 above 2**33, so that no stretch runs from one into the other; each protocol has a block of its own. Names lie
above every address, each a point: nobody knows here what it stands for.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_pton

from bridge.model import addresses
from bridge.model.intent import Ports, RuleEntry
from bridge.model.policy import NUMBERS, IcmpType, PortRange, Protocol

Span = tuple[int, int]
Spans = tuple[Span, ...]
"""First and last of each stretch, in order, apart from each other by at least one number."""

V6 = 1 << 33
NAMES = 1 << 140
_BLOCK = 1 << 20
_MOST_PREFIXES = 4  # that one stretch is written as, before it is written as a range
_NAMED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP, Protocol.ICMP, Protocol.ICMPV6)
_BLOCKS: Mapping[Protocol, int] = {one: _BLOCK * index for index, one in enumerate((*_NAMED, Protocol.OTHER))}
_OTHERS = tuple(number for number in range(256) if number not in NUMBERS.values())


def merged(spans: Iterable[Span]) -> Spans:
    """The same numbers in order, each once."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def meet(left: Spans, right: Spans) -> Spans:
    """The numbers in both."""
    found: list[Span] = []
    here = there = 0
    while here < len(left) and there < len(right):
        first, last = max(left[here][0], right[there][0]), min(left[here][1], right[there][1])
        if first <= last:
            found.append((first, last))
        if left[here][1] < right[there][1]:
            here += 1
        else:
            there += 1
    return tuple(found)


def less(left: Spans, right: Spans) -> Spans:
    """The numbers of the left that are not in the right."""
    found: list[Span] = []
    there = 0
    for first, last in left:
        start = first
        while there < len(right) and right[there][1] < start:
            there += 1
        at = there
        while at < len(right) and right[at][0] <= last:
            if right[at][0] > start:
                found.append((start, right[at][0] - 1))
            start = max(start, right[at][1] + 1)
            at += 1
        if start <= last:
            found.append((start, last))
    return tuple(found)


def touch(left: Spans, right: Spans) -> bool:
    """Whether any number is in both."""
    if len(left) > len(right):
        left, right = right, left
    starts = [first for first, _ in right] if len(right) > 4 else None
    return any(_within(span, right, starts) for span in left)


def _within(span: Span, spans: Spans, starts: list[int] | None) -> bool:
    if starts is None:
        return any(first <= span[1] and span[0] <= last for first, last in spans)
    at = bisect_right(starts, span[1]) - 1
    return at >= 0 and spans[at][1] >= span[0]


def point(address: str) -> int:
    """The number of one canonical address."""
    if ":" in address:
        return V6 + int.from_bytes(inet_pton(AF_INET6, address), "big")
    return int.from_bytes(inet_pton(AF_INET, address), "big")


@lru_cache(maxsize=65536)
def span(member: str) -> Spans:
    """The addresses of one member: an address, a prefix or a range."""
    if "/" not in member and "-" not in member:
        number = point(member)
        return ((number, number),)
    return merged((point(str(net[0])), point(str(net[-1]))) for net in addresses.networks((member,)))


def spans(members: Iterable[str]) -> Spans:
    """The addresses of all these members."""
    return merged(one for member in members for one in span(member))


def family(number: int) -> int:
    """4 or 6 for an address, 0 for a name."""
    if number >= NAMES:
        return 0
    return 6 if number >= V6 else 4


def members(found: Spans) -> tuple[str, ...]:
    """Stretches of addresses as people write them: prefixes where these are few, else ranges. Names are left out."""
    return tuple(text for first, last in found if first < NAMES for text in _texts(first, last))


def _texts(first: int, last: int) -> Iterator[str]:
    written = f"{_address(first)}-{_address(last)}"
    prefixes = list(addresses.networks((written,)))
    if len(prefixes) > _MOST_PREFIXES:
        yield written
    else:
        yield from (addresses.canonical_member(str(net)) for net in prefixes)


def _address(number: int) -> IPv4Address | IPv6Address:
    return IPv6Address(number - V6) if number >= V6 else IPv4Address(number)


def _whole(protocol: Protocol) -> Spans:
    base = _BLOCKS[protocol]
    if protocol is Protocol.OTHER:
        return merged((base + number, base + number) for number in _OTHERS)
    return ((base, base + 65535),)


EVERYTHING: Spans = merged(one for protocol in _BLOCKS for one in _whole(protocol))
"""All traffic there is."""


def traffic(entry: RuleEntry, ports: Ports | None) -> Spans:
    """What a line lets through or stops; a line whose ports are not to be found is about no packet."""
    if entry.protocol is Protocol.ANY:
        return EVERYTHING
    base = _BLOCKS[entry.protocol]
    if entry.protocol is Protocol.OTHER:
        return ((base + entry.number, base + entry.number),) if entry.number else _whole(Protocol.OTHER)
    if entry.icmp:
        return merged((base + one.span.first, base + one.span.last) for one in entry.icmp)
    if entry.ports is None:
        return _whole(entry.protocol)
    return merged((base + one.first, base + one.last) for one in ports.ports) if ports else ()


def packet(protocol: Protocol, number: int) -> int:
    """The place of one packet among all traffic: its port, its type of ICMP times 256 plus the code, or the number of its protocol."""
    return _BLOCKS[protocol] + number


def traffic_texts(found: Spans) -> tuple[str, ...]:
    """As people write it: `Any`, `TCP 443,8000-8100`, `ICMP 8/0`, `IP 47`."""
    if found == EVERYTHING:
        return ("Any",)
    texts = []
    for protocol, base in _BLOCKS.items():
        here = meet(found, ((base, base + _BLOCK - 1),))
        if here and here == _whole(protocol):
            texts.append("IP protocols without a name here" if protocol is Protocol.OTHER else protocol.value)
        elif here:
            texts.append(f"{protocol.value} {','.join(_numbers(protocol, here))}")
    return tuple(texts)


def _numbers(protocol: Protocol, here: Spans) -> Iterator[str]:
    base = _BLOCKS[protocol]
    for first, last in here:
        if protocol in (Protocol.ICMP, Protocol.ICMPV6):
            yield from _types(first - base, last - base)
        else:
            yield str(PortRange(first - base, last - base))


def _types(first: int, last: int) -> Iterator[str]:
    while first <= last:
        whole = first % 256 == 0 and first + 255 <= last
        if whole:
            count = (last + 1 - first) // 256
            yield str(PortRange(first // 256, first // 256 + count - 1))
            first += 256 * count
        else:
            yield str(IcmpType(first // 256, first % 256))
            first += 1
