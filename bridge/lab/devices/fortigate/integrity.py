"""What holds between entries: names are unique, references point at something, nothing in use goes, no circles, tables end."""

from collections.abc import Iterable

from bridge.lab.devices.fortigate.answers import (
    ADDRESS_OR_GROUP,
    ADDRESS_OR_VIP,
    EXISTS,
    FULL,
    INVALID,
    FortiError,
    bad_value,
    in_use,
    unknown_reference,
)
from bridge.lab.devices.fortigate.draft import Draft
from bridge.lab.devices.fortigate.item import FEED, POLICIES, Item, Key
from bridge.lab.devices.fortigate.table import ADDRESS, ADDRESS6, GROUP, GROUP6, INTERFACE, VIP
from bridge.lab.devices.fortigate.tables import TABLES, sharing

_GROUPS = frozenset({GROUP, GROUP6, "firewall.service/group"})
_TWINS = ({ADDRESS, GROUP}, {ADDRESS6, GROUP6})


def check(draft: Draft, keys: Iterable[Key]) -> None:
    """Raise the first refusal that the changes of these keys meet."""
    for key in keys:
        item = draft.get(key)
        if item is None:
            _check_gone(draft, key)
        else:
            _check_item(draft, item)


def _check_item(draft: Draft, item: Item) -> None:
    table = TABLES[item.key[1]]
    table.complete(item.body)
    _check_name(draft, item)
    before = draft.base.get(item.key)
    known = {one.attribute: one.names for one in before.mentions} if before is not None else {}
    for one in item.mentions:
        for name in sorted(one.names - known.get(one.attribute, frozenset())):  # what was there cannot have gone
            if target(draft, item.key[0], one.tables, name) is None:
                raise unknown_reference(name, one.attribute)
    if item.key[1] in _GROUPS:
        _check_circle(draft, item)
    if draft.is_new(item.key):
        _check_room(draft, item)


def target(draft: Draft, vdom: str, tables: Iterable[str], name: str) -> Key | None:
    """What a reference points at: in the VDOM, else among what is global."""
    for scope in (vdom, ""):
        for path in tables:
            item = draft.get((scope, path, name))
            if item is not None and _fits(item, vdom):
                return item.key
    return None


def _fits(item: Item, vdom: str) -> bool:
    """Feeds that hold no addresses, and interfaces of another VDOM, cannot be referred to."""
    path, name = item.key[1:]
    if path == FEED:
        return bool(item.body["type"] == "address")
    return path != INTERFACE or name == "any" or not vdom or bool(item.body["vdom"] == vdom)


def _check_name(draft: Draft, item: Item) -> None:
    vdom, path, name = item.key
    table = TABLES[path]
    for other in sharing(table.space) if table.space else ():
        if other != path and draft.get((vdom, other, name)) is not None:
            number = ADDRESS_OR_GROUP if {path, other} in _TWINS else ADDRESS_OR_VIP if VIP in (path, other) else EXISTS
            raise FortiError(500, number, "the name is in use by another kind of entry")
    if path == FEED:
        if name.startswith("g-") != (vdom == ""):
            raise FortiError(500, INVALID, "names of global feeds start with g-, and no others")
        if any(draft.get((vdom, other, name)) is not None for other in (ADDRESS, GROUP, ADDRESS6, GROUP6)):
            raise FortiError(500, EXISTS, "the name is in use by an address or a group")
    elif table.space in ("v4", "v6") and draft.get((vdom, FEED, name)) is not None:
        raise FortiError(500, EXISTS, "the name is in use by an external resource")
    elif (
        path in POLICIES and item.body["name"] and draft.policy_named(item.place, item.body["name"]) not in (None, name)
    ):
        raise FortiError(500, EXISTS, f"the policy name '{item.body['name']}' is in use")


def _check_circle(draft: Draft, item: Item) -> None:
    vdom, path, own = item.key
    waiting = [item]
    seen: set[str] = set()
    while waiting:
        for name in frozenset().union(*(one.names for one in waiting.pop().mentions if path in one.tables)) - seen:
            if name == own:
                raise bad_value("member", own)
            seen.add(name)
            nested = draft.get((vdom, path, name))
            if nested is not None:
                waiting.append(nested)


def _check_room(draft: Draft, item: Item) -> None:
    vdom, path, _ = item.key
    limits = draft.limits
    if path == FEED:
        places = [place for place in draft.places() if place[1] == FEED]
        if draft.count((vdom, FEED)) > limits.feeds or sum(map(draft.count, places)) > limits.feeds_box:
            raise FortiError(500, FULL, "the maximum number of entries has been reached")
        return
    resource = TABLES[path].resource
    most = limits.tables.get(resource)
    if most is None:
        return
    alike = [one.path for one in TABLES.values() if one.resource == resource]
    if sum(draft.count((vdom, one)) for one in alike) > most:
        raise FortiError(500, FULL, "the maximum number of entries has been reached")


def _check_gone(draft: Draft, key: Key) -> None:
    users = draft.users(key)
    if users:
        raise in_use(len(users))
