"""What a box holds when it leaves the factory, VDOM by VDOM: the built-in addresses, services, schedules, interfaces and profiles."""

from collections.abc import Iterator

from bridge.lab.devices.fortigate.answers import Json
from bridge.lab.devices.fortigate.entry import fresh
from bridge.lab.devices.fortigate.item import Item, State
from bridge.lab.devices.fortigate.table import (
    ADDRESS,
    ADDRESS6,
    GLOBAL,
    INTERFACE,
    RECURRING,
    SERVICE,
    SERVICE_GROUP,
    SETTINGS,
    VDOM,
)
from bridge.lab.devices.fortigate.tables import TABLES

INTERFACES = ("any", "port1", "port2", "port3", "port4")
_WEEK = "sunday monday tuesday wednesday thursday friday saturday"

_TCP = {"HTTP": "80", "HTTPS": "443", "SSH": "22", "SMTP": "25", "LDAP": "389", "SMB": "445", "MYSQL": "3306"}
_SERVICES: dict[str, Json] = {
    "ALL": {"protocol": "IP"},
    "ALL_TCP": {"tcp-portrange": "1-65535"},
    "ALL_UDP": {"udp-portrange": "1-65535"},
    "ALL_ICMP": {"protocol": "ICMP"},
    "ALL_ICMP6": {"protocol": "ICMP6"},
    "PING": {"protocol": "ICMP", "icmptype": 8},
    "PING6": {"protocol": "ICMP6", "icmptype": 128},
    "DNS": {"tcp-portrange": "53", "udp-portrange": "53"},
    "NTP": {"tcp-portrange": "123", "udp-portrange": "123"},
    "SYSLOG": {"udp-portrange": "514"},
    "GRE": {"protocol": "IP", "protocol-number": 47},
    **{name: {"tcp-portrange": port} for name, port in _TCP.items()},
}
_PROFILES = {
    "firewall/ssl-ssh-profile": ("certificate-inspection", "deep-inspection", "no-inspection"),
    "firewall/profile-protocol-options": ("default",),
    "antivirus/profile": ("default",),
    "webfilter/profile": ("default",),
    "dnsfilter/profile": ("default",),
    "ips/sensor": ("default",),
    "application/list": ("default",),
}


def factory(vdoms: tuple[str, ...] = ("root",), hostname: str = "edge") -> State:
    """A box with these VDOMs. More than one makes it a box in multi-VDOM mode."""
    state = State()
    for rank, (path, vdom, name, body) in enumerate(_entries(vdoms, hostname), start=1):
        state.put(_made(path, vdom, name, body, rank))
    return state


def _made(path: str, vdom: str, name: str, body: Json, rank: int) -> Item:
    return fresh(TABLES[path], vdom, name, TABLES[path].defaults() | body, rank)


def _entries(vdoms: tuple[str, ...], hostname: str) -> Iterator[tuple[str, str, str, Json]]:
    mode = "multi-vdom" if len(vdoms) > 1 else "no-vdom"
    yield GLOBAL, "", "", {"hostname": hostname, "vdom-mode": mode, "management-vdom": vdoms[0]}
    for path, one in TABLES.items():
        if one.single and one.scope == "global" and path != GLOBAL:
            yield path, "", "", {}
    for vdom in vdoms:
        yield VDOM, "", vdom, {"short-name": vdom}
    for name in INTERFACES:
        yield INTERFACE, "", name, {"vdom": vdoms[0]}
    for vdom in vdoms:
        yield from ((path, vdom, name, body) for path, name, body in _built_in())


def _built_in() -> Iterator[tuple[str, str, Json]]:
    yield SETTINGS, "", {}
    yield ADDRESS, "all", {}
    yield ADDRESS, "none", {"subnet": "0.0.0.0 255.255.255.255"}
    yield ADDRESS6, "all", {}
    yield ADDRESS6, "none", {"ip6": "::/128"}
    yield RECURRING, "always", {"day": _WEEK}
    yield RECURRING, "none", {"day": "none"}
    for name, body in _SERVICES.items():
        yield SERVICE, name, body
    yield SERVICE_GROUP, "Web Access", {"member": ("DNS", "HTTP", "HTTPS")}
    for path, found in _PROFILES.items():
        yield from ((path, name, {}) for name in found)
