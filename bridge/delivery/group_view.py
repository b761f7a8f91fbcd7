"""One address group as a device should hold it, in parts, with what is held back from it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bridge.delivery.prefixes import around, inside
from bridge.model.addresses import subtract
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group, Shard
from bridge.model.plan import HoldKind
from bridge.policy.shard import shard_count, shard_index, spread

JOINING = (HoldKind.GROWTH, HoldKind.WIDENING)


@dataclass(slots=True)
class Delta:
    """Who is to join and who is to leave a group.

    `unproven` are those leaves that no event proved, `doubtful` those joins that follow from such a leave elsewhere. `waited` are those of
    all of them who were held back before, by why; `certain` are leaves that were proven of what waited to come for a prefix that waits.
    """

    joins: set[str] = field(default_factory=set)
    leaves: set[str] = field(default_factory=set)
    unproven: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    waited: dict[HoldKind, frozenset[str]] = field(default_factory=dict)
    certain: set[str] = field(default_factory=set)

    @property
    def widening(self) -> frozenset[str]:
        """Who joins in earnest: not what is left of a prefix that leaves."""
        return frozenset(self.joins) - inside(self.joins, self.leaves)

    @property
    def narrowing(self) -> frozenset[str]:
        """Who leaves in earnest and without proof: not what is part of a prefix that joins."""
        return frozenset(self.unproven) - inside(self.unproven, self.joins)


class GroupView:
    """The members that one group should have on the device now, split as the device needs it.

    `members` follows what the state wants, less what is held or frozen: members that a person has yet to decide about, and those who may
    not join while an Allow that names the group is withheld. Members that are prefixes come instead of others and go for others: of such
    only both happen or none, or addresses would leave that nobody asked to leave.
    """

    def __init__(
        self, key: ObjectKey, members: Iterable[str], size: int | None, parts: int = 0, *, pushed: bool = False
    ) -> None:
        self.key = key
        self.pushed = pushed
        self.waits: dict[HoldKind, set[str]] = {}
        self.frozen_joins: set[str] = set()
        self._kept: tuple[set[str], set[str]] = (set(), set())  # joins and leaves that wait for others only
        self._doubts: tuple[set[str], set[str]] = (set(), set())  # of joins and leaves that wait, those without proof
        self._size = size
        self._split(members, parts)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, address: str) -> bool:
        return address in self._part(address)

    @property
    def members(self) -> Iterator[str]:
        """Every member."""
        return (member for part in self._parts for member in part)

    @property
    def shards(self) -> int:
        """In how many parts the device holds it; 0 when it holds the members itself."""
        return len(self._parts) if len(self._parts) > 1 else 0

    @property
    def held_joins(self) -> set[str]:
        """Who waits for a person to join."""
        return set().union(*(self.waits.get(kind, ()) for kind in JOINING))

    @property
    def held_leaves(self) -> set[str]:
        """Who waits for a person to leave."""
        return self.waits.get(HoldKind.REMOVAL, set())

    def delta(self, address: str, *, member: bool, inferred: bool, into: Delta) -> None:
        """Note what must happen to one address so that it is, or is no longer, a member."""
        if not member and not inferred and address in self._kept[0]:
            into.certain.add(address)
        self._forget(address)
        if member != (address in self):
            (into.joins if member else into.leaves).add(address)
            if inferred:
                (into.doubtful if member else into.unproven).add(address)

    def reopen(self, into: Delta) -> None:
        """Put everything held back up for decision again."""
        into.joins |= self.held_joins | self.frozen_joins | self._kept[0]
        into.leaves |= self.held_leaves | self._kept[1]
        into.doubtful |= self._doubts[0]
        into.unproven |= self._doubts[1]
        into.waited = {kind: frozenset(members) for kind, members in self.waits.items()}
        self.waits, self.frozen_joins = {}, set()
        self._kept, self._doubts = (set(), set()), (set(), set())

    def part(self, delta: Delta) -> set[ObjectKey]:
        """Let addresses go that left for certain out of prefixes that wait to leave; what is left of those waits on.

        Returns the keys of the device objects that changed.
        """
        touched: set[ObjectKey] = set()
        certain = subtract(delta.certain, delta.joins)
        for prefix in around(delta.unproven, certain):
            pieces = set(subtract((prefix,), certain))
            rest = pieces - delta.joins
            touched |= self.leave((prefix,)) | self.join(pieces)
            delta.joins -= pieces
            delta.leaves = delta.leaves - {prefix} | rest
            delta.unproven = delta.unproven - {prefix} | rest
            waited = delta.waited.get(HoldKind.REMOVAL, frozenset())
            delta.waited[HoldKind.REMOVAL] = waited - {prefix} | rest
        return touched

    def together(self, delta: Delta) -> tuple[set[str], set[str]]:
        """Those who may join and leave now: nothing leaves for what waits to join, nor joins for what waits to leave."""
        back = self.held_joins | self.frozen_joins
        joins, leaves = delta.joins - back, delta.leaves - self.held_leaves
        leaving = inside(leaves, back)
        joining = inside(joins, self.held_leaves) | around(joins, self.held_leaves)
        self._kept = joining, leaving
        self._doubts = delta.doubtful & (back | joining), delta.unproven & (self.held_leaves | leaving)
        return joins - joining, leaves - leaving

    @property
    def waiting(self) -> bool:
        """Whether anything is held back."""
        return bool(any(self.waits.values()) or self.frozen_joins)

    @property
    def back(self) -> frozenset[str]:
        """Who is held back, to join or to leave, for whatever reason."""
        return frozenset().union(*self.waits.values(), self.frozen_joins, *self._kept)

    def _forget(self, address: str) -> None:
        for waiting in (*self.waits.values(), self.frozen_joins, *self._kept, *self._doubts):
            waiting.discard(address)

    def join(self, addresses: Iterable[str]) -> set[ObjectKey]:
        """Let these in; returns the keys of the device objects that changed."""
        return self._change(addresses, add=True)

    def leave(self, addresses: Iterable[str]) -> set[ObjectKey]:
        """Let these go; returns the keys of the device objects that changed."""
        return self._change(addresses, add=False)

    def resize(self) -> set[ObjectKey]:
        """Split anew when the size asks for it; returns the keys of the parts that no longer exist (the group itself changed too)."""
        wanted = shard_count(self._count, self.shards, None if self.pushed else self._size)
        if wanted == self.shards:
            return set()
        old = {self.key.shard(index, self.shards) for index in range(self.shards)}
        self._split(list(self.members), wanted)
        return old

    def objects(self, keys: Iterable[ObjectKey]) -> Iterator[Group | Shard]:
        """The named objects of this group as they should be."""
        for key in keys:
            if key == self.key:
                yield self._whole() if not self.shards else Group(key, shards=self.shards)
            else:
                index = int(key.part.partition(".")[0], 16)
                yield Shard(key, frozenset(self._parts[index]))

    def everything(self) -> Iterator[Group | Shard]:
        """All objects of this group."""
        return spread(self.key, self.members, self.shards) if self.shards else iter((self._whole(),))

    def _whole(self) -> Group:
        return Group(self.key, frozenset(self._parts[0]), pushed=self.pushed)

    def _split(self, members: Iterable[str], parts: int) -> None:
        self._parts: list[set[str]] = [set() for _ in range(max(parts, 1))]
        self._count = 0
        for member in members:
            self._part(member).add(member)
        self._count = sum(len(part) for part in self._parts)

    def _part(self, address: str) -> set[str]:
        return self._parts[shard_index(address, len(self._parts)) if len(self._parts) > 1 else 0]

    def _change(self, addresses: Iterable[str], *, add: bool) -> set[ObjectKey]:
        touched = set()
        of = len(self._parts)
        for address in addresses:
            index = shard_index(address, of) if of > 1 else 0
            part = self._parts[index]
            if (address in part) == add:
                continue
            if add:
                part.add(address)
            else:
                part.discard(address)
            self._count += 1 if add else -1
            touched.add(self.key.shard(index, of) if of > 1 else self.key)
        return touched
