"""One HTTP call to a simulated device, and its answer, as the device's code sees them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_STATUS_LINE = len("HTTP/1.1 200 OK\r\n\r\n")

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(slots=True)
class Request:
    """One call: `path` as sent (still percent-encoded), `query` raw, header names in lower case. `user` is filled in by the device."""

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes
    user: str = ""
    transaction: str = ""

    def header(self, name: str) -> str:
        """The header's value, empty when it was not sent."""
        return self.headers.get(name.encode(), b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=UTF-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def read_body(receive: Any) -> bytes | None:  # noqa: ANN401 - an ASGI callable
    """The whole body of a call; None when the client went away before it was whole."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def request_size(headers: Headers, request: Request) -> int:
    """The length of the HTTP message as it came: request line, header lines, blank line, body."""
    line = (
        len(request.method)
        + len(request.path)
        + (len(request.query) + 1 if request.query else 0)
        + len("  HTTP/1.1\r\n")
    )
    return line + sum(len(name) + len(value) + 4 for name, value in headers) + 2 + len(request.body)


def answer_size(headers: Headers, body: bytes) -> int:
    """The length of the HTTP message as it goes, but for the length of the status's name."""
    return _STATUS_LINE + sum(len(name) + len(value) + 4 for name, value in headers) + len(body)
