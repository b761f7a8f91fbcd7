"""Every table that the simulator keeps, by path. Profiles are tables of names, so that policies can refer to them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bridge.lab.devices.fortigate.answers import FortiError
from bridge.lab.devices.fortigate.fields import choice, number, reference, switch, text
from bridge.lab.devices.fortigate.firewall import firewall_tables
from bridge.lab.devices.fortigate.table import GLOBAL, INTERFACE, POOL, PROFILES, SETTINGS, VDOM, ZONE, Table


def _system() -> Iterable[Table]:
    cfg = "sysgrp.cfg"
    yield Table(POOL, {"startip": text(15), "endip": text(15), "comments": text(255)}, "fwgrp.others")
    yield Table(
        INTERFACE,
        {"vdom": reference(VDOM, default="root"), "alias": text(25), "status": choice("up", "down")},
        "netgrp.cfg",
        longest=15,
        scope="global",
    )
    yield Table(ZONE, {"interface": text(1023), "intrazone": choice("deny", "allow")}, "netgrp.cfg", longest=35)
    yield Table(VDOM, {"short-name": text(31)}, cfg, longest=31, scope="global")
    yield Table(
        GLOBAL,
        {
            "hostname": text(35),
            "vdom-mode": choice("no-vdom", "multi-vdom"),
            "management-vdom": reference(VDOM, default="root"),
            "rest-api-key-url-query": switch(),
            "timezone": text(63, "Etc/UTC"),
        },
        cfg,
        scope="global",
        single=True,
    )
    yield Table(
        "system/central-management",
        {
            "mode": choice("normal", "backup"),
            "type": choice("fortimanager", "fortiguard", "none", default="none"),
            "fmg": text(255),
            "serial-number": text(255),
        },
        cfg,
        scope="global",
        single=True,
    )
    yield Table(
        "system/ha",
        {
            "group-id": number(0, 1023, 0),
            "group-name": text(32),
            "mode": choice("standalone", "a-a", "a-p"),
            "priority": number(0, 255, 128),
        },
        cfg,
        scope="global",
        single=True,
    )
    yield Table(
        SETTINGS,
        {
            "opmode": choice("nat", "transparent"),
            "ngfw-mode": choice("profile-based", "policy-based"),
            "central-nat": switch(),
            "firewall-session-dirty": choice("check-all", "check-new", "check-policy-option"),
            "ext-resource-session-check": switch(),
            "gui-allow-unnamed-policy": switch(),
        },
        cfg,
        single=True,
    )
    for path in PROFILES.values():
        yield Table(path, {"comment": text(255)}, "utmgrp", longest=47)


TABLES: Mapping[str, Table] = MappingProxyType({table.path: table for table in (*firewall_tables(), *_system())})


def table(path: str) -> Table:
    """The table of that path, as `firewall.service/custom`; 404 where there is none."""
    found = TABLES.get(path)
    if found is None:
        raise FortiError(404)
    return found


def sharing(space: str) -> tuple[str, ...]:
    """The tables over which names of this space are unique."""
    return tuple(one.path for one in TABLES.values() if one.space == space)
