"""One configuration object as it is kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.lab.devices.bigip.answers import encode
from bridge.lab.devices.bigip.fields import Json, Key
from bridge.lab.devices.bigip.kinds import Kind
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
    _stamp: int = 0

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

    @property
    def stamp(self) -> int:
        """A number that stands for name and content, for digests; the generation is no part of it."""
        if not self._stamp:
            rules = [[rule.name, _sorted(rule.body)] for rule in self.rules]
            text = encode([self.key, _sorted(self.body), rules])
            self._stamp = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
        return self._stamp


def _sorted(body: Json) -> list[tuple[str, object]]:
    return [(name, _sorted(value) if isinstance(value, dict) else value) for name, value in sorted(body.items())]


State = Mapping[Key, Item]
