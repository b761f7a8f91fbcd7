"""A consumer of whole clusters, and settings by which everything happens in a second."""

from collections.abc import Sequence

from bridge.cluster.backoff import BackoffSettings
from bridge.cluster.decode import Value
from bridge.cluster.settings import ReflectorSettings
from bridge.model.observed import RESOURCES, Change, Event, Resource, Synced

HASTY = ReflectorSettings(
    page=7,
    pod_page=10,
    watch=(1.0, 2.0),
    inactivity=2.0,
    short_watch=0.01,
    backoff=BackoffSettings(first=0.02, longest=0.1, slow=(0.05, 0.1)),
)


class Fold:
    """What a database would hold, of all resources."""

    def __init__(self) -> None:
        self.values: dict[Resource, dict[str, Value]] = {resource: {} for resource in RESOURCES}
        self.removed: list[Event] = []

    def __call__(self, batch: Sequence[Event | Synced]) -> None:
        for item in batch:
            if isinstance(item, Synced):
                continue
            if item.change is Change.UPSERT:
                self.values[item.resource][item.value.uid] = item.value
            else:
                self.values[item.resource].pop(item.value.uid, None)
                self.removed.append(item)

    @property
    def store(self) -> dict[Resource, dict[str, str]]:
        """The resource version of everything, by uid."""
        return {
            resource: {uid: value.resource_version for uid, value in list(values.items())}
            for resource, values in self.values.items()
        }
