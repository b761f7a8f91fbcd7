"""Schedules as people write them: five fields of cron, in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any

_LATE = timedelta(hours=1)  # so long after its time something may still be done for it
_AHEAD = timedelta(seconds=10)  # the clocks of two replicas are not quite the same: one may be early


def cron(text: str | None) -> str | None:
    """The schedule in one form; None for `none`. ValueError says what is wrong with it.

    Days of the week go by name: programs do not agree on their numbers.
    """
    fields = (text or "none").split()
    if fields == ["none"]:
        return None
    if len(fields) != 5:
        raise ValueError("must be five fields of cron, such as 0 6 * * * for every morning at six (UTC), or none")
    if any(letter.isdigit() for letter in fields[4].partition("/")[0]):
        raise ValueError("names the days of the week by number, which means other days elsewhere; write mon-fri")
    try:
        trigger(" ".join(fields))
    except ValueError:
        raise ValueError("is no schedule of cron, such as 0 6 * * *") from None
    return " ".join(fields)


def trigger(text: str) -> Any:  # noqa: ANN401 (APScheduler's own, without types)
    """What APScheduler goes by."""
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 (dear to import, and most commands need none)

    return CronTrigger.from_crontab(text, timezone=UTC)


def last_due(text: str, now: datetime) -> datetime:
    """The last time that the schedule names up to `now`, the same on every replica; `now` itself when that was over an hour ago."""
    times = trigger(text)
    found, at = now, times.get_next_fire_time(None, now - _LATE)
    while at is not None and at <= now + _AHEAD:
        found, at = at, times.get_next_fire_time(None, at + timedelta(seconds=1))
    return found
