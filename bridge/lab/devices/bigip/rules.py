"""Firewall rules: one rule's attributes, and the order of the rules of a policy or rule list.

Names are unique within a list and never `first` or `last`. A new rule needs exactly one of place-after and place-before,
whose value is `first`, `last` or the name of a rule of the same list; a change may carry one, to move the rule.
`source` and `destination` are changed by sub-attribute, as tmsh does it: what a PATCH leaves out of `source` stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.lab.devices.bigip import values
from bridge.lab.devices.bigip.answers import MCP, SYNTAX, ApiError, bad_value, unknown_property
from bridge.lab.devices.bigip.fields import (
    Field,
    Json,
    Key,
    Limits,
    anything,
    choice,
    named,
    number,
    reference,
    references,
    single,
    text,
)
from bridge.lab.devices.bigip.kinds import ADDRESS_LIST, IRULE, PORT_LIST, RULE_LIST, SCHEDULE

_SIDE: Mapping[str, Field] = {
    "addresses": named(values.canonical_address),
    "addressLists": references(ADDRESS_LIST),
    "ports": named(values.canonical_port),
    "portLists": references(PORT_LIST),
    "fqdns": named(values.canonical_fqdn),
    "geo": named(str),
}
_SOURCE: Mapping[str, Field] = {**_SIDE, "vlans": anything(), "identity": anything()}

_FIELDS: Mapping[str, Field] = {
    "action": choice("accept", "accept-decisively", "drop", "reject"),
    "description": text(),
    "ipProtocol": single(values.canonical_protocol),
    "icmp": named(values.canonical_icmp),
    "irule": reference(IRULE),
    "iruleSampleRate": number(0, 2**31),
    "log": choice("yes", "no"),
    "status": choice("enabled", "disabled", "scheduled"),
    "schedule": reference(SCHEDULE),
    "ruleList": reference(RULE_LIST),
}
_DEFAULTS: Json = {"ipProtocol": "any", "iruleSampleRate": 1, "log": "no", "status": "enabled"}
_SIDES = {"source": _SOURCE, "destination": _SIDE}
_PLACES = {"place-after": "after", "placeAfter": "after", "place-before": "before", "placeBefore": "before"}
READ_ONLY = frozenset({"kind", "selfLink", "generation", "fullPath", "uuid"})


@dataclass(slots=True, eq=False)
class Rule:
    """One rule as it is kept; never changed in place. `wire` is its JSON, made when it is first asked for."""

    name: str
    body: Json
    generation: int
    references: frozenset[Key]
    wire: bytes = b""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule goes: `side` of `anchor`, which is first, last or a rule's name."""

    side: str
    anchor: str


def read_rule(name: str, raw: Json, before: Json | None, limits: Limits, *, nested: bool) -> Json:
    """The rule's attributes after `raw` was applied to `before` (None: a new rule). `nested` for the rules of a rule list."""
    body: Json = dict(_DEFAULTS) if before is None else dict(before)
    for key, value in raw.items():
        if key == "name" or key in READ_ONLY or key in _PLACES or key.endswith("Reference"):
            continue
        if key in _SIDES:
            body[key] = _read_side(key, value, body.get(key, {}), limits)
        elif key in _FIELDS:
            body[key] = _FIELDS[key].parse(key, value, limits)
        else:
            raise unknown_property(key)
    _check(name, body, nested=nested)
    return body


def _read_side(side: str, raw: object, before: Json, limits: Limits) -> Json:
    if not isinstance(raw, dict):
        raise bad_value(side, raw, "an object wanted")
    kept = dict(before)
    for key, value in raw.items():
        if key.endswith("Reference"):
            continue
        field = _SIDES[side].get(key)
        if field is None:
            raise unknown_property(f"{side}/{key}")
        kept[key] = field.parse(f"{side}/{key}", value, limits)
    return {key: value for key, value in kept.items() if value and key != "identity"}


def _check(name: str, body: Json, *, nested: bool) -> None:
    if (body["status"] == "scheduled") != bool(body.get("schedule")):
        raise ApiError(400, f"01071a70:3: Rule ({name}): status scheduled and a schedule go together.")
    if body.get("ruleList"):
        if nested:
            raise ApiError(400, f"01071a60:3: Rule ({name}): a rule list can not hold a reference to a rule list.")
        own = [key for key in ("action", "source", "destination", "icmp") if body.get(key)]
        if own or body["ipProtocol"] != "any":
            raise ApiError(
                400,
                f"01071a61:3: Rule ({name}) refers to a rule list and can not have {', '.join(own) or 'ipProtocol'}.",
            )
        return
    if not body.get("action"):
        raise ApiError(400, f"01070734:3: Configuration error: rule ({name}) must have an action.")
    ports = any(body.get(side, {}).get(key) for side in _SIDES for key in ("ports", "portLists"))
    if ports and body["ipProtocol"] not in values.WITH_PORTS:
        raise ApiError(400, f"01071a62:3: Rule ({name}): ports can only be given for a protocol that has ports.")
    if body.get("icmp") and body["ipProtocol"] not in ("icmp", "ipv6-icmp"):
        raise ApiError(400, f"01071a63:3: Rule ({name}): icmp can only be given for the protocols icmp and ipv6-icmp.")


def read_place(raw: Json, *, wanted: bool) -> Place | None:
    """Where the rule is to go. `wanted`: refuse a call that does not say."""
    given = {_PLACES[key]: value for key, value in raw.items() if key in _PLACES and value is not None}
    if len(given) > 1:
        raise ApiError(400, "only one of place-after and place-before may be specified", SYNTAX)
    if not given:
        if wanted:
            raise ApiError(400, "one of place-after and place-before must be specified", SYNTAX)
        return None
    ((side, anchor),) = given.items()
    if not isinstance(anchor, str):
        raise bad_value(f"place-{side}", anchor)
    return Place(side, "last" if anchor == "none" else anchor)


def placed(rules: Sequence[Rule], rule: Rule, place: Place | None) -> tuple[Rule, ...]:
    """The list with the rule in its place; without a place a known rule stays where it is."""
    if place is None:
        return tuple(rule if one.name == rule.name else one for one in rules)
    others = [one for one in rules if one.name != rule.name]
    if place.anchor == "first":
        at = 0
    elif place.anchor == "last":
        at = len(others)
    else:
        names = [one.name for one in others]
        if place.anchor not in names:
            raise ApiError(404, f"01020036:3: The requested rule ({place.anchor}) was not found.", MCP)
        at = names.index(place.anchor) + (place.side == "after")
    others.insert(at, rule)
    return tuple(others)


def rule_references(body: Json) -> frozenset[Key]:
    """What the rule refers to."""
    found: set[Key] = set()
    for name, field in _FIELDS.items():
        found.update(field.references(body.get(name)))
    for side, fields in _SIDES.items():
        for name, value in body.get(side, {}).items():
            found.update(fields[name].references(value))
    return frozenset(found)


def show_rule(rule: Rule, list_kind: str, list_link: str, link: "Linker") -> Json:
    """The rule as GET answers it; without place, which no device tells."""
    shown: Json = {
        "kind": f"{list_kind}:rules:rulesstate",
        "name": rule.name,
        "fullPath": rule.name,
        "generation": rule.generation,
        "selfLink": f"{list_link}/rules/{rule.name}?ver={link.version}",
    }
    for name, value in rule.body.items():
        if name not in _SIDES:
            _show_field(shown, name, _FIELDS[name], value, link)
    if not rule.body.get("ruleList"):
        for side in _SIDES:
            shown[side] = _show_side(side, rule.body.get(side, {}), link)
        shown["source"]["identity"] = {}
    return shown


def _show_side(side: str, body: Json, link: "Linker") -> Json:
    shown: Json = {}
    for name, value in body.items():
        _show_field(shown, name, _SIDES[side][name], value, link)
    return shown


def _show_field(shown: Json, name: str, field: Field, value: Any, link: "Linker") -> None:  # noqa: ANN401
    if value in ("", ()):
        return
    shown[name] = field.show(value)
    if field.target:
        shown[f"{name}Reference"] = link.to(field.target, value)


@dataclass(frozen=True, slots=True)
class Linker:
    """Makes the links that a BIG-IP puts beside every reference; they name localhost."""

    version: str

    def uri(self, collection: str, path: str) -> str:
        """The link of one object, without its query."""
        return f"https://localhost/mgmt/tm/{collection}/{path.replace('/', '~')}"

    def to(self, collection: str, paths: str | Iterable[str]) -> Any:  # noqa: ANN401
        """`{"link": …}` for one path, a list of them for several."""
        if isinstance(paths, str):
            return {"link": f"{self.uri(collection, paths)}?ver={self.version}"}
        return [{"link": f"{self.uri(collection, path)}?ver={self.version}"} for path in paths]
