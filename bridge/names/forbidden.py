"""Answers that do not count: no name may lead a rule to these, whoever controls its zone (SEMANTICS 4)."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from bridge.model.addresses import Ranges

_METADATA = {
    "169.254.169.254": "the cloud's metadata service",
    "fd00:ec2::254": "the cloud's metadata service",
    "fd20:ce::254": "the cloud's metadata service",
    "100.100.100.200": "the cloud's metadata service",
    "168.63.129.16": "the cloud's metadata service",
}
_RANGES = tuple(
    (ip_network(prefix), why)
    for prefix, why in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("fe80::/10", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("0.0.0.0/8", "unspecified"),
        ("::/128", "unspecified"),
        ("::ffff:0:0/96", "an IPv4 address written as IPv6"),
    )
)
_TRANSLATED = ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address


class Forbidden:
    """Knows which answers do not count in one cluster, whose internal prefixes are `internal`."""

    def __init__(self, internal: Iterable[str]) -> None:
        self._internal = Ranges(internal)

    def __call__(self, address: str) -> str:
        """Why a canonical address does not count; "" when it does."""
        known = ip_address(address)
        if address in _METADATA:
            return _METADATA[address]
        for prefix, why in _RANGES:
            if known in prefix:
                return why
        if address in self._internal:
            return "inside the cluster"
        if isinstance(known, IPv6Address) and known in _TRANSLATED:
            return self(str(ip_address(int(known) & 0xFFFFFFFF)))
        return ""
