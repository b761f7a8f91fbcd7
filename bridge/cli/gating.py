"""The gatekeeper of a cluster, for as long as this replica acts for the cluster."""

import contextlib
import threading
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import Final

from bridge.cli.loops import Loops, Pulse
from bridge.cli.tenure import Tenure
from bridge.cli.units import ClusterUnit
from bridge.clock import Clock
from bridge.cluster.client import Connection
from bridge.feedback.gatekeeper import Gatekeeper
from bridge.state.database import Database
from bridge.state.gate_store import GateStore
from bridge.state.wakeups import ANY

_SECONDS: Final = 5.0  # for one call: a pod is not to wait for a server that hangs

Gatekeepers = MutableMapping[str, Gatekeeper]


@contextlib.contextmanager
def kept(
    unit: ClusterUnit, tenure: Tenure, database: Database, clock: Clock, loops: Loops, keepers: Gatekeepers
) -> Iterator[None]:
    """Open the gates of the cluster meanwhile, over a connection of its own; the keeper is found among `keepers`."""
    config = replace(unit.config, read_timeout=min(unit.config.read_timeout, _SECONDS))
    connection, stop = Connection(config, clock), threading.Event()

    def open_gates(pulse: Pulse) -> None:
        devices = [target.name for target in unit.targets]
        keeper = Gatekeeper(config.name, devices, connection, GateStore(database), pulse, tenure.epoch, unit.gates)
        keepers[config.name] = keeper
        keeper.run(stop)

    thread = loops.start(f"gates {config.name}", open_gates)
    try:
        yield
    finally:
        stop.set()
        connection.close()
        if keeper := keepers.get(config.name):
            keeper.wake()
        thread.join()
        keepers.pop(config.name, None)


def wake(keepers: Gatekeepers, cluster: str) -> None:
    """Of this cluster, or of any, somebody may begin to wait or wait no longer."""
    for name, keeper in list(keepers.items()):
        if cluster in (ANY, name):
            keeper.wake()
