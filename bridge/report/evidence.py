"""What the state adds to the live comparison of a device: who holds each member, how things stand, what was done since the last report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import msgspec

from bridge.model.baseline import FreezeStanding
from bridge.model.intent import Group, Shard, Snapshot
from bridge.model.plan import Plan
from bridge.report.about import about
from bridge.report.changes import Bucket, Change, Changes, Picture, Since, Touched
from bridge.report.model import FrozenPolicy, HandoverTimes, Summary
from bridge.report.overview import frozen_policy, handover_times
from bridge.state.change_store import After, ChangeStore
from bridge.state.database import Database
from bridge.state.report_archive import ReportArchive
from bridge.state.report_store import ReportStore
from bridge.state.reported import Audited, DeviceStanding, HeldPlan, Holder

_A_DAY = timedelta(days=1)
_BACK = 200  # kept reports looked through for the last one of a device
_DRIFTS, _LATEST, _MOST = 200, 30, 15
_LONGEST = 2000  # characters of before and after; the audit has them whole
_BUCKETS = 48
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the state says of one device, as of `at`; `holders` by cluster and address."""

    standing: DeviceStanding | None = None
    held: tuple[HeldPlan, ...] = ()
    holders: Mapping[str, Mapping[str, Holder]] = field(default_factory=dict)
    oldest_unapplied: datetime | None = None
    since: Since | None = None
    drift_total: int = 0
    drift: tuple[Change, ...] = ()
    changes: Changes = field(default_factory=Changes)
    picture: Picture | None = None
    frozen: tuple[FrozenPolicy, ...] = ()
    handover: HandoverTimes = field(default_factory=HandoverTimes)
    doubted: Mapping[str, int] = field(default_factory=dict)
    at: datetime | None = None


class Witness:
    """Asks the state for one report, which is as of `at`. Every method raises StateUnavailable while the database is away."""

    def __init__(self, database: Database, at: datetime) -> None:
        self._store = ReportStore(database)
        self._changes = ChangeStore(database)
        self._archive = ReportArchive(database)
        self._at = at

    def evidence(self, device: str, addresses: Mapping[str, Iterable[str]]) -> Evidence:
        """Everything about one device; `addresses` by cluster are those of which the holder is asked."""
        since, after = self._since(device)
        return Evidence(
            standing=self._standings.get(device),
            held=self._store.held(device),
            holders={cluster: self._store.holders(cluster, listed) for cluster, listed in addresses.items()},
            oldest_unapplied=self._store.lag(device),
            since=since,
            drift_total=self._changes.drifts(device, after),
            drift=tuple(change(one) for one in self._changes.last(device, after, _DRIFTS, drift=True)),
            changes=self._summary(device, after),
            picture=self._picture(device, since),
            frozen=tuple(frozen_policy(one) for one in self._freezes.get(device, ())),
            handover=self._handovers.get(device, HandoverTimes()),
            doubted=self._store.doubted(device),
            at=self._at,
        )

    @cached_property
    def _standings(self) -> Mapping[str, DeviceStanding]:
        return {one.name: one for one in self._store.devices()}

    @cached_property
    def _freezes(self) -> Mapping[str, tuple[FreezeStanding, ...]]:
        return self._store.freezes()

    @cached_property
    def _handovers(self) -> Mapping[str, HandoverTimes]:
        found = self._store.handovers(self._at - _A_DAY)
        return {name: handover_times(one) for name, one in found.items()}

    @cached_property
    def _kept(self) -> tuple[tuple[Since, Summary], ...]:
        return tuple(
            (Since(one.number, one.at), msgspec.json.decode(one.summary, type=Summary))
            for one in self._archive.kept(_BACK)
        )

    def _since(self, device: str) -> tuple[Since | None, After]:
        """The last report kept of the device, and where in its audit it ended; else a day ago."""
        for since, summary in self._kept:
            if device in summary.audit:
                return since, After(number=summary.audit[device])
        return None, After(at=self._at - _A_DAY)

    def _summary(self, device: str, after: After) -> Changes:
        numbers = self._changes.numbers(device, after)
        most = self._changes.most(device, after, _MOST)
        return Changes(
            total=numbers.total,
            refused=numbers.refused,
            by_op=numbers.by_op,
            lag_median=numbers.lag_median,
            lag_max=numbers.lag_max,
            flows_closed=numbers.flows_closed,
            most=tuple(Touched(*about(one.key), one.changes, one.last, one.cause) for one in most),
            latest=tuple(change(one) for one in self._changes.last(device, after, _LATEST, drift=False)),
        )

    def _picture(self, device: str, since: Since | None) -> Picture | None:
        """The last day, or longer when the last report is older; never from before the first change."""
        first = self._changes.first(device)
        if first is None:
            return None
        start = max(first, min(since.at if since else self._at, self._at - _A_DAY))
        width = bucket_width(self._at - start)
        origin = datetime.fromtimestamp(start.timestamp() // width * width, UTC)
        after = After(at=start - timedelta(microseconds=1))
        found = self._changes.buckets(device, after, origin, timedelta(seconds=width))
        buckets = tuple(Bucket(one.at, one.changes, one.drift, one.lag_median, one.lag_max) for one in found)
        return Picture(origin, self._at, width, buckets)


def bucket_width(span: timedelta) -> float:
    """Seconds of a bucket, a round number, so that the span has about 50 of them at most."""
    least = span.total_seconds() / _BUCKETS
    return float(next((width for width in _WIDTHS if width >= least), _WIDTHS[-1]))


def change(row: Audited) -> Change:
    """A row of the audit, its longest texts cut."""
    entry = row.entry
    return Change(
        *about(entry.key),
        number=row.number,
        at=row.at,
        op=entry.op,
        cause=entry.cause,
        before=_cut(entry.before),
        after=_cut(entry.after),
        outcome=entry.outcome,
        plan=row.plan_digest,
        lag=entry.lag,
    )


def addresses_of(snapshot: Snapshot, plan: Plan) -> dict[str, set[str]]:
    """The single addresses that are, should be or wait to be in groups, by cluster."""
    found: dict[str, set[str]] = {}
    wanted = {step.key: step.after for step in plan.steps if step.after is not None}
    for objects in (snapshot.objects, wanted):
        for key, value in objects.items():
            if isinstance(value, Group | Shard):
                found.setdefault(key.cluster, set()).update(filter(_single, value.members))
    for held in plan.held:
        found.setdefault(held.key.cluster, set()).update(filter(_single, held.members))
    return found


def _single(member: str) -> bool:
    """Whether it is one address: no prefix, no range, no name."""
    return "/" not in member and "-" not in member and (":" in member or member.replace(".", "").isdigit())


def _cut(text: str) -> str:
    more = len(text) - _LONGEST
    return text if more <= 0 else f"{text[:_LONGEST]} … and {more} characters more"
