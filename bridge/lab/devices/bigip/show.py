"""Objects and collections as GET answers them, with the query options of iControl REST.

Empty attributes are left out, as a BIG-IP does; an empty collection has no `items`, except one of rules.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl

from bridge.lab.devices.bigip.answers import SYNTAX, ApiError, encode
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.bigip.item import Item
from bridge.lab.devices.bigip.kinds import FOLDER, LONE, PARTITION, Kind
from bridge.lab.devices.bigip.rules import Linker, Rule, show_rule

_T = TypeVar("_T", Item, Rule)

VERSION = "17.1.1"
LINK = Linker(VERSION)
_OPTIONS = frozenset({"$filter", "$select", "$top", "$skip", "expandSubcollections", "ver", "options"})


def read_query(raw: str) -> dict[str, str]:
    """The query as a mapping; 400 for an option that does not exist."""
    if not raw:
        return {}
    query = dict(parse_qsl(raw, keep_blank_values=True))
    unknown = query.keys() - _OPTIONS
    if unknown:
        raise ApiError(400, f"Query parameter {min(unknown)} is invalid.", SYNTAX)
    return query


def item_bytes(item: Item, query: Mapping[str, str]) -> bytes:
    """One object as JSON."""
    if not query.keys() & {"$select", "expandSubcollections"}:
        if not item.wire:
            item.wire = encode(show_item(item))
        return item.wire
    return encode(_selected(show_item(item, expand=_expanding(query)), query))


def rule_bytes(item: Item, rule: Rule) -> bytes:
    """One rule as JSON."""
    if not rule.wire:
        rule.wire = encode(show_rule(rule, _list_kind(item), LINK.uri(*item.key), LINK))
    return rule.wire


def show_item(item: Item, *, expand: bool = False) -> Json:
    """One object, its rules with it when asked."""
    kind = item.kind
    shown: Json = {"kind": kind.state} | _names(item)
    shown["generation"] = item.generation
    link = f"https://localhost/mgmt/tm/{kind.collection}" if kind.collection in LONE else LINK.uri(*_link_key(item))
    shown["selfLink"] = f"{link}?ver={VERSION}"
    for name, value in item.body.items():
        if value in ("", ()):
            continue
        field = kind.fields[name]
        shown[name] = field.show(value)
        if field.target:
            shown[f"{name}Reference"] = LINK.to(field.target, value)
    if kind.rules:
        rules: Json = {"link": f"{link}/rules?ver={VERSION}", "isSubcollection": True}
        if expand:
            rules["items"] = [show_rule(rule, _list_kind(item), link, LINK) for rule in item.rules]
        shown["rulesReference"] = rules
    return shown


def _link_key(item: Item) -> tuple[str, str]:
    return (PARTITION, item.path[1:]) if item.kind.collection == PARTITION else item.key


def _names(item: Item) -> Json:
    if item.kind.collection in LONE:
        return {}
    if item.kind.collection == PARTITION:
        return {"name": item.path[1:], "fullPath": item.path[1:]}
    if item.kind.collection == FOLDER and item.path.count("/") == 1:
        return {"name": item.path[1:] or "/", "fullPath": item.path} | ({"subPath": "/"} if item.path != "/" else {})
    folder, _, name = item.path.rpartition("/")
    _, _, inner = folder[1:].partition("/")
    names = {"name": name, "partition": item.partition}
    return names | ({"subPath": inner} if inner else {}) | {"fullPath": item.path}


def _list_kind(item: Item) -> str:
    return f"tm:{item.kind.collection.replace('/', ':')}"


def collection_bytes(kind: Kind, items: Sequence[Item], query: Mapping[str, str]) -> bytes:
    """A collection, filtered by partition, paged, expanded, cut to the selected attributes."""
    kept = _filtered(items, query.get("$filter", ""))
    link = f"https://localhost/mgmt/tm/{kind.collection}"
    page, paging = _paged(kept, query, link)
    head: Json = {"kind": kind.collection_state, "selfLink": f"{link}?ver={VERSION}"} | paging
    if not page:
        return encode(head)
    return _with_items(head, [item_bytes(item, query) for item in page])


def rules_bytes(item: Item, query: Mapping[str, str]) -> bytes:
    """The rules of a policy or rule list, in their order."""
    link = f"{LINK.uri(*item.key)}/rules"
    page, paging = _paged(item.rules, query, link)
    head: Json = {
        "kind": f"{_list_kind(item)}:rules:rulescollectionstate",
        "selfLink": f"{link}?ver={VERSION}",
    } | paging
    if "$select" in query:
        shown = [show_rule(rule, _list_kind(item), LINK.uri(*item.key), LINK) for rule in page]
        return _with_items(head, [encode(_selected(one, query)) for one in shown])
    return _with_items(head, [rule_bytes(item, rule) for rule in page])


def _with_items(head: Json, items: Sequence[bytes]) -> bytes:
    return encode(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"


def _expanding(query: Mapping[str, str]) -> bool:
    return query.get("expandSubcollections", "false") == "true"


def _selected(shown: Json, query: Mapping[str, str]) -> Json:
    if "$select" not in query:
        return shown
    wanted = set(query["$select"].split(","))
    return {name: value for name, value in shown.items() if name in wanted}


def _filtered(items: Sequence[Item], expression: str) -> Sequence[Item]:
    if not expression:
        return items
    words = expression.split()
    if len(words) != 3 or words[:2] != ["partition", "eq"]:
        raise ApiError(400, f'invalid $filter "{expression}"; only "partition eq <name>" is supported', SYNTAX)
    wanted = words[2].strip("'\"")
    return [item for item in items if item.partition == wanted]


def _paged(things: Sequence[_T], query: Mapping[str, str], link: str) -> tuple[Sequence[_T], Json]:
    if not query.keys() & {"$top", "$skip"}:
        return things, {}
    skip, top = _count(query, "$skip", 0), _count(query, "$top", len(things))
    if top < 1 and things:
        raise ApiError(400, "$top must be at least 1", SYNTAX)
    page = things[skip : skip + top]
    paging: Json = {
        "currentItemCount": len(page),
        "itemsPerPage": top,
        "startIndex": skip + 1,
        "totalItems": len(things),
    }
    paging |= {"pageIndex": skip // max(top, 1) + 1, "totalPages": -(-len(things) // max(top, 1))}
    if skip + top < len(things):
        paging["nextLink"] = f"{link}?$top={top}&$skip={skip + top}&ver={VERSION}"
    if skip:
        paging["previousLink"] = f"{link}?$top={top}&$skip={max(0, skip - top)}&ver={VERSION}"
    return page, paging


def _count(query: Mapping[str, str], name: str, default: int) -> int:
    raw = query.get(name)
    if raw is None:
        return default
    if not raw.isdecimal():
        raise ApiError(400, f"{name} must be a number", SYNTAX)
    return int(raw)
