"""When a device is in a freeze, and until when: windows once and again, that meet, that overlap, and days on which clocks change."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.model.policy import Day, Validity, Window
from bridge.policy.freeze import Freeze, frozen, lasts, next_edge


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def once(begin: str, end: str, name: str = "once") -> Freeze:
    return Freeze(name, Validity(moment(begin), moment(end)))


def weekly(days: str, start: int, end: int, zone: str = "UTC") -> Freeze:
    window = Window(frozenset(map(Day, days.split())), start * 60, end * 60, zone)
    return Freeze("weekly", Validity(windows=frozenset({window})))


YEAR_END = once("2026-12-18T18:00", "2027-01-04T08:00", "year end")
WEEKEND = weekly("Fri Sat Sun", 18, 18, "Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-12-18T17:59:59", None),
        ("2026-12-18T18:00", "2027-01-04T08:00"),
        ("2027-01-04T07:59:59", "2027-01-04T08:00"),
        ("2027-01-04T08:00", None),
    ],
)
def test_a_window_that_comes_once(at: str, until: str | None) -> None:
    found = frozen([YEAR_END], moment(at))
    assert (found.until if found else None) == (moment(until) if until else None)


def test_windows_that_meet_are_one_freeze() -> None:
    found = frozen([WEEKEND], moment("2026-11-20T18:00"))
    assert found is not None
    assert (found.names, found.until) == (("weekly",), moment("2026-11-23T17:00")), "Friday to Monday, 18:00 in Berlin"
    assert found.words == "frozen until 2026-11-23T17:00:00Z (weekly)"


def test_windows_that_overlap_are_one_freeze_and_all_are_named() -> None:
    both = [YEAR_END, once("2026-12-30T00:00", "2027-01-10T00:00", "audit")]
    found = frozen(both, moment("2026-12-31T00:00"))
    assert found is not None
    assert (found.names, found.until) == (("year end", "audit"), moment("2027-01-10T00:00"))
    assert frozen(both, moment("2026-12-20T00:00")) is not None
    assert lasts(both, moment("2026-12-20T00:00"), moment("2027-01-09T00:00"))
    assert not lasts(both, moment("2026-12-20T00:00"), moment("2027-01-10T00:00"))


def test_a_freeze_without_an_end_says_so() -> None:
    ever = weekly("Mon Tue Wed Thu Fri Sat Sun", 0, 0)
    found = frozen([ever], moment("2026-11-20T18:00"))
    assert found is not None
    assert found.until is None
    assert found.words == "frozen without an end in sight (weekly)"
    assert lasts([ever], moment("2026-11-20T18:00"), moment("2027-11-20T18:00"))


def test_the_day_on_which_clocks_go_forward() -> None:
    """A night window from 02:30 begins with the jump that swallows it."""
    night = weekly("Sun", 2, 6, "Europe/Berlin")
    begin = next_edge([night], moment("2026-03-28T12:00"))
    assert begin == moment("2026-03-29T01:00")
    found = frozen([night], begin)
    assert found is not None
    assert found.until == moment("2026-03-29T04:00")


def test_edges_are_met_exactly() -> None:
    at, seen = moment("2026-11-17T00:00"), []
    for _ in range(8):
        edge = next_edge([WEEKEND], at)
        assert edge is not None
        seen.append(
            (edge, frozen([WEEKEND], edge) is not None, frozen([WEEKEND], edge - timedelta(microseconds=1)) is not None)
        )
        at = edge
    turns = [edge for edge, inside, before in seen if inside != before]
    assert turns[:2] == [moment("2026-11-20T17:00"), moment("2026-11-23T17:00")]
