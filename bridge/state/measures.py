"""What the tables say about how everything stands, in figures for those who watch over the bridge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString

from bridge.state.database import Connection, Database

_BACKLOG = """
SELECT device, count(*), min(waiting_since) FROM device_object WHERE desired_generation > applied_generation GROUP BY device
"""
_OWNERS = "SELECT role, name, holder FROM replica_lease WHERE expires_at > clock_timestamp()"
_DEVICES: LiteralString = """
SELECT d.name, d.state, d.last_read, d.last_verified, d.audit_number, coalesce(h.held, 0), coalesce(h.rejected, 0),
    cardinality(d.stopped_by)
FROM device d LEFT JOIN (
    SELECT device, sum(json_array_length(step -> 'members')) FILTER (WHERE state = 'held') AS held,
        sum(json_array_length(step -> 'members')) FILTER (WHERE state = 'rejected') AS rejected
    FROM held_plan, json_array_elements(steps) step WHERE kind = 'guard' AND state IN ('held', 'rejected') GROUP BY device) h
    ON h.device = d.name
"""
_OBJECTS = "SELECT device, state, count(*) FROM device_object WHERE NOT gone GROUP BY device, state"
_LEASES = "SELECT cluster, count(*) FROM lease_open GROUP BY cluster"
_DECISIONS = "SELECT cluster, min(at) FROM decision WHERE state = 'Waiting' GROUP BY cluster"
_STOPS = "SELECT cluster, count(*) FROM stop WHERE ended_at IS NULL GROUP BY cluster"
_DOUBTED = "SELECT cluster, count(*) FROM policy_object WHERE reason = 'Doubted' GROUP BY cluster"
_FROZEN = """
SELECT f.device, coalesce(sum(json_array_length(h.steps)), 0) FROM frozen f
LEFT JOIN held_plan h ON h.device = f.device AND h.cluster = f.cluster AND h.kind = 'freeze' AND h.state IN ('held', 'rejected')
WHERE f.t2 IS NULL GROUP BY f.device
"""
_HANDOVERS = "SELECT device, max(worst) FROM handover WHERE at > now() - interval '1 day' GROUP BY device"
_REPORTS = "SELECT origin, max(at) FROM report GROUP BY origin"


@dataclass(frozen=True, slots=True)
class Backlog:
    """The objects of a device of which a change is not applied, and the time of the oldest such change."""

    objects: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Urgent:
    """What must be known at once: what waits, by device, and who acts, by role and name."""

    backlog: Mapping[str, Backlog]
    owners: Mapping[tuple[str, str], str]


@dataclass(slots=True)
class DeviceFigures:
    """How one device stands. `objects` counts what is wanted on it by its state, `held_members` what waits for a person,
    `rejected_members` what a person does not want done, and `stops` how many it obeys.
    `frozen_edits` wait for the end of its freeze; None: it is in none. `worst_handover` is in seconds, of the last day.
    """

    state: str
    last_read: datetime | None
    last_verified: datetime | None
    audit_rows: int
    held_members: int
    rejected_members: int = 0
    stops: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    frozen_edits: int | None = None
    worst_handover: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How everything stands: devices by name, the last kept report by its origin. By cluster: the oldest decision that no device has taken
    up, how many stops are in force, and how many policy objects stay in force that its lists do not show.
    """

    devices: Mapping[str, DeviceFigures]
    reports: Mapping[str, datetime]
    decisions: Mapping[str, datetime] = field(default_factory=dict)
    stops: Mapping[str, int] = field(default_factory=dict)
    doubted: Mapping[str, int] = field(default_factory=dict)


class Measures:
    """Reads figures. Every method raises StateUnavailable, and SchemaOutdated where the tables are others than we need."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def urgent(self) -> Urgent:
        """Costs little whatever the state holds: the work list has an index of its own."""
        with self._database.transaction(snapshot=True) as connection:
            backlog = {name: Backlog(count, since) for name, count, since in connection.execute(_BACKLOG)}
            owners = {(role, name): holder for role, name, holder in connection.execute(_OWNERS)}
        return Urgent(backlog, owners)

    def standing(self) -> Standing:
        """Counts the objects of all devices: milliseconds."""
        with self._database.transaction(snapshot=True) as connection:
            devices = _devices(connection)
            for name, state, count in connection.execute(_OBJECTS):
                devices[name].objects[state] = count
            for name, edits in connection.execute(_FROZEN):
                if name in devices:
                    devices[name].frozen_edits = int(edits)
            for name, worst in connection.execute(_HANDOVERS):
                if name in devices:
                    devices[name].worst_handover = worst
            reports: dict[str, datetime] = dict(connection.execute(_REPORTS).fetchall())
            decisions: dict[str, datetime] = dict(connection.execute(_DECISIONS).fetchall())
            stops: dict[str, int] = dict(connection.execute(_STOPS).fetchall())
            doubted: dict[str, int] = dict(connection.execute(_DOUBTED).fetchall())
        return Standing(devices, reports, decisions, stops, doubted)

    def leases(self) -> dict[str, int]:
        """Open leases by cluster: tens of milliseconds in a large fleet, so seldom."""
        with self._database.transaction(snapshot=True) as connection:
            return dict(connection.execute(_LEASES).fetchall())


def _devices(connection: Connection) -> dict[str, DeviceFigures]:
    return {name: DeviceFigures(*figures) for name, *figures in connection.execute(_DEVICES)}
