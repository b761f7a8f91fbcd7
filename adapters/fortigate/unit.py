"""Who answers: version, serial and pair of a unit, what its VDOM has room for, and what speaks against writing to it.

Settings and the manager are of the tables `system/settings` and `system/central-management`, room of `monitor/system/vdom-resource`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from adapters.fortigate.client import Client, Refusal, place
from bridge.errors import Denied
from bridge.model.capabilities import Limits

POLICY_BASED, MANAGED = "policyBased", "fortiManager"
ACKNOWLEDGEABLE = (POLICY_BASED, MANAGED)
_ROOT = "root"  # the management VDOM as a unit comes
PUSHES_FROM = (7, 2, 1)  # the first version to which members of a feed can be pushed
ONE_ROOM_FROM = (7, 4, 4)  # since when all feeds of a unit share one room
_ROOMS = {"policies": "firewall-policy", "groups": "firewall-addrgrp", "addresses": "firewall-address"}


class _Settings(msgspec.Struct, rename="kebab"):
    ngfw_mode: str = ""
    central_nat: str = ""


class _Management(msgspec.Struct, rename="kebab"):
    type: str = ""
    mode: str = ""
    fmg: str = ""


class _Resource(msgspec.Struct):
    max_custom_value: int = 0
    max_guaranteed_value: int = 0
    global_max: int = 0
    custom_max: int = 0
    current_usage: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """How much a table of a VDOM takes, and how much of it stands there."""

    most: int
    used: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit says of itself and of one VDOM. `manager` is the address of its FortiManager, empty where none manages it.

    `vdom` is where it answers.
    """

    serial: str
    version: tuple[int, ...] = ()
    build: int = 0
    policy_based: bool = False
    central_nat: bool = False
    manager: str = ""
    vdom: str = ""
    rooms: Mapping[str, Room] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """As people write it: `7.4.8`."""
        return ".".join(map(str, self.version)) or "unknown"

    @property
    def pushes(self) -> bool:
        """Whether members of feeds can be pushed to it."""
        return self.version >= PUSHES_FROM

    def identity(self, units: Collection[str], vdom: str) -> str:
        """By which the bridge knows the device: all the serials of the pair that the settings name, if this is one of them, else its own.

        So a failover within the pair is the same device, and a unit that nobody named is another. Where the settings name no `vdom`
        the management VDOM is meant, and which one that is may change: one that is not `root` is part of the identity then.
        """
        known = "+".join(sorted(units)) if self.serial in units else self.serial
        return known if vdom or self.vdom in ("", _ROOT) else f"{known}/{self.vdom}"

    def objections(self, acknowledged: Collection[str], *, policies: bool) -> Iterator[str]:
        """Why nothing is to be written here, unless the settings acknowledge it. `policies`: whether we would write policies."""
        if self.policy_based and policies:
            yield "its VDOM is in policy-based mode, where firewall policies do not decide: only mode groups can serve it"
        elif self.policy_based and POLICY_BASED not in acknowledged:
            yield f"its VDOM is in policy-based mode; say {POLICY_BASED} in scope.acknowledge if groups are of use there"
        if self.manager and MANAGED not in acknowledged:
            yield (
                f"FortiManager {self.manager} manages it, and overrides with each of its installations what the bridge writes; "
                f"say {MANAGED} in scope.acknowledge if it leaves our objects alone"
            )

    def limits(self, given: Limits) -> Limits:
        """These limits, narrowed to what the unit says that it has room for."""
        rules, groups = self._least(given.rules, "policies"), self._least(given.groups, "groups")
        return replace(given, rules=rules, groups=groups, feeds=given.feeds if self.pushes else 0)

    def _least(self, given: int | None, what: str) -> int | None:
        room = self.rooms.get(what)
        return min((one for one in (given, room.most if room else None) if one), default=None)


def look(client: Client, acknowledged: Collection[str] = ()) -> Unit:
    """Ask it: three calls. Denied where the token may not know what has to be known; what is `acknowledged` need not be."""
    manager = _Management()
    try:
        told = client.get(place("system/settings"))
        if MANAGED not in acknowledged:
            manager = client.decoded(client.get(place("system/central-management")).results, _Management)
    except Refusal as refusal:
        raise Denied(client.device, f"the settings of the unit cannot be read: {refusal.text}") from None
    settings = client.decoded(told.results, _Settings)
    return Unit(
        serial=told.serial,
        version=version(told.version),
        build=told.build,
        policy_based=settings.ngfw_mode == "policy-based",
        central_nat=settings.central_nat == "enable",
        manager=(manager.fmg or "(no address)") if manager.type == "fortimanager" else "",
        vdom=told.vdom,
        rooms=dict(_rooms(client)),
    )


def version(text: str) -> tuple[int, ...]:
    """`v7.4.8` as numbers; empty for what is none."""
    parts = text.removeprefix("v").split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def _rooms(client: Client) -> Iterator[tuple[str, Room]]:
    """Where it does not tell, nothing is known; the unit still says so when a table is full."""
    try:
        told = client.get("monitor/system/vdom-resource").results
        found = msgspec.json.decode(told, type=dict[str, msgspec.Raw])
    except (Refusal, Denied, msgspec.MsgspecError):
        return
    for name, resource in _ROOMS.items():
        try:
            one = msgspec.json.decode(found.get(resource, b"null"), type=_Resource)
        except msgspec.MsgspecError:
            continue
        most = one.max_custom_value or one.custom_max or one.max_guaranteed_value or one.global_max
        if most:
            yield name, Room(most, one.current_usage)
