"""What `nft -j list …` prints, as far as we look at it (libnftables-json(5), schema version 1)."""

from collections.abc import Iterator
from typing import Any

import msgspec


class Table(msgspec.Struct):
    """A table; of other people's tables nothing else is read."""

    family: str
    name: str


class Set(msgspec.Struct):
    """A set with its elements."""

    name: str
    type: Any = ""
    flags: str | list[str] = []
    elem: list[Any] = []
    table: str = ""

    @property
    def intervals(self) -> bool:
        """Whether it holds prefixes and ranges."""
        return "interval" in ([self.flags] if isinstance(self.flags, str) else self.flags)


class Chain(msgspec.Struct):
    """A chain; one with a hook is called by the kernel."""

    name: str
    type: str = ""
    hook: str = ""
    prio: int | str = 0
    policy: str = ""
    table: str = ""


class Rule(msgspec.Struct):
    """A rule: statements in order."""

    chain: str
    expr: list[dict[str, Any]] = []
    comment: str = ""
    handle: int = 0
    table: str = ""


class Named(msgspec.Struct):
    """Anything else that has a name."""

    name: str = ""


class Listing(msgspec.Struct):
    """What one or more answers list, by kind; rules by chain, in order. `others` are names with their kind."""

    tables: list[Table] = []
    sets: dict[str, Set] = {}
    chains: dict[str, Chain] = {}
    rules: dict[str, list[Rule]] = {}
    counters: set[str] = set()
    others: list[str] = []

    def looks_into(self, name: str) -> bool:
        """Whether some rule matches by this set."""
        statements = (one for held in self.rules.values() for rule in held for one in rule.expr)
        return any(one.get("match", {}).get("right") == f"@{name}" for one in statements)


class _Answer(msgspec.Struct):
    nftables: list[dict[str, msgspec.Raw]] = []


_ANSWER = msgspec.json.Decoder(_Answer)
_TABLE = msgspec.json.Decoder(Table)
_SET = msgspec.json.Decoder(Set)
_CHAIN = msgspec.json.Decoder(Chain)
_RULE = msgspec.json.Decoder(Rule)
_NAMED = msgspec.json.Decoder(Named)


def listing(raw: bytes) -> Listing:
    """The objects that an answer lists; several commands give several documents, one a line. msgspec.MsgspecError when it is none."""
    found = Listing()
    for kind, one in _items(raw):
        match kind:
            case "table":
                found.tables.append(_TABLE.decode(one))
            case "set":
                listed = _SET.decode(one)
                found.sets[listed.name] = listed
            case "chain":
                chain = _CHAIN.decode(one)
                found.chains[chain.name] = chain
                found.rules.setdefault(chain.name, [])
            case "rule":
                rule = _RULE.decode(one)
                found.rules.setdefault(rule.chain, []).append(rule)
            case "counter":
                found.counters.add(_NAMED.decode(one).name)
            case "metainfo":
                pass
            case _:
                found.others.append(f"{kind} {_NAMED.decode(one).name}".rstrip())
    return found


def _items(raw: bytes) -> Iterator[tuple[str, msgspec.Raw]]:
    for line in raw.splitlines():
        if line.strip():
            for item in _ANSWER.decode(line).nftables:
                yield from item.items()
