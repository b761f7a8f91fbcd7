"""The tables of the firewall: attributes with their lengths and ranges, what must be given, where names may point.

Lengths and ranges are those of the field tables beside the device facts (names of schedules: 31 bytes). Attributes that no
table names are taken and forgotten, as a FortiGate does.
"""

from collections.abc import Iterable, Mapping

from bridge.lab.devices.fortigate import values
from bridge.lab.devices.fortigate.answers import Json, bad_value, empty
from bridge.lab.devices.fortigate.fields import Field, choice, names, number, reference, switch, text, value
from bridge.lab.devices.fortigate.item import FEED, POLICY, SECURITY_POLICY
from bridge.lab.devices.fortigate.table import (
    ADDRESS,
    ADDRESS6,
    GROUP,
    GROUP6,
    INTERFACE,
    ONETIME,
    POOL,
    PROFILES,
    RECURRING,
    SCHEDULE_GROUP,
    SERVICE,
    SERVICE_GROUP,
    VIP,
    ZONE,
    Table,
)

_COMMENT = text(255)
_COLOR = number(0, 32, 0)


def _check_address(body: Json) -> None:
    kind = body["type"]
    if kind == "iprange" and not (body["start-ip"] and body["end-ip"]):
        raise empty("start-ip" if not body["start-ip"] else "end-ip")
    if kind == "fqdn" and not body["fqdn"]:
        raise empty("fqdn")
    if kind == "iprange" and values.number(body["end-ip"]) < values.number(body["start-ip"]):  # type: ignore[operator]
        raise bad_value("end-ip", body["end-ip"])


def _check_group(body: Json) -> None:
    if body["exclude"] == "enable" and not body["exclude-member"]:
        raise empty("exclude-member")


def _check_policy(body: Json) -> None:
    for source, destination in (("srcaddr", "dstaddr"), ("srcaddr6", "dstaddr6")):
        if bool(body[source]) != bool(body[destination]):
            raise empty(destination if body[source] else source)
    if not body["srcaddr"] and not body["srcaddr6"]:
        raise empty("srcaddr")


def _check_service(body: Json) -> None:
    if body["protocol"] in WITH_PORTS and not any(body[name] for name in PORT_RANGES):
        raise empty("tcp-portrange")
    if body["icmpcode"] != "" and body["icmptype"] == "":
        raise empty("icmptype")


def _check_onetime(body: Json) -> None:
    if values.shown(body["end"]) <= values.shown(body["start"]):
        raise bad_value("end", body["end"])


WITH_PORTS = frozenset({"TCP/UDP/SCTP", "TCP/UDP/UDP-Lite/SCTP"})
PORT_RANGES = ("tcp-portrange", "udp-portrange", "sctp-portrange", "udplite-portrange")

_ADDRESS_FIELDS: Mapping[str, Field] = {
    "type": choice("ipmask", "iprange", "fqdn", "geography", "wildcard", "dynamic", "interface-subnet", "mac"),
    "subnet": value(values.subnet, "0.0.0.0 0.0.0.0", types="ipmask interface-subnet"),
    "start-ip": value(values.ipv4, types="iprange"),
    "end-ip": value(values.ipv4, types="iprange"),
    "fqdn": value(values.fqdn, types="fqdn"),
    "cache-ttl": number(0, 86400, 0, types="fqdn"),
    "country": text(2, types="geography"),
    "sub-type": text(35, "sdn", types="dynamic"),
    "sdn": text(35, types="dynamic"),
    "filter": text(2047, types="dynamic"),
    "comment": _COMMENT,
    "associated-interface": reference(INTERFACE, ZONE),
    "color": _COLOR,
    "allow-routing": switch(),
    "fabric-object": switch(),
}
_ADDRESS6_FIELDS: Mapping[str, Field] = {
    "type": choice("ipprefix", "iprange", "fqdn", "geography", "dynamic", "template", "mac"),
    "ip6": value(values.prefix6, "::/0", types="ipprefix"),
    "start-ip": value(values.ipv6, types="iprange"),
    "end-ip": value(values.ipv6, types="iprange"),
    "fqdn": value(values.fqdn, types="fqdn"),
    "cache-ttl": number(0, 86400, 0, types="fqdn"),
    "country": text(2, types="geography"),
    "comment": _COMMENT,
    "color": _COLOR,
    "fabric-object": switch(),
}


def _group_fields(*tables: str) -> Mapping[str, Field]:
    return {
        "type": choice("default", "folder"),
        "category": choice("default", "ztna-ems-tag", "ztna-geo-tag"),
        "member": names(*tables, most=lambda limits: limits.members),
        "comment": _COMMENT,
        "exclude": switch(),
        "exclude-member": names(*tables, most=lambda limits: limits.members),
        "color": _COLOR,
        "allow-routing": switch(),
        "fabric-object": switch(),
    }


_SIDE = (ADDRESS, GROUP, FEED)
_SIDE6 = (ADDRESS6, GROUP6, FEED)

_POLICY_FIELDS: Mapping[str, Field] = {
    "status": choice("enable", "disable"),
    "name": text(35, markup=False),
    "srcintf": names(INTERFACE, ZONE),
    "dstintf": names(INTERFACE, ZONE),
    "action": choice("deny", "accept", "ipsec"),
    "srcaddr": names(*_SIDE),
    "dstaddr": names(*_SIDE, VIP),
    "srcaddr6": names(*_SIDE6),
    "dstaddr6": names(*_SIDE6),
    "schedule": reference(ONETIME, RECURRING, SCHEDULE_GROUP),
    "schedule-timeout": switch(),
    "service": names(SERVICE, SERVICE_GROUP),
    "srcaddr-negate": switch(),
    "dstaddr-negate": switch(),
    "srcaddr6-negate": switch(),
    "dstaddr6-negate": switch(),
    "service-negate": switch(),
    "send-deny-packet": switch(),
    "firewall-session-dirty": choice("check-all", "check-new"),
    "utm-status": switch(),
    "inspection-mode": choice("flow", "proxy"),
    "profile-type": choice("single", "group"),
    **{name: reference(path) for name, path in PROFILES.items()},
    "logtraffic": choice("all", "utm", "disable", default="utm"),
    "logtraffic-start": switch(),
    "nat": switch(),
    "ippool": switch(),
    "poolname": names(POOL),
    "comments": text(1023),
    "label": text(63),
    "global-label": text(63),
}

_OF_POLICIES_ONLY = frozenset(
    {
        "nat",
        "ippool",
        "poolname",
        "inspection-mode",
        "utm-status",
        "firewall-session-dirty",
        "schedule-timeout",
        "srcaddr6-negate",
        "dstaddr6-negate",
        "logtraffic-start",
        "label",
        "global-label",
    }
)


def firewall_tables() -> Iterable[Table]:
    """All of them."""
    address, service, schedule = "fwgrp.address", "fwgrp.service", "fwgrp.schedule"
    yield Table(
        ADDRESS, _ADDRESS_FIELDS, address, space="v4", resource="firewall-address", check=_check_address, uuid=True
    )
    yield Table(
        ADDRESS6, _ADDRESS6_FIELDS, address, space="v6", resource="firewall-address", check=_check_address, uuid=True
    )
    group = {"area": address, "resource": "firewall-addrgrp", "required": ("member",), "check": _check_group}
    yield Table(GROUP, _group_fields(ADDRESS, GROUP), space="v4", uuid=True, **group)  # type: ignore[arg-type]
    yield Table(GROUP6, _group_fields(ADDRESS6, GROUP6), space="v6", uuid=True, **group)  # type: ignore[arg-type]
    yield Table(
        POLICY,
        _POLICY_FIELDS,
        "fwgrp.policy",
        mkey="policyid",
        resource="firewall-policy",
        required=("srcintf", "dstintf", "schedule", "service"),
        check=_check_policy,
        uuid=True,
    )
    yield Table(
        SECURITY_POLICY,
        {name: one for name, one in _POLICY_FIELDS.items() if name not in _OF_POLICIES_ONLY},
        "fwgrp.policy",
        mkey="policyid",
        resource="firewall-policy",
        required=("srcintf", "dstintf", "schedule"),
        check=_check_policy,
        uuid=True,
    )
    yield Table(
        VIP,
        {"extip": text(35), "mappedip": text(255), "comment": _COMMENT, "color": _COLOR},
        "fwgrp.others",
        space="v4",
        uuid=True,
    )
    yield Table(
        SERVICE,
        {
            "protocol": choice(
                "TCP/UDP/SCTP", "TCP/UDP/UDP-Lite/SCTP", "ICMP", "ICMP6", "IP", "HTTP", "FTP", "CONNECT", "ALL"
            ),
            **{name: value(values.ports) for name in PORT_RANGES},
            "icmptype": number(0, 255, ""),
            "icmpcode": number(0, 255, ""),
            "protocol-number": number(0, 254, 0),
            "category": text(63),
            "comment": _COMMENT,
            "color": _COLOR,
            "fabric-object": switch(),
        },
        service,
        space="service",
        resource="custom-service",
        check=_check_service,
        uuid=True,
    )
    yield Table(
        SERVICE_GROUP,
        {
            "member": names(SERVICE, SERVICE_GROUP, most=lambda limits: limits.service_members),
            "comment": _COMMENT,
            "color": _COLOR,
            "fabric-object": switch(),
        },
        service,
        space="service",
        resource="service-group",
        required=("member",),
        uuid=True,
    )
    yield Table(
        ONETIME,
        {
            "start": value(values.moment, "00:00 2001/01/01"),
            "end": value(values.moment, "00:00 2001/01/01"),
            "color": _COLOR,
            "expiration-days": number(0, 100, 3),
            "fabric-object": switch(),
        },
        schedule,
        longest=31,
        space="schedule",
        resource="onetime-schedule",
        check=_check_onetime,
    )
    yield Table(
        RECURRING,
        {
            "start": value(values.clock, "00:00"),
            "end": value(values.clock, "00:00"),
            "day": value(values.days, "none"),
            "color": _COLOR,
            "fabric-object": switch(),
        },
        schedule,
        longest=31,
        space="schedule",
        resource="recurring-schedule",
    )
    yield Table(
        SCHEDULE_GROUP,
        {"member": names(ONETIME, RECURRING), "color": _COLOR, "fabric-object": switch()},
        schedule,
        longest=31,
        space="schedule",
        required=("member",),
    )
    yield Table(
        FEED,
        {
            "status": choice("enable", "disable"),
            "type": choice(
                "category", "address", "domain", "malware", "url", "mac-address", "data", default="category"
            ),
            "update-method": choice("feed", "push"),
            "category": number(0, 221, 0),
            "resource": text(511),
            "refresh-rate": number(1, 43200, 5),
            "comments": text(255),
            "username": text(64),
            "server-identity-check": choice("none", "basic", "full"),
            "user-agent": text(255),
            "interface-select-method": choice("auto", "sdwan", "specify"),
        },
        "sysgrp.cfg",
        longest=35,
        scope="both",
        required=("resource",),  # for pushed feeds too
        uuid=True,
    )
