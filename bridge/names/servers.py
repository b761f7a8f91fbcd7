"""Which name servers are asked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

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
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return Server(str(ip_address(host)), int(port))


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
            lines = [line.split() for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines()]
        except OSError:
            return ()
        return tuple(_known(line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"))


def _known(addresses: Iterable[str]) -> Iterator[Server]:
    for text in addresses:
        try:
            yield Server(str(ip_address(text)))
        except ValueError:
            continue  # what the system cannot read either
