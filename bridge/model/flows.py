"""Flows that a device tracks, each told so exactly that closing it can close no other."""

from dataclasses import dataclass
from ipaddress import ip_address

from bridge.model.addresses import canonical_address
from bridge.model.policy import WITH_PORTS, Protocol


@dataclass(frozen=True, slots=True)
class Flow:
    """One tracked flow, from who opened it to whom, with addresses as the device sees them where it decides.

    Only of a protocol with ports: no flow of another can be told exactly, and they end by themselves.

    There is no flow without a source, nor with anything else left open: ValueError where an address is not one single address of a host,
    both of one family, where a port is not of 1 to 65535, or where the protocol has no ports. Addresses become canonical.
    """

    source: str
    destination: str
    protocol: Protocol
    source_port: int
    port: int

    def __post_init__(self) -> None:
        for side in ("source", "destination"):
            object.__setattr__(self, side, _host(side, getattr(self, side)))
        if (":" in self.source) != (":" in self.destination):
            raise ValueError(f"{self.source} and {self.destination} are of two families")
        if self.protocol not in WITH_PORTS:
            raise ValueError(f"{self.protocol} has no ports, so a flow of it cannot be told from others")
        for port in (self.source_port, self.port):
            if not 1 <= port <= 65535:
                raise ValueError(f"{port} is no port")

    def __str__(self) -> str:
        return f"{self.protocol} {_end(self.source, self.source_port)} -> {_end(self.destination, self.port)}"


def _host(side: str, text: str) -> str:
    address = canonical_address(text)
    parsed = ip_address(address)
    if parsed.is_unspecified or parsed.is_multicast:
        raise ValueError(f"{address} as {side} is no single host")
    return address


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
