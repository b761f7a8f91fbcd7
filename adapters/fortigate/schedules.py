"""Ends of lines as one-time schedules of FortiOS, and back. Pure.

Such a schedule is a shared entry called by its word, `ends-20360504-1231`: the moment as a clock on the unit shows it, for FortiOS keeps
schedules in its own time. The table has no field for a mark, so the name is all that says whose one is: it holds everything that we write
there, and only what has that name and that content counts as ours.
"""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from adapters.fortigate import wire

Json = dict[str, str | int]

SCHEDULE = "firewall.schedule/onetime"
_BEGIN = "00:00 2001/01/01"  # FortiOS wants one; long past in every zone
_WORD = re.compile(r"ends-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)\Z", re.ASCII)
_MINUTE = timedelta(minutes=1)


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of a name such as Europe/Berlin; None where there is none of that name here."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, OSError, ValueError):  # by how the name is written
        return None


def word(moment: datetime, zone: ZoneInfo) -> str:
    """What ends at this moment, by a clock of the zone.

    Of a time that such a clock shows twice the unit may take the first, and what is to end at the second would end too soon: it ends
    when the clock has shown them all.
    """
    while _comes_again(moment, zone):
        moment += _MINUTE
    return f"ends-{moment.astimezone(zone):%Y%m%d-%H%M}"


def body(what: str) -> Json:
    """What makes a schedule stand for the word. The unit need not log that it will end: the bridge ends what names it."""
    found = _WORD.match(what)
    if found is None:
        raise ValueError(f"{what!r} is no end")
    year, month, day, hour, minute = found.groups()
    return {"start": _BEGIN, "end": f"{hour}:{minute} {year}/{month}/{day}", "expiration-days": 0}


def read(one: wire.Onetime) -> str:
    """The word of a schedule that is as we would write it; empty for any other."""
    clock, _, day = one.end.partition(" ")
    what = f"ends-{day.replace('/', '')}-{clock.replace(':', '')}"
    good = _WORD.match(what) is not None and (one.start, one.end) == (body(what)["start"], body(what)["end"])
    return what if good else ""


def _comes_again(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether a clock of the zone has shown the same before."""
    return moment.astimezone(zone).fold == 1
