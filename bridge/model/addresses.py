"""Addresses and prefixes as text in one canonical form, and exact arithmetic on sets of them.

A member is an address ("10.1.2.3"), a prefix ("10.1.0.0/16") or a range ("10.1.2.3-10.1.2.9"). Canonical means: no host bits, no /32 or
/128, IPv6 compressed and in lower case, a range that is a prefix written as the prefix. Two members are equal when their texts are.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)
from socket import AF_INET, AF_INET6, inet_pton

Network = IPv4Network | IPv6Network

ALL = ("0.0.0.0/0", "::/0")


@lru_cache(maxsize=65536)
def canonical_address(text: str) -> str:
    """One address in canonical form; ValueError when it is none (a zone index is refused, a mapped IPv4 becomes IPv4)."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise ValueError(f"{text!r} has a zone index, which means nothing on a firewall")
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
    return str(address)


def is_loopback(host: str) -> bool:
    """Whether what listens on this name or address (in brackets or not) is reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def canonical_member(text: str) -> str:
    """An address, prefix or range in canonical form; ValueError says what is wrong with it."""
    if "-" in text:
        nets = tuple(networks((text,)))
        if len(nets) == 1:
            return _text(nets[0])
        first, _, last = text.partition("-")
        return f"{canonical_address(first.strip())}-{canonical_address(last.strip())}"
    if "/" not in text:
        return canonical_address(text)
    return _text(_prefix(text))


def networks(members: Iterable[str]) -> Iterator[Network]:
    """The prefixes that cover exactly these members, a range as several. ValueError on what is no member."""
    for member in members:
        if "-" in member:
            first, _, last = member.partition("-")
            yield from _range(member, first.strip(), last.strip())
        else:
            yield _prefix(member)


def subtract(members: Iterable[str], inside: Iterable[str]) -> tuple[str, ...]:
    """Exactly the addresses of `members` that are not in `inside`, as prefixes in order; ranges that meet nothing stay as they are."""
    holes = list(networks(inside))
    left: list[str] = []
    for member in members:
        nets = list(networks((member,)))
        if not any(net.version == hole.version and net.overlaps(hole) for net in nets for hole in holes):
            left.append(canonical_member(member))
            continue
        for net in nets:
            left.extend(_text(piece) for piece in _without(net, holes))
    return tuple(sorted(set(left), key=sort_key))


def overlap(left: Iterable[str], right: Iterable[str]) -> bool:
    """Whether any address is in both."""
    others = list(networks(right))
    return any(net.version == other.version and net.overlaps(other) for net in networks(left) for other in others)


def covers(outer: Iterable[str], inner: Iterable[str]) -> bool:
    """Whether every address of `inner` is in `outer`."""
    return not subtract(inner, outer)


def meet(left: Collection[str], right: Collection[str]) -> frozenset[str]:
    """The addresses in both. What is written alike in both stays as it is, and whatever of the left lies in the right altogether."""
    alike = frozenset(left).intersection(right)
    here, there = ([one for one in some if one not in alike] for some in (left, right))
    if not here or not there or not any("/" in one or "-" in one for one in (*here, *there)):
        return alike
    spans = _spans(there)
    starts = [first for first, _ in spans]
    found: set[str] = set()
    for member in here:
        pieces = [piece for span in _spans((member,)) for piece in _cut(span, spans, starts)]
        found.update((member,) if pieces == _spans((member,)) else (_text(net) for one in pieces for net in _nets(one)))
    return alike | found


_Span = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last address of a stretch, each behind its family."""


def _spans(members: Iterable[str]) -> list[_Span]:
    """The fewest stretches that are exactly these members, in order."""
    merged: list[_Span] = []
    for first, last in sorted(((n.version, int(n[0])), (n.version, int(n[-1]))) for n in networks(members)):
        if merged and first <= (merged[-1][1][0], merged[-1][1][1] + 1):
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _cut(span: _Span, spans: list[_Span], starts: list[tuple[int, int]]) -> Iterator[_Span]:
    """What of one stretch lies in these."""
    at = max(0, bisect_right(starts, span[0]) - 1)
    while at < len(spans) and spans[at][0] <= span[1]:
        first, last = max(span[0], spans[at][0]), min(span[1], spans[at][1])
        if first <= last:
            yield first, last
        at += 1


def _nets(span: _Span) -> Iterator[Network]:
    (version, first), (_, last) = span
    if version == 4:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
    else:
        yield from summarize_address_range(IPv6Address(first), IPv6Address(last))


def sort_key(member: str) -> tuple[int, int, str]:
    """Orders members as a person would: IPv4 first, then by address."""
    first = member.partition("-")[0].partition("/")[0]
    address: IPv4Address | IPv6Address = ip_address(first)
    return (address.version, int(address), member)


class Ranges:
    """A fixed set of prefixes that answers "is this address inside?" without building objects for each question.

    Asked of canonical addresses only; OSError for anything else.
    """

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.prefixes = tuple(canonical_member(prefix) for prefix in prefixes)
        nets = list(networks(self.prefixes))
        self._spans = {
            version: [(int(net[0]), int(net[-1])) for net in nets if net.version == version] for version in (4, 6)
        }

    def __contains__(self, address: str) -> bool:
        version, family = (6, AF_INET6) if ":" in address else (4, AF_INET)
        number = int.from_bytes(inet_pton(family, address), "big")
        return any(first <= number <= last for first, last in self._spans[version])


def _prefix(text: str) -> Network:
    try:
        return ip_network(text, strict=True)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{text!r} has host bits set; write {ip_network(text, strict=False)}") from None
        raise ValueError(f"{text!r} is not an address, prefix or range") from None


def _range(text: str, first: str, last: str) -> Iterator[Network]:
    try:
        low, high = ip_address(first), ip_address(last)
    except ValueError:
        raise ValueError(f"{text!r} is not an address, prefix or range") from None
    if low.version != high.version:
        raise ValueError(f"{text!r} mixes IPv4 and IPv6")
    if int(low) > int(high):
        raise ValueError(f"{text!r} runs backwards; write {last}-{first}")
    yield from summarize_address_range(low, high)


def _without(net: Network, holes: list[Network]) -> Iterator[Network]:
    """The pieces of `net` outside every hole."""
    pieces: list[Network] = [net]
    for hole in holes:
        rest: list[Network] = []
        for piece in pieces:
            if piece.version != hole.version or not piece.overlaps(hole):
                rest.append(piece)
            elif hole.prefixlen > piece.prefixlen:
                rest.extend(piece.address_exclude(hole))  # type: ignore[arg-type]
        pieces = rest
    yield from collapse_addresses(pieces)  # type: ignore[type-var]


def _text(net: Network) -> str:
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)
