"""All that is watched of one cluster."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from bridge.clock import Clock
from bridge.cluster.client import Connection
from bridge.cluster.decode import Value
from bridge.cluster.gate import ClusterGate
from bridge.cluster.health import Health
from bridge.cluster.reflector import Reflector
from bridge.cluster.serving import Sink
from bridge.cluster.settings import ReflectorSettings
from bridge.model.observed import RESOURCES, Resource

PATIENCE: Final = 1.0
"""Seconds for which a picture may be behind the record of another."""


class ClusterWatcher:
    """A reflector for each resource of one cluster, behind one gate.

    `sink` is called from a thread per resource: it must be safe for that, and quick. `known` and `known_at` as for Reflector. A
    watcher is started once, with or without a consumer; later ones go on from what it saw (`rebase`, `release`).
    """

    def __init__(
        self,
        connection: Connection,
        sink: Sink | None,
        clock: Clock,
        *,
        settings: ReflectorSettings | None = None,
        known: Mapping[Resource, Iterable[Value]] | None = None,
        known_at: datetime | None = None,
        resources: Iterable[Resource] = RESOURCES,
    ) -> None:
        self._clock = clock
        self._gate = gate = ClusterGate(connection)
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

    def rebase(
        self,
        sink: Sink,
        known: Mapping[Resource, Sequence[Value]],
        known_at: datetime | None,
        versions: Mapping[Resource, int],
        *,
        patience: float = PATIENCE,
    ) -> list[Resource]:
        """Go on for a consumer whose record holds `known`, made with what was seen up to these versions.

        Within this call, or by the list that is begun, he is told what a start would have told him. Returns the resources of which a
        list was begun, because the picture could not tell (see Reflector). No resource is waited for longer than `patience` seconds.
        """
        until = self._clock.elapsed() + patience
        return [
            resource
            for resource, reflector in self._reflectors.items()
            if not reflector.rebase(
                sink,
                known.get(resource, ()),
                known_at,
                versions.get(resource, 0),
                max(0.0, until - self._clock.elapsed()),
            )
        ]

    def release(self) -> None:
        """The consumer takes no more: nothing reaches him after this. What is seen is kept for the next."""
        for reflector in self._reflectors.values():
            reflector.release()

    def seen_pod(self, uid: str) -> Value | None:
        """A pod as it is in the picture now. From any thread."""
        pods = self._reflectors.get(Resource.PODS)
        return pods.seen(uid) if pods else None

    def forget_departures(self, before: datetime) -> None:
        """Whatever was seen to go before then is in every record."""
        for reflector in self._reflectors.values():
            reflector.forget_departures(before)

    def identify(self, uid: str) -> None:
        """It has to be this cluster (uid of kube-system): before it is listed again, it is asked."""
        self._gate.identity = uid

    @property
    def identity(self) -> str:
        """The cluster that it has to be; "" before that was said."""
        return self._gate.identity

    @property
    def stranger(self) -> str:
        """The uid of the cluster that answers now, where it is another one than it has to be. From any thread."""
        return self._gate.stranger

    @property
    def ended(self) -> list[Resource]:
        """The resources whose reflector ran and does so no more; one that is about to begin is none of them."""
        return [resource for resource, reflector in self._reflectors.items() if reflector.ended]

    def health(self) -> dict[Resource, Health]:
        """How each resource stands."""
        return {resource: reflector.health() for resource, reflector in self._reflectors.items()}

    @property
    def all_synced(self) -> bool:
        """Whether a complete list of every resource has been delivered."""
        return all(health.synced for health in self.health().values())
