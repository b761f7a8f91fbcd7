"""Addresses, ports, names: what a BIG-IP takes for one, and how it writes it back.

Hosts are written without /32 and /128, IPv6 in its short form (canonical text, so that one address has one spelling).
A `%n` names a route domain: `10.0.0.1%2`, `10.0.0.0%2/24`, `10.0.0.1%2-10.0.0.9%2`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NAME = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_.:\- ]*\Z")
_HOST = re.compile(
    r"(?=.{1,255}\Z)(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?\Z"
)
_DOMAIN_MAX = 65534

PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "ospf": 89,
    "sctp": 132,
    "udplite": 136,
}
WITH_PORTS = frozenset({"tcp", "udp", "sctp", "udplite"})


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses from `low` to `high`, both included, of one route domain; `domain` None when none was written."""

    version: int
    low: int
    high: int
    domain: int | None


@lru_cache(maxsize=300_000)
def canonical_address(text: str) -> str:
    """The device's own spelling. ValueError for what is no address, no network without host bits, no forward range."""
    if "-" in text:
        return _canonical_range(text)
    bare, domain = _split_domain(text)
    if "/" not in bare:
        return f"{ip_address(bare)}{domain}"
    length = bare.rpartition("/")[2]
    if not length.isdecimal():
        raise ValueError("the prefix length is no number")
    network = ip_network(bare)
    if network.prefixlen == network.max_prefixlen:
        return f"{network.network_address}{domain}"
    return f"{network.network_address}{domain}/{network.prefixlen}"


def _canonical_range(text: str) -> str:
    first, _, last = text.partition("-")
    low, low_domain = _host(first)
    high, high_domain = _host(last)
    if low.version != high.version or low_domain != high_domain:
        raise ValueError("a range has two ends of one kind")
    if int(high) < int(low):
        raise ValueError("the range runs backwards")
    return f"{low}{low_domain}-{high}{high_domain}"


def _host(text: str) -> tuple[IPv4Address | IPv6Address, str]:
    bare, domain = _split_domain(text.strip())
    return ip_address(bare), domain


def _split_domain(text: str) -> tuple[str, str]:
    address, mark, rest = text.partition("%")
    if not mark:
        return text, ""
    number, slash, length = rest.partition("/")
    if not number.isdecimal() or int(number) > _DOMAIN_MAX:
        raise ValueError("the route domain is no number from 0 to 65534")
    return address + slash + length, f"%{int(number)}"


@lru_cache(maxsize=300_000)
def span(text: str) -> Span:
    """The addresses that a canonical text names."""
    if "-" in text:
        first, _, last = text.partition("-")
        low, domain = _host(first)
        high, _ = _host(last)
        return Span(low.version, int(low), int(high), _number(domain))
    bare, domain = _split_domain(text)
    network = ip_network(bare)
    return Span(network.version, int(network.network_address), int(network.broadcast_address), _number(domain))


def _number(domain: str) -> int | None:
    return int(domain[1:]) if domain else None


@lru_cache(maxsize=70_000)
def canonical_port(text: str) -> str:
    """`80` or `80-90`. ValueError for anything else; names of services are not taken."""
    first, dash, last = text.partition("-")
    low, high = _port(first), _port(last if dash else first)
    if high < low:
        raise ValueError("the range runs backwards")
    return f"{low}-{high}" if dash else str(low)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


def canonical_icmp(text: str) -> str:
    """`type` or `type:code`, each 0 to 255."""
    kind, colon, code = text.partition(":")
    for part in (kind, code) if colon else (kind,):
        if not part.isdecimal() or int(part) > 255:
            raise ValueError("an ICMP type is a number from 0 to 255, with :code or without")
    return text


def canonical_protocol(text: str) -> str:
    """`any`, a name the device knows, or the number of a protocol; numbers with a name become the name."""
    if text == "any" or text in PROTOCOLS:
        return text
    if not text.isdecimal() or int(text) > 255:
        raise ValueError("unknown protocol")
    return next((name for name, number in PROTOCOLS.items() if number == int(text)), text)


def protocol_number(name: str) -> int:
    """The number of a canonical protocol that is not `any`."""
    return PROTOCOLS[name] if name in PROTOCOLS else int(name)


def canonical_fqdn(text: str) -> str:
    """A domain name in lower case."""
    if not _HOST.match(text):
        raise ValueError("no domain name")
    return text.lower().rstrip(".")


def valid_name(text: str) -> bool:
    """Whether an object may be called so."""
    return bool(_NAME.match(text)) and "/" not in text
