"""What a table is, and the names of those that the simulator keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.lab.devices.fortigate.answers import Json, empty
from bridge.lab.devices.fortigate.fields import Field

ADDRESS, ADDRESS6 = "firewall/address", "firewall/address6"
GROUP, GROUP6 = "firewall/addrgrp", "firewall/addrgrp6"
VIP = "firewall/vip"
SERVICE, SERVICE_GROUP = "firewall.service/custom", "firewall.service/group"
ONETIME, RECURRING, SCHEDULE_GROUP = (
    "firewall.schedule/onetime",
    "firewall.schedule/recurring",
    "firewall.schedule/group",
)
INTERFACE, ZONE = "system/interface", "system/zone"
POOL = "firewall/ippool"
PROFILES = {
    "ssl-ssh-profile": "firewall/ssl-ssh-profile",
    "profile-protocol-options": "firewall/profile-protocol-options",
    "av-profile": "antivirus/profile",
    "webfilter-profile": "webfilter/profile",
    "dnsfilter-profile": "dnsfilter/profile",
    "ips-sensor": "ips/sensor",
    "application-list": "application/list",
    "profile-group": "firewall/profile-group",
}
"""Attributes of policies that name profiles, and where those stand."""
GLOBAL, SETTINGS, VDOM = "system/global", "system/settings", "system/vdom"

Check = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class Table:
    """One table, or with `single` one object.

    Names are unique over all tables of one `space`; `resource` is its name in `vdom-resource`, `area` the part of an administrator's
    profile that governs it.
    """

    path: str
    fields: Mapping[str, Field]
    area: str
    mkey: str = "name"
    longest: int = 79
    scope: str = "vdom"
    space: str = ""
    resource: str = ""
    required: tuple[str, ...] = ()
    check: Check | None = None
    single: bool = False
    uuid: bool = False

    def defaults(self) -> Json:
        """An entry of which nothing was said."""
        return {name: field.default for name, field in self.fields.items()}

    def complete(self, body: Json) -> None:
        """Raise what an entry lacks."""
        for name in self.required:
            if body[name] in ("", ()):
                raise empty(name)
        if self.check is not None:
            self.check(body)
