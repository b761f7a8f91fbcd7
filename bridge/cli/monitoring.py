"""Metrics and health of the running controller over HTTP: /metrics for Prometheus, /livez and /readyz for whoever restarts it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from bridge.cli.controller import Controller

_PREFIX = "fusion_bridge"


class ControllerMetrics(Collector):
    """Reads the controller when it is asked, so that nothing is counted twice or kept."""

    def __init__(self, controller: "Controller") -> None:
        self._controller = controller

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every series, from the start."""
        waiting = _gauge("intake_waiting_events", "Events of a cluster that wait to be recorded.", "cluster")
        revision = _gauge("cluster_revision", "How many batches of a cluster have been recorded.", "cluster")
        for name, intake in list(self._controller.intakes.items()):
            waiting.add_metric([name], intake.waiting)
            revision.add_metric([name], intake.revision)
        synced = _gauge("watch_synced", "1 once a complete list of the resource was delivered.", "cluster", "resource")
        silent = _gauge("watch_silent_seconds", "Since anything was heard of the resource.", "cluster", "resource")
        for name, watcher in list(self._controller.watchers.items()):
            for resource, health in watcher.health().items():
                synced.add_metric([name, resource], float(health.synced))
                if health.silent_for is not None:
                    silent.add_metric([name, resource], health.silent_for)
        step = _gauge("device_in_step", "1 while nothing is left to bring onto the device.", "device")
        opened = _gauge("device_breaker_open", "1 while a device that refuses is left alone.", "device")
        for name, worker in list(self._controller.workers.items()):
            step.add_metric([name], float(worker.in_step.is_set()))
            opened.add_metric([name], float(worker.pacing.open))
        yield from (waiting, revision, synced, silent, step, opened)


class Monitoring:
    """The endpoint, served from a thread of its own between `start` and `stop`."""

    def __init__(self, controller: "Controller", address: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(ControllerMetrics(controller))
        self._metrics = make_wsgi_app(registry)
        self._controller = controller
        self._server = make_server(address, port, self._answer, WSGIServer, _Quiet)
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
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path == "/livez":
            return _plain(start, "200 OK", "alive")
        if path == "/readyz":
            missing = self._controller.unready()
            return _plain(start, "503 Service Unavailable" if missing else "200 OK", ", ".join(missing) or "ready")
        return _plain(start, "404 Not Found", "there is /metrics, /livez and /readyz")


class _Quiet(WSGIRequestHandler):
    """Without a line on standard error for each scrape."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base)
        """Say nothing."""


def _gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=labels)


def _plain(start: Callable[..., object], status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
