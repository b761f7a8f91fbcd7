"""One entry of a table, and the configuration as tables of entries.

An item is never changed in place, so that an earlier state can be had again by putting the old items back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from bridge.lab.devices.fortigate.answers import Json, encode

Key = tuple[str, str, str]
"""VDOM (empty: global), table, name."""

Place = tuple[str, str]
"""VDOM (empty: global) and table."""

Entries = dict[str, None]
"""What was pushed to a feed, oldest first."""

POLICY = "firewall/policy"
SECURITY_POLICY = "firewall/security-policy"
"""Where a VDOM in policy-based mode keeps what it decides by."""
POLICIES = frozenset({POLICY, SECURITY_POLICY})
FEED = "system/external-resource"


@dataclass(frozen=True, slots=True)
class Mention:
    """The names that one attribute of an entry mentions, and the tables in which they may stand."""

    attribute: str
    tables: tuple[str, ...]
    names: frozenset[str]


@dataclass(slots=True, eq=False)
class Item:
    """One entry. `rank` is its place in the table; `wire` is its JSON, made when it is first asked for."""

    key: Key
    body: Json
    rank: float
    mentions: tuple[Mention, ...]
    wire: bytes = b""
    _stamp: int = field(default=0, repr=False)

    @property
    def name(self) -> str:
        """Its key within the table."""
        return self.key[2]

    @property
    def place(self) -> Place:
        """Its table."""
        return self.key[:2]

    @property
    def stamp(self) -> int:
        """A number of its key and content; place and uuid left out."""
        if not self._stamp:
            self._stamp = stamp([list(self.key), {name: held for name, held in self.body.items() if name != "uuid"}])
        return self._stamp


def stamp(content: object) -> int:
    """Equal for equal content."""
    return int.from_bytes(blake2b(encode(content), digest_size=16).digest(), "big")


class State:
    """Every table, and what was pushed to feeds."""

    __slots__ = ("entries", "tables")

    def __init__(
        self,
        tables: Mapping[Place, Mapping[str, Item]] | None = None,
        entries: Mapping[Key, Iterable[str]] | None = None,
    ) -> None:
        self.tables: dict[Place, dict[str, Item]] = {place: dict(held) for place, held in (tables or {}).items()}
        self.entries: dict[Key, Entries] = {key: dict.fromkeys(held) for key, held in (entries or {}).items()}

    def copy(self) -> "State":
        """The same items in tables of their own."""
        return State(self.tables, self.entries)

    def get(self, key: Key) -> Item | None:
        """The entry, or None."""
        table = self.tables.get(key[:2])
        return table.get(key[2]) if table else None

    def put(self, item: Item) -> None:
        """Create or replace."""
        self.tables.setdefault(item.place, {})[item.name] = item

    def drop(self, key: Key) -> None:
        """Delete, where it is there."""
        table = self.tables.get(key[:2])
        if table is not None:
            table.pop(key[2], None)
            if not table:
                del self.tables[key[:2]]

    def merge(self, changes: Mapping[Key, Item | None]) -> None:
        """Put and drop."""
        for key, item in changes.items():
            if item is None:
                self.drop(key)
            else:
                self.put(item)

    def items(self) -> Iterator[Item]:
        """Every entry of every table."""
        for table in self.tables.values():
            yield from table.values()

    def listed(self, place: Place) -> list[Item]:
        """The entries of a table in their order."""
        return sorted(self.tables.get(place, {}).values(), key=lambda item: item.rank)

    def digest(self) -> str:
        """Equal for equal configurations, feeds included, whatever their history."""
        total = 0
        for item in self.items():
            total ^= item.stamp
        for key, held in self.entries.items():
            if held:
                total ^= stamp(["entries", list(key), sorted(held)])
        for place in self.tables:
            if place[1] in POLICIES:
                total ^= stamp(["order", *place, [item.name for item in self.listed(place)]])
        return f"{total:032x}"
