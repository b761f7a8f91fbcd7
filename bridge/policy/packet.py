"""One packet, what can become of it, and whether it goes to an external service."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bridge.model import addresses
from bridge.model.policy import ExternalService, IcmpType, Protocol, Ref, Tier, Traffic


class Verdict(StrEnum):
    """What becomes of a packet; one that nothing matches goes on to whatever the device's owner has behind our rules."""

    ALLOW = "Allow"
    DENY = "Deny"
    REJECT = "Reject"
    UNMATCHED = "unmatched"

    @property
    def stops(self) -> bool:
        """Whether the packet goes no further."""
        return self in (Verdict.DENY, Verdict.REJECT)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as the device sees it, with canonical addresses; `port` is 0 where the protocol has none.

    `icmp` is of ICMP and ICMPv6, type and code; `number` tells which protocol OTHER is.
    """

    source: str
    destination: str
    protocol: Protocol
    port: int = 0
    icmp: IcmpType | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the packet, by which rule (None: the default, or nothing of ours), and the rules that matched on the way."""

    verdict: Verdict
    rule: Ref | None = None
    tier: Tier | None = None
    passed: tuple[Ref, ...] = ()
    why: str = ""


Resolve = Callable[[str, str], bool]
"""Whether a name stands for an address."""


def no_names(_name: str, _address: str) -> bool:
    """No name stands for any address."""
    return False


def reaches(service: ExternalService, packet: Packet, resolve: Resolve = no_names) -> bool:
    """Whether the packet goes to this external service."""
    meant = within(service.addresses, packet.destination) or any(
        resolve(name, packet.destination) for name in service.fqdns
    )
    return meant and any(carries(traffic, packet) for traffic in service.traffic)


def carries(traffic: Traffic, packet: Packet) -> bool:
    """Whether the packet is of this protocol and to one of these ports, or of one of these types."""
    if traffic.protocol is Protocol.ANY:
        return True
    if (traffic.protocol, traffic.number) != (packet.protocol, packet.number):
        return False
    if traffic.icmp:
        return any(_is_of(packet.icmp, one) for one in traffic.icmp)
    return not traffic.ports or any(ports.first <= packet.port <= ports.last for ports in traffic.ports)


def _is_of(message: IcmpType | None, meant: IcmpType) -> bool:
    return message is not None and message.type == meant.type and meant.code in (None, message.code)


def within(members: tuple[str, ...], address: str) -> bool:
    """Whether the address is one of these members."""
    return addresses.overlap(members, (address,))
