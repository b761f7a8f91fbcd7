"""What the monitor tells of the box itself: who it is, its pair, its VDOMs, its limits, who manages it.

Shapes of `vdom-resource`, `ha-checksums`, `ha-peer`, `central-management/status` and `web-ui/state` are seen in answers of 6.0 to
7.4 (the last one shortened to what a client could want to know).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import md5

from bridge.lab.devices.fortigate.answers import Badge, Json
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.item import State, stamp
from bridge.lab.devices.fortigate.table import GLOBAL, SETTINGS
from bridge.lab.devices.fortigate.tables import TABLES
from bridge.lab.devices.fortigate.tokens import ApiUser

_RESOURCES = (
    "session",
    "ipsec-phase1",
    "ipsec-phase2",
    "ipsec-phase1-interface",
    "ipsec-phase2-interface",
    "dialup-tunnel",
    "firewall-policy",
    "firewall-address",
    "firewall-addrgrp",
    "custom-service",
    "service-group",
    "onetime-schedule",
    "recurring-schedule",
)


@dataclass(slots=True)
class Unit:
    """One box of a pair."""

    serial: str
    hostname: str
    priority: int


@dataclass(slots=True)
class Identity:
    """The box, its pair where it has one, and its software.

    `units[0]` is the primary, which answers; with `synced` False the other one lags behind.
    """

    version: str = "v7.4.8"
    build: int = 2795
    model: str = "FGVM64"
    units: list[Unit] = field(default_factory=lambda: [Unit("FGVMEVLAB0000001", "edge-1", 200)])
    synced: bool = True

    @property
    def badge(self) -> Badge:
        """What answers carry."""
        return Badge(self.units[0].serial, self.version, self.build)

    @property
    def number(self) -> tuple[int, ...]:
        """The version, to be compared."""
        return tuple(int(part) for part in self.version.removeprefix("v").split("."))

    @property
    def shared_feed_room(self) -> bool:
        """Whether all feeds of the box draw on one room (from 7.4.4 on)."""
        return self.number >= (7, 4, 4)


class System:
    """Answers monitor calls that change nothing."""

    def __init__(self, identity: Identity, limits: Limits) -> None:
        self._identity = identity
        self._limits = limits
        self._pages: Mapping[str, Callable[[State, str, ApiUser], object]] = {
            "system/status": self._status,
            "system/vdom-resource": self._vdom_resource,
            "system/global-resources": self._vdom_resource,
            "system/ha-checksums": self._checksums,
            "system/ha-peer": self._peers,
            "system/central-management/status": self._management,
            "system/fortimanager/status": self._management,
            "web-ui/state": self._web_ui,
        }

    def page(self, path: str, state: State, vdom: str, user: ApiUser) -> object | None:
        """The results of a call, None where there is no such page."""
        found = self._pages.get(path)
        return found(state, vdom, user) if found else None

    def _status(self, state: State, _vdom: str, _user: ApiUser) -> Json:
        return {
            "model_name": "FortiGate",
            "model_number": "VM64",
            "model": self._identity.model,
            "hostname": _single(state, GLOBAL)["hostname"],
            "log_disk_status": "available",
        }

    def _vdom_resource(self, state: State, vdom: str, _user: ApiUser) -> Json:
        told: Json = {"cpu": 0, "memory": 19, "setup_rate": 0, "is_deletable": False}
        for number, name in enumerate(_RESOURCES):
            used = sum(len(state.tables.get((vdom, one.path), ())) for one in TABLES.values() if one.resource == name)
            most = self._limits.tables.get(name, 0)
            told[name] = {
                "id": number,
                "custom_max": 0,
                "min_custom_value": used,
                "max_custom_value": most,
                "guaranteed": 0,
                "min_guaranteed_value": 0,
                "max_guaranteed_value": most,
                "global_max": most,
                "current_usage": used,
                "usage_percent": 100 * used // most if most else 0,
            }
        return told

    def _checksums(self, state: State, _vdom: str, _user: ApiUser) -> list[Json]:
        sums = checksums(state)
        told = []
        for index, unit in enumerate(self._identity.units):
            behind = index > 0 and not self._identity.synced
            shown: Json = {name: _hash(f"behind {text}") if behind else text for name, text in sums.items()}
            vdoms = {name: text for name, text in shown.items() if name not in ("global", "all")}
            shown = {name: shown[name] for name in ("global", "root", "all") if name in shown} | {"vdoms": vdoms}
            first = int(index == 0)
            told.append(
                {"is_manage_primary": first, "is_root_primary": first, "checksum": shown, "serial_no": unit.serial}
            )
        return told if len(told) > 1 else []

    def _peers(self, _state: State, _vdom: str, _user: ApiUser) -> list[Json]:
        told: list[Json] = [
            {"serial_no": unit.serial, "vcluster_id": 0, "priority": unit.priority, "hostname": unit.hostname}
            for unit in self._identity.units
        ]
        told[0]["primary"] = True
        return told if len(told) > 1 else []

    def _management(self, state: State, _vdom: str, _user: ApiUser) -> Json:
        held = _single(state, "system/central-management")
        up = held["type"] == "fortimanager"
        return {
            "status": "up" if up else "down",
            "registration_status": "registered" if up else "unknown",
            "sn": held["serial-number"],
            "mgmt_ip": held["fmg"],
            "mgmt_port": 443,
        }

    def _web_ui(self, state: State, _vdom: str, user: ApiUser) -> Json:
        settings = {place[0]: table[""].body for place, table in state.tables.items() if place[1] == SETTINGS}
        box, central = _single(state, GLOBAL), _single(state, "system/central-management")
        management = box["management-vdom"]
        return {
            "model_name": "FortiGate",
            "model": self._identity.model,
            "hostname": box["hostname"],
            "admin": {"name": user.name, "profile": _profile(user), "vdoms": list(user.vdoms or settings)},
            "vdom_info": {
                name: {
                    "central_nat_enabled": held["central-nat"] == "enable",
                    "transparent_mode": held["opmode"] == "transparent",
                    "ngfw_mode": held["ngfw-mode"],
                    "is_management_vdom": name == management,
                }
                for name, held in settings.items()
            },
            "centrally_managed": central["type"] == "fortimanager",
            "fortimanager_backup_mode": central["mode"] == "backup",
            "vdom_mode": box["vdom-mode"],
            "management_vdom": management,
            "conserve_mode": False,
            "ha_mode": int(len(self._identity.units) > 1),
            "is_ha_master": 1,
            "ngfw_mode": settings[management]["ngfw-mode"],
            "config_save_mode": "automatic",
        }


def checksums(state: State) -> dict[str, str]:
    """Of what is global, of each VDOM, of all."""
    totals: dict[str, int] = {}
    for item in state.items():
        scope = item.key[0] or "global"
        totals[scope] = totals.get(scope, 0) ^ stamp([item.stamp, item.rank])
    sums = {name: _hash(str(total)) for name, total in totals.items()}
    return sums | {"all": _hash(str(sorted(sums.items())))}


def _profile(user: ApiUser) -> Json:
    told: Json = {"name": f"{user.name}-profile", "scope": "vdom" if user.vdoms else "global"}
    for area, right in user.areas.items():
        group, _, part = area.partition(".")
        if part:
            told[group] = "custom"
            told.setdefault(f"{group}-permission", {})[part] = right
        else:
            told[group] = right
    return told


def _single(state: State, path: str) -> Json:
    return state.tables["", path][""].body


def _hash(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
