"""Schedules of the firewall: what `security firewall schedule` takes, and when a rule that names one is in force.

Sources: F5's own module `bigip_firewall_schedule` for Ansible (attributes, the spelling of dates, what stands where nothing is given, and
that all of it is UTC), tmsh's reference (the last moment is the last of 32 bits), F5's manuals of AFM 11.4 and 14.1 (each rule of a list
follows its own schedule while the list is enabled; none where rules are compiled by hand). That a date in the past is taken, and that a
schedule that is over keeps its rules out from its very second on, is a guess.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bridge.lab.devices.bigip.answers import ApiError, bad_value
from bridge.lab.devices.bigip.fields import Field, Json, Limits, single

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
EPOCH, INDEFINITE = "epoch", "indefinite"
DEFAULTS: Json = {
    "dateValidStart": EPOCH,
    "dateValidEnd": INDEFINITE,
    "dailyHourStart": "0:00",
    "dailyHourEnd": "24:00",
    "daysOfWeek": DAYS,
}
_EDGES = {EPOCH: 0.0, INDEFINITE: math.inf}
_LAST = datetime.fromtimestamp(2**31 - 1, UTC)
_SPELLING = "%Y-%m-%dT%H:%M:%SZ"
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}T\d{2}:\d{2}:\d{2}Z\Z")
_HOUR = re.compile(r"(\d{1,2}):(\d{2})\Z")


def check(path: str, body: Json) -> None:
    """Refuse a schedule that ends before it begins."""
    if _second(body["dateValidStart"]) >= _second(body["dateValidEnd"]):
        raise ApiError(400, f"01071a71:3: Schedule ({path}): dateValidEnd must be later than dateValidStart.")
    if _minutes(body["dailyHourStart"]) >= _minutes(body["dailyHourEnd"]):
        raise ApiError(400, f"01071a72:3: Schedule ({path}): dailyHourEnd must be later than dailyHourStart.")


def in_force(body: Json, at: float) -> bool:
    """Whether rules that name it count at that second."""
    now = datetime.fromtimestamp(at, UTC)
    day = DAYS[now.isoweekday() % 7]
    minutes = timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
    dates = _second(body["dateValidStart"]) <= at < _second(body["dateValidEnd"])
    hours = _minutes(body["dailyHourStart"]) <= minutes < _minutes(body["dailyHourEnd"])
    return dates and hours and day in body["daysOfWeek"]


def _date(text: str) -> str:
    if text in _EDGES:
        return text
    if not _DATE.match(text):
        raise ValueError("a date is YYYY-MM-DDTHH:MM:SSZ")
    moment = datetime.strptime(text, _SPELLING).replace(tzinfo=UTC)
    if not 0 <= moment.timestamp() <= _LAST.timestamp():
        raise ValueError(f"a date is from 1970 to {_LAST:{_SPELLING}}")
    return moment.strftime(_SPELLING)


def _hour(text: str) -> str:
    found = _HOUR.match(text)
    if not found or int(found[2]) > 59 or _minutes(text) > timedelta(days=1):
        raise ValueError("a time of day is from 0:00 to 24:00")
    return text


def _days(name: str, raw: object, _limits: Limits) -> tuple[str, ...]:
    given = DAYS if raw == "all" else raw
    if not isinstance(given, list | tuple) or not given or len(set(given)) != len(given) or not set(given) <= set(DAYS):
        raise bad_value(name, raw, f"all, or some of {', '.join(DAYS)}")
    return tuple(day for day in DAYS if day in given)


def _second(text: str) -> float:
    """Since 1970."""
    if text in _EDGES:
        return _EDGES[text]
    return datetime.strptime(text, _SPELLING).replace(tzinfo=UTC).timestamp()


def _minutes(text: str) -> timedelta:
    hours, _, minutes = text.partition(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


FIELDS: Mapping[str, Field] = {
    "dateValidStart": single(_date),
    "dateValidEnd": single(_date),
    "dailyHourStart": single(_hour),
    "dailyHourEnd": single(_hour),
    "daysOfWeek": Field(_days, list),
}
