"""Rules that count at times: compiled as of now, and again at the moment when that changes, by the clock alone."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.intake.intake import Intake, required
from bridge.model.identity import Kind, Scope
from bridge.model.observed import Change, Observed, Pod, Synced
from bridge.model.policy import Ref
from bridge.state.batch import Batch, Recorded
from tests.intake.fold import CLUSTER, EDGE, GOVERNANCE, Record, event
from tests.intake.objects import external, namespace, pod, policy, service, service_rule

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "start": "08:00", "end": "18:00", "timeZone": "Europe/Berlin"}
LATE = datetime(2999, 1, 1, tzinfo=UTC)
RULE = Ref("ServiceEgressRule", "shop", "pay-out")


@dataclass
class Wall:
    """A clock that stands still but for waiting. Long waits are leaps to the end of the minute, so that months are seconds."""

    at: datetime
    end: datetime = LATE
    stop: threading.Event = field(default_factory=threading.Event)
    asleep: timedelta = timedelta(0)  # for how long the machine sleeps in its next wait
    waits: int = 0

    def now(self) -> datetime:
        return self.at

    def elapsed(self) -> float:
        return self.at.timestamp()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits += 1
        if event.is_set():
            return True
        into = self.at.second + self.at.microsecond / 1e6
        leap = 59.5 - into if seconds >= 1 and into < 58 else seconds
        self.at += timedelta(seconds=leap) + self.asleep
        self.asleep = timedelta(0)
        if self.at >= self.end:
            self.stop.set()
        return event.is_set()


@dataclass
class Stage:
    """Intake over a record, on a clock of our own. `written` are the batches with their times."""

    wall: Wall
    record: Record = field(default_factory=Record)
    written: list[tuple[datetime, Batch]] = field(default_factory=list)

    def load_cluster(self, _cluster: str, _same: Callable[[Pod], Pod] | None = None) -> Recorded:
        return self.record.recorded()

    def let_go(self, _cluster: str) -> frozenset[Ref]:
        return frozenset()

    def commit_batch(self, _cluster: str, batch: Batch, _epoch: int) -> int:
        self.record.take(batch)
        self.record.check()
        self.written.append((self.wall.now(), batch))
        return len(self.written)

    def start(self, *values: Observed) -> None:
        """A process begins, and the cluster shows it these."""
        self.intake = Intake(CLUSTER, GOVERNANCE, (EDGE,), self, self.wall)
        self.intake.start_from()
        self.intake.sink([event(Change.UPSERT, one) for one in values])
        self.intake.sink([Synced(resource, "1") for resource in required(())])

    def until(self, end: datetime) -> None:
        """Let it run up to this moment."""
        self.wall.end = end
        self.wall.stop.clear()
        self.intake.run(self.wall.stop, lambda: 1)

    def tell(self, *values: Observed, change: Change = Change.UPSERT) -> None:
        self.intake.sink([event(change, one) for one in values])

    def counts(self, ref: Ref = RULE) -> bool:
        """Whether the device is to have a line of the rule."""
        keys = self.record.placements[ref, "edge"].keys
        return any(key.kind is Kind.RULE_LIST for key in keys)

    def changes(self) -> list[tuple[str, bool]]:
        """When lines came and went, on the clocks of Berlin."""
        found = []
        for at, batch in self.written:
            lists = [one.key for one in batch.desired if one.key.kind is Kind.RULE_LIST]
            gone = [key for _, key in batch.desired_gone if key.kind is Kind.RULE_LIST]
            for key, here in [*((key, True) for key in lists), *((key, False) for key in gone)]:
                if key.scope is Scope.SERVICE:
                    found.append((at.astimezone(BERLIN).strftime("%a %d %b %H:%M:%S"), here))
        return found


def _berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def _shop(**times: Any) -> tuple[Observed, ...]:  # noqa: ANN401
    rule = service_rule()
    rule = policy("ServiceEgressRule", rule.name, **{**rule.spec, **times})
    return namespace(), service("pay", app="pay"), pod("pay-1", "10.0.0.1"), external(), rule


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ("2026-03-26T12:00", "2026-03-30T12:00", ["Thu 26 Mar 18", "Fri 27 Mar 08", "Fri 27 Mar 18", "Mon 30 Mar 08"]),
        ("2026-10-22T12:00", "2026-10-26T12:00", ["Thu 22 Oct 18", "Fri 23 Oct 08", "Fri 23 Oct 18", "Mon 26 Oct 08"]),
    ],
)
def test_on_the_second_over_changes_of_the_clock(begin: str, end: str, expected: list[str]) -> None:
    stage = Stage(Wall(_berlin(begin)))
    stage.start(*_shop(windows=[OFFICE]))
    stage.until(_berlin(end))
    first, *others = stage.changes()
    assert first[1]
    assert others == [(f"{moment}:00:00", moment.endswith("08")) for moment in expected]
    assert len(stage.written) == 1 + len(expected), "nothing else was written"


def test_months_in_milliseconds() -> None:
    stage = Stage(Wall(_berlin("2026-01-01T00:00")))
    stage.start(*_shop(windows=[OFFICE]))
    stage.until(_berlin("2026-04-01T00:00"))
    assert len(stage.changes()) == 2 * 64, "64 working days, each with its two ends"
    assert {moment[-8:] for moment, _ in stage.changes()} == {"08:00:00", "18:00:00"}


def test_it_is_said_that_a_rule_does_not_count_and_why_it_changed() -> None:
    stage = Stage(Wall(_berlin("2026-06-01T00:00")))
    stage.start(*_shop(notBefore="2026-06-02T00:00:00Z", notAfter="2026-06-03T00:00:00Z"))
    stage.until(_berlin("2026-06-01T12:00"))
    one = stage.record.placements[RULE, "edge"]
    assert (one.reason, one.message, one.keys) == ("NotYet", "it counts from 2026-06-02T00:00:00Z", ())
    assert stage.record.verdicts[RULE].ok, "it is accepted all the same"
    stage.until(_berlin("2026-06-02T12:00"))
    assert (stage.record.placements[RULE, "edge"].reason, stage.counts()) == ("", True)
    causes = {row.cause for row in stage.written[-1][1].desired if row.key.scope is Scope.SERVICE}
    assert causes == {"ServiceEgressRule shop/pay-out counts by its times"}
    stage.until(_berlin("2026-06-03T12:00"))
    assert stage.record.placements[RULE, "edge"].reason == "Expired"
    assert "ServiceEgressRule shop/pay-out no longer counts (Expired)" in stage.written[-1][1].causes.values()
    assert stage.record.verdicts[RULE].ok
    waits = stage.wall.waits
    stage.until(_berlin("2026-06-04T12:00"))
    assert len(stage.written) == 3
    assert stage.wall.waits > waits, "it still looks at its queue"


def test_a_restart_between_finds_its_place() -> None:
    stage = Stage(Wall(_berlin("2026-06-01T12:00")))
    objects = _shop(windows=[OFFICE])
    stage.start(*objects)
    stage.until(_berlin("2026-06-01T13:00"))
    assert stage.counts()
    stage.wall.at = _berlin("2026-06-01T20:00")
    stage.start(*objects)
    stage.until(_berlin("2026-06-01T20:01"))
    assert not stage.counts()
    assert "ServiceEgressRule shop/pay-out no longer counts (OutsideWindow)" in stage.written[-1][1].causes.values()
    stage.until(_berlin("2026-06-02T08:01"))
    assert stage.counts()
    written = len(stage.written)
    stage.start(*objects)
    stage.until(_berlin("2026-06-02T09:00"))
    assert len(stage.written) == written or not stage.written[-1][1].desired, (
        "a restart inside the window changes nothing"
    )


def test_a_machine_that_slept_over_a_moment_sees_it_when_it_wakes() -> None:
    stage = Stage(Wall(_berlin("2026-06-01T12:00")))
    stage.start(*_shop(windows=[OFFICE]))
    stage.until(_berlin("2026-06-01T13:00"))
    stage.wall.asleep = timedelta(hours=10)
    stage.until(_berlin("2026-06-01T23:30"))
    assert stage.changes()[-1] == ("Mon 01 Jun 23:00:59", False), "at its first look, not at the next moment"


def test_a_clock_that_is_set_back_is_believed() -> None:
    stage = Stage(Wall(_berlin("2026-06-01T17:59")))
    stage.start(*_shop(notAfter="2026-06-01T16:00:00Z"))
    stage.until(_berlin("2026-06-01T18:05"))
    assert not stage.counts()
    stage.wall.at = _berlin("2026-06-01T17:00")
    stage.until(_berlin("2026-06-01T17:01"))
    assert stage.counts()
    stage.until(_berlin("2026-06-01T18:01"))
    assert not stage.counts()


def test_a_deny_whose_window_ends_simply_ends() -> None:
    deny = policy("NamespaceEgressRule", "quiet", action="Deny", to=[{"name": "bank"}], windows=[OFFICE])
    stage = Stage(Wall(_berlin("2026-06-01T12:00")))
    stage.start(*_shop(), deny)
    stage.until(_berlin("2026-06-01T17:00"))
    ref = Ref("NamespaceEgressRule", "shop", "quiet")
    assert stage.counts(ref)
    stage.until(_berlin("2026-06-01T19:00"))
    assert stage.record.placements[ref, "edge"].reason == "OutsideWindow"
    assert (stage.record.placements[RULE, "edge"].reason, stage.counts()) == ("", True), "nothing is withheld for it"


def test_what_a_resting_rule_names_stays_accepted() -> None:
    stage = Stage(Wall(_berlin("2026-06-01T20:00")))
    stage.start(*_shop(windows=[OFFICE]))
    stage.until(_berlin("2026-06-01T21:00"))
    assert not stage.counts()
    stage.tell(external(), change=Change.DELETED)
    stage.until(_berlin("2026-06-02T09:00"))
    assert stage.counts()
    assert stage.record.destination("bank") == {"192.0.2.1"}


def test_pods_that_come_outside_the_window_are_members_inside_it() -> None:
    stage = Stage(Wall(_berlin("2026-06-01T20:00")))
    stage.start(*_shop(windows=[OFFICE]))
    stage.until(_berlin("2026-06-01T21:00"))
    stage.tell(pod("pay-2", "10.0.0.2"))
    stage.until(_berlin("2026-06-02T09:00"))
    assert stage.record.group(Scope.SERVICE, "pay") == {"10.0.0.1", "10.0.0.2"}
