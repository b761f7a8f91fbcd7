"""When a rule counts, and when that changes next.

A window is one stretch of time each time it comes. It begins at the first moment at which a clock of its zone shows its start or later on
that day, and ends at the first one at which it shows its end or later. So where clocks go forward, a time that they skip is the moment of
the jump, and a window that lies inside the skipped hour does not come that day. Where they go back, a time that they show twice is the
first of the two, and a window around the repeated hour is longer by that hour.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.model.policy import ALWAYS, Day, Ref, Rule, Validity, Window
from bridge.model.reasons import Reason
from bridge.model.schedules import FAR

_DAYS = tuple(Day)
# Every window that has a day comes again within a week, and one more where a change of the clocks swallows it.
_AHEAD = 16
_SECOND = timedelta(seconds=1)
_LONG = timedelta(days=15)  # windows that leave no gap in so many days leave none in any week


@dataclass(frozen=True, slots=True)
class Rest:
    """Why a rule does not count now, and in words that stay the same as long as it does not."""

    reason: Reason
    message: str


def resting(validity: Validity, at: datetime | None) -> Rest | None:
    """Why a rule of this validity does not count at that moment; None when it does. ValueError where that takes a moment and has none."""
    if validity == ALWAYS:
        return None
    if at is None:
        raise ValueError("whether a rule counts that has its times cannot be told without a moment")
    if validity.not_before and at < validity.not_before:
        return Rest(Reason.NOT_YET, f"it counts from {_shown(validity.not_before)}")
    if validity.not_after and at >= validity.not_after:
        return Rest(Reason.EXPIRED, f"it counted until {_shown(validity.not_after)}")
    if validity.windows and not any(begin <= at < end for begin, end in _stretches(validity.windows, at)):
        return _until_the_next(validity, at)
    return None


def by_time(rules: Iterable[Rule], at: datetime | None) -> Iterator[tuple[Rule, Rest | None]]:
    """Each rule with why it does not count at that moment. Rules mostly share their times, so each of these is looked at once."""
    told: dict[Validity, Rest | None] = {}
    for rule in rules:
        if rule.validity is ALWAYS:  # nearly all, and asked at every edit of any
            yield rule, None
            continue
        if rule.validity not in told:
            told[rule.validity] = resting(rule.validity, at)
        yield rule, told[rule.validity]


def in_force(rules: Iterable[Rule], at: datetime | None) -> tuple[Rule, ...]:
    """The rules that count at that moment."""
    return tuple(rule for rule, rest in by_time(rules, at) if rest is None)


def ends(rules: Iterable[Rule], at: datetime | None) -> dict[Ref, datetime]:
    """When those that count at that moment will no longer, as far as they end before what is FAR."""
    told: dict[Validity, datetime | None] = {}
    for rule in rules:
        if rule.validity is not ALWAYS and rule.validity not in told:
            told[rule.validity] = _end(rule.validity, at)
    found = ((rule.ref, told.get(rule.validity)) for rule in rules if told)
    return {ref: end for ref, end in found if end is not None and end < FAR}


def _end(validity: Validity, at: datetime | None) -> datetime | None:
    """When it ceases to count, where it counts now: of windows that meet or overlap, the end of the last."""
    if at is None or resting(validity, at) is not None:
        return None
    return min(filter(None, (_last(validity.windows, at), validity.not_after)), default=None)


def _last(windows: Iterable[Window], at: datetime) -> datetime | None:
    """The end of the windows around a moment, of those that follow on each other the last; None where one always follows."""
    end = at
    while end - at < _LONG:
        later = max((last for first, last in _stretches(windows, end) if first <= end), default=end)
        if later <= end:
            return end if end > at else None
        end = later
    return None


def next_change(validities: Iterable[Validity], after: datetime) -> datetime | None:
    """The first moment after this one at which one of them may begin or cease to count; None when none ever does."""
    return min((moment for one in set(validities) for moment in _moments(one, after)), default=None)


def _moments(validity: Validity, after: datetime) -> Iterator[datetime]:
    """Moments after this one at which it may change, the first of them included."""
    last = validity.not_after
    if last and after >= last:
        return
    for edge in (validity.not_before, last):
        if edge and edge > after:
            yield edge
    start = max(after, validity.not_before) if validity.not_before else after
    for stretch in _stretches(validity.windows, start):
        for edge in stretch:
            if edge > after and (last is None or edge < last):
                yield edge


def _until_the_next(validity: Validity, at: datetime) -> Rest:
    ahead = [begin for begin, _ in _stretches(validity.windows, at) if begin > at]
    if not ahead or (validity.not_after and min(ahead) >= validity.not_after):
        return Rest(Reason.OUTSIDE_WINDOW, "no window is left before its notAfter")
    return Rest(Reason.OUTSIDE_WINDOW, f"it counts again from {_shown(min(ahead))}")


def _stretches(windows: Iterable[Window], around: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The windows' own stretches of time from the days before this moment to some time after it, empty ones left out."""
    for window in windows:
        zone = ZoneInfo(window.time_zone)
        today = around.astimezone(zone).date()
        for offset in range(-2, _AHEAD):
            stretch = _stretch(window, today + timedelta(days=offset))
            if stretch is not None:
                yield stretch


@lru_cache(maxsize=20_000)
def _stretch(window: Window, day: date) -> tuple[datetime, datetime] | None:
    if _DAYS[day.weekday()] not in window.days:
        return None
    begin = _moment(window.time_zone, day, window.start)
    end = _moment(window.time_zone, day, window.end + 1440 * (window.end <= window.start))
    return (begin, end) if begin < end else None


def _moment(time_zone: str, day: date, minutes: int) -> datetime:
    """The first moment at which a clock of the zone shows this time of the day, or a later one, in UTC."""
    shown = datetime.combine(day, time()) + timedelta(minutes=minutes)
    zone = ZoneInfo(time_zone)
    found = shown.replace(tzinfo=zone).astimezone(UTC)  # of a time that is shown twice, the first
    if _clock(found, zone) == shown:
        return found
    # Skipped: the offset from before the jump leads behind it, the one from after it in front of it.
    early, late = shown.replace(tzinfo=zone, fold=1).astimezone(UTC), found
    while late - early > _SECOND:
        middle = (early + (late - early) / 2).replace(microsecond=0)
        early, late = (early, middle) if _clock(middle, zone) >= shown else (middle, late)
    return late


def _clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
