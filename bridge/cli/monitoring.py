"""Metrics and health of the running controller over HTTP: /metrics for Prometheus, /livez and /readyz for whoever restarts it."""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from bridge import metrics
from bridge.cli import gauges
from bridge.cli.health import Health

if TYPE_CHECKING:
    from bridge.cli.controller import Controller

HANG_AFTER = 600.0  # seconds without a sign, after which a loop hangs: far beyond any single call of any of them


class Monitoring:
    """The endpoint, served from threads of its own between `start` and `stop`. No answer waits for a database, a device or a cluster."""

    def __init__(self, controller: "Controller", address: str, port: int, hang_after: float = HANG_AFTER) -> None:
        self._controller = controller
        self._health = Health(controller, hang_after)
        self._metrics = make_wsgi_app(metrics.REGISTRY)
        self._server = make_server(address, port, self._answer, _Server, _Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, str], start: Callable[..., object]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            gauges.show(self._controller, ready=not self._health.missing())
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path == "/livez":
            return _verdict(start, self._health.dead(), "alive")
        if path == "/readyz":
            return _verdict(start, self._health.missing(), "ready")
        return _plain(start, "404 Not Found", "there is /metrics, /livez and /readyz")


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request: nobody who connects and says nothing keeps a probe waiting."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class _Quiet(WSGIRequestHandler):
    """Without a line on standard error for each scrape, and without patience for who does not ask."""

    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base)
        """Say nothing."""


def _verdict(start: Callable[..., object], wrong: list[str], well: str) -> Iterable[bytes]:
    if wrong:
        return _plain(start, "503 Service Unavailable", "\n".join(wrong))
    return _plain(start, "200 OK", well)


def _plain(start: Callable[..., object], status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
