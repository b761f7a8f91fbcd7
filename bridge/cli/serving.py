"""What the API is handed, from the settings; and its server, in a thread of its own."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from bridge.errors import BridgeError, DeviceError, SettingsError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bridge.api.site import Site
    from bridge.cli.certificates import Certificates
    from bridge.cluster.orders import Orders
    from bridge.report.model import Report
    from bridge.report.planned import PlannedDevice
    from bridge.settings import Settings
    from bridge.state.database import Database

_START_SECONDS = 30.0
_MOST = 500  # connections at a time


def site(settings: "Settings", database: "Database") -> "Site":
    """The installation as the settings describe it. SettingsError for an adapter that cannot be loaded."""
    from bridge.api.site import Site
    from bridge.cli.adapters import InstalledAdapters
    from bridge.cli.assembly import dialects, governance, targets
    from bridge.report.trace import Site as TracedSite

    adapters = InstalledAdapters()
    return Site(
        database,
        {
            one.name: TracedSite(governance(one), targets(settings, one.name, adapters), dialects(one))
            for one in settings.clusters
        },
        {one.name: one.pod_ranges for one in settings.clusters},
        {one.name: tuple(device.name for device in settings.serving(one.name)) for one in settings.clusters},
        partial(_planned, settings, database),
        partial(_reported, settings, database),
        partial(_orders, settings),
        partial(_read, settings, database),
    )


def _planned(settings: "Settings", database: "Database", device: str) -> "PlannedDevice":
    from bridge.cli.comparison import compare_all
    from bridge.cli.consequence import consequence
    from bridge.report.planned import planned_device

    (found,) = compare_all(settings, [device], database)
    if found.plan is None:
        raise DeviceError(device, found.error)
    return planned_device(found.kind, found.plan, consequence(settings, found, database))


def _reported(settings: "Settings", database: "Database", devices: Sequence[str]) -> "Report":
    from bridge.report.kept import keep

    found = _read(settings, database, devices)
    return keep(found, database) or found


def _read(settings: "Settings", database: "Database", devices: Sequence[str]) -> "Report":
    from bridge.cli.reporting import made

    return made(settings, devices, database)


@contextmanager
def _orders(settings: "Settings", cluster: str) -> "Iterator[Orders]":
    from bridge.cli.assembly import cluster_config
    from bridge.clock import SystemClock
    from bridge.cluster.client import Connection
    from bridge.cluster.orders import Orders

    names = [one.name for one in settings.clusters]
    if cluster not in names:
        raise SettingsError({cluster: f"there is no such cluster; there are {', '.join(names)}"}, "the request")
    connection = Connection(cluster_config(settings.cluster(cluster)))
    try:
        yield Orders(connection, SystemClock())
    finally:
        connection.close()


@contextmanager
def served(app: "FastAPI", listen: str, shown: "Certificates | None" = None) -> "Iterator[str]":
    """The application at `address:port`, which is given back with the port that was taken for 0. BridgeError when it is in use.

    Over TLS where there is a certificate to be shown.
    """
    import uvicorn

    from bridge.api.connections import Connection

    address, _, port = listen.rpartition(":")
    bound = _bound(address.strip("[]"), int(port), listen)
    # What somebody says about where he comes from (X-Forwarded-For) is not believed.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        proxy_headers=False,
        server_header=False,
        http=Connection,
        ws="none",
        limit_concurrency=_MOST,
    )
    config.load()
    config.ssl = shown.following() if shown else None
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],), name="api", daemon=True)
    thread.start()
    try:
        _await(server, thread)
        yield f"{address}:{bound.getsockname()[1]}"
    finally:
        app.state.changes.close()  # whoever listens would else be waited for
        server.should_exit = True
        thread.join()
        bound.close()


def _bound(address: str, port: int, listen: str) -> socket.socket:
    try:
        return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        raise BridgeError(f"api.listen {listen}: {error.strerror}; set another address or port") from error


def _await(server: "object", thread: threading.Thread) -> None:
    waited = threading.Event()
    for _ in range(int(_START_SECONDS / 0.01)):
        if getattr(server, "started", False) or not thread.is_alive():
            return
        waited.wait(0.01)
