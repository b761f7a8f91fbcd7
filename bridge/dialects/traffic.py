"""What traffic an external service takes: from ports as they are typed to the model's form, in which equal traffic is equal."""

from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from bridge.dialects.specs import PortSpec
from bridge.model.policy import PortRange, Protocol, Traffic

ANY = (Traffic(Protocol.ANY),)


def traffic(ports: Literal["Any"] | Iterable[PortSpec]) -> tuple[Traffic, ...]:
    """One Traffic per protocol, its ranges sorted, apart from each other and not touching; every port swallows the others."""
    if isinstance(ports, str):
        return ANY
    ordered = sorted(ports, key=lambda port: port.protocol)
    return tuple(
        sorted(_of(Protocol(name), list(group)) for name, group in groupby(ordered, lambda port: port.protocol))
    )


def _of(protocol: Protocol, ports: list[PortSpec]) -> Traffic:
    ranges = [PortRange(port.port, port.end_port or port.port) for port in ports if isinstance(port.port, int)]
    whole = len(ranges) < len(ports)
    return Traffic(protocol) if whole else Traffic(protocol, merged(ranges))


def merged(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """The same ports in as few ranges as there can be, in order."""
    result: list[PortRange] = []
    for span in sorted(ranges):
        if result and span.first <= result[-1].last + 1:
            result[-1] = PortRange(result[-1].first, max(result[-1].last, span.last))
        else:
            result.append(span)
    return tuple(result)
