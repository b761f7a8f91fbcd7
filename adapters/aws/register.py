"""Records as entries of a prefix list that nothing refers to. Pure.

A record is cut into pieces, each the description of an entry. The entry's prefix is one address of 2001:db8::/32, which is for
documentation and belongs to nobody, so the list would let nobody in even if somebody referred to it. The address says which record it is
(40 bits of a digest of its key), which contents of it (44 bits of a digest of those), and which piece (12 bits): so a changed record has
other prefixes, and the old one goes in the same call in which the new one comes; what does not belong to its address is no record. The
first piece counts them.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from adapters.aws import records
from adapters.aws.records import Recorded
from bridge.model.identity import ObjectKey

_BASE = 0x20010DB8 << 96
_PIECE = 240

Entries = Mapping[str, str]


@dataclass(slots=True)
class Register:
    """What a list's entries say: records by key, the prefixes of each, and the prefixes that are of no whole record."""

    records: dict[ObjectKey, Recorded] = field(default_factory=dict)
    prefixes: dict[ObjectKey, frozenset[str]] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, entries: Entries) -> "Register":
        """As it is read."""
        found = cls()
        pieces: defaultdict[int, dict[int, str]] = defaultdict(dict)
        for prefix in entries:
            number = _number(prefix)
            if number is None:
                found.odd.add(prefix)
            else:
                pieces[number >> 12][number & 0xFFF] = prefix
        for place, held in sorted(pieces.items()):
            found._take(place << 12, held, entries)
        return found

    def _take(self, place: int, held: Mapping[int, str], entries: Entries) -> None:
        try:
            text = _joined([entries[held[at]] for at in range(len(held))])
            key, value = records.read(text)
        except (ValueError, KeyError, TypeError):
            self.odd.update(held.values())
            return
        # What somebody has written over a record of ours stands at its place, and does not belong there.
        if key in self.records or place != _place(key, text):
            self.odd.update(held.values())
            return
        self.records[key] = value
        self.prefixes[key] = frozenset(held.values())


def _joined(pieces: list[str]) -> str:
    """The text of a record; ValueError where a piece is missing."""
    count, _, first = pieces[0].partition(" ")
    if int(count, 16) != len(pieces):
        raise ValueError("a piece is missing")
    return first + "".join(pieces[1:])


def entries_of(key: ObjectKey, value: Recorded) -> dict[str, str]:
    """The entries that hold a record; the first is its head."""
    text = records.written(key, value)
    pieces = list(_pieces(text))
    base = _place(key, text)
    heads = [f"{len(pieces):x} {pieces[0]}", *pieces[1:]]
    return {f"{IPv6Address(base + at)}/128": piece for at, piece in enumerate(heads)}


def _place(key: ObjectKey, text: str) -> int:
    """The address of a record's head."""
    return _BASE | _digest(str(key), 5) << 56 | (_digest(text, 6) >> 4) << 12


def _pieces(text: str) -> Iterator[str]:
    """Pieces that neither begin nor end with a space, which EC2 might not keep."""
    while text:
        end = min(_PIECE, len(text))
        while " " in text[end - 1 : end + 1] and end < len(text):
            end -= 1
        yield text[:end]
        text = text[end:]


def calls(
    before: Entries, add: Entries, remove: set[str], batch: int, room: int
) -> Iterator[tuple[dict[str, str], set[str]]]:
    """What is added and removed, call after call: heads last, and with the last of them the heads that they replace.

    `room` is for how many entries more there is place now; where that is too little, what goes goes first.
    """
    coming = sorted(set(add) - before.keys(), key=lambda one: (_is_head(one), one))
    going = sorted((remove & before.keys()) - add.keys(), key=lambda one: (not _is_head(one), one))
    while going and len(coming) > room:
        yield {}, set(going[:batch])
        room, going = room + len(going[:batch]), going[batch:]
    while len(coming) > batch:
        yield {one: add[one] for one in coming[:batch]}, set()
        coming = coming[batch:]
    while coming or going:
        yield {one: add[one] for one in coming}, set(going[:batch])
        coming, going = [], going[batch:]


def _is_head(prefix: str) -> bool:
    return not (_number(prefix) or 0) & 0xFFF


def _number(prefix: str) -> int | None:
    address, _, length = prefix.partition("/")
    if length != "128" or not address.startswith("2001:db8:"):
        return None
    return int(IPv6Address(address))


def _digest(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")
