"""`fusion-bridge run`: the controller, until SIGTERM."""

import signal
import threading
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import typer

from bridge.cli.invocation import invocation
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.cli.controller import Controller
    from bridge.settings import Settings
    from bridge.state.database import Database


_BEAT = 1.0  # seconds


def run(context: typer.Context) -> None:
    """Watch the clusters and keep the devices in step, until SIGTERM or Ctrl-C, or until the schema is one for newer versions."""
    import structlog

    from bridge.cli.reporting import keep_of_schedule
    from bridge.cli.state import opened

    asked = invocation(context)
    settings = asked.settings
    log = structlog.get_logger("bridge.cli.run")
    with stopped_by_signal() as stop, opened(settings, asked.folder(settings), make=True) as database:
        controller = composed(settings, database)
        if settings.reports.schedule is not None:
            controller.on_schedule(
                settings.reports.schedule, partial(keep_of_schedule, settings, database, settings.reports.schedule)
            )
        with monitored(controller, settings.monitoring.listen) as listening, gating(settings) as gates:
            controller.start()
            names = {"clusters": [c.name for c in settings.clusters], "devices": [d.name for d in settings.devices]}
            log.info("running", monitoring=listening, **({"webhook": gates} if gates else {}), **names)
            try:
                while not stop.wait(_BEAT):
                    controller.probe.insist()
            finally:
                log.info("stopping")
                controller.stop()


@contextmanager
def monitored(controller: "Controller", listen: str) -> "Iterator[str]":
    """Metrics and health at `address:port`; the same with the port that was taken for 0. BridgeError when it is in use."""
    from bridge.cli.monitoring import Monitoring

    address, _, port = listen.rpartition(":")
    try:
        endpoint = Monitoring(controller, address.strip("[]"), int(port))
    except OSError as error:
        raise BridgeError(f"monitoring.listen {listen}: {error.strerror}; set another address or port") from error
    endpoint.start()
    try:
        yield f"{address}:{endpoint.port}"
    finally:
        endpoint.stop()


@contextmanager
def gating(settings: "Settings") -> "Iterator[str]":
    """The webhook that gates new pods, where the settings want one; its `address:port`, or "". BridgeError when it is in use."""
    if settings.webhook is None:
        yield ""
        return
    from bridge.cli import assembly
    from bridge.cli.webhook import Webhook

    url = _database_url(settings)
    never = frozenset().union(*(assembly.governance(one, url).ungated for one in settings.clusters))
    address, _, port = settings.webhook.listen.rpartition(":")
    try:
        hook = Webhook(address.strip("[]"), int(port), settings.webhook.cert_file, settings.webhook.key_file, never)
    except OSError as error:
        raise BridgeError(
            f"webhook.listen {settings.webhook.listen}: {error.strerror}; set another address or port"
        ) from error
    hook.start()
    try:
        yield f"{address}:{hook.port}"
    finally:
        hook.stop()


def _database_url(settings: "Settings") -> str | None:
    url = settings.database.url
    return url.get_secret_value() if url is not None else None


def composed(settings: "Settings", database: "Database") -> "Controller":
    """The controller that the settings describe. SettingsError for an adapter that cannot be loaded."""
    from bridge.cli import assembly
    from bridge.cli.adapters import InstalledAdapters
    from bridge.cli.controller import Controller
    from bridge.cli.units import ClusterUnit, ControllerSettings, DeviceUnit
    from bridge.clock import SystemClock
    from bridge.settings.replicas import Standby

    adapters, secrets = InstalledAdapters(), assembly.secret_store(settings)
    clusters = [
        ClusterUnit(
            assembly.cluster_config(one),
            assembly.governance(one, _database_url(settings)),
            assembly.targets(settings, one.name, adapters),
            assembly.dialects(one),
            assembly.gate_settings(one),
            settings.delivery.guard.limits(),
        )
        for one in settings.clusters
    ]
    devices = [
        DeviceUnit(
            adapters.factory(one.kind),
            one.config(settings.owner, secrets),
            tuple(one.scope.clusters),
            assembly.worker_settings(settings.delivery, one),
            settings.delivery.audit_interval,
        )
        for one in settings.devices
    ]
    times = ControllerSettings(
        lease=assembly.lease_times(settings),
        watch=assembly.reflector_settings(settings),
        history_days=settings.history.days,
        names=assembly.names_settings(settings),
        warm_standby=settings.replicas.standby is Standby.WARM,
    )
    return Controller(database, clusters, devices, SystemClock(), times)


@contextmanager
def stopped_by_signal() -> "Iterator[threading.Event]":
    """An event that SIGTERM and SIGINT set; what they did before is put back at the end."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
