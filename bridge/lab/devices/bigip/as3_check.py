"""What AS3 refuses for its form: the classes that the simulator knows, strictly, as F5's schema 3.56.0 has them.

What stands in that schema and not here is refused too: a client must not lean on what nobody checked.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.lab.devices.bigip.fields import Json

_TENANT = re.compile(r"[A-Za-z][0-9A-Za-z_.-]{0,189}\Z")
_ITEM = re.compile(r"[A-Za-z]([0-9A-Za-z_.-]{0,188}[0-9A-Za-z_.])?\Z")
_REMARK = re.compile(r'[^\x00-\x1f"\\\x7f]{0,64}\Z')
_VERSION = re.compile(r"3\.([0-9]|[1-4][0-9]|5[0-6])(\.[0-9]+)?\Z")
_ADC = frozenset({"class", "schemaVersion", "id", "label", "remark", "updateMode", "controls", "$schema"})
_CONTROLS = frozenset({"class", "dryRun", "logLevel", "trace", "traceResponse", "userAgent"})
_OF_TENANT = frozenset({"class", "label", "remark", "enable", "defaultRouteDomain", "optimisticLockKey", "controls"})
_OF_APPLICATION = frozenset({"class", "label", "remark", "template", "enable"})
_HEAD = frozenset({"class", "label", "remark"})
_SERVICE = _HEAD | {
    "allowVlans",
    "enable",
    "forwardingType",
    "layer4",
    "persistenceMethods",
    "policyFirewallEnforced",
    "policyFirewallStaged",
    "profileL4",
    "securityLogProfiles",
    "snat",
    "translateServerAddress",
    "translateServerPort",
    "virtualAddresses",
    "virtualPort",
}
_CLASSES: Mapping[str, frozenset[str]] = {
    "Firewall_Address_List": _HEAD | {"addresses", "addressLists", "fqdns", "geo"},
    "Firewall_Port_List": _HEAD | {"ports", "portLists"},
    "Firewall_Rule_List": _HEAD | {"rules"},
    "Firewall_Policy": _HEAD | {"rules"},
    "Service_Forwarding": _SERVICE,
    "Service_L4": _SERVICE - {"forwardingType"},
}
_NEEDED = {
    "Firewall_Policy": ("rules",),
    "Service_Forwarding": ("forwardingType", "virtualAddresses"),
    "Service_L4": ("virtualPort", "virtualAddresses"),
}
_RULE = frozenset({"name", "action", "protocol", "loggingEnabled", "source", "destination", "iRule", "label", "remark"})
_SOURCE = frozenset({"addressLists", "portLists", "addresses", "ports", "vlans"})
_ACTIONS = ("accept", "drop", "accept-decisively", "reject")

PROTOCOLS = {
    "any": 255,
    "icmp": 1,
    "igmp": 2,
    "ipv4": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "rsvp": 46,
} | {
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "eigrp": 88,
    "ospf": 89,
    "ipip": 94,
    "pim": 103,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}
"""The protocols that the simulator knows by name; F5's schema has more."""


class InvalidError(Exception):
    """The declaration is invalid: it refers to what is not there."""


def request(body: Json) -> list[str]:
    """What is wrong with the envelope."""
    if body.get("class") == "ADC":
        return []
    if body.get("class") != "AS3":
        return [": should match exactly one schema in oneOf"]
    if body.get("action", "deploy") not in ("deploy", "dry-run"):
        return ["/action: not simulated"]
    unknown = body.keys() - {"class", "action", "persist", "declaration", "$schema", "syncToGroup", "historyLimit"}
    if unknown:
        return [f": should NOT have additional properties ({min(unknown)})"]
    return [] if isinstance(body.get("declaration"), dict) else ["/declaration: should be object"]


def tenants(declaration: Json) -> set[str]:
    """The names of the tenants in a declaration."""
    return {name for name, one in declaration.items() if isinstance(one, dict) and one.get("class") == "Tenant"}


def declaration(body: Json, version: str) -> list[str]:
    """What is wrong with a declaration; AS3 names no more than a few."""
    return list(_declaration(body, version))[:5]


def _declaration(body: Json, version: str) -> Iterator[str]:
    if body.get("class") != "ADC":
        yield "/class: should be equal to constant"
    if not _VERSION.match(str(body.get("schemaVersion", ""))) or _number(body["schemaVersion"]) > _number(version):
        yield "/schemaVersion: should match some schema in anyOf"
    controls = body.get("controls")
    if controls is not None and (not isinstance(controls, dict) or controls.get("class") != "Controls"):
        yield "/controls: should have required property 'class'"
    elif controls and controls.keys() - _CONTROLS:
        yield "/controls: should NOT have additional properties"
    for name, one in body.items():
        if name in _ADC:
            continue
        if not isinstance(one, dict) or one.get("class") != "Tenant":
            yield f"/{name}: should be a Tenant"
        elif not _TENANT.match(name):
            yield f"/{name}: propertyName should match pattern"
        elif name == "Common":
            yield "/Common: not simulated"
        else:
            yield from _tenant(f"/{name}", one)


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _tenant(path: str, body: Json) -> Iterator[str]:
    yield from _words(path, body)
    for name, one in body.items():
        if name in _OF_TENANT:
            continue
        if not isinstance(one, dict) or one.get("class") != "Application":
            yield f"{path}/{name}: should be an Application"
            continue
        if not _TENANT.match(name):
            yield f"{path}/{name}: propertyName should match pattern"
        yield from _words(f"{path}/{name}", one)
        for item, value in one.items():
            if item not in _OF_APPLICATION:
                yield from _item(f"{path}/{name}/{item}", item, value)


def _words(path: str, body: Mapping[str, Any]) -> Iterator[str]:
    for name in ("remark", "label"):
        if name in body and (not isinstance(body[name], str) or not _REMARK.match(body[name])):
            yield f"{path}/{name}: should match pattern, or is longer than 64 characters"


def _item(path: str, name: str, body: object) -> Iterator[str]:
    if not isinstance(body, dict) or body.get("class") not in _CLASSES:
        yield f"{path}/class: should be equal to one of the allowed values; the simulator knows {', '.join(_CLASSES)}"
        return
    kind = str(body["class"])
    if not _ITEM.match(name):
        yield f"{path}: propertyName should match pattern"
    yield from _words(path, body)
    unknown = body.keys() - _CLASSES[kind]
    if unknown:
        yield f"{path}: should NOT have additional properties ({min(unknown)})"
    yield from (f"{path}: should have required property '{one}'" for one in _NEEDED.get(kind, ()) if one not in body)
    if kind == "Firewall_Address_List":
        yield from _some(path, body, "addresses", "addressLists", "fqdns", "geo")
    elif kind == "Firewall_Port_List":
        yield from _some(path, body, "ports", "portLists")
    elif kind == "Firewall_Rule_List":
        for at, rule in enumerate(body.get("rules", [])):
            yield from _rule(f"{path}/rules/{at}", rule)
    elif kind == "Firewall_Policy":
        for at, rule in enumerate(body.get("rules", [])):
            pointed = isinstance(rule, dict) and rule.keys() & {"use", "bigip"}
            yield from _pointer(f"{path}/rules/{at}", rule) if pointed else _rule(f"{path}/rules/{at}", rule)
    else:
        yield from _service(path, body)


def _some(path: str, body: Json, *names: str) -> Iterator[str]:
    given = [name for name in names if name in body]
    if not given:
        yield f"{path}: should have required property '{names[0]}', or {', '.join(names[1:])}"
    for name in given:
        if not isinstance(body[name], list) or not body[name]:
            yield f"{path}/{name}: should NOT have fewer than 1 items"


def _rule(path: str, rule: object) -> Iterator[str]:
    if not isinstance(rule, dict) or not isinstance(rule.get("name"), str) or rule.get("action") not in _ACTIONS:
        yield f"{path}: should have a name, and an action of {', '.join(_ACTIONS)}"
        return
    unknown = rule.keys() - _RULE
    if unknown:
        yield f"{path}: should NOT have additional properties ({min(unknown)})"
    if rule.get("protocol", "any") not in PROTOCOLS:
        yield f"{path}/protocol: should be equal to one of the allowed values"
    if not isinstance(rule.get("loggingEnabled", False), bool):
        yield f"{path}/loggingEnabled: should be boolean"
    if "iRule" in rule:
        yield from _pointer(f"{path}/iRule", rule["iRule"])
    for name, allowed in (("source", _SOURCE), ("destination", _SOURCE - {"vlans"})):
        yield from _side(f"{path}/{name}", rule.get(name, {}), allowed)


def _side(path: str, side: object, allowed: frozenset[str]) -> Iterator[str]:
    if not isinstance(side, dict) or side.keys() - allowed:
        yield f"{path}: should NOT have additional properties"
        return
    for name in ("addressLists", "portLists"):
        for at, one in enumerate(side.get(name, [])):
            yield from _pointer(f"{path}/{name}/{at}", one)
    for at, one in enumerate(side.get("vlans", [])):
        yield from _pointer(f"{path}/vlans/{at}", one)
    for name in ("addresses", "ports"):
        if name in side and not (
            isinstance(side[name], list) and side[name] and all(isinstance(p, str) for p in side[name])
        ):
            yield f"{path}/{name}: should be a list of text, and not empty"


def _pointer(path: str, one: object) -> Iterator[str]:
    if not isinstance(one, dict) or len(one) != 1 or not isinstance(one.get("use", one.get("bigip")), str):
        yield f"{path}: should be a pointer: use or bigip, and nothing else"


def _service(path: str, body: Json) -> Iterator[str]:
    addresses = body.get("virtualAddresses")
    if not isinstance(addresses, list) or len(addresses) != 1 or not isinstance(addresses[0], str):
        yield f"{path}/virtualAddresses: the simulator takes one address"
    for name in ("policyFirewallEnforced", "policyFirewallStaged"):
        if name in body:
            yield from _pointer(f"{path}/{name}", body[name])
    for at, one in enumerate(body.get("securityLogProfiles", [])):
        yield from _pointer(f"{path}/securityLogProfiles/{at}", one)
