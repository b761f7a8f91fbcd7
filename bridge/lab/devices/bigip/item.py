"""One configuration object as it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.lab.devices.bigip.kinds import Json, Key, Kind
from bridge.lab.devices.bigip.rules import Rule


@dataclass(slots=True, eq=False)
class Item:
    """An object; never changed in place. `references` are its own, `rules` bring theirs. `wire` is its JSON, made on demand."""

    kind: Kind
    path: str
    body: Json
    generation: int
    own_references: frozenset[Key]
    rules: tuple[Rule, ...] = ()
    wire: bytes = b""
    _all: frozenset[Key] | None = None

    @property
    def key(self) -> Key:
        """Collection and full path."""
        return self.kind.collection, self.path

    @property
    def partition(self) -> str:
        """The first part of the full path."""
        return self.path[1:].partition("/")[0]

    @property
    def references(self) -> frozenset[Key]:
        """All that it refers to, its rules included."""
        if self._all is None:
            self._all = self.own_references.union(*(rule.references for rule in self.rules))
        return self._all

    def content(self) -> list[object]:
        """What makes it what it is, for digests."""
        return [
            {name: self.body[name] for name in sorted(self.body)},
            [[rule.name, {name: rule.body[name] for name in sorted(rule.body)}] for rule in self.rules],
        ]


State = Mapping[Key, Item]
