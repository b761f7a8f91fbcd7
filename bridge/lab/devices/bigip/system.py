"""What a BIG-IP tells of itself: version, hardware, device, high availability, and what is compiled.

The path and the attributes of `security/firewall/container-stat` are a guess in the form that all statistics have: no source
shows them over REST (tmsh has the command). Clients must take its absence for "unknown".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

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


class System:
    """Read-only answers below /mgmt/tm."""

    def __init__(self, identity: Identity, compiler: Compiler) -> None:
        self.identity = identity
        self._compiler = compiler
        self._pages: dict[str, Callable[[], Json]] = {
            "sys/version": lambda: _stats("sys/version", {"0": dict(_VERSION_FACTS)}),
            "sys/hardware": self._hardware,
            "sys/provision/afm": self._provision,
            "cm/device": self._devices,
            f"cm/device/~Common~{identity.hostname}": self._device,
            "cm/sync-status": lambda: _stats("cm/sync-status", {"0": self._sync()}),
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

    def _sync(self) -> dict[str, str]:
        return {
            "status": self.identity.sync,
            "mode": "standalone" if self.identity.sync == "Standalone" else "high-availability",
        }

    def _devices(self) -> Json:
        link = f"{_HOST}/cm/device?ver={VERSION}"
        return {"kind": "tm:cm:device:devicecollectionstate", "selfLink": link, "items": [self._device()]}

    def _device(self) -> Json:
        own = self.identity
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
            "selfDevice": "true",
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
