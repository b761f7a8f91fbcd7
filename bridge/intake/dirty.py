"""What a batch of events made dirty: keys to look at again, and what is known of why."""

from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.identity import ObjectKey
from bridge.model.observed import Change, Order, Pod, Resource
from bridge.model.policy import Ref
from bridge.state.batch import Slim

Place = tuple[Resource, str, str]
"""Where an object stands: its resource, namespace and name."""


@dataclass(slots=True)
class Dirty:
    """What one batch of events touched."""

    pods: dict[str, Pod] = field(default_factory=dict)
    pods_gone: dict[str, Pod | None] = field(default_factory=dict)  # uid -> as it was last seen, where that is known
    objects: dict[Place, Slim] = field(default_factory=dict)
    objects_gone: set[Place] = field(default_factory=set)
    addresses: dict[str, None] = field(default_factory=dict)
    found_gone: set[str] = field(default_factory=set)  # of the uids in pods_gone, those that nobody saw going
    unproven: dict[str, datetime | None] = field(default_factory=dict)  # address -> last known present
    unwatched: dict[str, datetime] = field(default_factory=dict)  # address -> what happened to it, happened after that
    services_deleted: set[tuple[str, str]] = field(default_factory=set)  # seen, and by namespace and name
    namespaces: set[str] = field(default_factory=set)
    policy: bool = False
    causes: dict[Ref, str] = field(default_factory=dict)  # of everything but the pods of groups, in words
    widened: dict[ObjectKey, list[str]] = field(default_factory=dict)  # whom a group regains without proof
    narrowed: dict[ObjectKey, list[str]] = field(default_factory=dict)  # whom a group of prefixes loses without proof
    names: dict[str, None] = field(default_factory=dict)  # of which there is something new
    named: dict[Ref, None] = field(default_factory=dict)  # external services that hold one of them
    orders: dict[tuple[Resource, str], tuple[Change, Order]] = field(
        default_factory=dict
    )  # by name, what happened last

    def changed(self, uid: str) -> bool:
        """Whether the pod itself changed or went."""
        return uid in self.pods or uid in self.pods_gone
