"""Making entries out of what was sent, and what GET shows of them."""

import uuid

from bridge.lab.devices.fortigate.answers import Json, bad_value, encode
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.item import Item, Mention
from bridge.lab.devices.fortigate.table import Table
from bridge.lab.devices.fortigate.tables import TABLES

_SPACE = uuid.UUID("c3a1c3c5-7a3e-5d7e-9d27-3b6b1f1f1c11")


def fresh(table: Table, vdom: str, name: str, body: Json, rank: float) -> Item:
    """A new entry with a whole body. Where the table has uuids, one that was not given is made, and stays."""
    if table.uuid and not body.get("uuid"):
        made = uuid.uuid5(_SPACE, f"{vdom}/{table.path}/{name}/{rank}")
        body = {**body, "uuid": str(made)}
    return Item((vdom, table.path, name), body, rank, mentions(table, body))


def changed(item: Item, body: Json) -> Item:
    """The entry with another body."""
    return Item(item.key, body, item.rank, mentions(TABLES[item.key[1]], body))


def renamed(item: Item, name: str) -> Item:
    """The entry under another name, in its place."""
    return Item((*item.place, name), item.body, item.rank, item.mentions)


def moved(item: Item, rank: float) -> Item:
    """The entry in another place of its table."""
    return Item(item.key, item.body, rank, item.mentions)


def read(table: Table, raw: Json, before: Json, limits: Limits) -> Json:
    """The body after `raw` was applied; attributes that the table does not know are forgotten."""
    body = dict(before)
    for name, given in raw.items():
        field = table.fields.get(name)
        if field is not None:
            body[name] = field.parse(name, given, limits)
        elif name == "uuid" and table.uuid and given:
            body["uuid"] = _uuid(given)
    return body


def _uuid(given: object) -> str:
    try:
        return str(uuid.UUID(str(given)))
    except ValueError:
        raise bad_value("uuid", given) from None


def mentions(table: Table, body: Json) -> tuple[Mention, ...]:
    """What an entry with this body refers to."""
    return tuple(
        Mention(attribute, field.tables, frozenset(field.names(body[attribute])))
        for attribute, field in table.fields.items()
        if field.tables and body[attribute]
    )


def replaced(item: Item, target: str, old: str, new: str) -> Item:
    """The entry with each mention of a renamed one changed; `target` is the table of that."""
    table = TABLES[item.key[1]]
    body = dict(item.body)
    for attribute, field in table.fields.items():
        if target not in field.tables:
            continue
        if field.listed:
            body[attribute] = tuple(new if name == old else name for name in body[attribute])
        elif body[attribute] == old:
            body[attribute] = new
    return changed(item, body)


def key_shown(table: Table, name: str) -> str | int:
    """The entry's key as answers give it: a number for policies."""
    return int(name) if table.mkey == "policyid" else name


def show(item: Item) -> Json:
    """The entry as GET answers it, without what does not show for its type."""
    table = TABLES[item.key[1]]
    shown: Json = {}
    if not table.single:
        key = key_shown(table, item.name)
        shown = {table.mkey: key, "q_origin_key": key}
    if table.uuid:
        shown["uuid"] = item.body["uuid"]
    kind = item.body.get("type")
    for name, field in table.fields.items():
        if not field.types or kind in field.types:
            shown[name] = field.show(item.body[name])
    return shown


def wire(item: Item) -> bytes:
    """`show` as JSON, made once."""
    if not item.wire:
        item.wire = encode(show(item))
    return item.wire
