"""Feeds: groups whose members are pushed to the unit beside its configuration. Names, commands and what is read back; no call is made here.

A feed is an entry of `system/external-resource` with `update-method` push. Its members are no objects, so a change of one is a small
call, and a snapshot makes a feed what it should be whatever it was. What it holds is told by `entry-list`, with counts. Nobody confirms
that an empty snapshot is taken, so none is ever sent: a feed is emptied by removing what it has, and an empty one matches nothing
(Fortinet's pages).
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from adapters.fortigate.names import Names
from bridge.model.addresses import canonical_member
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group

TABLE = "system/external-resource"
PUSH = "monitor/system/external-resource/dynamic"
ENTRIES = "monitor/system/external-resource/entry-list"
NAME_LENGTH = 35
MOST = 256  # of one VDOM (Fortinet's pages)
ENTRIES_MOST = 300_000  # of all feeds of a unit from 7.4.4 on; before, 131,072 of each
_ENTRIES_PER_CALL = 20_000  # of several commands; a single one goes out whole
_RESOURCE = "https://fusion-bridge.invalid/pushed"  # must be given, and is never asked for
_ODD = 1


class Configured(msgspec.Struct, rename="kebab"):
    """One entry of the table."""

    name: str
    type: str = ""
    update_method: str = ""
    status: str = "enable"
    comments: str = ""


class Entry(msgspec.Struct):
    """One line of what a feed holds. `valid` is false for what the unit takes for no address."""

    entry: str
    valid: bool = True


class Listed(msgspec.Struct):
    """The results of `entry-list`."""

    overflow: bool = False
    valid_count: int = 0
    invalid_count: int = 0
    entries: list[Entry] = []


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a push: `add`, `remove` or `snapshot`."""

    feed: str
    what: str
    entries: tuple[str, ...]

    def body(self) -> dict[str, object]:
        """As the unit takes it."""
        return {"name": self.feed, "command": self.what, "entries": list(self.entries)}


def name(names: Names, key: ObjectKey) -> str:
    """What the feed of a group is called: readable as far as there is room, and with a hash, for there is little."""
    head, tail = f"{names.prefix}feed_", f"_{hashlib.sha256(str(key).encode()).hexdigest()[:10]}"
    readable = re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(part for part in (key.namespace, key.name) if part))
    return f"{head}{readable[: NAME_LENGTH - len(head) - len(tail)]}{tail}"


def configuration(names: Names, key: ObjectKey) -> dict[str, str]:
    """The entry that is to stand in the table."""
    return {
        "name": name(names, key),
        "type": "address",
        "update-method": "push",
        "resource": _RESOURCE,
        "status": "enable",
        "comments": names.mark(str(key)),
    }


def is_whole(found: Configured) -> bool:
    """Whether nobody has made something else of it."""
    return (found.type, found.update_method, found.status) == ("address", "push", "enable")


def members(listed: Listed) -> frozenset[str]:
    """What a feed holds, canonical; what is no address stays as it is, so that it is seen not to be wanted."""
    return frozenset(_member(one) for one in listed.entries)


def _member(one: Entry) -> str:
    try:
        return canonical_member(one.entry) if one.valid else f"invalid {one.entry}"
    except ValueError:
        return f"invalid {one.entry}"


def odd(group: Group) -> Group:
    """A feed that somebody has made something else of, whatever it holds: nothing ever wants a feed in parts."""
    return Group(group.key, group.members, shards=_ODD, pushed=True)


def delta(feed: str, before: Collection[str], after: Collection[str]) -> Iterator[Command]:
    """What makes one of the other: who leaves first."""
    gone, come = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    if gone:
        yield Command(feed, "remove", tuple(gone))
    if come:
        yield Command(feed, "add", tuple(come))


def whole(feed: str, before: Collection[str], after: Collection[str]) -> Iterator[Command]:
    """Make it hold just these, whatever it holds; `before` is all that is known of that."""
    if after:
        yield Command(feed, "snapshot", tuple(sorted(after)))
    elif before:
        yield Command(feed, "remove", tuple(sorted(before)))


def calls(commands: Iterable[Command]) -> Iterator[list[Command]]:
    """The commands in bodies that no unit refuses for their size: who leaves before who joins, so that an address may change groups."""
    waiting: list[Command] = []
    size = 0
    for one in sorted(commands, key=lambda command: command.what != "remove"):
        if waiting and size + len(one.entries) > _ENTRIES_PER_CALL:
            yield waiting
            waiting, size = [], 0
        waiting.append(one)
        size += len(one.entries)
    if waiting:
        yield waiting
