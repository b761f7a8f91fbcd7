"""Ports and protocols as services of FortiOS, and back. Pure.

A set of ports is three services, one for each protocol that has ports, for a service says both at once. What else a line can match is a
shared service called by a word: `any`, `tcp`, `udp`, `sctp` (whatever port), `icmp`, `icmp-8`, `icmp-8-0`, `icmp6-…`, `ip-47`.
"""

from typing import Any

from adapters.fortigate import wire
from bridge.model.intent import RuleEntry
from bridge.model.policy import NUMBERS, IcmpType, PortRange, Protocol
from bridge.model.ports import merged

Json = dict[str, Any]

SERVICE = "firewall.service/custom"
ANY = "any"
PORTED = {Protocol.TCP: "tcp", Protocol.UDP: "udp", Protocol.SCTP: "sctp"}
TYPED = {Protocol.ICMP: "icmp", Protocol.ICMPV6: "icmp6"}
_BARE = {ANY: 0, **{word: NUMBERS[protocol] for protocol, word in PORTED.items()}}
_BY_WORD = {word: protocol for protocol, word in (PORTED | TYPED).items()}
_PROTOCOLS = {"icmp": "ICMP", "icmp6": "ICMP6"}


def port_text(ports: tuple[PortRange, ...]) -> str:
    """Ports as FortiOS writes them."""
    return " ".join(map(str, ports))


def port_body(protocol: str, ports: tuple[PortRange, ...]) -> Json:
    """The service of a set of ports for one protocol; `protocol` itself has another spelling in each version, and this default."""
    return {f"{one}-portrange": port_text(ports) if one == protocol else "" for one in PORTED.values()}


def read_ports(one: wire.Service, protocol: str) -> tuple[PortRange, ...]:
    """The ports of such a service; none for what we would never write."""
    ranges = {"tcp": one.tcp_portrange, "udp": one.udp_portrange, "sctp": one.sctp_portrange}
    text = ranges.pop(protocol)
    if any(ranges.values()) or not one.protocol.startswith("TCP/UDP"):
        return ()
    found = []
    for part in text.split():
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            return ()
        found.append(PortRange(int(first), int(last or first)))
    return merged(found)


def words(entry: RuleEntry) -> tuple[str, ...]:
    """The shared services that a line without ports matches."""
    if entry.icmp:
        return tuple(_typed(TYPED[entry.protocol], one) for one in entry.icmp)
    if entry.protocol is Protocol.OTHER:
        return (f"ip-{entry.number}",)
    return (ANY if entry.protocol is Protocol.ANY else (PORTED | TYPED)[entry.protocol],)


def body(what: str) -> Json:
    """What makes a service stand for the word."""
    name, *numbers = what.split("-")
    if name in _PROTOCOLS:
        kind, code = (*map(int, numbers), "", "")[:2]
        return {"protocol": _PROTOCOLS[name], "icmptype": kind, "icmpcode": code}
    return {"protocol": "IP", "protocol-number": int(numbers[0]) if numbers else _BARE[name]}


def word(one: wire.Service) -> str:
    """What a service stands for; empty for what we would never write."""
    if one.protocol in _PROTOCOLS.values():
        name = next(name for name, protocol in _PROTOCOLS.items() if protocol == one.protocol)
        return "-".join((name, *(str(number) for number in (one.icmptype, one.icmpcode) if number != "")))
    if one.protocol != "IP" or not str(one.protocol_number).isdecimal():
        return ""
    number = int(one.protocol_number)
    return next((word for word, bare in _BARE.items() if bare == number), f"ip-{number}")


def traffic(what: str) -> tuple[Protocol, tuple[IcmpType, ...], int] | None:
    """Protocol, types and number of a line that names this shared service; None when no line does."""
    name, *numbers = what.split("-")
    if not all(number.isdecimal() for number in numbers) or len(numbers) > 2:
        return None
    if name == "ip" and len(numbers) == 1:
        return Protocol.OTHER, (), int(numbers[0])
    if name == ANY and not numbers:
        return Protocol.ANY, (), 0
    protocol = _BY_WORD.get(name)
    if protocol is None or (numbers and protocol not in TYPED):
        return None
    types = (IcmpType(int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else None),) if numbers else ()
    return protocol, types, 0


def _typed(name: str, one: IcmpType) -> str:
    return f"{name}-{one.type}" if one.code is None else f"{name}-{one.type}-{one.code}"
