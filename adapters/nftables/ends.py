"""The moment at which a line ends, as nftables writes it. Pure.

A schedule is a chain of one rule, `meta time < <its end> accept`. A line that ends has the same condition, before it counts or logs, and
jumps to that chain instead of accepting: so the kernel itself refuses a line whose schedule is not there, and to take away one in use.
The kernel compares with its clock at each packet. (A named set of `meta time` could say it too, but as JSON nft 1.0.6 can only list one,
and not make it: its `"type": "time"` is taken for another type of that name.)

nft takes a number for seconds since 1970, whatever the zone; it prints dates, also with `-n` and `-T`, in the zone of its process, which
`transport` sets to UTC. A date that it reads is taken in its zone as that is today, so what is kept for the next start has numbers.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from adapters.nftables import wire
from bridge.model.identity import ObjectKey
from bridge.model.intent import Schedule
from bridge.model.schedules import check_schedule

Json = dict[str, Any]

NEVER = datetime.fromtimestamp(0, UTC)
"""How the end of a chain reads that is not as we make it."""
LAST = datetime(2262, 1, 1, tzinfo=UTC)
"""The kernel's clock counts nanoseconds in 63 bits; what ends later is written as ending then."""

_CLOCK = {"meta": {"key": "time"}}
_FORMAT = "%Y-%m-%d %H:%M:%S"
_DATED = re.compile(rb'(\bmeta time < )"([0-9: -]{19})"')


def canonical(value: Schedule) -> Schedule:
    """The schedule as it is read back. ValueError on what is no whole minute since 1970."""
    check_schedule(value)
    if value.until <= NEVER:
        raise ValueError(f"{value.until.isoformat()} is before the kernel's clock begins")
    return Schedule(value.key, min(value.until, LAST))


def before(until: datetime | None) -> Json:
    """The condition of what is there until then; one that nothing meets where nobody says until when."""
    return {"match": {"op": "<", "left": _CLOCK, "right": int((until or NEVER).timestamp()) or 1}}


def rules(value: Schedule) -> list[list[Json]]:
    """What its chain holds."""
    return [[before(value.until), {"accept": None}]]


def read(key: ObjectKey, held: Sequence[wire.Rule]) -> Schedule:
    """The schedule that a chain is."""
    match [rule.expr for rule in held]:
        case [[{"match": {"op": "<", "left": left, "right": right}}, {"accept": _}]] if is_clock(left):
            return Schedule(key, datetime.fromtimestamp(second(right), UTC))
    return Schedule(key, NEVER)


def is_clock(left: object) -> bool:
    """Whether it is the time that is compared."""
    return left == _CLOCK


def second(right: object) -> int:
    """What the time is compared with: seconds since 1970; 0 where it is nothing that we would write."""
    try:
        found = right if isinstance(right, int) else int(_date(str(right)).timestamp())
    except ValueError:
        return 0
    return found if 0 < found <= LAST.timestamp() else 0


def loadable(text: bytes) -> bytes:
    """A listing with its ends as numbers, which mean the same wherever it is loaded."""
    return _DATED.sub(lambda one: b"%s%d" % (one[1], _date(one[2].decode()).timestamp()), text)


def _date(text: str) -> datetime:
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
