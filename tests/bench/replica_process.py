"""A replica of the bridge in a process of its own, to be killed."""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import structlog

from adapters.bigip import factory
from bridge.cli.controller import Controller
from bridge.cli.standby import Standby
from bridge.cli.units import ClusterUnit, DeviceUnit
from bridge.clock import SystemClock
from bridge.cluster.settings import ClusterConfig
from bridge.contract import DeviceConfig
from bridge.delivery.worker import WorkerSettings
from bridge.model.capabilities import Capabilities, Form
from bridge.policy.compile import Target
from bridge.state.database import Database
from tests.bench.stand import DEFAULTS, GOVERNANCE, FixedCredentials


@dataclass(frozen=True)
class Place:
    """Where everything is that a replica needs."""

    database: str
    kubeconfig: Path
    device: dict[str, Any]


def serve(pipe: Connection, place: Place) -> None:
    """Run, and tell how it stands, until the pipe closes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(int(os.environ.get("BENCH_LOG", "30"))))
    database = Database(place.database)
    target = Target("fw", Capabilities(Form.TIERED, atomic=True), DEFAULTS)
    unit = ClusterUnit(ClusterConfig("lab", kubeconfig=place.kubeconfig), GOVERNANCE, (target,))
    config = DeviceConfig("fw", "bigip", place.device["url"], "bench", FixedCredentials(place.device))
    device = DeviceUnit(factory, config, ("lab",), WorkerSettings())
    controller = Controller(database, [unit], [device], SystemClock())
    controller.start()
    pipe.send({"holder": controller.holder})
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            break
        pipe.send(_told(order, controller))
    controller.stop()
    database.close()


def _told(order: str, controller: Controller) -> Any:
    standby: Standby = controller.standbys["lab"]
    match order:
        case "warm":
            return standby.whole
        case "pid":
            return os.getpid()
        case "cpu":
            spent = psutil.Process().cpu_times()
            return spent.user + spent.system
        case "resident":
            return psutil.Process().memory_info().rss / 1e6
        case "in step":
            intake, worker = controller.intakes.get("lab"), controller.workers.get("fw")
            settled = intake is not None and intake.settled.is_set() and intake.at_rest
            return settled and worker is not None and worker.in_step.is_set()
    raise ValueError(order)
