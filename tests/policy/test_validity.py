"""When a rule counts: against a clock on the wall, over changes of the clocks, and with years that pass in milliseconds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.model.policy import ALWAYS, Day, Validity, Window
from bridge.model.reasons import Reason
from bridge.policy.validity import next_change, resting

BERLIN = "Europe/Berlin"
ALL_WEEK, WEEKDAYS = frozenset(Day), frozenset(Day) - {Day.SAT, Day.SUN}
SECOND = timedelta(seconds=1)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _window(start: str, end: str, days: frozenset[Day] = ALL_WEEK, zone: str = BERLIN) -> Validity:
    return Validity(windows=frozenset({Window(days, _minutes(start), _minutes(end), zone)}))


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _counts(validity: Validity, at: datetime) -> bool:
    return resting(validity, at) is None


def _changes(validity: Validity, begin: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
    """Every real change between two moments, found by going from one announced moment to the next."""
    at, was = begin, _counts(validity, begin)
    while (moment := next_change([validity], at)) is not None and moment < end:
        assert moment > at
        assert _counts(validity, moment - timedelta(microseconds=1)) == was, "a change that was not announced"
        now = _counts(validity, moment)
        if now != was:
            yield moment, now
        at, was = moment, now


def test_always_is_always() -> None:
    assert _counts(ALWAYS, _at("2026-01-01T00:00Z"))
    assert resting(ALWAYS, None) is None
    assert next_change([ALWAYS], _at("2026-01-01T00:00Z")) is None
    with pytest.raises(ValueError, match="moment"):
        resting(Validity(not_after=_at("2026-01-01T00:00Z")), None)


def test_between_two_moments_the_first_included() -> None:
    first, last = _at("2026-05-01T00:00+02:00"), _at("2026-06-01T00:00+02:00")
    one = Validity(first, last)
    told = [resting(one, at) for at in (first - SECOND, first, last - SECOND, last)]
    assert [rest and rest.reason for rest in told] == [Reason.NOT_YET, None, None, Reason.EXPIRED]
    assert told[0] is not None
    assert told[0].message == "it counts from 2026-04-30T22:00:00Z"
    assert [next_change([one], at) for at in (first - SECOND, first, last)] == [first, last, None]


def test_office_hours() -> None:
    office = _window("08:00", "18:00", WEEKDAYS)
    assert list(_changes(office, _at("2026-11-20T00:00+01:00"), _at("2026-11-24T00:00+01:00"))) == [
        (_at("2026-11-20T08:00+01:00"), True),
        (_at("2026-11-20T18:00+01:00"), False),
        (_at("2026-11-23T08:00+01:00"), True),
        (_at("2026-11-23T18:00+01:00"), False),
    ]
    rest = resting(office, _at("2026-11-21T12:00+01:00"))
    assert rest is not None
    assert (rest.reason, rest.message) == (Reason.OUTSIDE_WINDOW, "it counts again from 2026-11-23T07:00:00Z")
    assert resting(office, _at("2026-11-22T23:59+01:00")) == rest, "words that stay the same while nothing changes"


def test_over_midnight_it_is_the_first_day_that_counts() -> None:
    night = _window("22:00", "06:00", frozenset({Day.FRI}))
    assert list(_changes(night, _at("2026-11-16T00:00+01:00"), _at("2026-11-23T00:00+01:00"))) == [
        (_at("2026-11-20T22:00+01:00"), True),
        (_at("2026-11-21T06:00+01:00"), False),
    ]


def test_windows_that_touch_are_one() -> None:
    whole = _window("00:00", "24:00")
    assert list(_changes(whole, _at("2026-01-01T00:00Z"), _at("2026-12-31T00:00Z"))) == []
    assert _counts(whole, _at("2026-07-01T00:00Z"))


@pytest.mark.parametrize(
    ("start", "end", "begin", "finish"),
    [
        ("01:00", "04:00", "2026-03-29T01:00+01:00", "2026-03-29T04:00+02:00"),  # two hours, not three
        ("02:30", "04:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),  # from the jump
        ("01:00", "02:30", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),  # up to the jump
        ("02:15", "02:45", None, None),  # does not come
    ],
)
def test_clocks_go_forward(start: str, end: str, begin: str | None, finish: str | None) -> None:
    day = (_at("2026-03-29T00:00+01:00"), _at("2026-03-30T00:00+02:00"))
    expected = [(_at(begin), True), (_at(finish), False)] if begin and finish else []
    assert list(_changes(_window(start, end), *day)) == expected


@pytest.mark.parametrize(
    ("start", "end", "begin", "finish"),
    [
        ("01:00", "04:00", "2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00"),  # four hours, not three
        ("02:30", "04:00", "2026-10-25T02:30+02:00", "2026-10-25T04:00+01:00"),
        ("01:00", "02:30", "2026-10-25T01:00+02:00", "2026-10-25T02:30+02:00"),
        ("02:15", "02:45", "2026-10-25T02:15+02:00", "2026-10-25T02:45+02:00"),  # once
    ],
)
def test_clocks_go_back(start: str, end: str, begin: str, finish: str) -> None:
    day = (_at("2026-10-25T00:00+02:00"), _at("2026-10-26T00:00+01:00"))
    assert list(_changes(_window(start, end), *day)) == [(_at(begin), True), (_at(finish), False)]


def test_a_day_that_a_place_left_out() -> None:
    """Samoa went from the 29th to the 31st of December 2011: its Friday did not come."""
    friday = _window("00:00", "24:00", frozenset({Day.FRI}), "Pacific/Apia")
    found = list(_changes(friday, _at("2011-12-20T00:00Z"), _at("2012-01-08T00:00Z")))
    assert [moment for moment, begins in found if begins] == [_at("2011-12-23T10:00Z"), _at("2012-01-05T10:00Z")]


def test_a_year_of_office_hours_is_years_of_nothing_between() -> None:
    office = _window("08:00", "18:00", WEEKDAYS)
    found = list(_changes(office, _at("2026-01-01T00:00Z"), _at("2027-01-01T00:00Z")))
    zone = ZoneInfo(BERLIN)
    assert len(found) == 2 * 261
    assert {(moment.astimezone(zone).hour, begins) for moment, begins in found} == {(8, True), (18, False)}


def test_outer_times_end_the_windows_for_good() -> None:
    window = next(iter(_window("08:00", "18:00", WEEKDAYS).windows))
    one = Validity(_at("2026-11-20T12:00Z"), _at("2026-11-23T12:00Z"), frozenset({window}))
    found = list(_changes(one, _at("2026-01-01T00:00Z"), _at("2028-01-01T00:00Z")))
    assert found == [
        (_at("2026-11-20T12:00Z"), True),
        (_at("2026-11-20T17:00Z"), False),
        (_at("2026-11-23T07:00Z"), True),
        (_at("2026-11-23T12:00Z"), False),
    ]
    assert next_change([one], _at("2026-11-23T12:00Z")) is None
    late = Validity(None, _at("2026-11-21T12:00Z"), frozenset({window}))
    rest = resting(late, _at("2026-11-21T11:00Z"))
    assert rest is not None
    assert rest.message == "no window is left before its notAfter"


ZONES = ("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca")
windows = st.builds(
    Window,
    st.frozensets(st.sampled_from(Day), min_size=1),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.sampled_from(ZONES),
).filter(lambda one: one.start != one.end)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


@given(windows, moments)
def test_away_from_changes_of_the_clock_the_wall_clock_decides(window: Window, at: datetime) -> None:
    zone = ZoneInfo(window.time_zone)
    near = {(at + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in range(-50, 51, 2)}
    if len(near) > 1:
        return
    local = at.astimezone(zone)
    shown, days = local.hour * 60 + local.minute, tuple(Day)
    today, yesterday = days[local.weekday()] in window.days, days[local.weekday() - 1] in window.days
    if window.end > window.start:
        expected = today and window.start <= shown < window.end
    else:
        expected = (today and shown >= window.start) or (yesterday and shown < window.end)
    assert _counts(Validity(windows=frozenset({window})), at) == expected


@given(st.lists(windows, min_size=1, max_size=3), moments, st.none() | moments, st.none() | moments)
def test_no_change_comes_unannounced(
    listed: list[Window], at: datetime, first: datetime | None, last: datetime | None
) -> None:
    assume(first is None or last is None or first < last)  # no other can be written
    one = Validity(first, last, frozenset(listed))
    soon = next_change([one], at) or at + timedelta(days=40)
    told = resting(one, at)
    for part in range(20):
        moment = min(at + (soon - at) * part / 20, soon - timedelta(microseconds=1))
        assert resting(one, moment) == told
