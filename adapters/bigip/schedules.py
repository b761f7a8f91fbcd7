"""The schedules by which the firewall takes a rule for not there from a moment on, `security firewall schedule`. Pure.

Sources: F5's own module `bigip_firewall_schedule` for Ansible, which sends `dateValidEnd` as YYYY-MM-DDTHH:MM:SSZ, says that the time
zone is always UTC, and has epoch, indefinite, 0:00, 24:00 and all days for what is not stated; tmsh's reference, by which the last moment
is the last of 32 bits, which it writes as 19:14 of 18 January 2038, as clocks in Seattle have it; F5's manual of AFM 14.1, "Firewall
Schedules", by which no rule list may refer to one where rules are compiled by hand. That the firewall itself goes by UTC is said nowhere:
so the settings leave schedules off.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.bigip import wire

LATEST = datetime(2038, 1, 18, tzinfo=UTC)
"""From here on an end is written as indefinite: a day before the device's last moment, so that no time zone makes it more than that."""

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a schedule that stands as indefinite: the bridge alone ends what names it."""

ODD = datetime(1970, 1, 1, tzinfo=UTC)
"""The end of a schedule that says what none of ours does: no rule that is over since then is ever wanted."""

WHOLE: Mapping[str, Any] = {
    "dateValidStart": "epoch",
    "dailyHourStart": "0:00",
    "dailyHourEnd": "24:00",
    "daysOfWeek": ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
}
"""What every one of ours says beside its end: at any hour of any day until then. The device's own defaults."""

_SPELLING = "%Y-%m-%dT%H:%M:%SZ"


def known(until: datetime) -> datetime:
    """The end as it can stand on the device."""
    return until if until < LATEST else NEVER


def written(until: datetime) -> str:
    """The end in the device's spelling."""
    return "indefinite" if until >= LATEST else until.strftime(_SPELLING)


def read(schedule: wire.Schedule) -> datetime:
    """The end that a schedule on the device says; ODD for one that we could not have written."""
    if not _whole(schedule):
        return ODD
    if schedule.date_valid_end == "indefinite":
        return NEVER
    try:
        return known(datetime.strptime(schedule.date_valid_end, _SPELLING).replace(tzinfo=UTC))
    except ValueError:
        return ODD


def _whole(schedule: wire.Schedule) -> bool:
    hours = (schedule.daily_hour_start.rjust(5, "0"), schedule.daily_hour_end)
    start = schedule.date_valid_start in ("epoch", "1970-01-01T00:00:00Z")
    days = set(schedule.days_of_week)
    return start and hours == ("00:00", "24:00") and days in (set(), {"all"}, set(WHOLE["daysOfWeek"]))
