"""One HTTP request and its answer, on bare ASGI: parameters in, JSON out, bytes counted."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import yaml

from bridge.lab.apiserver.faults import Entry, Fault
from bridge.lab.apiserver.kinds import Json
from bridge.lab.apiserver.refusal import Refusal, bad_request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_JSON: Final = (b"content-type", b"application/json")
_GZIP_FROM: Final = 128 * 1024  # the real server leaves smaller answers alone


class Exchange:
    """A request under way. `entry` is its line in the request log."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        self.headers: dict[str, str] = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.drip: Fault | None = None
        self.gzip = False
        self.entry = Entry(0.0, "", "", self.path, scope["query_string"].decode(), self.headers.get("user-agent", ""))
        self._transport: asyncio.Transport = scope["extensions"]["lab.transport"]["transport"]
        self._receive = receive
        self._send = send

    def flag(self, name: str) -> bool:
        """A boolean parameter."""
        return self.query.get(name, "").lower() in ("1", "true", "t")

    def integer(self, name: str) -> int:
        """A number parameter, 0 for none. Raises Refusal 400."""
        text = self.query.get(name, "") or "0"
        if not text.isdecimal():
            raise bad_request(f"invalid value for {name}: {text!r}")
        return int(text)

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return self.headers.get("content-type", "").partition(";")[0].strip()

    async def body(self) -> Json:
        """The decoded JSON or YAML body, None when there is none. Raises Refusal 400, 415."""
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        raw = b"".join(parts)
        self.entry.received = len(raw)
        if not raw:
            return None
        if "protobuf" in self.content_type:
            raise Refusal(415, "UnsupportedMediaType", "this server takes JSON and YAML")
        try:
            return yaml.safe_load(raw) if "yaml" in self.content_type and raw[:1] != b"{" else msgspec.json.decode(raw)
        except (msgspec.MsgspecError, yaml.YAMLError) as error:
            raise bad_request(f"the body cannot be read: {error}") from error

    async def answer(self, body: bytes, status: int = 200, *, retry_after: int | None = None) -> None:
        """Send a whole JSON body."""
        extra = [(b"retry-after", b"%d" % retry_after)] if retry_after is not None else []
        await self._begin(status, [(b"content-length", b"%d" % len(body)), *extra])
        await self._write(body, more=False)

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal."""
        await self.answer(refusal.body(), refusal.code, retry_after=refusal.retry_after)

    async def stream(self, parts: Iterable[bytes]) -> None:
        """Send a large JSON body piece by piece, compressed where that was asked for and this server may."""
        if not self.gzip or "gzip" not in self.headers.get("accept-encoding", ""):
            await self._begin(200, [])
            for part in parts:
                await self._write(part, more=True)
            return await self._write(b"", more=False)
        await self._begin(200, [(b"content-encoding", b"gzip")])
        packer = zlib.compressobj(1, wbits=31)
        for part in parts:
            await self._write(packer.compress(part), more=True)
        return await self._write(packer.flush(), more=False)

    async def open(self) -> None:
        """Begin an answer whose end is not known: a watch."""
        await self._begin(200, [])

    async def write(self, part: bytes) -> None:
        """Go on with it."""
        await self._write(part, more=True)

    async def close(self) -> None:
        """End it properly."""
        await self._write(b"", more=False)

    async def gone(self) -> None:
        """Wait until the client is gone; only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def reset(self) -> None:
        """Break the connection off."""
        self._transport.abort()

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.entry.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [_JSON, *headers]})

    async def _write(self, part: bytes, *, more: bool) -> None:
        self.entry.bytes += len(part)
        if (drip := self.drip) is not None:
            for start in range(0, len(part), drip.size):
                await self._send(
                    {"type": "http.response.body", "body": part[start : start + drip.size], "more_body": True}
                )
                await asyncio.sleep(drip.delay)
            part = b""
        if part or not more:
            await self._send({"type": "http.response.body", "body": part, "more_body": more})
