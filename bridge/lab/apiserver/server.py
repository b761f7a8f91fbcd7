"""The simulated API server as a running thing: a loop in a thread of its own, a port on loopback, credentials, a kubeconfig."""

import asyncio
import contextlib
import secrets
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import trustme
import uvicorn
import uvloop
import yaml
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bridge.lab.apiserver.application import Application
from bridge.lab.apiserver.cluster import LabCluster
from bridge.lab.apiserver.control import Control
from bridge.lab.apiserver.faults import Fault, Faults, RequestLog
from bridge.lab.apiserver.watching import Hub

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 30
_END_SECONDS: Final = 5


class _Protocol(HttpToolsProtocol):
    """Lets the application break its connection off, for faults."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"lab.transport": {"transport": self.transport}}


class ApiServer:
    """Serves a `LabCluster` over HTTP/1.1 on 127.0.0.1, from a thread of its own, until `stop`.

    `token` is the bearer token, random by default. With `tls` the certificate is of a private authority, whose file is `ca`.
    `bookmark_every` is in seconds. `gzip` compresses lists above 128 KB for clients that accept it, as the real server does; it
    is off because it costs more time than loopback does. Files (kubeconfig, authority) live in a private folder that `stop` removes.
    """

    def __init__(
        self,
        cluster: LabCluster,
        *,
        port: int = 0,
        tls: bool = False,
        token: str = "",
        bookmark_every: float = 60.0,
        gzip: bool = False,
    ) -> None:
        self.cluster = cluster
        self.token = token or secrets.token_urlsafe(24)
        self.url = ""
        self.ca: Path | None = None
        self.kubeconfig = Path()
        self._port = port
        self._tls = tls
        self._bookmark_every = bookmark_every
        self._gzip = gzip
        self._context: ssl.SSLContext | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._state = ServerState()

    # Life

    def start(self) -> None:
        """Listen; when this returns, requests are answered. Raises OSError where the port is taken."""
        self._folder = Path(tempfile.mkdtemp(prefix="fusion-bridge-lab-"))
        if self._tls:
            self._certify()
        self._socket = _bound(self._port)
        self._port = self._socket.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://{_HOST}:{self._port}"
        self._write_kubeconfig()
        self._thread = threading.Thread(target=self._run, name="lab-apiserver", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise TimeoutError("the simulated API server did not start")

    def stop(self) -> None:
        """Close every connection and end the thread. Safe to call twice."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def document(self) -> Mapping[str, str | None]:
        """What a client needs: url, kubeconfig, token, path of the authority's certificate or None."""
        return {
            "url": self.url,
            "kubeconfig": str(self.kubeconfig),
            "token": self.token,
            "ca": str(self.ca) if self.ca else None,
        }

    # Watching the clients, and disturbing them

    @property
    def faults(self) -> Faults:
        """The standing faults; `disturb` is the usual way in."""
        return self._application.faults

    @property
    def requests(self) -> RequestLog:
        """What was asked."""
        return self._application.requests

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return self._application.hub.open()

    def disturb(self, fault: Fault) -> None:
        """Order a fault; open watches that it concerns see it at once."""
        self.faults.add(fault)
        self._call(self._application.hub.nudge)

    def calm(self) -> None:
        """Withdraw all faults; open watches go on."""
        self.faults.clear()
        self._call(self._application.hub.nudge)

    def end_watches(self) -> None:
        """End every open watch properly."""
        self._call(self._application.hub.end_all)

    def down(self) -> None:
        """Refuse connections and break the open ones, until `up`."""
        self._call(self._close)

    def up(self) -> None:
        """Listen again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    # The loop's thread

    def _call(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        done.wait(_END_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._listener: asyncio.Server | None = None
        hub = Hub(self._loop)
        self._application = Application(self.cluster, hub, self.token, self._bookmark_every, gzip=self._gzip)
        actions: dict[str, Callable[[float], None]] = {
            "end_watches": lambda _: hub.end_all(),
            "compact": lambda _: self.cluster.compact(),
            "down": self._down_for,
            "up": lambda _: None,
        }
        self._config = uvicorn.Config(
            Control(self._application, actions),
            http=_Protocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_keep_alive=120,
        )
        self._config.load()
        self.cluster.listeners.append(hub.changed)
        await self._listen()
        self._ready.set()
        await self._stopping.wait()
        self.cluster.listeners.remove(hub.changed)
        self._close()
        await self._finish()

    async def _listen(self) -> None:
        if self._listener is not None:
            return
        sock = self._socket if self._socket.fileno() >= 0 else _bound(self._port)
        self._listener = await self._loop.create_server(
            lambda: _Protocol(config=self._config, server_state=self._state, app_state={}),
            sock=sock,
            ssl=self._context,
            backlog=256,
        )

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._socket.close()
            self._listener = None
        for connection in tuple(self._state.connections):
            with contextlib.suppress(AttributeError):
                connection.transport.abort()

    def _down_for(self, seconds: float) -> None:
        # A moment later, so that the order itself is answered.
        self._loop.call_later(0.05, self._close)
        if seconds:
            self._loop.call_later(0.05 + seconds, lambda: asyncio.ensure_future(self._listen()))

    async def _finish(self) -> None:
        tasks = tuple(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_END_SECONDS)
            for task in late:
                task.cancel()

    # Files

    def _certify(self) -> None:
        authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(_HOST, "localhost").configure_cert(self._context)
        self.ca = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))

    def _write_kubeconfig(self) -> None:
        name = "fusion-bridge-lab"
        cluster = {"server": self.url} | ({"certificate-authority": str(self.ca)} if self.ca else {})
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
            "current-context": name,
        }
        self.kubeconfig = self._folder / "kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(document, sort_keys=False))


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((_HOST, port))
    return sock
