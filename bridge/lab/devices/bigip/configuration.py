"""The configuration over REST: create, read, change, replace and delete objects and rules, on a draft.

PATCH replaces each attribute that it names, arrays whole. PUT replaces the object: what it leaves
out returns to its default, but for what is fixed at creation (f5-sdk leaves that out).
POST and DELETE answer 200, as everything here does that is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from bridge.lab.devices.bigip import show
from bridge.lab.devices.bigip.answers import SYNTAX, ApiError, bad_value, exists, no_path, not_found, unknown_property
from bridge.lab.devices.bigip.fields import Json, Key, Limits
from bridge.lab.devices.bigip.item import Item
from bridge.lab.devices.bigip.kinds import FOLDER, KINDS, LONE, PARTITION, RULE_LIST, Kind
from bridge.lab.devices.bigip.rules import READ_ONLY, Rule, placed, read_place, read_rule, rule_references
from bridge.lab.devices.bigip.store import Draft
from bridge.lab.devices.bigip.values import valid_name

_decode = msgspec.json.Decoder().decode
_NAMES = frozenset({"name", "partition", "subPath"})
_RESERVED = frozenset({"first", "last"})


def read_body(raw: bytes) -> Json:
    """The JSON object that a call carries; an empty body is an empty object."""
    try:
        body: Any = _decode(raw) if raw else {}
    except msgspec.DecodeError:
        raise ApiError(400, "Found invalid JSON body in the request.", SYNTAX) from None
    if not isinstance(body, dict):
        raise ApiError(400, "Found invalid JSON body in the request.", SYNTAX)
    return body


def segments(path: str) -> list[str]:
    """The parts of a raw path below /mgmt/tm, decoded."""
    return [unquote(part) for part in path.split("/")[3:] if part]


@dataclass(frozen=True, slots=True)
class Call:
    """One call on the configuration: method, raw path, raw query, body."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""


def perform(draft: Draft, call: Call, limits: Limits) -> bytes:
    """Do one call on the draft; the answer's body. Raises ApiError; the draft then is to be thrown away."""
    method, raw = call.method, call.body
    kind, rest = _kind_of(segments(call.path), call.path)
    options = show.read_query(call.query)
    target = _Target(draft, kind, limits)
    lone = kind.collection in LONE
    if not rest and not lone:
        return _on_collection(target, method, options, raw)
    key = (kind.collection, LONE[kind.collection] if lone else _path_of(kind, rest[0]))
    below = rest if lone else rest[1:]
    if not below:
        return _on_item(target, method, key, options, raw)
    if not kind.rules or below[0] != "rules" or len(below) > 2:
        raise no_path(below[0], call.path)
    return _on_rules(_RulesTarget(target, key), method, below[1:], options, raw)


def _kind_of(parts: Sequence[str], path: str) -> tuple[Kind, list[str]]:
    for length in (3, 2):
        kind = KINDS.get("/".join(parts[:length]))
        if kind is not None:
            return kind, list(parts[length:])
    raise no_path(parts[-1] if parts else "tm", path)


def _path_of(kind: Kind, segment: str) -> str:
    if kind.collection == PARTITION:
        return f"/{segment}"
    return segment.replace("~", "/") if segment.startswith("~") else f"/Common/{segment}"


def _allowed(method: str, *methods: str) -> None:
    if method not in methods:
        raise ApiError(405, f"Operation {method} is not supported.", SYNTAX)


def _on_collection(target: "_Target", method: str, options: Mapping[str, str], raw: bytes) -> bytes:
    _allowed(method, "GET", "POST")
    if method == "GET":
        return show.collection_bytes(target.kind, target.draft.of(target.kind.collection), options)
    return show.item_bytes(target.create(read_body(raw)), {})


def _on_item(target: "_Target", method: str, key: Key, options: Mapping[str, str], raw: bytes) -> bytes:
    lone = key[0] in LONE
    _allowed(method, *(("GET", "PATCH", "PUT") if lone else ("GET", "PATCH", "PUT", "DELETE")))
    if method == "GET":
        return show.item_bytes(target.draft.require(key), options)
    if method == "DELETE":
        target.delete(key)
        return b""
    return show.item_bytes(target.change(target.draft.require(key), read_body(raw), whole=method == "PUT"), {})


class _Target:
    """One collection of a draft."""

    def __init__(self, draft: Draft, kind: Kind, limits: Limits) -> None:
        self.draft = draft
        self.kind = kind
        self.limits = limits

    def create(self, raw: Json) -> Item:
        """A new object; 409 where one of that name is."""
        path = _new_path(self.kind, raw, self.limits)
        key = (self.kind.collection, path)
        if self.draft.get(key) is not None:
            raise exists(self.kind.title, path, path[1:].partition("/")[0])
        body = dict(self.kind.defaults) | self._read(raw)
        self.kind.complete(path, body)
        if self.kind.collection in (FOLDER, PARTITION) and path.count("/") == 1:
            self._twin(path)
        return self._put(path, body, ())

    def change(self, item: Item, raw: Json, *, whole: bool) -> Item:
        """The object with the attributes of `raw`; `whole` for PUT."""
        given = self._read(raw)
        for name in self.kind.fixed & given.keys():
            if given[name] != item.body.get(name):
                raise ApiError(400, f'"{name}" may not be changed after creation', SYNTAX)
        if not given and not whole:
            raise ApiError(400, "one or more properties must be specified", SYNTAX)
        kept = {name: item.body[name] for name in self.kind.fixed if name in item.body}
        body = (self.kind.defaults | kept if whole else dict(item.body)) | given
        self.kind.complete(item.path, body)
        _same_name(item, raw)
        return self._put(item.path, body, item.rules)

    def delete(self, key: Key) -> None:
        """The object goes, and with a partition its folder."""
        if key[1] in ("/", "/Common") or key == ("net/route-domain", "/Common/0"):
            raise ApiError(
                400, f"01070825:3: {self.kind.title} ({key[1]}) belongs to the system and can not be deleted."
            )
        self.draft.drop(key)
        other = (PARTITION if key[0] == FOLDER else FOLDER, key[1])
        if key[0] in (FOLDER, PARTITION) and self.draft.get(other) is not None:
            self.draft.drop(other)

    def _twin(self, path: str) -> None:
        """A partition is a folder at the top, and the other way round."""
        other = KINDS[PARTITION if self.kind.collection == FOLDER else FOLDER]
        if self.draft.get((other.collection, path)) is None:
            self.draft.put(Item(other, path, dict(other.defaults), self.draft.generation, frozenset()))

    def _read(self, raw: Json) -> Json:
        body: Json = {}
        for name, value in raw.items():
            if name in _NAMES or name in READ_ONLY or name.endswith("Reference"):
                continue
            field = self.kind.fields.get(name)
            if field is None:
                raise unknown_property(name)
            body[name] = field.parse(name, value, self.limits)
        return body

    def _put(self, path: str, body: Json, rules: tuple[Rule, ...]) -> Item:
        found = frozenset(key for name, value in body.items() for key in self.kind.fields[name].references(value))
        return self.draft.put(Item(self.kind, path, body, self.draft.generation, found, rules))

    def put_rules(self, item: Item, rules: tuple[Rule, ...]) -> Item:
        """The object with other rules."""
        return self.draft.put(Item(item.kind, item.path, item.body, self.draft.generation, item.own_references, rules))


def _same_name(item: Item, raw: Json) -> None:
    name = raw.get("name")
    if name is not None and name not in (item.path, item.path.rpartition("/")[2] or "/"):
        raise ApiError(400, '"name" may not be changed', SYNTAX)


def _new_path(kind: Kind, raw: Json, limits: Limits) -> str:
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        raise ApiError(400, "one or more properties must be specified: name", SYNTAX)
    parts = _path_parts(kind, raw, name)
    for part in parts:
        if not valid_name(part):
            raise ApiError(400, f"01070637:3: The name ({part[:80]}) has characters that a name can not have.")
        if len(part) > limits.name:
            raise ApiError(
                400, f"01020057:3: The string with more than {limits.name} characters cannot be stored as a name."
            )
    if len(parts) < 2 and kind.collection not in (FOLDER, PARTITION):
        raise ApiError(400, f"01070734:3: Configuration error: {kind.title} ({name}) must be in a partition.")
    return "/" + "/".join(parts)


def _path_parts(kind: Kind, raw: Json, name: str) -> list[str]:
    if name.startswith("/"):
        return name[1:].split("/")
    folder = str(raw.get("subPath") or "")
    if kind.collection == PARTITION or (kind.collection == FOLDER and folder == "/"):
        return [name]
    if not folder.startswith("/"):
        partition = raw.get("partition", "Common")
        if not isinstance(partition, str):
            raise bad_value("partition", partition)
        folder = f"/{partition}/{folder}"
    return [*(part for part in folder.split("/") if part), *name.split("/")]


class _RulesTarget:
    """The rules of one policy or rule list."""

    def __init__(self, target: _Target, key: Key) -> None:
        self.target = target
        self.item = target.draft.require(key)

    def find(self, name: str) -> Rule:
        """The rule, or 404."""
        rule = next((one for one in self.item.rules if one.name == name), None)
        if rule is None:
            raise not_found("rule", f"{self.item.path} {name}")
        return rule

    def create(self, raw: Json) -> Rule:
        """A new rule in its place; 409 where the list has one of that name."""
        name = raw.get("name")
        if not isinstance(name, str) or not valid_name(name) or name in _RESERVED:
            raise bad_value("name", name, "a rule needs a name, and not first or last")
        if len(name) > self.target.limits.name:
            raise ApiError(
                400,
                f"01020057:3: The string with more than {self.target.limits.name} characters cannot be stored as a name.",
            )
        if any(one.name == name for one in self.item.rules):
            raise exists("rule", f"{self.item.path} {name}", self.item.partition)
        body = read_rule(name, raw, None, self.target.limits, nested=self._nested)
        return self._put(name, body, raw, new=True)

    def change(self, rule: Rule, raw: Json, *, whole: bool) -> Rule:
        """The rule with the attributes of `raw`; `whole` for PUT."""
        if raw.get("name") not in (None, rule.name):
            raise ApiError(400, '"name" may not be changed', SYNTAX)
        if not raw:
            raise ApiError(400, "one or more properties must be specified", SYNTAX)
        body = read_rule(rule.name, raw, None if whole else rule.body, self.target.limits, nested=self._nested)
        return self._put(rule.name, body, raw, new=False)

    def delete(self, rule: Rule) -> None:
        """The rule goes."""
        self.target.put_rules(self.item, tuple(one for one in self.item.rules if one is not rule))

    @property
    def _nested(self) -> bool:
        return self.item.kind.collection == RULE_LIST

    def _put(self, name: str, body: Json, raw: Json, *, new: bool) -> Rule:
        rule = Rule(name, body, self.target.draft.generation, rule_references(body))
        self.target.put_rules(self.item, placed(self.item.rules, rule, read_place(raw, wanted=new)))
        return rule


def _on_rules(target: _RulesTarget, method: str, below: Sequence[str], options: Mapping[str, str], raw: bytes) -> bytes:
    if not below:
        _allowed(method, "GET", "POST")
        if method == "GET":
            return show.rules_bytes(target.item, options)
        return show.rule_bytes(target.item, target.create(read_body(raw)))
    _allowed(method, "GET", "PATCH", "PUT", "DELETE")
    rule = target.find(below[0])
    if method == "DELETE":
        target.delete(rule)
        return b""
    if method != "GET":
        rule = target.change(rule, read_body(raw), whole=method == "PUT")
    return show.rule_bytes(target.item, rule)
