"""A look at a FortiGate before it is written to: the unit, its version, what speaks against writing there, and what the token may.

A profile cannot be read over the API without the right to read administrators, so its breadth is tried: what answers to a read that the
bridge never needs is too much. Whether it may write, only a write tells.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from adapters.fortigate.addresses import ADDRESS, ADDRESS6
from adapters.fortigate.client import Client, Refusal, place
from adapters.fortigate.groups import GROUP, GROUP6
from adapters.fortigate.rows import POLICY
from adapters.fortigate.schedules import SCHEDULE, zone_of
from adapters.fortigate.scope import Scope
from adapters.fortigate.unit import Unit, look
from bridge.errors import Denied
from bridge.model.examination import Finding, doubtful, fine, wrong

OLDEST = (
    6,
    4,
)  # since when a unit has transactions; Fortinet's description, on which the simulator is built, is of 6.4.14
_SERVICES = ("firewall.service/custom", "firewall.service/group")
_NEEDLESS = ("system/admin", "system/zone", "antivirus/profile")


class _Global(msgspec.Struct):
    timezone: str = ""


def examine(client: Client, scope: Scope) -> Iterator[Finding]:
    """One finding after the other. Raises Busy, Denied where the unit does not say who it is."""
    unit = look(client)
    known = unit.serial in scope.units or not scope.units
    said = f"serial {unit.serial}, VDOM {scope.vdom or '(the management VDOM)'}"
    yield fine("device", said) if known else doubtful("device", f"{said}: none of scope.units")
    yield _version(unit)
    for words in unit.objections(scope.acknowledged, policies=scope.policies):
        yield wrong("unit", words)
    yield _feeds(unit, scope)
    if scope.zone is not None:
        yield _time(client, scope.zone)
    yield _reading(client, scope)
    yield _breadth(client)
    for name, room in unit.rooms.items():
        told = f"{room.used} of {room.most} {name}"
        yield (doubtful if room.used * 10 > room.most * 9 else fine)(f"room for {name}", told)


def _version(unit: Unit) -> Finding:
    if not unit.version:
        return doubtful("version", "it does not say which it is")
    if unit.version[:2] < OLDEST:
        return wrong("version", f"{unit.release}; {'.'.join(map(str, OLDEST))} is the oldest that can be served")
    return fine("version", f"{unit.release} build {unit.build}")


def _feeds(unit: Unit, scope: Scope) -> Finding:
    if scope.feeds is None:
        return fine("feeds", "not asked for: every group is an object")
    if not unit.pushes:
        return doubtful("feeds", f"{unit.release} takes no pushed feeds: every group is an object")
    return fine("feeds", f"at most {scope.feeds.most} groups are pushed")


def _time(client: Client, zone: ZoneInfo) -> Finding:
    """Whether the unit keeps its time as the settings say: a name since 7.4, before that a number of Fortinet's own."""
    try:
        name = client.decoded(client.get(place("system/global")).results, _Global).timezone
    except (Denied, Refusal):
        name = ""
    if not name:
        return doubtful("time zone", f"it does not say; schedules are written for {zone.key}")
    theirs = zone_of(name)
    if theirs is None:
        return doubtful("time zone", f"{name}, a number of Fortinet's own; schedules are written for {zone.key}")
    if _alike(theirs, zone):
        return fine("time zone", name)
    return wrong(
        "time zone",
        f"{name}, and scope.schedules.timeZone says {zone.key}: what ends by itself would end at another time",
    )


def _alike(one: ZoneInfo, other: ZoneInfo) -> bool:
    """Whether clocks of both show the same in the coming year."""
    days = (datetime.now(UTC) + timedelta(days=day) for day in range(366))
    return all(one.utcoffset(day.astimezone(one)) == other.utcoffset(day.astimezone(other)) for day in days)


def _reading(client: Client, scope: Scope) -> Finding:
    needed = [ADDRESS, GROUP, *((ADDRESS6, GROUP6) if scope.ipv6 else ()), *_SERVICES]
    if scope.policies:
        needed.append(POLICY)
    if scope.zone is not None:
        needed.append(SCHEDULE)
    refused = [table for table in needed if not _readable(client, table)]
    if refused:
        return wrong("reading", f"refused for {', '.join(refused)}")
    return fine("reading", f"{', '.join(needed)}")


def _breadth(client: Client) -> Finding:
    found = [table for table in _NEEDLESS if _readable(client, table)]
    if found:
        return doubtful(
            "rights", f"the token reads {', '.join(found)} too, which the bridge never needs; see docs/devices.md"
        )
    return fine("rights", f"none of {', '.join(_NEEDLESS)} can be read; whether it may write, only a write tells")


def _readable(client: Client, table: str) -> bool:
    try:
        client.get(place(table), {"count": "1"})
    except (Denied, Refusal):
        return False
    return True
