"""A look at a BIG-IP before it is written to: version, unit, AFM, and what the account may.

Sources: 12 is the oldest version that F5's own modules for AFM take; roles and `auth/user` are in F5's manual "User Roles" and in its
articles on roles over iControl REST. Whether an account may write cannot be read anywhere: only a write tells.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote

import msgspec

from adapters.bigip import wire
from adapters.bigip.client import Client, Refusal
from adapters.bigip.names import COLLECTIONS
from adapters.bigip.reading import compiled
from bridge.contract import Credentials
from bridge.errors import Denied
from bridge.model.examination import Finding, doubtful, fine, wrong
from bridge.model.identity import Kind

_T = TypeVar("_T")
OLDEST = (12, 0)
_SCHEDULES = COLLECTIONS[Kind.SCHEDULE]
_NEEDED = tuple(dict.fromkeys((*COLLECTIONS.values(), "ltm/data-group/internal", "sys/folder")))
_BY_HAND = "where a person compiles, the device takes no rule that ends by itself"
_UTC = frozenset({"UTC", "UCT", "Zulu", "Universal", "GMT", "GMT0"})
_TOO_MUCH = frozenset({"admin", "resource-admin"})
_TOO_LITTLE = frozenset({"guest", "operator", "auditor", "no-access", "application-editor", "user-manager"})


class Unit(msgspec.Struct, rename="camel"):
    """One unit of cm/device."""

    name: str = ""
    version: str = ""
    chassis_id: str = ""
    failover_state: str = ""
    self_device: str | bool = "false"


class Provision(msgspec.Struct):
    """sys/provision/afm."""

    level: str = ""


class Clock(msgspec.Struct):
    """sys/ntp."""

    timezone: str = ""


class Access(msgspec.Struct):
    """One line of an account's rights."""

    name: str = ""
    role: str = ""


class Account(msgspec.Struct, rename="camel"):
    """auth/user/<name>."""

    partition_access: list[Access] = []


def examine(client: Client, credentials: Credentials, *, schedules: bool) -> Iterator[Finding]:
    """One finding after the other; Denied where not even the unit that answers may be asked for its name."""
    yield from _unit(client)
    yield _firewall(client)
    yield _reading(client, [one for one in _NEEDED if schedules or one != _SCHEDULES])
    yield _breadth(client, credentials)


def _unit(client: Client) -> Iterator[Finding]:
    units = [client.decoded(raw, Unit) for raw in client.items("cm/device")]
    own = [unit for unit in units if str(unit.self_device).lower() == "true"] or units
    if len(own) != 1:
        yield doubtful("device", "it does not say which unit answers")
        return
    unit = own[0]
    told = f"{unit.name}, serial {unit.chassis_id or 'unknown'}, {unit.failover_state or 'state unknown'}"
    waits = unit.failover_state not in ("", "active")
    yield doubtful("device", f"{told}: the url leads to a unit that is not active") if waits else fine("device", told)
    yield _version(unit.version)


def _version(text: str) -> Finding:
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    if len(numbers) < 2:
        return doubtful("version", f"it does not say which it is ({text or 'nothing'})")
    if numbers < OLDEST:
        return wrong("version", f"{text}; {'.'.join(map(str, OLDEST))} is the oldest that can be served")
    return fine("version", text)


def _firewall(client: Client) -> Finding:
    found = _told(client, "sys/provision/afm", Provision)
    if found is None:
        return doubtful("AFM", "it cannot be told whether AFM is provisioned")
    if found.level in ("", "none"):
        return wrong("AFM", "not provisioned: tmsh modify sys provision afm level nominal")
    return fine("AFM", f"provisioned, {found.level}")


def _reading(client: Client, needed: Iterable[str]) -> Finding:
    refused = [collection for collection in needed if not _readable(client, collection)]
    if refused:
        return wrong("reading", f"refused for {', '.join(refused)}")
    return fine("reading", "address lists, port lists, rule lists, policies, data groups and folders can be read")


def ending(client: Client, activation: str) -> Iterator[Finding]:
    """Two calls about what rules that end by themselves lean on: that the device compiles by itself, and its time zone.

    Sources: F5's manual of AFM 14.1, "Firewall Schedules"; `sys ntp`, as F5's own module `bigip_device_ntp` knows it. That the firewall
    compares ends with UTC no source says, so a unit with another zone is one to try first.
    """
    yield _compiling(client, activation)
    found = _told(client, "sys/ntp", Clock)
    zone = found.timezone if found is not None else ""
    if zone.rpartition("/")[2] in _UTC:
        yield fine("time zone", zone)
    else:
        told = f"set to {zone}" if zone else "it does not say which"
        yield doubtful("time zone", f"{told}: try whether rules end by UTC all the same, see docs/devices.md")


def _compiling(client: Client, activation: str) -> Finding:
    """All that tells of a device where a person compiles is what waits."""
    told = _told(client, activation, wire.Statistics) if activation else None
    if told is None:
        return doubtful("schedules", f"it cannot be told whether anything waits to be compiled; {_BY_HAND}")
    if not compiled(told):
        return doubtful("schedules", f"something waits to be compiled; {_BY_HAND}")
    return fine("schedules", f"nothing waits to be compiled; {_BY_HAND}")


def _breadth(client: Client, credentials: Credentials) -> Finding:
    """Roles by partition; what a role of the site's own making may, nobody tells."""
    account = _told(client, f"auth/user/{quote(credentials.value('username'), safe='')}", Account)
    if account is None or not account.partition_access:
        return doubtful("rights", "it does not say what the account may; a remote account's rights are not shown")
    told = ", ".join(f"{one.role} of {one.name}" for one in account.partition_access)
    roles = {one.role for one in account.partition_access}
    if roles & _TOO_MUCH:
        return doubtful("rights", f"{told}: far more than the bridge needs; see docs/devices.md for less")
    if roles <= _TOO_LITTLE:
        return wrong("rights", f"{told}: this cannot write firewall objects")
    return fine("rights", told)


def _readable(client: Client, collection: str) -> bool:
    try:
        client.get(collection, {"$top": "1"})
    except (Denied, Refusal):
        return False
    return True


def _told(client: Client, path: str, kind: type[_T]) -> _T | None:
    """The object, None where it is not shown to us."""
    try:
        return client.find(path, kind)
    except Denied:
        return None
