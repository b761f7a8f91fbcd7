"""Large groups in stable parts, so that one change of a member rewrites one small object.

An address always falls into the part that its own hash says, so a change moves nobody else. The number of parts follows the size with
slack in both directions: a group that hovers at a limit is not split and joined again.
"""

from collections.abc import Iterable, Iterator
from math import ceil
from zlib import crc32

from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, Shard

# Shares of a part's size: how full parts are made, and between which they are left alone.
_FILL, _GROW_ABOVE, _SHRINK_BELOW = 0.75, 0.95, 0.35


def shard_count(members: int, current: int, size: int | None) -> int:
    """How many parts a group of so many members has, given how many it has now; 0 means that the group holds them itself.

    `size` is what one part should hold at most, about; None: the device has no such limit.
    """
    if size is None or members <= size // 2 or (current == 0 and members <= size):
        return 0
    if current and current * size * _SHRINK_BELOW <= members <= current * size * _GROW_ABOVE:
        return current
    return max(2, ceil(members / (size * _FILL)))


def shard_index(address: str, of: int) -> int:
    """The part that an address falls into."""
    return crc32(address.encode()) % of


def spread(key: ObjectKey, members: Iterable[str], of: int) -> Iterator[Group | Shard]:
    """The group, and its parts when there are any."""
    if not of:
        yield Group(key, frozenset(members))
        return
    parts: list[set[str]] = [set() for _ in range(of)]
    for member in members:
        parts[shard_index(member, of)].add(member)
    for index, part in enumerate(parts):
        yield Shard(key.shard(index, of), frozenset(part))
    yield Group(key, shards=of)
