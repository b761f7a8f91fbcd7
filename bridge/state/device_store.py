"""How devices stand and what they hold, as people look at it: a page at a time, each as of one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString

from bridge.model.baseline import FreezeStanding
from bridge.model.handover import Handovers
from bridge.model.identity import ObjectKey
from bridge.state import freezes, handovers
from bridge.state.database import BY_KEY, Connection, Database
from bridge.state.desired import ObjectState

LOOKED_AT = 20_000  # rows of one device's audit that one question looks through
_SAMPLE = 5_000  # of more rows than that, so many are looked at, each in a place of its own
_BACK = 200  # kept reports looked through for the last one of a device

_DEVICES = """
SELECT name, kind, state, message, identity, mode, coalesce(attached, '{}'), coalesce(attach_by, '{}'), last_read, last_verified,
    cardinality(stopped_by), audit_number
FROM device WHERE name > %(after)s AND (%(name)s::text IS NULL OR name = %(name)s) ORDER BY name LIMIT %(limit)s
"""
_OBJECTS = """
SELECT device, state, count(*) FROM device_object WHERE device = ANY(%(device)s::text[]) AND NOT gone GROUP BY device, state ORDER BY state
"""
_WAITING = """
SELECT device, count(*), min(waiting_since) FROM device_object
WHERE device = ANY(%(device)s::text[]) AND desired_generation > applied_generation GROUP BY device
"""
_HELD = """
SELECT device, state, sum(json_array_length(steps)) FROM held_plan
WHERE device = ANY(%(device)s::text[]) AND kind = 'guard' AND state IN ('held', 'rejected') GROUP BY device, state
"""
_REPORTED = f"""
SELECT DISTINCT ON (a.key) a.key, r.id, r.at, a.value::bigint
FROM (SELECT id, at, summary FROM report ORDER BY id DESC LIMIT {_BACK}) r CROSS JOIN LATERAL json_each_text(r.summary -> 'audit') a
WHERE a.key = ANY(%(device)s::text[]) ORDER BY a.key, r.id DESC
"""  # noqa: S608 - no value in it
_PLANNED: LiteralString = f"SELECT {BY_KEY}, set_config('max_parallel_workers_per_gather', '0', true)"
# The times are compared behind the rows' numbers: by the index of times a whole day of every device would be read.
_DRIFTS = """
SELECT x.device, (
    SELECT count(*) FILTER (WHERE a.at > x.at AND a.op = 'drift') FROM audit a WHERE a.device = x.device AND a.number > x.number),
    (SELECT a.at FROM audit a WHERE a.device = x.device AND a.number >= x.number ORDER BY a.number LIMIT 1)
FROM unnest(%(device)s::text[], %(number)s::bigint[], %(at)s::timestamptz[]) x (device, number, at)
"""
_TAKING_OVER = "SELECT name FROM replica_lease WHERE role = 'device' AND taking_over AND expires_at > clock_timestamp()"

_LISTED: LiteralString = """
SELECT o.key, o.state, o.message, o.gone, o.desired_generation, o.applied_generation, o.cause, o.changed_at,
    CASE WHEN o.desired_generation > o.applied_generation THEN o.waiting_since END, greatest(o.verified_at, d.last_verified)
FROM device_object o JOIN device d ON d.name = o.device
WHERE o.device = %(device)s AND o.key > %(after)s AND (%(state)s::text IS NULL OR o.state = %(state)s)
AND (%(kind)s::text IS NULL OR o.kind = %(kind)s) AND strpos(lower(o.key), lower(%(words)s)) > 0
ORDER BY o.key LIMIT %(limit)s
"""

_LAST = "SELECT audit_number FROM device WHERE name = %(device)s"
_FROM = "SELECT number, at FROM audit WHERE device = %(device)s AND number >= %(number)s ORDER BY number LIMIT 1"
_BUCKET: LiteralString = """
SELECT date_bin(%(width)s, at, %(origin)s), count(*) FILTER (WHERE op <> 'drift'), count(*) FILTER (WHERE op = 'drift'),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY lag), percentile_cont(0.99) WITHIN GROUP (ORDER BY lag), max(lag)
"""
_ALL = (
    f"{_BUCKET} FROM audit WHERE device = %(device)s AND number >= %(first)s AND at >= %(origin)s GROUP BY 1 ORDER BY 1"
)
_SOME = f"""{_BUCKET} FROM generate_series(%(first)s::bigint, %(last)s, %(step)s) n
JOIN LATERAL (SELECT * FROM audit WHERE device = %(device)s AND number = n OFFSET 0) a ON at >= %(origin)s GROUP BY 1 ORDER BY 1
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Drift:
    """How many objects of a device were found changed by somebody else, since `since`, which is the time of the report of that number.

    Without a number no report was kept of the device. Not `whole`: only the last LOOKED_AT rows of its audit were looked through.
    """

    count: int
    since: datetime
    report: int | None
    whole: bool


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device as last heard of. `objects` counts what is wanted on it by state, `waiting` the objects of which a change is not
    applied, the oldest such change of `oldest`; `held` and `rejected` the steps of the guard's lists, `stops` how many it obeys.
    """

    name: str
    kind: str
    state: str
    message: str
    identity: str
    mode: str
    attached: Mapping[str, bool]
    attach_by: Mapping[str, str]
    last_read: datetime | None
    last_verified: datetime | None
    stops: int
    drift: Drift
    taking_over: bool
    objects: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    oldest: datetime | None = None
    held: int = 0
    rejected: int = 0
    freezes: tuple[FreezeStanding, ...] = ()
    handovers: Handovers = field(default_factory=Handovers)


@dataclass(frozen=True, slots=True)
class ObjectView:
    """One object of one device: what is wanted, and how far it got. `waiting_since` is None when every change of it is applied."""

    key: ObjectKey
    state: ObjectState
    message: str
    gone: bool
    generation: int
    applied_generation: int
    cause: str
    changed_at: datetime
    waiting_since: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class LagBucket:
    """What was done to a device in one stretch of time, which begins at `at`, and how long it took in seconds where that is known."""

    at: datetime
    changes: int
    drift: int
    median: float | None
    p99: float | None
    worst: float | None


@dataclass(frozen=True, slots=True)
class LagHistory:
    """Lag over time, without the stretches in which nothing was done. Of the changes every `one_in`th was looked at."""

    buckets: tuple[LagBucket, ...]
    one_in: int


class DeviceStore:
    """The tables as people look at devices. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def devices(
        self, now: datetime, limit: int | None = None, after: str = "", name: str | None = None
    ) -> tuple[DeviceView, ...]:
        """Devices by name, behind `after`, all unless told; or the one of that name.

        Hand-overs, and drift where no report is kept, are of the last day.
        """
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_DEVICES, {"after": after, "name": name, "limit": limit}).fetchall()
            return _views(connection, rows, now - timedelta(days=1))

    def names(self) -> tuple[str, ...]:
        """Every device that there is."""
        with self._database.transaction(snapshot=True) as connection:
            return tuple(name for (name,) in connection.execute("SELECT name FROM device ORDER BY name"))

    def objects(
        self,
        device: str,
        limit: int,
        after: str = "",
        *,
        state: str | None = None,
        kind: str | None = None,
        words: str = "",
    ) -> tuple[ObjectView, ...]:
        """The objects of the device by their keys, behind `after`: those in that state, of that kind, and with the words in their key."""
        values = {"device": device, "after": after, "state": state, "kind": kind, "words": words, "limit": limit}
        with self._database.transaction(snapshot=True) as connection:
            rows = connection.execute(_LISTED, values)
            return tuple(ObjectView(ObjectKey.parse(key), ObjectState(word), *rest) for key, word, *rest in rows)

    def lag(self, device: str, origin: datetime, width: timedelta) -> LagHistory:
        """What was done since `origin`, in stretches of `width`. Of more than LOOKED_AT rows, one in so many is looked at."""
        with self._database.transaction(snapshot=True) as connection:
            row = connection.execute(_LAST, {"device": device}).fetchone()
            last = int(row[0]) if row else 0
            first = _first_since(connection, device, last, origin)
            rows_since = last - first + 1
            step = 1 if rows_since <= LOOKED_AT else rows_since // _SAMPLE
            values = {"device": device, "first": first, "last": last, "step": step, "origin": origin, "width": width}
            rows = connection.execute(_ALL if step == 1 else _SOME, values)
            return LagHistory(tuple(LagBucket(*row) for row in rows), step)


def _views(connection: Connection, rows: Sequence[Sequence[Any]], day: datetime) -> tuple[DeviceView, ...]:
    names = [row[0] for row in rows]
    values = {"device": names}
    objects: dict[str, dict[str, int]] = {name: {} for name in names}
    for name, state, count in connection.execute(_OBJECTS, values):
        objects[name][state] = count
    waiting = {name: (count, since) for name, count, since in connection.execute(_WAITING, values)}
    held = {(name, state): int(count) for name, state, count in connection.execute(_HELD, values)}
    frozen = freezes.standing(connection)
    passed = handovers.since(connection, day)
    over = {name for (name,) in connection.execute(_TAKING_OVER)}
    drifts = _drifts(connection, {row[0]: row[-1] for row in rows}, day)
    found = []
    for *told, _ in rows:
        name = told[0]
        late = waiting.get(name, (0, None))
        kept = [held.get((name, state), 0) for state in ("held", "rejected")]
        around = (frozen.get(name, ()), passed.get(name, Handovers()))
        fields: list[Any] = [*told, drifts[name], name in over, objects[name], *late, *kept, *around]
        found.append(DeviceView(*fields))
    return tuple(found)


def _drifts(connection: Connection, ends: Mapping[str, int], day: datetime) -> dict[str, Drift]:
    """Since the last report of each device, or for a day where none is kept; `ends` are the last rows of their audits."""
    names = list(ends)
    reports = {name: (at, number, row) for name, number, at, row in connection.execute(_REPORTED, {"device": names})}
    since = {name: reports.get(name, (day, None, 0)) for name in names}
    values = {
        "device": names,
        "number": [max(since[name][2], ends[name] - LOOKED_AT) for name in names],
        "at": ["-infinity" if name in reports else day.isoformat() for name in names],
    }
    connection.execute(_PLANNED)
    found = {}
    for name, count, begins in connection.execute(_DRIFTS, values):
        at, number, row = since[name]
        whole = row >= ends[name] - LOOKED_AT or (begins is not None and begins <= at)
        found[name] = Drift(count, at, number, whole)
    return found


def _first_since(connection: Connection, device: str, last: int, at: datetime) -> int:
    """The number of the first row of the audit from that time on, or a few before it; numbers go up with time."""
    low, high = 1, last + 1
    while high - low > 1:
        middle = (low + high) // 2
        row = connection.execute(_FROM, {"device": device, "number": middle}).fetchone()
        if row is None or row[1] >= at:
            high = middle
        else:
            low = middle
    return low
