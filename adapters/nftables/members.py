"""Members of a group as elements of its sets, and back. Pure.

The sets of intervals are made without `auto-merge`: with it a single member could not be deleted again. So their members must not
overlap; those that do are written as the fewest prefixes that cover exactly the same addresses.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from itertools import pairwise
from typing import Any

from adapters.nftables.names import BASE, Flavour
from bridge.model.addresses import canonical_member, networks, sort_key
from bridge.model.policy import PortRange
from bridge.model.ports import merged

_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+\Z", re.ASCII)
Element = str | int | dict[str, Any]


def flavour(member: str) -> Flavour:
    """The set that a canonical member belongs to."""
    if "/" in member or "-" in member:
        return Flavour.NETS6 if ":" in member else Flavour.NETS4
    return Flavour.HOSTS6 if ":" in member else Flavour.HOSTS4


def by_flavour(members: Iterable[str]) -> dict[Flavour, set[str]]:
    """Members by the set that they belong to; a flavour without members is not named."""
    found: dict[Flavour, set[str]] = {}
    for member in members:
        found.setdefault(flavour(member), set()).add(member)
    return found


def shape(members: Iterable[str]) -> frozenset[Flavour]:
    """The sets that a group with these members has."""
    return frozenset({BASE, *map(flavour, members)})


def canonical(members: Iterable[str]) -> frozenset[str]:
    """Members in canonical form, prefixes and ranges disjoint; ValueError on what is no member."""
    hosts: set[str] = set()
    nets: set[str] = set()
    for member in map(canonical_member, members):
        (nets if "/" in member or "-" in member else hosts).add(member)
    return frozenset(hosts | _disjoint(nets))


def within(hosts: set[str], nets: set[str]) -> set[str]:
    """Those addresses that prefixes and ranges which are disjoint cover."""
    spans = sorted(map(_span, nets))
    found = set()
    for host in hosts if spans else ():
        version, address, _ = _span(host)
        at = bisect_right(spans, (version, address, 1 << 128)) - 1
        if at >= 0 and spans[at][0] == version and spans[at][2] >= address:
            found.add(host)
    return found


def _disjoint(nets: set[str]) -> set[str]:
    spans = sorted((span, net) for net in nets for span in [_span(net)])
    clash = {one[0] for (one, _), (other, _) in pairwise(spans) if _meet(one, other)}
    if not clash:
        return nets
    touched = {net for net in nets if _span(net)[0] in clash}
    pieces = list(networks(touched))
    merged = [
        *collapse_addresses(piece for piece in pieces if isinstance(piece, IPv4Network)),
        *collapse_addresses(piece for piece in pieces if isinstance(piece, IPv6Network)),
    ]
    # What is left of an address or two by itself is a host again.
    return (nets - touched) | {canonical_member(str(net)) for net in merged}


def _span(net: str) -> tuple[int, int, int]:
    """Version, first and last address."""
    covered = list(networks((net,)))
    return covered[0].version, int(covered[0][0]), int(covered[-1][-1])


def _meet(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return one[0] == other[0] and other[1] <= one[2]


def elements(members: Iterable[str]) -> list[Element]:
    """Members as nft takes them, in order."""
    return [_element(member) for member in sorted(members, key=sort_key)]


def _element(member: str) -> Element:
    if "/" in member:
        address, _, length = member.partition("/")
        return {"prefix": {"addr": address, "len": int(length)}}
    if "-" in member:
        first, _, last = member.partition("-")
        return {"range": [first, last]}
    return member


def members(listed: Iterable[Any]) -> frozenset[str]:
    """The members that a set's elements are; only their values matter. ValueError on what is no address."""
    # A lone IPv4 address has one way only in which nft prints it.
    return frozenset(one if _is_plain(one) else canonical_member(_text(one)) for one in listed)


def _is_plain(element: Any) -> bool:  # noqa: ANN401 (JSON)
    return isinstance(element, str) and _IPV4.match(element) is not None


def _text(element: Any) -> str:  # noqa: ANN401 (JSON)
    match _value(element):
        case str(text):
            return text
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            return f"{address}/{length}"
        case {"range": [str(first), str(last)]}:
            return f"{first}-{last}"
        case other:
            raise ValueError(f"{other!r} is no address")


def _value(element: Any) -> Any:  # noqa: ANN401
    match element:
        case {"elem": {"val": value}}:
            return value
    return element


def marks(listed: Iterable[Any]) -> Mapping[str, str]:
    """Elements with their comments."""
    found = {}
    for one in listed:
        match one:
            case {"elem": {"val": str(value), "comment": str(comment)}}:
                found[value] = comment
    return found


def port_elements(spans: Iterable[PortRange]) -> list[Element]:
    """Ports as nft takes them."""
    return [span.first if span.first == span.last else {"range": [span.first, span.last]} for span in spans]


def read_ports(listed: Iterable[Any]) -> tuple[PortRange, ...]:
    """The ports that a set's elements are. ValueError on what is no port."""
    found = []
    for one in listed:
        match _value(one):
            case int(port):
                found.append(PortRange(port, port))
            case {"range": [int(first), int(last)]}:
                found.append(PortRange(first, last))
            case other:
                raise ValueError(f"{other!r} is no port")
    return merged(found)
