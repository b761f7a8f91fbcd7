"""The feeds of one unit: read, made, pushed and looked at again. What it says is the truth, what is kept here only spares questions.

A push tells no more than that it was taken. So after each the counts are asked for, once everything else of a plan is through; where
they are not as they should be, all that the feed holds is read, pushed once as a whole, and read again. What is cut for want of room is
refused.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from adapters.fortigate import feeds
from adapters.fortigate.client import EXISTS, IN_USE, Client, Refusal, place
from adapters.fortigate.feeds import Command, Configured, Listed
from adapters.fortigate.names import Names
from bridge.errors import Drifted, NotOwned, Rejected
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Foreign, Group, Objects, Shard

_UNMARKED = "has our name prefix and is not ours"
_OVERFLOW = (
    "the unit has no room for all of its members: {} of {} are in force; give it fewer feeds, or groups fewer members"
)


class Feeds:
    """Used by one thread at a time. `renew` is after how many seconds a feed is pushed as a whole again, 0 for never."""

    def __init__(
        self, client: Client, names: Names, renew: float, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._names = names
        self._renew = renew
        self._elapsed = elapsed
        self._held: dict[ObjectKey, frozenset[str]] = {}
        self._amiss: set[ObjectKey] = set()  # feeds that are something else, or hold what they do not tell
        self._sent: dict[ObjectKey, float] = {}
        self._unseen: dict[ObjectKey, frozenset[str]] = {}
        self.foreign: list[Foreign] = []
        self.strange: set[str] = set()  # feeds under names of ours without our mark
        self.refused: dict[ObjectKey, str] = {}
        self.used: set[ObjectKey] = set()  # groups that our policies name by their feed
        self.torn: set[ObjectKey] = set()  # those that stand there as objects too
        self.serial = ""  # of the unit that was read
        self._order: list[ObjectKey] = []  # in which the unit has the feeds, and gives them room
        self._grown = False  # since the last of them was looked at

    def __contains__(self, key: object) -> bool:
        return key in self._held

    @property
    def names(self) -> dict[str, ObjectKey]:
        """The groups that are feeds, by what those are called."""
        return {feeds.name(self._names, key): key for key in self._held}

    def name(self, key: ObjectKey) -> str:
        """What the feed of a group is called, whether or not there is one."""
        return feeds.name(self._names, key)

    @property
    def keys(self) -> Collection[ObjectKey]:
        """The groups that are feeds."""
        return self._held.keys()

    def over(self, key: ObjectKey, value: DeviceObject | None) -> DeviceObject | None:
        """A group as it stands, `value` being what of it stands as objects.

        In both forms, after a move that was interrupted, it is those objects and the name of the feed, which nobody ever wants.
        """
        if key not in self._held:
            return value
        if isinstance(value, Group):
            return replace(value, fqdns=value.fqdns | {self.name(key)})
        seen = Group(key, self._held[key], pushed=True)
        return feeds.odd(seen) if key in self._amiss else seen

    def like(self, group: Group, objects: Objects) -> Group:
        """A group in the form of a feed, with the members of its parts."""
        parts = [objects[part] for part in group.references() if part in objects]
        members = group.members.union(*(part.members for part in parts if isinstance(part, Shard)))
        return Group(group.key, members, pushed=True)

    def use(self, standing: Collection[ObjectKey]) -> None:
        """Our policies name the feed of every group but of these, which stand there as objects too: those may be named by either."""
        for mine, found in ((self.used, self._held.keys() - standing), (self.torn, self._held.keys() & standing)):
            mine.clear()
            mine.update(found)

    # ---- reading

    def read(self) -> None:
        """All feeds of ours: one call, and one for what each holds. Raises Busy, Denied."""
        self._held, self._amiss, self.foreign, self._order, self._grown = {}, set(), [], [], False
        self.refused.clear()
        self.strange.clear()
        self.serial = self._client.serial
        for one in self._client.entries(feeds.TABLE, Configured):
            key = self._names.key(one.comments)
            if key is not None and key.kind is Kind.GROUP and one.name == feeds.name(self._names, key):
                self._take(key, one)
            elif self._names.looks_ours(one.name, one.comments):
                self.foreign.append(Foreign(f"{feeds.TABLE} {one.name}", _UNMARKED))
                self.strange.add(one.name)

    def again(self, keys: Iterable[ObjectKey]) -> None:
        """Those of these groups that are feeds, or may have become some. Raises Busy, Denied."""
        for key in keys:
            if key.kind is not Kind.GROUP or (key not in self._held):
                continue
            at = self._order.index(key) if key in self._order else len(self._order)
            named = key in self.used
            self._forget(key)
            found = self._client.find(place(feeds.TABLE, feeds.name(self._names, key)), Configured)
            if found is not None and self._names.key(found.comments) == key:
                self._order.insert(at, key)
                self._take(key, found)
                self.used.update({key} & self._held.keys() if named else ())

    def _take(self, key: ObjectKey, found: Configured) -> None:
        """What the feed holds; nothing where it went just now, for then it is missing, and made again."""
        try:
            listed = self._listed(key)
        except Drifted:
            return
        if key not in self._order:
            self._order.append(key)
        self._held[key] = feeds.members(listed)
        self._sent.setdefault(key, self._elapsed())
        untold = listed.valid_count + listed.invalid_count > len(
            listed.entries
        )  # more is in force than anybody can compare
        if untold or not feeds.is_whole(found):
            self._amiss.add(key)

    def _forget(self, key: ObjectKey) -> None:
        self._held.pop(key, None)
        if key in self._order:
            self._order.remove(key)
        self._amiss.discard(key)
        self.used.discard(key)

    def _listed(self, key: ObjectKey, *, counts: bool = False) -> Listed:
        query = {"mkey": feeds.name(self._names, key)} | ({"counts_only": "true"} if counts else {})
        try:
            told = self._client.get(feeds.ENTRIES, query)
        except Refusal as refusal:
            if refusal.missing:
                raise Drifted(self._client.device, f"the feed of {key} is gone: read again") from None
            raise self._client.denied(feeds.ENTRIES, refusal) from None
        return self._client.decoded(told.results, Listed)

    # ---- writing

    def change(self, groups: Collection[Group]) -> None:
        """Make feeds of these groups, or bring those that there are to these members.

        What was pushed long ago goes out again with them. Raises Rejected, NotOwned, Drifted, Busy, Denied.
        """
        commands: dict[ObjectKey, list[Command]] = {}
        for group in groups:
            commands[group.key] = list(self._commands(group))
        for key in [key for key in self._held if groups and key not in commands and self._is_due(key)]:
            commands[key] = list(feeds.whole(feeds.name(self._names, key), self._held[key], self._held[key]))
            self._sent[key] = self._elapsed()
            self._unseen[key] = self._held[key]
        sent = [one for some in commands.values() for one in some]
        self._grown = self._grown or any(one.what != "remove" for one in sent)
        self._send(sent)
        for group in groups:
            self._held[group.key] = self._unseen[group.key] = group.members

    def verify(self, keys: Collection[ObjectKey] | None = None) -> list[ObjectKey]:
        """Look at what came of it; what cannot be is in `refused` then. The groups that were looked at. Raises Busy, Denied, Drifted."""
        looked = sorted(self._unseen.keys() if keys is None else self._unseen.keys() & set(keys))
        for key in looked:
            self._look(key, self._unseen.pop(key))
        return [*looked, *self._pushed_out(looked)] if keys is None else looked

    def _pushed_out(self, looked: Collection[ObjectKey]) -> list[ObjectKey]:
        """The feeds that lost their room to others that grew, each with a refusal. Raises Busy, Denied.

        A unit that has no room for all cuts those that come last in its table, and says nothing. So the last one tells for all.
        """
        if not self._grown:
            return []
        self._grown = False
        full = [key for key in self._order if self._held.get(key)]
        if not full or not (full[-1] in self.refused or (full[-1] not in looked and self._is_cut(full[-1]))):
            return []
        others = [key for key in full[:-1] if key not in looked and self._is_cut(key)]
        return others if full[-1] in looked else [*others, full[-1]]

    def _is_cut(self, key: ObjectKey) -> bool:
        """Whether less of a feed is in force than it was sent; it is refused then."""
        if not self._listed(key, counts=True).overflow:
            return False
        whole, sent = self._listed(key), len(self._held[key])
        self._held[key] = feeds.members(whole)
        self.refused[key] = _OVERFLOW.format(whole.valid_count, sent)
        return True

    def own(self, keys: Iterable[ObjectKey]) -> None:
        """Refuse with NotOwned what would be a feed where one of somebody else's stands."""
        names = {key: feeds.name(self._names, key) for key in keys}
        taken = {key: f"{feeds.TABLE} {name}" for key, name in names.items() if name in self.strange}
        if taken:
            why = {str(key): f"{name} stands there without our mark" for key, name in taken.items()}
            raise NotOwned(self._client.device, taken.values(), why)

    def drop(self, key: ObjectKey) -> str:
        """Take the feed away, once more looked at whose it is; why it cannot go, empty when it went. What it held goes with it."""
        path = place(feeds.TABLE, feeds.name(self._names, key))
        found = self._client.find(path, Configured)
        if found is not None and self._names.key(found.comments) != key:
            self.strange.add(found.name)
            self.own([key])
        try:
            if found is not None:
                self._client.write("DELETE", path)
        except Refusal as refusal:
            if refusal.error == IN_USE:
                return refusal.text
            if refusal.error == EXISTS:
                raise Drifted(self._client.device, f"not as it was read: {refusal.text}") from None
            if not refusal.missing:
                raise Rejected(self._client.device, {str(key): refusal.text}) from None
        self._forget(key)
        self._sent.pop(key, None)
        self._unseen.pop(key, None)
        return ""

    def adopt(self, key: ObjectKey, check: Callable[[], None]) -> None:
        """Put our mark on the feed of that name, where there is one; `check` looks at the fence before."""
        path = place(feeds.TABLE, feeds.name(self._names, key))
        found = self._client.find(path, Configured)
        if found is not None and self._names.key(found.comments) != key:
            check()
            try:
                self._client.write("PUT", path, {"comments": self._names.mark(str(key))})
            except Refusal as refusal:
                raise Rejected(self._client.device, {str(key): refusal.text}) from None

    def _commands(self, group: Group) -> Iterable[Command]:
        key, name = group.key, feeds.name(self._names, group.key)
        if key not in self._held or key in self._amiss:
            held = self._made(key)
            self._sent[key] = self._elapsed()
            return feeds.whole(name, held, group.members)
        if self._is_due(key):
            self._sent[key] = self._elapsed()
            return feeds.whole(name, self._held[key], group.members)
        return feeds.delta(name, self._held[key], group.members)

    def _made(self, key: ObjectKey) -> frozenset[str]:
        """Let the feed stand there as it should; what it holds."""
        body = feeds.configuration(self._names, key)
        path = place(feeds.TABLE, body["name"])
        try:
            if key in self._amiss:
                self._client.write("PUT", path, {name: one for name, one in body.items() if name != "name"})
            else:
                self._client.write("POST", place(feeds.TABLE), body)
                self._held[key] = frozenset()
                self._order.append(key)
                self.used.add(key)
        except Refusal as refusal:
            if refusal.missing:
                raise Drifted(self._client.device, f"not as it was read: {refusal.text}") from None
            if refusal.error != EXISTS:
                raise Rejected(self._client.device, {str(key): refusal.text}) from None
            found = self._client.find(path, Configured)
            if found is None or self._names.key(found.comments) != key:
                raise NotOwned(
                    self._client.device,
                    [f"{feeds.TABLE} {body['name']}"],
                    {str(key): "a feed of that name is not ours"},
                ) from None
            self._take(key, found)
            if key not in self._held:
                raise Drifted(self._client.device, f"the feed of {key} went while it was looked at") from None
        self._amiss.discard(key)
        return self._held[key]

    def _is_due(self, key: ObjectKey) -> bool:
        return bool(self._renew) and self._elapsed() - self._sent.get(key, 0.0) >= self._renew

    def _send(self, commands: Iterable[Command]) -> None:
        for some in feeds.calls(commands):
            try:
                self._client.write("POST", feeds.PUSH, {"commands": [one.body() for one in some]})
            except Refusal as refusal:
                if len(some) > 1:
                    self._singly(some)
                    continue
                self._refuse(some[0], refusal)

    def _singly(self, commands: Iterable[Command]) -> None:
        """Of several, those before the one that was refused may have been done: each is safe to repeat."""
        for one in commands:
            try:
                self._client.write("POST", feeds.PUSH, {"commands": [one.body()]})
            except Refusal as refusal:
                self._refuse(one, refusal)

    def _refuse(self, command: Command, refusal: Refusal) -> None:
        key = self.names.get(command.feed)
        if refusal.missing or refusal.error == EXISTS or key is None:
            raise Drifted(
                self._client.device, f"the feed {command.feed} is not as it was read: {refusal.text}"
            ) from None
        raise Rejected(self._client.device, {str(key): refusal.text}) from None

    def _look(self, key: ObjectKey, wanted: frozenset[str]) -> None:
        seen = self._listed(key, counts=True)
        if (seen.valid_count, seen.invalid_count, seen.overflow) == (len(wanted), 0, False):
            return
        whole = self._listed(key)
        if not whole.overflow and feeds.members(whole) != wanted:
            self._send(feeds.whole(feeds.name(self._names, key), feeds.members(whole), wanted))
            self._sent[key] = self._elapsed()
            whole = self._listed(key)
        self._held[key] = feeds.members(whole)
        if whole.overflow:
            self.refused[key] = _OVERFLOW.format(whole.valid_count, len(wanted))
        elif whole.invalid_count:
            self.refused[key] = f"{whole.invalid_count} of its members mean nothing to the unit"
