"""Feeds whose entries are pushed: the commands, what of the entries is in force, and what `entry-list` tells.

`add`, `remove` and `snapshot` are Fortinet's; the answer of `entry-list` is seen for 7.4.2, its words are of the Swagger of
6.4.14. What nobody tells is in `Conduct`, and: an entry that is there already, or is not there to be removed, is passed over in
silence; an entry that is no address is kept, counted as invalid and matches nothing; a push says no more than that it succeeded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.fortigate.answers import INVALID, FortiError, Json, bad_value, not_found
from bridge.lab.devices.fortigate.conduct import Conduct, Limits
from bridge.lab.devices.fortigate.item import FEED, Entries, Item, Key, State
from bridge.lab.devices.fortigate.query import single
from bridge.lab.devices.fortigate.store import Author, Push, Store
from bridge.lab.devices.fortigate.values import entry_span

_COMMANDS = ("add", "remove", "snapshot")


@dataclass(frozen=True, slots=True)
class Held:
    """How many of a feed's entries are in force; `overflow` says that this is not all of them."""

    count: int
    overflow: bool


def room(state: State, limits: Limits, *, shared: bool) -> Mapping[Key, Held]:
    """What of each feed is in force: with `shared` all draw on one room, global feeds first, then VDOM by VDOM in table order."""
    told: dict[Key, Held] = {}
    left = limits.feed_entries
    for item in feeds(state):
        size = len(state.entries.get(item.key, ()))
        count = min(size, left if shared else limits.feed_entries_each)
        left -= count
        told[item.key] = Held(count, count < size)
    return told


def feeds(state: State) -> list[Item]:
    """Every feed of addresses, in the order in which they get room."""
    places = sorted(place for place in state.tables if place[1] == FEED)
    return [item for place in places for item in state.listed(place) if item.body["type"] == "address"]


def find(state: State, vdom: str, name: str) -> Item | None:
    """The feed of that name that the VDOM sees."""
    return state.get((vdom, FEED, name)) or state.get(("", FEED, name))


class Feeds:
    """Answers the two monitor calls about feeds."""

    def __init__(self, store: Store, clock: LabClock, limits: Limits, conduct: Conduct) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._conduct = conduct
        self._updated: dict[Key, float] = {}

    def push(self, body: Json, author: Author, vdom: str) -> None:
        """The commands in their order. FortiError at the first that is refused; those before it stay, unless pushes are atomic."""
        commands = body.get("commands")
        if not isinstance(commands, list) or not commands:
            raise FortiError(400)
        if self._conduct.push_atomic:
            self._together([self._read(one, vdom) for one in commands], author)
            return
        for one in commands:
            self._do(*self._read(one, vdom), author)

    def entry_list(self, given: dict[str, list[str]], vdom: str, *, shared: bool) -> Json:
        """What a feed holds."""
        name = single(given, "mkey")
        item = find(self._store.state, vdom, name) if name else None
        if item is None:
            raise not_found() if name else FortiError(400)
        entries = list(self._store.state.entries.get(item.key, ()))
        held = room(self._store.state, self._limits, shared=shared).get(item.key, Held(len(entries), overflow=False))
        entries = entries[: held.count]
        invalid = sum(1 for one in entries if entry_span(one) is None)
        told: Json = {
            "status": "success" if item.body["status"] == "enable" else "disable",
            "resource_file_status": "downloaded" if entries else "unavailable",
            "last_content_update_time": int(self._updated.get(item.key, 0)),
            "overflow": held.overflow,
            "valid_count": len(entries) - invalid,
            "invalid_count": invalid,
        }
        if not (_yes(given, "status_only") or _yes(given, "counts_only")):
            told["entries"] = [{"entry": one, "valid": entry_span(one) is not None} for one in entries]
            if _yes(given, "include_notes"):
                told["notes"] = []
        return told

    def _read(self, command: object, vdom: str) -> tuple[Key, str, tuple[str, ...]]:
        if not isinstance(command, dict):
            raise FortiError(400)
        name, what, entries = command.get("name"), command.get("command"), command.get("entries")
        if what not in _COMMANDS or not isinstance(entries, list) or not all(isinstance(one, str) for one in entries):
            raise FortiError(400)
        item = find(self._store.state, vdom, name) if isinstance(name, str) else None
        if item is None:
            raise not_found()
        if item.body["update-method"] != "push":
            raise FortiError(500, INVALID, f"{name} is not updated by push")
        if what == "snapshot" and not entries and self._conduct.empty_snapshot == "refuse":
            raise bad_value("entries", "")
        return item.key, what, tuple(dict.fromkeys(one.strip() for one in entries))

    def _do(self, key: Key, what: str, entries: tuple[str, ...], author: Author) -> None:
        held = self._store.state.entries.get(key, {})
        one = self._change(held, what, entries)
        self._updated[key] = self._clock.now()
        if one.add or one.remove:
            self._store.push({key: one}, author)

    def _together(self, commands: Iterable[tuple[Key, str, tuple[str, ...]]], author: Author) -> None:
        """One change of them all."""
        before: dict[Key, Entries] = {}
        after: dict[Key, Entries] = {}
        for key, what, entries in commands:
            before.setdefault(key, dict(self._store.state.entries.get(key, {})))
            held = after.setdefault(key, dict(before[key]))
            one = self._change(held, what, entries)
            after[key] = dict.fromkeys([*(entry for entry in held if entry not in one.remove), *one.add])
            self._updated[key] = self._clock.now()
        pushes = {
            key: Push(
                tuple(entry for entry in before[key] if entry not in held),
                tuple(entry for entry in held if entry not in before[key]),
            )
            for key, held in after.items()
            if list(held) != list(before[key])
        }
        if pushes:
            self._store.push(pushes, author)

    def _change(self, held: Entries, what: str, entries: Iterable[str]) -> Push:
        given = tuple(entries)
        if what == "add":
            return Push(add=tuple(one for one in given if one not in held))
        if what == "remove":
            return Push(remove=tuple(one for one in given if one in held))
        if not given and self._conduct.empty_snapshot == "ignore":
            return Push()
        wanted = set(given)
        return Push(tuple(one for one in held if one not in wanted), tuple(one for one in given if one not in held))


def _yes(given: dict[str, list[str]], name: str) -> bool:
    return single(given, name) in ("1", "true")
