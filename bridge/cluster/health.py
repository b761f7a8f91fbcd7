"""What can be said of a reflector at any moment."""

from dataclasses import dataclass
from enum import StrEnum

from bridge.model.observed import Resource


class State(StrEnum):
    """What a reflector is doing. NOT_INSTALLED: the cluster does not serve this kind; it is looked for again now and then."""

    STARTING = "starting"
    LISTING = "listing"
    WATCHING = "watching"
    FAILING = "failing"
    DENIED = "denied"
    NOT_INSTALLED = "not installed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Health:
    """One resource of one cluster.

    `synced` once a complete list has been delivered. `silent_for` is the time in seconds since anything proved the picture to be
    fresh, None before the first list. `failures` in a row; `error` is the last one's text, empty when all is well.
    """

    resource: Resource
    state: State
    synced: bool
    silent_for: float | None
    resource_version: str
    objects: int
    failures: int
    error: str
