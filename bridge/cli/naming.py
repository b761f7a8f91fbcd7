"""The names that a cluster's rules ask for, resolved for as long as this replica acts for the cluster."""

import contextlib
import threading
from collections.abc import Iterator, MutableMapping

from bridge.cli.loops import Loops, Pulse
from bridge.cli.units import ClusterUnit
from bridge.clock import Clock
from bridge.intake.intake import Intake
from bridge.names.follower import Follower
from bridge.names.resolver import Resolver
from bridge.names.servers import SystemServers
from bridge.names.settings import NamesSettings

Followers = MutableMapping[str, Follower]


@contextlib.contextmanager
def kept(
    unit: ClusterUnit, intake: Intake, settings: NamesSettings, clock: Clock, loops: Loops, followers: Followers
) -> Iterator[None]:
    """Resolve the names that intake asks for, where it may ask for any; the follower is found among `followers`."""
    name, stop = unit.config.name, threading.Event()
    servers = (lambda: settings.servers) if settings.servers else SystemServers(clock.elapsed)
    resolver = Resolver(servers, settings)

    def follow(pulse: Pulse) -> None:
        follower = Follower(name, resolver, unit.governance.internal, intake, pulse, settings)
        followers[name] = follower
        follower.run(stop)

    thread = loops.start(f"names {name}", follow)
    try:
        yield
    finally:
        stop.set()
        if follower := followers.get(name):
            follower.wake()
        thread.join()
        followers.pop(name, None)
