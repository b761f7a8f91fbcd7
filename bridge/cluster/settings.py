"""How to reach a cluster, and the times and sizes by which it is watched. The cli reads them from the bridge's settings."""

from dataclasses import dataclass, field
from pathlib import Path

from bridge.cluster.backoff import BackoffSettings
from bridge.model.observed import Resource


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """How to reach a cluster. Without a kubeconfig and not in a cluster, kubectl's own default applies. Times in seconds."""

    name: str
    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    connect_timeout: float = 10.0
    read_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class ReflectorSettings:
    """Objects per page; times in seconds.

    `watch` bounds the random length asked of a watch. `inactivity` must be longer than the server's bookmark interval, about a minute.
    A watch that ends within `short_watch` without any event is a failure.
    """

    page: int = 500
    pod_page: int = 2000
    watch: tuple[float, float] = (300.0, 600.0)
    inactivity: float = 120.0
    short_watch: float = 1.0
    backoff: BackoffSettings = field(default_factory=BackoffSettings)

    def limit(self, resource: Resource) -> int:
        """Objects per page of a resource's list."""
        return self.pod_page if resource is Resource.PODS else self.page
