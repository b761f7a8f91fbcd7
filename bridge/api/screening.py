"""Which requests are taken at all: meant for us, and not sent by another site's page in somebody's browser."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.api.documents import Problem, ProblemJson

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
LARGEST: Final = 256 << 10  # bytes of a body: decisions and forms are small
_READING: Final = ("GET", "HEAD", "OPTIONS")
_PREFIX: Final = "/api/"


class Screened:
    """An application that only sees requests which are meant for it.

    The Host header has to be one of `hosts` (names and addresses, without port): a name that somebody else made lead here gets nothing.
    What changes something has to come from a page of ours or from no page at all. No body is longer than LARGEST.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = refusal(scope["method"], scope["path"], Headers(scope=scope), self._hosts)
        if refused:
            await ProblemJson(refused, refused.status)(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive), send)


def refusal(method: str, path: str, headers: Mapping[str, str], hosts: frozenset[str]) -> Problem | None:
    """Why the request is not taken; None: it is."""
    if host_of(headers.get("host", "")) not in hosts:
        return Problem(status=400, title="Not a name of this place", detail="api.hosts lists the names it is known by")
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > LARGEST:
        return Problem(status=413, title="Too long", detail=f"a body has at most {LARGEST} bytes")
    words = _foreign(headers) if method in _READING else _meant(path, headers)
    if words:
        return Problem(status=403, title="Sent by another site", detail=words)
    if method not in _READING and path.startswith(_PREFIX) and not _as_json(headers):
        return Problem(status=415, title="Not JSON", detail="send it as application/json")
    return None


def host_of(header: str) -> str:
    """The name or address of a Host header, without port, brackets and the final dot; "" for one that makes no sense."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return ""
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return ""
    found = (parts.hostname or "").removesuffix(".")
    try:
        return str(ip_address(found))
    except ValueError:
        return found


def _foreign(headers: Mapping[str, str]) -> str:
    """Another site may lead here, and may not have something of ours in its pages."""
    embedded = headers.get("sec-fetch-mode", "navigate") != "navigate"
    if embedded and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "another site may not read this"
    return ""


def _meant(path: str, headers: Mapping[str, str]) -> str:
    """What changes something was sent by a page of this very origin, or, to the API, by a program."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site not in (None, "same-origin") or (origin is not None and not _same(origin, headers.get("host", ""))):
        return "what changes something is taken from a page of ours only"
    if origin is None and site is None and not path.startswith(_PREFIX):
        return "the browser does not say which page this is from; programs call the API"
    return ""


def _same(origin: str, host: str) -> bool:
    """The scheme may differ, where something in front of us speaks TLS for us."""
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and place.lower() == host.lower()


def _as_json(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type")
    if kind is None:  # without a body nothing needs to be said
        return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return kind.partition(";")[0].strip().lower() == "application/json"


def _bounded(receive: Receive) -> Receive:
    """A body whose length nobody stated is counted as it comes."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST:
            raise HTTPException(413, "Too long")
        return message

    return bounded
