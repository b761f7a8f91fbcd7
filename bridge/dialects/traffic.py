"""What traffic an external service takes: from ports as they are typed to the model's form, in which equal traffic is equal."""

from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from bridge.dialects.specs import PortSpec
from bridge.model.policy import IcmpType, PortRange, Protocol, Traffic
from bridge.model.ports import merged

ANY = (Traffic(Protocol.ANY),)


def traffic(ports: Literal["Any"] | Iterable[PortSpec]) -> tuple[Traffic, ...]:
    """One Traffic per protocol, its ranges sorted, apart from each other and not touching; every port swallows the others.

    Likewise one per protocol of ICMP with its types in order, where a type without a code swallows its codes, and no type all of them.
    """
    if isinstance(ports, str):
        return ANY
    ordered = sorted(ports, key=lambda port: str(port.protocol))
    return tuple(sorted(_of(name, list(group)) for name, group in groupby(ordered, lambda port: port.protocol)))


def _of(protocol: str | int, ports: list[PortSpec]) -> Traffic:
    if isinstance(protocol, int):
        return Traffic(Protocol.OTHER, number=protocol)
    if protocol in (Protocol.ICMP, Protocol.ICMPV6):
        types = {IcmpType(port.type, port.code) for port in ports if port.type is not None}
        whole = any(port.type is None for port in ports)
        return Traffic(Protocol(protocol), icmp=() if whole else _fewest(types))
    ranges = [PortRange(port.port, port.end_port or port.port) for port in ports if isinstance(port.port, int)]
    whole = len(ranges) < len(ports)
    return Traffic(Protocol(protocol)) if whole else Traffic(Protocol(protocol), merged(ranges))


def _fewest(types: Iterable[IcmpType]) -> tuple[IcmpType, ...]:
    listed = set(types)
    return tuple(sorted(one for one in listed if one.code is None or IcmpType(one.type) not in listed))
