"""The connections that a BIG-IP tracks, as `sys/connection` shows and deletes them.

The answer is of the form that real devices give (seen of 14.1 in public tests of a parser), and public clients use one option of the query,
`options=cs-server-addr+10.0.0.1`. That several options are taken is a guess after tmsh, where they are. A DELETE without options closes
every connection, as tmsh does.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs

from bridge.lab.devices.bigip.answers import SYNTAX, ApiError, encode
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.bigip.show import VERSION

_HOST = "https://localhost/mgmt/tm"
_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "sctp": 132}


@dataclass(frozen=True, slots=True)
class Connection:
    """One of them, opened by a client towards a server. Addresses as the device writes them, with `%n` in other route domains than 0."""

    client: str
    client_port: int
    server: str
    server_port: int
    protocol: str = "tcp"


_OPTIONS = {
    "cs-client-addr": "client",
    "cs-client-port": "client_port",
    "cs-server-addr": "server",
    "cs-server-port": "server_port",
    "protocol": "protocol",
}


@dataclass(slots=True)
class Connections:
    """All of them. `takes` is how many options of a query this version looks at; the rest it passes over."""

    open: list[Connection] = field(default_factory=list)
    takes: int = len(_OPTIONS)

    def handle(self, method: str, query: str) -> bytes:
        """What a call is answered with."""
        meant = [one for one in self.open if _meets(one, self._options(query))]
        if method == "GET":
            return encode(_shown(meant))
        if method != "DELETE":
            raise ApiError(400, "connections are listed and deleted", SYNTAX)
        self.open = [one for one in self.open if one not in meant]
        return b""

    def _options(self, query: str) -> dict[str, str]:
        given = parse_qs(query)
        if given.keys() - {"options", "ver"}:
            raise ApiError(400, f"unknown query parameters {sorted(given)}", SYNTAX)
        words = " ".join(given.get("options", [])).split()
        if len(words) % 2 or not set(words[::2]) <= _OPTIONS.keys():
            raise ApiError(400, f'Syntax Error: unexpected argument "{" ".join(words)}"', SYNTAX)
        return dict(list(zip(words[::2], words[1::2], strict=True))[: self.takes])


def _meets(one: Connection, options: dict[str, str]) -> bool:
    return all(str(getattr(one, _OPTIONS[name])) == value for name, value in options.items())


def _shown(connections: list[Connection]) -> Json:
    link = f"{_HOST}/sys/connection?ver={VERSION}"
    entries = {f"{_HOST}/sys/connection/{place}": _entry(one) for place, one in enumerate(connections)}
    return {"kind": "tm:sys:connection:connectionstats", "selfLink": link} | ({"entries": entries} if entries else {})


def _entry(one: Connection) -> Json:
    values = {
        "connectionId": {"value": 0},
        "csClientAddr": {"description": one.client},
        "csClientPort": {"value": one.client_port},
        "csServerAddr": {"description": one.server},
        "csServerPort": {"value": one.server_port},
        "idleTime": {"value": 1},
        "protocol": {"value": _NUMBERS[one.protocol]},
        "ssClientAddr": {"description": one.client},
        "ssClientPort": {"value": one.client_port},
        "ssServerAddr": {"description": one.server},
        "ssServerPort": {"value": one.server_port},
        "type": {"description": "self"},
    }
    return {"nestedStats": {"entries": values}}
