"""When a device ends a line by itself: a net below the bridge, for a time at which nobody is there to end what is over."""

from datetime import UTC, datetime, timedelta

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Schedule

MARGIN = timedelta(minutes=1)
"""What a device's clock may be ahead, so that it never ends before its time what the bridge ends to the second."""

_MINUTE = timedelta(minutes=1)


def schedule_after(cluster: str, end: datetime) -> Schedule:
    """The schedule of what is over at `end`: it closes a minute later, at the next whole one. Its name says when, so it never changes."""
    until = end.astimezone(UTC) + MARGIN
    until += -(until - until.replace(second=0, microsecond=0)) % _MINUTE
    return Schedule(ObjectKey(Kind.SCHEDULE, cluster, Scope.BUILTIN, "", f"until.{until:%Y-%m-%d.%H.%M}z"), until)


def check_schedule(schedule: Schedule) -> None:
    """ValueError where its moment is no whole minute of UTC."""
    until = schedule.until
    if until.utcoffset() != timedelta() or until.second or until.microsecond:
        raise ValueError(f"{until.isoformat()} is no whole minute in UTC")


def moment(until: datetime) -> str:
    """The moment as people read it."""
    return until.strftime("%Y-%m-%dT%H:%MZ")
