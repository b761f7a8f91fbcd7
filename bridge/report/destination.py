"""Where a packet is to go, as people write it: `203.0.113.7`, `203.0.113.7:443`, `[2001:db8::7]:53/udp`, `api.example.com:8443/tcp`,
`203.0.113.7/icmp:8/0`, `203.0.113.7/47`.

A port without a protocol is one of TCP. Without both, the whole of the traffic is meant; so it is with a protocol alone, of that.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_network

from bridge.model.addresses import canonical_address
from bridge.model.policy import NUMBERS, IcmpType, PortRange, Protocol, Traffic
from bridge.policy.evaluate import Packet
from bridge.policy.region import What, what

FORMS = (
    "HOST|IP[:PORT][/PROTOCOL]: 203.0.113.7:443, [2001:db8::7]:53/udp, api.example.com:443, 203.0.113.7/icmp:8/0, "
    "203.0.113.7/47; protocols are tcp, udp, sctp, icmp, icmpv6 and numbers from 1 to 254"
)
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*", re.IGNORECASE | re.ASCII)
_WITH_PORTS = {"tcp": Protocol.TCP, "udp": Protocol.UDP, "sctp": Protocol.SCTP}
_ICMP = {"icmp": Protocol.ICMP, "icmpv6": Protocol.ICMPV6}
_NAMED = {number: protocol for protocol, number in NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Destination:
    """One host and the traffic to it. `address` is "" for a host that was named; `traffic` ANY is all there is."""

    host: str
    address: str
    traffic: Traffic

    @property
    def what(self) -> What:
        """The traffic as a set."""
        return what([self.traffic])

    @property
    def exact(self) -> bool:
        """Whether it is one kind of packet, so that there is one answer."""
        traffic = self.traffic
        if traffic.protocol is Protocol.OTHER:
            return True
        return any(span.first == span.last for span in traffic.spans)

    @property
    def wording(self) -> str:
        """The traffic as people read it: `TCP 443`, `ICMP 8/0`, `IP 47`; `any traffic`."""
        return "any traffic" if self.traffic.protocol is Protocol.ANY else traffic_text(self.traffic)

    def packet(self, source: str, address: str) -> Packet:
        """The packet to that address, where it is exact."""
        traffic = self.traffic
        port = traffic.ports[0].first if traffic.ports else 0
        return Packet(
            source, address, traffic.protocol, port, traffic.icmp[0] if traffic.icmp else None, traffic.number
        )


def traffic_text(traffic: Traffic) -> str:
    """One line of traffic."""
    if traffic.protocol is Protocol.OTHER:
        return f"IP {traffic.number}"
    more = ", ".join(str(one) for one in (*traffic.ports, *traffic.icmp))
    return f"{traffic.protocol} {more}" if more else str(traffic.protocol)


def destination(text: str) -> Destination:
    """What these words mean; ValueError says what is wrong with them."""
    place, _, protocol = text.strip().partition("/")
    host, port = _place(place)
    host = host.rstrip(".")
    address = _address(host)
    if not address and not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is neither an address nor the name of a host; write {FORMS}")
    if (
        address
        and protocol.isdecimal()
        and len(protocol) <= 3
        and not port
        and _looks_like_prefix(address, int(protocol))
    ):
        raise ValueError(
            f"{text} is a prefix: ask for one address; for IP protocol {protocol} write {address}/ip:{protocol}"
        )
    return Destination(address or host.lower(), address, _traffic(port, protocol.lower()))


def _place(text: str) -> tuple[str, str]:
    """Host and port, "" for none."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is no address in brackets with a port")
        return host, _port(rest[1:]) if rest else ""
    if text.count(":") > 1:
        return text, ""
    host, colon, port = text.partition(":")
    return host, _port(port) if colon else ""


def _port(text: str) -> str:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is no port: write a number from 1 to 65535")
    return text


def _address(host: str) -> str:
    try:
        return canonical_address(host)
    except ValueError as error:
        if ":" in host or re.fullmatch(r"[\d.]+", host):
            raise ValueError(f"{error}; write {FORMS}") from None
        return ""


def _looks_like_prefix(address: str, bits: int) -> bool:
    most = 128 if ":" in address else 32
    return (bits == 0 or 8 <= bits <= most) and str(
        ip_network(f"{address}/{bits}", strict=False).network_address
    ) == address


def _traffic(port: str, protocol: str) -> Traffic:
    word, _, more = protocol.partition(":")
    if word == "ip" or word.isdigit():
        number = _number(more if word == "ip" else word)
        word, more = _NAMED[number].lower() if number in _NAMED else str(number), ""
    if port and word not in ("", *_WITH_PORTS):
        raise ValueError(f"{word} has no ports")
    if not word:
        return Traffic(Protocol.TCP, (PortRange(int(port), int(port)),)) if port else Traffic(Protocol.ANY)
    if word in _WITH_PORTS:
        if more:
            raise ValueError(f"{protocol!r}: a port stands before the protocol: {FORMS}")
        return Traffic(_WITH_PORTS[word], (PortRange(int(port), int(port)),) if port else ())
    if word in _ICMP:
        return Traffic(_ICMP[word], icmp=_icmp(more))
    if word.isdigit():
        return Traffic(Protocol.OTHER, number=int(word))
    raise ValueError(f"{protocol!r} is no protocol; write {FORMS}")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 0 < int(text) < 255:
        raise ValueError(f"{text!r} is no protocol: write a number from 1 to 254")
    return int(text)


def _icmp(text: str) -> tuple[IcmpType, ...]:
    if not text:
        return ()
    kind, slash, code = text.partition("/")
    if not _is_byte(kind) or (slash and not _is_byte(code)):
        raise ValueError(f"{text!r} is no type of ICMP: write 8, or 3/4 with its code")
    return (IcmpType(int(kind), int(code) if slash else None),)


def _is_byte(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 256
