"""The replicas as people are told of them: who is there, and who acts for what."""

from dataclasses import dataclass
from datetime import datetime

from bridge.state.database import Connection

_HELD = """
SELECT holder, role, name, taking_over FROM replica_lease
WHERE holder <> '' AND expires_at > clock_timestamp() ORDER BY role, name
"""
_SEEN = """
SELECT holder, started_at, seen_at, version, schema FROM replica
WHERE seen_at > clock_timestamp() - interval '1 minute' OR holder = ANY(%(holders)s) ORDER BY started_at, holder
"""


@dataclass(frozen=True, slots=True)
class ReplicaStanding:
    """A replica that was heard of in the last minute: the clusters and devices that it acts for.

    Of the devices in `taking_over`, what the owner before may have sent last is not made good yet.
    """

    holder: str
    started_at: datetime
    seen_at: datetime
    version: str
    schema: str
    clusters: tuple[str, ...]
    devices: tuple[str, ...]
    taking_over: frozenset[str]


def replicas(connection: Connection) -> tuple[ReplicaStanding, ...]:
    """Those that are there, the oldest first."""
    held = connection.execute(_HELD).fetchall()
    seen = connection.execute(_SEEN, {"holders": [holder for holder, *_ in held]}).fetchall()
    found = []
    for holder, started_at, seen_at, version, schema in seen:
        roles = [(role, name, over) for owner, role, name, over in held if owner == holder]
        clusters = tuple(name for role, name, _ in roles if role == "cluster")
        devices = tuple(name for role, name, _ in roles if role == "device")
        taking_over = frozenset(name for _, name, over in roles if over)
        found.append(ReplicaStanding(holder, started_at, seen_at, version, schema, clusters, devices, taking_over))
    return tuple(found)
