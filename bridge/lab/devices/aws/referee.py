"""What the security groups decide about a packet that comes in at an interface.

Groups on one interface are united: a packet is let in when one ingress rule of one of them matches. Nothing is denied by a rule;
what no rule matches stays out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from bridge.lab.devices.aws.item import Rule, State, peer_kind

_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet; `protocol` by its number, `icmp` is type and code."""

    source: str
    destination: str
    protocol: int
    port: int = 0
    icmp: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it comes in, and by which rules; `worn` is False where no interface has the destination."""

    allowed: bool
    rules: tuple[str, ...] = ()
    worn: bool = True


Interfaces = Mapping[str, Sequence[str]]
"""Ids of security groups by the prefix of the addresses that wear them."""


def judge(state: State, interfaces: Interfaces, packet: Packet) -> Decision:
    """The decision, by every rule that lets the packet in."""
    groups = {name for prefix, names in interfaces.items() if _within(prefix, packet.destination) for name in names}
    if not groups:
        return Decision(False, worn=False)
    found = tuple(rule.id for rule in state.rules() if rule.group in groups and _admits(state, rule, packet))
    return Decision(bool(found), found)


def dangling(state: State) -> Iterator[str]:
    """Rules whose prefix list or security group is not there."""
    for rule in state.rules():
        if peer_kind(rule.peer) in ("list", "group") and rule.peer not in state:
            yield f"{rule.id} -> {rule.peer}"


def _admits(state: State, rule: Rule, packet: Packet) -> bool:
    return (
        not rule.egress
        and _carries(rule, packet)
        and any(_within(one, packet.source) for one in _prefixes(state, rule))
    )


def _prefixes(state: State, rule: Rule) -> Iterator[str]:
    kind = peer_kind(rule.peer)
    if kind == "list":
        found = state.prefix_list(rule.peer)
        yield from (prefix for prefix, _ in (found.entries if found else ()))
    elif kind != "group":  # who wears a group is seen by the interface, not by the address
        yield rule.peer


def _carries(rule: Rule, packet: Packet) -> bool:
    if rule.protocol == "-1":
        return True
    number = _NUMBERS.get(rule.protocol)
    if packet.protocol != (number if number is not None else int(rule.protocol)):
        return False
    if rule.protocol in ("tcp", "udp"):
        return rule.low <= packet.port <= rule.high
    if rule.protocol in ("icmp", "icmpv6"):
        kind, code = packet.icmp or (-1, -1)
        return rule.low in (-1, kind) and rule.high in (-1, code)
    return True


@lru_cache(maxsize=65_536)
def _within(prefix: str, address: str) -> bool:
    network, one = ip_network(prefix), ip_address(address)
    return network.version == one.version and one in network
