"""All that is watched of one cluster."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from bridge.clock import Clock
from bridge.cluster.client import Connection
from bridge.cluster.decode import Value
from bridge.cluster.gate import ClusterGate
from bridge.cluster.health import Health
from bridge.cluster.reflector import Reflector, Sink
from bridge.cluster.settings import ReflectorSettings
from bridge.model.observed import RESOURCES, Resource


class ClusterWatcher:
    """A reflector for each resource of one cluster, behind one gate.

    `sink` is called from a thread per resource: it must be safe for that, and quick. `known` and `known_at` as for Reflector. A
    watcher is started once; a new take-over makes a new one.
    """

    def __init__(
        self,
        connection: Connection,
        sink: Sink,
        clock: Clock,
        *,
        settings: ReflectorSettings | None = None,
        known: Mapping[Resource, Iterable[Value]] | None = None,
        known_at: datetime | None = None,
        resources: Iterable[Resource] = RESOURCES,
    ) -> None:
        gate = ClusterGate(connection)
        held = known or {}
        self._reflectors = {
            resource: Reflector(
                connection, resource, sink, clock, settings, held.get(resource, ()), known_at=known_at, gate=gate
            )
            for resource in resources
        }

    def start(self) -> None:
        """Begin to watch."""
        for reflector in self._reflectors.values():
            reflector.start()

    def stop(self) -> None:
        """Stop promptly: nothing is delivered after this, and calls in flight on the connection are broken."""
        for reflector in self._reflectors.values():
            reflector.ask_to_stop()
        for reflector in self._reflectors.values():
            reflector.stop()

    @property
    def ended(self) -> list[Resource]:
        """The resources whose reflector does not run, before the start and after the end too."""
        return [resource for resource, reflector in self._reflectors.items() if not reflector.alive]

    def health(self) -> dict[Resource, Health]:
        """How each resource stands."""
        return {resource: reflector.health() for resource, reflector in self._reflectors.items()}

    @property
    def all_synced(self) -> bool:
        """Whether a complete list of every resource has been delivered."""
        return all(health.synced for health in self.health().values())
