"""When a device ends a line by itself: a net below the bridge, for a time at which nobody is there to end what is over."""

from datetime import UTC, datetime, timedelta

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Schedule

MARGIN = timedelta(minutes=1)
"""What a device's clock may be ahead, so that it never ends before its time what the bridge ends to the second."""

FAR = datetime(2100, 1, 1, tzinfo=UTC)
"""Ends from here on are for people who mean never: no device is told of them, and calendars themselves end."""

_MINUTE = timedelta(minutes=1)
_NAME = "until.%Y-%m-%d.%H.%Mz"


def schedule_after(cluster: str, end: datetime) -> Schedule:
    """The schedule of what is over at `end`: it closes a minute later, at the next whole one. Its name says when, so it never changes."""
    until = end.astimezone(UTC) + MARGIN
    until += -(until - until.replace(second=0, microsecond=0)) % _MINUTE
    return Schedule(ObjectKey(Kind.SCHEDULE, cluster, Scope.BUILTIN, "", until.strftime(_NAME)), until)


def until_of(key: ObjectKey) -> datetime:
    """The moment that the key of a schedule tells, in UTC. ValueError where it tells none."""
    found = datetime.strptime(key.name, _NAME).replace(tzinfo=UTC)
    if key.kind is not Kind.SCHEDULE or found.strftime(_NAME) != key.name:
        raise ValueError(f"{key} does not tell when it ends")
    return found


def check_schedule(schedule: Schedule) -> None:
    """ValueError where its moment is no whole minute of UTC."""
    until = schedule.until
    if until.utcoffset() != timedelta() or until.second or until.microsecond:
        raise ValueError(f"{until.isoformat()} is no whole minute in UTC")


def moment(until: datetime) -> str:
    """The moment as people read it."""
    return until.strftime("%Y-%m-%dT%H:%MZ")
