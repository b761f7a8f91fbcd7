"""Changes on top of the configuration that nobody else sees yet: of one call, or of a transaction over many."""

from collections.abc import Iterator

from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.item import POLICY, Item, Key, Place, State


class Mentions:
    """Which entries mention a name, over all VDOMs and kinds."""

    def __init__(self, state: State) -> None:
        self._by_name: dict[str, set[Key]] = {}
        for item in state.items():
            self.add(item)

    def add(self, item: Item) -> None:
        """Take note of an entry."""
        for one in item.references:
            self._by_name.setdefault(one.name, set()).add(item.key)

    def remove(self, item: Item) -> None:
        """Forget an entry."""
        for one in item.references:
            held = self._by_name.get(one.name)
            if held is not None:
                held.discard(item.key)
                if not held:
                    del self._by_name[one.name]

    def of(self, name: str) -> frozenset[Key]:
        """The entries that mention the name in whatever sense."""
        return frozenset(self._by_name.get(name, ()))


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
            if any(one.name == name and path in one.tables for one in item.references):
                found.append(item)
        return found

    def next_rank(self) -> float:
        """A place behind every entry that there is."""
        return float(next(self._ranks))

    def policy_named(self, vdom: str, name: str) -> str | None:
        """The policy of that name."""
        named = (item.name for item in self._held((vdom, POLICY)) if item.body["name"] == name)
        return next(named, None)
