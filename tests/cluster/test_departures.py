"""Who went is remembered until every record knows, and never more than so many."""

from datetime import UTC, datetime, timedelta

from bridge.cluster.departures import Departures
from bridge.model.observed import Change, Event, Resource
from tests.intake.objects import pod

_START = datetime(2026, 3, 1, tzinfo=UTC)


class _Clock:
    """A second passes each time that somebody asks."""

    def __init__(self) -> None:
        self.seconds = -1

    def __call__(self) -> datetime:
        self.seconds += 1
        return _START + timedelta(seconds=self.seconds)


def _event(number: int, change: Change = Change.DELETED) -> Event:
    return Event(change, Resource.PODS, pod(f"pay-{number}", uid=str(number)))


def _gone(departures: Departures, count: int) -> None:
    for number in range(count):
        departures.note(_event(number))


def test_what_went_before_a_moment_is_forgotten_and_nothing_else() -> None:
    departures = Departures(_Clock())
    _gone(departures, 10)
    departures.forget(_START + timedelta(seconds=4))
    assert [number for number in range(10) if departures.of(str(number))] == [4, 5, 6, 7, 8, 9]
    departures.forget(_START + timedelta(seconds=60))
    assert len(departures) == 0


def test_who_came_back_did_not_go() -> None:
    departures = Departures(_Clock())
    _gone(departures, 2)
    departures.note(_event(0, Change.UPSERT))
    assert departures.of("0") is None
    assert departures.of("1") is not None


def test_of_too_many_the_oldest_are_forgotten() -> None:
    departures = Departures(_Clock(), most=100)
    for number in range(1_000):
        departures.note(_event(number))
        assert len(departures) <= 100
        assert departures.of(str(number)) is not None
    assert len(departures) >= 85
    assert departures.of("0") is None
