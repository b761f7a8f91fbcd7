"""What has happened on a device: its changes, in rows, in numbers and over time, and since when."""

from collections.abc import Mapping
from datetime import datetime

from bridge.report.about import About, Value


class Change(About, frozen=True):
    """A row of the audit: one change on the device, or (op "drift") one that was found there. `lag` in seconds."""

    number: int
    at: datetime
    op: str
    cause: str
    before: str
    after: str
    outcome: str
    plan: str
    lag: float | None = None


class Touched(About, frozen=True):
    """One of the objects that changed most."""

    changes: int
    last: datetime
    cause: str


class Changes(Value, frozen=True):
    """What the bridge did to the device since the last report, drift apart: in numbers, and the last of it."""

    total: int = 0
    refused: int = 0
    by_op: Mapping[str, int] = {}
    lag_median: float | None = None
    lag_max: float | None = None
    most: tuple[Touched, ...] = ()
    latest: tuple[Change, ...] = ()
    flows_closed: int = 0  # live flows, of what was revoked


class Bucket(Value, frozen=True):
    """The changes from `at` until the next bucket, and how long they took from cluster to device, in seconds."""

    at: datetime
    changes: int
    drift: int
    lag_median: float | None = None
    lag_max: float | None = None


class Picture(Value, frozen=True):
    """Changes and lag over time; a bucket without changes is left out."""

    since: datetime
    until: datetime
    width: float  # of a bucket, in seconds
    buckets: tuple[Bucket, ...] = ()


class AuditHead(Value, frozen=True):
    """The end of the device's audit chain: number and hash of its last row; 0 and "" before the first."""

    number: int = 0
    hash: str = ""


class Since(Value, frozen=True):
    """The report that this one goes on from: the last one kept of the device before it."""

    number: int
    at: datetime
