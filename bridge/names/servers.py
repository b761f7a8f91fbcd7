"""Which name servers are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import dns.exception
import dns.resolver

SYSTEM = Path("/etc/resolv.conf")
_PORT = 53
_LOOK_EVERY = 30.0  # seconds; the file may change under a running process


@dataclass(frozen=True, slots=True)
class Server:
    """One name server."""

    address: str
    port: int = _PORT

    def __str__(self) -> str:
        if self.port == _PORT:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def server(text: str) -> Server:
    """An address, address:port or [address]:port. ValueError for anything else: a name would have to be resolved itself."""
    host, port = text, str(_PORT)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [address]:port")
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    address = str(ip_address(host))
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} has no port between 1 and 65535")
    return Server(address, int(port))


class SystemServers:
    """The servers of the system, read again now and then. None where it names none; search domains do not count, names are absolute."""

    def __init__(self, elapsed: Callable[[], float], path: Path = SYSTEM) -> None:
        self._elapsed = elapsed
        self._path = path
        self._known: tuple[Server, ...] = ()
        self._read_at: float | None = None

    def __call__(self) -> Sequence[Server]:
        """From any thread."""
        now = self._elapsed()
        if self._read_at is None or now - self._read_at >= _LOOK_EVERY:
            self._known, self._read_at = self._read(), now
        return self._known

    def _read(self) -> tuple[Server, ...]:
        try:
            found = dns.resolver.Resolver(str(self._path)).nameservers
        except (dns.exception.DNSException, OSError, ValueError):
            return ()
        return tuple(Server(one) for one in found if isinstance(one, str))
