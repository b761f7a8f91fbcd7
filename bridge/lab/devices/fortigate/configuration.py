"""One call to `/api/v2/cmdb/`: read it, do it to a draft, say what came of it. Knows nothing of users, transactions and the wire."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from bridge.lab.devices.fortigate import entry
from bridge.lab.devices.fortigate.answers import FortiError, Json, bad_value, empty, exists, not_found
from bridge.lab.devices.fortigate.describe import described
from bridge.lab.devices.fortigate.draft import Draft
from bridge.lab.devices.fortigate.fields import Field, row, row_name, valid_name
from bridge.lab.devices.fortigate.integrity import check
from bridge.lab.devices.fortigate.item import POLICIES, Item, Key, Place
from bridge.lab.devices.fortigate.query import formatted, plain, single, window
from bridge.lab.devices.fortigate.table import Table
from bridge.lab.devices.fortigate.tables import TABLES, table

_LAST_POLICY = 4_294_967_294
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Call:
    """What is called: `segments` are those behind `cmdb/`, decoded."""

    method: str
    segments: tuple[str, ...]
    given: dict[str, list[str]]
    body: Json = field(default_factory=dict)

    @property
    def table(self) -> Table:
        """The table it is about; 404 where there is none."""
        if len(self.segments) < 2:
            raise FortiError(404)
        return table("/".join(self.segments[:2]))

    def place(self, vdom: str) -> Place:
        """The table of that VDOM, or the global one where it has only that, or was asked for."""
        one = self.table
        wide = one.scope == "global" or (one.scope == "both" and single(self.given, "global") in ("1", "true"))
        return ("" if wide else vdom, one.path)


def segments(path: str) -> tuple[str, ...]:
    """The decoded parts of a path below `/api/v2/<api>/`; an encoded slash stays within its part."""
    return tuple(unquote(part) for part in path.strip("/").split("/")[3:] if part)


def read_body(body: bytes) -> Json:
    """The object that was sent; none for an empty body, 400 for what is no object."""
    if not body.strip():
        return {}
    try:
        told = _decode(body)
    except msgspec.DecodeError:
        raise FortiError(400) from None
    if not isinstance(told, dict):
        raise FortiError(400)
    return told


def perform(draft: Draft, call: Call, vdom: str) -> Json:
    """Do the call; members of the answer's envelope. FortiError refuses it."""
    one, place = call.table, call.place(vdom)
    rest = call.segments[2:]
    if call.method == "GET" and len(rest) <= 1 and single(call.given, "action"):
        return {"results": described(one, single(call.given, "action"))}
    if one.single:
        return _on_single(draft, call, (*place, ""))
    action = {0: _on_table, 1: _on_entry, 2: _on_rows, 3: _on_row}.get(len(rest))
    if action is None:
        raise FortiError(404)
    draft.touched.clear()
    told = action(draft, call, place, rest)
    if call.method != "GET":
        check(draft, dict.fromkeys(draft.touched))
    return told


def _on_single(draft: Draft, call: Call, key: Key) -> Json:
    item = draft.get(key)
    if item is None:
        raise not_found()
    if call.method == "GET":
        return {"results": entry.show(item)}
    if call.method != "PUT" or len(call.segments) > 2:
        raise FortiError(405)
    _store(draft, item, entry.read(call.table, call.body, item.body, draft.limits))
    return {}


def _on_table(draft: Draft, call: Call, place: Place, _rest: tuple[str, ...]) -> Json:
    if call.method == "GET":
        return _list(draft, call, _visible(draft, call, place))
    if call.method == "POST":
        return {"mkey": _create(draft, call, place)}
    if call.method == "DELETE":
        for item in draft.listed(place):
            draft.drop(item.key)
        return {}
    raise FortiError(405)


def _visible(draft: Draft, call: Call, place: Place) -> list[Item]:
    """The entries of a table; where there are global ones too, these behind those of the VDOM, as `scope` asks (both, by default)."""
    scope = single(call.given, "scope", "both")
    if call.table.scope != "both" or not place[0] or scope == "vdom":
        return draft.listed(place)
    wide = draft.listed(("", place[1]))
    return wide if scope == "global" else [*draft.listed(place), *wide]


def _list(draft: Draft, call: Call, items: list[Item]) -> Json:
    if plain(call.given):
        told: Any = [msgspec.Raw(entry.wire(item)) for item in items]
        size = len(items)
        return {
            "size": size,
            "limit_reached": False,
            "matched_count": size,
            "next_idx": max(0, size - 1),
            "results": told,
        }
    shown = [_shown(draft, call, item) for item in items]
    part = window(shown, call.given)
    return {
        "size": part.size,
        "limit_reached": part.matched > part.last + 1,
        "matched_count": part.matched,
        "next_idx": part.last,
        "results": formatted(part.shown, call.given),
    }


def _shown(draft: Draft, call: Call, item: Item) -> Json:
    shown = entry.show(item)
    if "exclude-default-values" in call.given:
        defaults = {name: one.show(one.default) for name, one in call.table.fields.items()}
        shown = {name: held for name, held in shown.items() if name not in defaults or held != defaults[name]}
    if "with_meta" in call.given:
        shown |= {"q_ref": len(draft.users(item.key)), "q_static": False, "q_no_rename": False, "q_no_edit": False}
    return shown


def _create(draft: Draft, call: Call, place: Place) -> str | int:
    one = call.table
    name = _next_policy(draft, call, place) if place[1] in POLICIES else _new_name(one, call.body)
    if draft.get((*place, name)) is not None:
        raise exists()
    body = entry.read(one, _sent(one, call.body), one.defaults(), draft.limits)
    draft.put(entry.fresh(one, place[0], name, body, draft.next_rank()))
    return entry.key_shown(one, name)


def _new_name(one: Table, body: Json) -> str:
    name = valid_name(body.get("name", ""), one.longest)
    if not name:
        raise empty("name")
    return name


def _next_policy(draft: Draft, call: Call, place: Place) -> str:
    given = call.body.get("policyid", 0)
    if isinstance(given, bool) or not str(given).isdecimal() or int(given) > _LAST_POLICY:
        raise bad_value("policyid", given)
    if int(given):
        return str(int(given))
    return str(max((int(item.name) for item in draft.listed(place)), default=0) + 1)


def _sent(one: Table, body: Json) -> Json:
    """What of a body counts: `action=move` belongs into the query, and in a policy's body does nothing."""
    if one.path in POLICIES and body.get("action") == "move":
        return {name: given for name, given in body.items() if name != "action"}
    return body


def _on_entry(draft: Draft, call: Call, place: Place, rest: tuple[str, ...]) -> Json:
    item = draft.get((*place, rest[0]))
    if item is None:
        raise not_found()
    if call.method == "GET":
        return _list(draft, call, [item])
    if call.method == "DELETE":
        draft.drop(item.key)
        return {"mkey": entry.key_shown(call.table, item.name)}
    if call.method != "PUT":
        raise FortiError(405)
    if single(call.given, "action") == "move":
        _move(draft, call, item)
        return {"mkey": entry.key_shown(call.table, item.name)}
    return {"mkey": entry.key_shown(call.table, _change(draft, call, item))}


def _change(draft: Draft, call: Call, item: Item) -> str:
    one = call.table
    body = entry.read(one, _sent(one, call.body), item.body, draft.limits)
    name = call.body.get("name", item.name) if one.mkey == "name" else item.name
    if name in ("", item.name):
        _store(draft, item, body)
        return item.name
    new = valid_name(name, one.longest)
    if draft.get((*item.place, new)) is not None:
        raise exists()
    users = draft.users(item.key)
    draft.drop(item.key)
    draft.put(entry.renamed(entry.changed(item, body), new))
    draft.renamed[item.key] = (*item.place, new)
    for user in users:
        draft.put(entry.replaced(user, one.path, item.name, new))
    return new


def _store(draft: Draft, item: Item, body: Json) -> None:
    """Put the entry with its new body, unless it is the old one: then nothing is written, and no revision changes."""
    if body != item.body:
        draft.put(entry.changed(item, body))


def _move(draft: Draft, call: Call, item: Item) -> None:
    side = next((one for one in ("before", "after") if one in call.given), "")
    if not side or call.table.path not in POLICIES:
        raise FortiError(400)
    others = [one for one in draft.listed(item.place) if one.key != item.key]
    at = next((index for index, one in enumerate(others) if one.name == single(call.given, side)), None)
    if at is None:
        raise not_found()
    at += side == "after"
    low = others[at - 1].rank if at else others[0].rank - 2
    high = others[at].rank if at < len(others) else draft.next_rank()
    rank = (low + high) / 2
    if low < rank < high:
        draft.put(entry.moved(item, rank))
        return
    for one in (*others[:at], item, *others[at:]):  # no number is left between the two
        draft.put(entry.moved(one, draft.next_rank()))


def _rows(item: Item, attribute: str) -> tuple[Field, tuple[str, ...]]:
    found = TABLES[item.key[1]].fields.get(attribute)
    if found is None or not found.listed:
        raise FortiError(404)
    return found, item.body[attribute]


def _on_rows(draft: Draft, call: Call, place: Place, rest: tuple[str, ...]) -> Json:
    item = draft.get((*place, rest[0]))
    if item is None:
        raise not_found()
    found, held = _rows(item, rest[1])
    if call.method == "GET":
        return {"results": [row(name) for name in held]}
    if call.method == "POST":
        name = row_name(rest[1], call.body)
        if name in held:
            raise exists()
        _set_rows(draft, item, rest[1], found, (*held, name))
        return {"mkey": name}
    if call.method == "DELETE":
        _set_rows(draft, item, rest[1], found, ())
        return {}
    raise FortiError(405)


def _on_row(draft: Draft, call: Call, place: Place, rest: tuple[str, ...]) -> Json:
    item = draft.get((*place, rest[0]))
    if item is None:
        raise not_found()
    found, held = _rows(item, rest[1])
    if rest[2] not in held:
        raise not_found()
    if call.method == "GET":
        return {"results": [row(rest[2])]}
    if call.method != "DELETE":
        raise FortiError(405)
    _set_rows(draft, item, rest[1], found, tuple(name for name in held if name != rest[2]))
    return {"mkey": rest[2]}


def _set_rows(draft: Draft, item: Item, attribute: str, found: Field, held: Iterable[str]) -> None:
    kept = tuple(held)
    found.check_length(attribute, len(kept), draft.limits)
    draft.put(entry.changed(item, {**item.body, attribute: kept}))
