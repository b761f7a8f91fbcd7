"""Changes on top of the configuration that nobody else sees yet: of one call, or of a transaction over many."""

from collections.abc import Iterator

from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.item import Item, Key, Place, State


class Mentions:
    """Which entries mention a name, over all VDOMs and kinds."""

    def __init__(self, state: State) -> None:
        self._by_name: dict[str, set[Key]] = {}
        for item in state.items():
            self.change(None, item)

    def change(self, before: Item | None, after: Item | None) -> None:
        """Take note of an entry that comes, goes or is another now."""
        old, new = _names(before), _names(after)
        if before is not None:
            for name in old - new if after is not None else old:
                held = self._by_name[name]
                held.discard(before.key)
                if not held:
                    del self._by_name[name]
        if after is not None:
            for name in new - old:
                self._by_name.setdefault(name, set()).add(after.key)

    def of(self, name: str) -> frozenset[Key]:
        """The entries that mention the name in whatever sense."""
        return frozenset(self._by_name.get(name, ()))


def _names(item: Item | None) -> frozenset[str]:
    return frozenset().union(*(one.names for one in item.mentions)) if item is not None else frozenset()


class Draft:
    """What would be, were the changes made."""

    def __init__(self, base: State, mentions: Mentions, limits: Limits, ranks: Iterator[int]) -> None:
        self.base = base
        self.limits = limits
        self.changes: dict[Key, Item | None] = {}
        self.touched: list[Key] = []
        self.renamed: dict[Key, Key] = {}
        self._mentions = mentions
        self._ranks = ranks

    def get(self, key: Key) -> Item | None:
        """The entry as it would be, or None."""
        return self.changes[key] if key in self.changes else self.base.get(key)

    def put(self, item: Item) -> None:
        """Create or replace."""
        self.changes[item.key] = item
        self.touched.append(item.key)

    def drop(self, key: Key) -> None:
        """Delete."""
        self.changes[key] = None
        self.touched.append(key)

    def is_new(self, key: Key) -> bool:
        """Whether the entry is not there yet."""
        return self.base.get(key) is None and self.changes.get(key) is not None

    def listed(self, place: Place) -> list[Item]:
        """The entries of a table, in their order."""
        if not any(key[:2] == place for key in self.changes):
            return self.base.listed(place)
        return sorted(self._held(place), key=lambda item: item.rank)

    def _held(self, place: Place) -> Iterator[Item]:
        for name, item in self.base.tables.get(place, {}).items():
            if (*place, name) not in self.changes:
                yield item
        yield from (item for key, item in self.changes.items() if item is not None and key[:2] == place)

    def count(self, place: Place) -> int:
        """How many entries the table would have."""
        held = self.base.tables.get(place, {})
        more = sum(1 for key, item in self.changes.items() if key[:2] == place and item and key[2] not in held)
        less = sum(1 for key, item in self.changes.items() if key[:2] == place and item is None and key[2] in held)
        return len(held) + more - less

    def places(self) -> set[Place]:
        """Every table that has entries, or would."""
        return set(self.base.tables) | {key[:2] for key in self.changes}

    def users(self, key: Key) -> list[Item]:
        """The entries that refer to this one."""
        vdom, path, name = key
        found = []
        for other in self._mentions.of(name) | set(self.changes):
            item = self.get(other)
            if item is None or (vdom and other[0] != vdom):
                continue
            if any(name in one.names and path in one.tables for one in item.mentions):
                found.append(item)
        return found

    def mentioned(self, name: str) -> frozenset[Key]:
        """The entries of the base that mention the name in whatever sense."""
        return self._mentions.of(name)

    def next_rank(self) -> float:
        """A place behind every entry that there is."""
        return float(next(self._ranks))

    def policy_named(self, place: Place, name: str) -> str | None:
        """The policy of that name."""
        named = (item.name for item in self._held(place) if item.body["name"] == name)
        return next(named, None)
