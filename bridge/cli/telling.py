"""The feedback of a cluster, for as long as this replica acts for the cluster."""

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
from bridge.feedback.feedback import Feedback
from bridge.state.database import Database
from bridge.state.feedback_store import FeedbackStore

_SECONDS: Final = 10.0  # for one write into a cluster

Feedbacks = MutableMapping[str, Feedback]


@contextlib.contextmanager
def kept(
    unit: ClusterUnit, tenure: Tenure, database: Database, clock: Clock, loops: Loops, feedbacks: Feedbacks
) -> Iterator[None]:
    """Tell the cluster's objects what becomes of them, over a connection of its own: nobody waits for it, and it gives up soon."""
    config, serving = unit.config, [target.name for target in unit.targets]
    connection = Connection(replace(config, read_timeout=min(config.read_timeout, _SECONDS)), clock)
    stop = threading.Event()

    def tell(pulse: Pulse) -> None:
        feedback = Feedback(config.name, connection, FeedbackStore(database), pulse, tenure.epoch, None, serving)
        feedbacks[config.name] = feedback
        feedback.run(stop)

    thread = loops.start(f"feedback {config.name}", tell)
    try:
        yield
    finally:
        stop.set()
        connection.close()
        if telling := feedbacks.get(config.name):
            telling.wake()
        thread.join()
        feedbacks.pop(config.name, None)
