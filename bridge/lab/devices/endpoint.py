"""The HTTP endpoint of a simulated device: uvicorn in a thread, TLS, the log of calls, and the faults on the way.

The device itself is one synchronous function from request to answer, so that a call costs little beside the transport
(it shares the machine with the product that is measured against it) and so that its state changes one call at a time.
"""

import asyncio
import json
import socket
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import trustme
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.lab.device import Exchange
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.faults import Fault, Faults
from bridge.lab.devices.message import Answer, Request, answer_size, read_body, request_size

_HANG_LIMIT = 3600.0


@dataclass(slots=True)
class _Call:
    request: Request
    transport: asyncio.Transport
    receive: Any
    send: Any
    began: float
    in_flight: int
    bytes_in: int
    fault: Fault | None = None
    answer: Answer = field(default_factory=lambda: Answer(0))
    bytes_out: int = 0


class _Protocol(HttpToolsProtocol):
    """Lets the application reach its own connection, to cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class Endpoint:
    """Serves `handle` on 127.0.0.1. Calls below `/__lab/` are neither logged nor disturbed.

    `address` is the path by which log, faults and `handle` know a call, where its own does not tell calls apart.
    """

    def __init__(
        self,
        handle: Callable[[Request], Answer],
        *,
        clock: LabClock,
        faults: Faults,
        canned: Mapping[str, Answer],
        tls: bool = True,
        port: int = 0,
        keep: int = 100_000,
        address: Callable[[Request], str] = lambda request: request.path,
    ) -> None:
        self._handle = handle
        self._address = address
        self._clock = clock
        self._faults = faults
        self._canned = canned
        self._port = port
        self._tls = tls
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_flight = 0
        self._count = 0
        self._date: tuple[int, bytes] = (0, b"")
        self.log: deque[Exchange] = deque(maxlen=keep)
        self.latency = 0.0
        self.url = ""
        self.ca: str | None = None
        self.client_ca: str | None = None  # whose certificates callers must show; set before `start`

    def start(self) -> None:
        """Bind and serve; returns when calls are answered."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._serve,
            http=_Protocol,
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=600,
            timeout_graceful_shutdown=2,
        )
        config.load()
        config.ssl = self._context() if self._tls else None
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._run, args=(server, listener), name=f"lab-{self._port}", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the simulated device did not start")
            time.sleep(0.002)

    def stop(self) -> None:
        """Close every connection, end the thread, remove the CA's folder."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop may have ended by itself
                self._loop.call_soon_threadsafe(self._abandon, server)
        server.should_exit = True
        self._thread.join(timeout=10)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def in_flight(self) -> int:
        """Calls that are being answered now."""
        return self._in_flight

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main(server, listener))

    async def _main(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await server.serve(sockets=[listener])

    def _abandon(self, server: uvicorn.Server) -> None:
        """Drop every connection, so that nobody's keep-alive or hanging call holds up the stop."""
        if self._stopping is not None:
            self._stopping.set()
        for connection in list(server.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()

    def _context(self) -> ssl.SSLContext:
        authority = trustme.CA()
        self._folder = tempfile.TemporaryDirectory(prefix="fusion-bridge-lab-")
        path = Path(self._folder.name) / "ca.pem"
        authority.cert_pem.write_to_path(path)
        self.ca = str(path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            context.maximum_version = ssl.TLSVersion.TLSv1_2  # where a refusal is part of the handshake
        return context

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - the ASGI types
        began = time.perf_counter()
        headers = scope["headers"]
        path = scope["raw_path"].decode("ascii")
        body = await read_body(receive)
        if body is None:
            return
        request = Request(scope["method"], path, scope["query_string"].decode("ascii"), dict(headers), body)
        if path.startswith("/__lab/"):
            answer = self._guarded(request)
            await _send(send, answer, self._headers(answer), answer.body)
            return
        request.path = self._address(request)
        self._in_flight += 1
        call = _Call(request, scope["transport"], receive, send, began, self._in_flight, request_size(headers, request))
        try:
            await self._exchange(call)
        finally:
            self._in_flight -= 1

    async def _exchange(self, call: _Call) -> None:
        request = call.request
        call.fault = fault = self._faults.take(request.method, request.path)
        if self.latency:
            await self._wait(self.latency)
        if fault is None:
            call.answer = self._guarded(request)
            await self._reply(call)
            return
        if fault.kind == "slow" and fault.effect == "before":
            await self._wait(fault.seconds)
        if fault.effect == "after" or fault.kind in ("slow", "truncated"):
            call.answer = self._guarded(request)
        await self._disturb(call, fault)

    async def _disturb(self, call: _Call, fault: Fault) -> None:
        if fault.kind in ("hang", "cut"):
            if fault.kind == "hang":
                await self._hang(call, fault.seconds or _HANG_LIMIT)
            self._note(call)
            await _cut(call)
        elif fault.kind == "truncated":
            await self._reply(call, whole=False)
            await _cut(call)
        else:
            if fault.kind == "slow" and fault.effect == "after":
                await self._wait(fault.seconds)
            if fault.kind != "slow":
                call.answer = self._substitute(fault)
            await self._reply(call)

    def _substitute(self, fault: Fault) -> Answer:
        if fault.kind == "garbage":
            return Answer(200, b'{"kind": "tm:sec\x00\xff<<')
        if fault.kind == "answer":
            return Answer(fault.status, fault.body.encode(), fault.content_type)
        return self._canned[fault.kind]

    def _guarded(self, request: Request) -> Answer:
        """A mistake in the simulator must be seen for what it is, not taken for the device's behaviour."""
        try:
            return self._handle(request)
        except Exception as error:  # noqa: BLE001
            text = f"simulator failed: {type(error).__name__}: {error}"
            return Answer(500, json.dumps({"code": 500, "message": text}).encode())

    async def _wait(self, seconds: float) -> None:
        """Let time pass, less when the device stops."""
        if self._stopping is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _hang(self, call: _Call, seconds: float) -> None:
        """Say nothing until the time is over, the client is gone, or the device stops."""
        ends = [asyncio.ensure_future(one) for one in (self._wait(seconds), call.receive())]
        _done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one

    async def _reply(self, call: _Call, *, whole: bool = True) -> None:
        """Send the answer; it is in the log before the client can have it."""
        body = call.answer.body if whole else call.answer.body[: max(1, len(call.answer.body) // 2)]
        headers = self._headers(call.answer)
        call.bytes_out = answer_size(headers, body)
        self._note(call)
        await _send(call.send, call.answer, headers, body)

    def _headers(self, answer: Answer) -> list[tuple[bytes, bytes]]:
        return [
            (b"date", self._http_date()),
            (b"server", b"Jetty(10.0.15)"),
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]

    def _http_date(self) -> bytes:
        second = int(self._clock.now())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]

    def _note(self, call: _Call) -> None:
        self._count += 1
        request = call.request
        self.log.append(
            Exchange(
                number=self._count,
                at=self._clock.now(),
                method=request.method,
                path=request.path,
                query=request.query,
                status=call.answer.status if call.bytes_out else 0,
                bytes_in=call.bytes_in,
                bytes_out=call.bytes_out,
                seconds=time.perf_counter() - call.began,
                user=request.user,
                agent=request.header("user-agent"),
                transaction=request.transaction,
                fault=call.fault.kind if call.fault else "",
                in_flight=call.in_flight,
            )
        )


async def _send(send: Any, answer: Answer, headers: list[tuple[bytes, bytes]], body: bytes) -> None:  # noqa: ANN401
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": len(body) < len(answer.body)})


async def _cut(call: _Call) -> None:
    call.transport.abort()
    await call.receive()  # until the cut is through, or the server takes the silence for a mistake
