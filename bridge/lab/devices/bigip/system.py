"""What a BIG-IP tells of itself: version, hardware, device, high availability, and what is compiled.

The path and the attributes of `security/firewall/container-stat` are a guess in the form that all statistics have: no source
shows them over REST (tmsh has the command). Clients must take its absence for "unknown".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from bridge.lab.devices.bigip.compile import Compiler
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.bigip.kinds import KINDS
from bridge.lab.devices.bigip.show import VERSION

_HOST = "https://localhost/mgmt/tm"
_VERSION_FACTS = {
    "Product": "BIG-IP",
    "Version": VERSION,
    "Build": "0.0.6",
    "Edition": "Point Release 1",
    "Date": "Mon Oct 30 2023",
}


@dataclass(slots=True)
class Identity:
    """Which device this is; the lab may change it, as a swap of the box or a failover would."""

    hostname: str = "bigip1.lab.example"
    serial: str = "chs400015s"
    failover: str = "active"
    sync: str = "Standalone"
    provisioned: bool = True
    role: str = "admin"
    timezone: str = "America/Los_Angeles"


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """What a unit says of its group: one word, a summary, and lines of detail."""

    status: str
    summary: str = ""
    details: tuple[str, ...] = ()


class Group(Protocol):
    """The device group that a unit is in."""

    name: str
    automatic: bool

    def members(self) -> Sequence[Identity]:
        """Its units."""
        ...

    def status(self) -> SyncStatus:
        """Whether they hold the same."""
        ...


class System:
    """Read-only answers below /mgmt/tm."""

    def __init__(self, identity: Identity, compiler: Compiler) -> None:
        self.identity = identity
        self.group: Group | None = None
        self._compiler = compiler
        self._pages: dict[str, Callable[[], Json]] = {
            "sys/version": lambda: _stats("sys/version", {"0": dict(_VERSION_FACTS)}),
            "sys/hardware": self._hardware,
            "sys/provision/afm": self._provision,
            "sys/ntp": lambda: {"kind": "tm:sys:ntp:ntpstate", "timezone": identity.timezone},
            "cm/device": self._devices,
            "cm/sync-status": self._sync,
            "cm/device-group": self._groups,
            "cm/failover-status": lambda: _stats(
                "cm/failover-status", {"0": {"status": identity.failover.upper(), "color": "green"}}
            ),
            "security/firewall/container-stat/stats": self._container_stat,
        }

    def page(self, parts: Sequence[str]) -> Json | None:
        """The answer for that path, None where the system has none."""
        path = "/".join(parts)
        if path in self._pages:
            return self._pages[path]()
        if path.startswith("auth/user/"):
            return self._account(path.removeprefix("auth/user/"))
        if path.startswith("cm/device/"):
            return next((one for one in self._devices()["items"] if one["fullPath"] == _path(parts[2])), None)
        if path.startswith("cm/device-group/") and self.group is not None and _path(parts[2]) == self.group.name:
            return self._members(self.group) if len(parts) > 3 else self._group(self.group)
        return _organizing(path)

    def _hardware(self) -> Json:
        return _stats(
            "sys/hardware", {"system-info": {"bigipChassisSerialNum": self.identity.serial, "platform": "Z100"}}
        )

    def _provision(self) -> Json:
        level = "nominal" if self.identity.provisioned else "none"
        return {"kind": "tm:sys:provision:provisionstate", "name": "afm", "fullPath": "afm", "level": level}

    def _account(self, name: str) -> Json:
        access = [{"name": "all-partitions", "role": self.identity.role}]
        return {"kind": "tm:auth:user:userstate", "name": name, "fullPath": name, "partitionAccess": access}

    def _sync(self) -> Json:
        told = SyncStatus(self.identity.sync) if self.group is None else self.group.status()
        mode = "standalone" if told.status == "Standalone" else "high-availability"
        shown = _stats("cm/sync-status", {"0": {"status": told.status, "mode": mode, "summary": told.summary}})
        if told.details:
            below = "https://localhost/mgmt/tm/cm/syncStatus/0/details"
            lines = {
                f"{below}/{number}": {"nestedStats": {"entries": {"details": {"description": line}}}}
                for number, line in enumerate(told.details)
            }
            (entry,) = shown["entries"].values()
            entry["nestedStats"]["entries"][below] = {"nestedStats": {"entries": lines}}
        return shown

    def _groups(self) -> Json:
        head: Json = {"kind": "tm:cm:device-group:device-groupcollectionstate", "selfLink": f"{_HOST}/cm/device-group"}
        return head | ({"items": [self._group(self.group)]} if self.group is not None else {})

    def _group(self, group: Group) -> Json:
        return {
            "kind": "tm:cm:device-group:device-groupstate",
            "name": group.name.rpartition("/")[2],
            "partition": "Common",
            "fullPath": group.name,
            "generation": 1,
            "selfLink": f"{_HOST}/cm/device-group/{group.name.replace('/', '~')}?ver={VERSION}",
            "type": "sync-failover",
            "autoSync": "enabled" if group.automatic else "disabled",
            "networkFailover": "enabled",
        }

    def _members(self, group: Group) -> Json:
        kind, link = "tm:cm:device-group:devices", f"{_HOST}/cm/device-group/{group.name.replace('/', '~')}/devices"
        items = [
            {
                "kind": f"{kind}:devicesstate",
                "name": f"/Common/{one.hostname}",
                "fullPath": f"/Common/{one.hostname}",
                "generation": 1,
                "selfLink": f"{link}/~Common~{one.hostname}?ver={VERSION}",
            }
            for one in group.members()
        ]
        return {"kind": f"{kind}:devicescollectionstate", "selfLink": f"{link}?ver={VERSION}", "items": items}

    def _devices(self) -> Json:
        link = f"{_HOST}/cm/device?ver={VERSION}"
        units = (self.identity,) if self.group is None else self.group.members()
        items = [self._device(unit) for unit in units]
        return {"kind": "tm:cm:device:devicecollectionstate", "selfLink": link, "items": items}

    def _device(self, own: Identity) -> Json:
        return {
            "kind": "tm:cm:device:devicestate",
            "name": own.hostname,
            "partition": "Common",
            "fullPath": f"/Common/{own.hostname}",
            "generation": 1,
            "selfLink": f"{_HOST}/cm/device/~Common~{own.hostname}?ver={VERSION}",
            "chassisId": own.serial,
            "failoverState": own.failover,
            "hostname": own.hostname,
            "product": "BIG-IP",
            "selfDevice": "true" if own is self.identity else "false",
            "version": VERSION,
            "build": _VERSION_FACTS["Build"],
            "edition": _VERSION_FACTS["Edition"],
        }

    def _container_stat(self) -> Json:
        entries = {}
        for context, activated in self._compiler.activations():
            name = f"{context.kind}/{context.name.replace('/', '~')}/{context.policy_type}"
            entries[name] = {
                "contextType": context.kind,
                "contextName": context.name,
                "policyName": context.policy,
                "policyType": context.policy_type,
                "activationTime": datetime.fromtimestamp(activated, UTC).isoformat(timespec="milliseconds"),
                "compilePending": "yes" if self._compiler.pending else "no",
            }
        return _stats("security/firewall/container-stat", entries)


def _path(segment: str) -> str:
    return segment.replace("~", "/") if segment.startswith("~") else f"/Common/{segment}"


def _stats(path: str, entries: dict[str, dict[str, str]]) -> Json:
    leaf = path.rpartition("/")[2]
    nested: dict[str, Any] = {}
    for name, values in entries.items():
        shown = {key: {"description": value} for key, value in values.items()}
        nested[f"{_HOST}/{path}/{name}"] = {"nestedStats": {"entries": shown}}
    kind = f"tm:{path.replace('/', ':')}:{leaf}collectionstats"
    return {"kind": kind, "selfLink": f"{_HOST}/{path}?ver={VERSION}", "entries": nested}


def _organizing(path: str) -> Json | None:
    """A path that only leads to collections lists them."""
    prefix = path + "/" if path else ""
    below = sorted({name[len(prefix) :].split("/")[0] for name in KINDS if name.startswith(prefix)})
    if not below:
        return None
    leaf = path.rpartition("/")[2]
    items = [{"reference": {"link": f"{_HOST}/{prefix}{name}?ver={VERSION}"}} for name in below]
    return {
        "kind": f"tm:{path.replace('/', ':')}:{leaf}collectionstate",
        "selfLink": f"{_HOST}/{path}?ver={VERSION}",
        "items": items,
    }
