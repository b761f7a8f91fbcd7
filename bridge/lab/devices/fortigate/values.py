"""Addresses, ports, moments: what FortiOS takes for one, and how it writes it back.

`subnet` reads back as address and mask with a space between, networks of IPv6 in short form with their length.
"""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from bridge.lab.devices.fortigate.answers import BAD_ADDRESS, BAD_MASK, FortiError, bad_value

_HOST = re.compile(
    r"(?=.{1,255}\Z)(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?\Z"
)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MOMENT = "%H:%M %Y/%m/%d"


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses from `low` to `high`, both included."""

    version: int
    low: int
    high: int

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether the address is one of them."""
        return self.version == address.version and self.low <= int(address) <= self.high


def subnet(attribute: str, value: object) -> str:
    """`10.0.0.0/8`, `10.0.0.0 255.0.0.0` or `10.0.0.1` → address, space, mask; bits beyond the mask are cut off."""
    text = str(value).strip().replace(" ", "/")
    address, _, mask = text.partition("/")
    ipv4(attribute, address)
    try:
        network = ip_network(f"{address}/{mask or 32}", strict=False)
    except ValueError:
        raise FortiError(500, BAD_MASK, f"invalid netmask in {attribute}") from None
    return f"{network.network_address} {network.netmask}"


def ipv4(attribute: str, value: object) -> str:
    """One IPv4 address."""
    try:
        return str(IPv4Address(str(value)))
    except ValueError:
        raise FortiError(500, BAD_ADDRESS, f"invalid ip address in {attribute}") from None


def ipv6(attribute: str, value: object) -> str:
    """One IPv6 address."""
    try:
        return str(IPv6Address(str(value)))
    except ValueError:
        raise FortiError(500, BAD_ADDRESS, f"invalid ip address in {attribute}") from None


def prefix6(attribute: str, value: object) -> str:
    """`2001:db8::/32`; a bare address is a host."""
    try:
        network = ip_network(str(value), strict=False)
    except ValueError:
        raise FortiError(500, BAD_ADDRESS, f"invalid prefix in {attribute}") from None
    if network.version != 6:
        raise FortiError(500, BAD_ADDRESS, f"invalid prefix in {attribute}")
    return str(network)


def fqdn(attribute: str, value: object) -> str:
    """A domain name, with a star in front or without."""
    text = str(value)
    if not _HOST.match(text):
        raise bad_value(attribute, value)
    return text


def ports(attribute: str, value: object) -> str:
    """`80 443 8000-8010:1024-65535`: destination ports, after a colon source ports; empty for none."""
    return " ".join(_port_pair(attribute, one) for one in str(value).split())


def _port_pair(attribute: str, text: str) -> str:
    for part in text.split(":", 1):
        low, high = _bounds(attribute, part)
        if high < low:
            raise bad_value(attribute, text)
    return text


def _bounds(attribute: str, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise bad_value(attribute, text)
    low, high = int(first), int(last or first)
    if not (0 <= low <= 65535 and 0 <= high <= 65535):
        raise bad_value(attribute, text)
    return low, high


@lru_cache(maxsize=4096)
def port_spans(text: str) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Destination and source ports of each part of a port range."""
    spans = []
    for part in text.split():
        there, _, here = part.partition(":")
        spans.append((_bounds("", there), _bounds("", here) if here else (0, 65535)))
    return tuple(spans)


def clock(attribute: str, value: object) -> str:
    """`HH:MM`."""
    if not _CLOCK.match(str(value)):
        raise bad_value(attribute, value)
    return str(value)


def moment(attribute: str, value: object) -> str:
    """`HH:MM YYYY/MM/DD`, in the time of the box."""
    try:
        return shown(str(value)).strftime(_MOMENT)
    except ValueError:
        raise bad_value(attribute, value) from None


def shown(text: str) -> datetime:
    """What a clock shows at the edge of a one-time schedule."""
    return datetime.strptime(text, _MOMENT)  # noqa: DTZ007 (which moment that is depends on the box)


def instant(text: str, zone: tzinfo) -> float:
    """When a clock of the zone shows this first, in seconds since 1970."""
    return shown(text).replace(tzinfo=zone).timestamp()


def days(attribute: str, value: object) -> str:
    """Names of days with spaces between, or `none`; in the order of the week, Sunday first."""
    given = set(str(value).split())
    if given == {"none"}:
        return "none"
    if not given or given - set(DAYS):
        raise bad_value(attribute, value)
    return " ".join(day for day in (DAYS[-1], *DAYS[:-1]) if day in given)


@lru_cache(maxsize=400_000)
def entry_span(text: str) -> Span | None:
    """What an entry of a feed stands for: an address, a prefix (host bits are taken) or a range; None for what is none of these."""
    try:
        if "-" in text:
            first, last = (ip_address(part.strip()) for part in text.split("-", 1))
            if first.version != last.version or int(last) < int(first):
                return None
            return Span(first.version, int(first), int(last))
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return Span(network.version, int(network.network_address), int(network.broadcast_address))


@lru_cache(maxsize=100_000)
def number(address: str) -> IPv4Address | IPv6Address:
    """The address of a text, made once."""
    return ip_address(address)
