"""What is not done without a person: mass changes that no event proves (SEMANTICS 8)."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from itertools import pairwise

from bridge.model import addresses
from bridge.model.identity import ObjectKey
from bridge.model.plan import Held, HoldKind

_GAP = 256  # addresses at most that one gap between two prefixes counts for


@dataclass(frozen=True, slots=True)
class Threshold:
    """Exceeded when the number is above `count` and above `percent` of what was there."""

    percent: float
    count: int

    def exceeded(self, number: int, of: int) -> bool:
        """Whether this many of so many is too much."""
        return number > self.count and number * 100 > of * self.percent


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Defaults of SEMANTICS 8; every one can be set.

    Removals that no event proves count together with those of the last `window` seconds, so that a mass change does not pass in small
    pieces; likewise policy that the lists of a cluster show no longer. An edit waits when it lets a destination reach more than
    `destination` percent of all addresses of a family.
    """

    removals_per_group: Threshold = Threshold(10, 20)
    removals_per_device: Threshold = Threshold(5, 200)
    growth_per_group: Threshold = Threshold(50, 1000)
    destination: float = 50
    window: float = 60
    policy_per_cluster: Threshold = Threshold(10, 5)


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What is about to happen to one group: how many members it has on the device, who joins, who leaves without proof.

    `first` marks a group that the device was never seen to have: its first load is not growth. `doubtful` are those who join because
    others left without proof, `gained` the addresses that the group reaches through them, `lost` those that it no longer reaches without
    `unproven` (None: as many as they are); both of about `left_out`, which a group of prefixes leaves out, or any other has. `passed` were
    let go without proof lately, `let_in` joined so.
    """

    key: ObjectKey
    members: int
    joins: frozenset[str]
    unproven: frozenset[str]
    first: bool = False
    doubtful: frozenset[str] = frozenset()
    gained: int = 0
    lost: int | None = None
    left_out: int = 0
    passed: int = 0
    let_in: int = 0

    @property
    def removed(self) -> int:
        """How many addresses leave without proof."""
        return len(self.unproven) if self.lost is None else self.lost


def guard(changes: Iterable[GroupChange], device_members: int, limits: GuardLimits) -> tuple[Held, ...]:
    """The offending parts, one Held for each kind of each group; everything not named flows on.

    `device_members` counts the members of all groups on the device before the change.
    """
    listed = list(changes)
    held = [one for change in listed for one in _of_group(change, limits)]
    passed = sum(change.passed for change in listed)
    unproven = sum(change.removed for change in listed)
    if unproven and limits.removals_per_device.exceeded(unproven + passed, device_members + passed):
        seen = {one.key for one in held if one.kind is HoldKind.REMOVAL}
        reason = f"removal of {unproven} of {device_members} members on the device, which no event proves"
        held += [Held(c.key, c.unproven, reason) for c in listed if c.unproven and c.key not in seen]
    return tuple(held)


def _of_group(change: GroupChange, limits: GuardLimits) -> Iterator[Held]:
    removals = limits.removals_per_group
    of = change.members if change.lost is None else change.left_out
    if change.unproven and removals.exceeded(change.removed + change.passed, of + change.passed):
        if any("/" in member for member in change.unproven):
            reason = f"{change.removed} addresses less, and no event proves that"
        else:
            reason = f"removal of {change.removed} of {change.members} members, which no event proves"
        yield Held(change.key, change.unproven, reason)
    if change.doubtful and not change.first and removals.exceeded(change.gained + change.let_in, change.left_out):
        reason = f"{change.gained} more addresses, because others left and no event proves that"
        yield Held(change.key, change.doubtful, reason, HoldKind.WIDENING)
    grown = change.joins - change.doubtful
    if not change.first and limits.growth_per_group.exceeded(len(grown), change.members):
        yield Held(change.key, grown, f"growth by {len(grown)} from {change.members} members", HoldKind.GROWTH)


def widened(key: ObjectKey, before: frozenset[str], after: frozenset[str], limits: GuardLimits) -> Held | None:
    """What an edit must not add to a destination without a person: all prefixes that join, where it comes to reach nearly everything."""
    joins = frozenset(member for member in after - before if "/" in member or "-" in member)
    if not joins or not nearly_everything(after, limits.destination):
        return None
    if nearly_everything(before, limits.destination):
        return None
    return Held(key, joins, "an edit widens the destination to every address", HoldKind.DESTINATION)


def nearly_everything(members: Iterable[str], percent: float) -> bool:
    """Whether these are more than so much of all addresses of a family: what is left of a /0 once the inside is taken out is."""
    nets = list(addresses.networks(members))
    four = collapse_addresses(net for net in nets if isinstance(net, IPv4Network))
    six = collapse_addresses(net for net in nets if isinstance(net, IPv6Network))
    reach = ((sum(net.num_addresses for net in some), 2**bits) for some, bits in ((four, 32), (six, 128)))
    return any(found * 100 > percent * of for found, of in reach)


def count_addresses(members: Iterable[str]) -> int:
    """How many addresses these reach; nothing may lie in two of them."""
    return sum(net.num_addresses for net in addresses.networks(members))


def count_left_out(members: Collection[str]) -> int:
    """About how many addresses a group of prefixes leaves out; of one without prefixes, how many it has.

    What lies between two prefixes that follow each other is left out; a wide gap counts as a small one, since nobody may be there.
    """
    if not any("/" in member for member in members):
        return len(members)
    nets = sorted(addresses.networks(members), key=lambda net: (net.version, int(net.network_address)))
    found = 0
    for one, other in pairwise(nets):
        if one.version == other.version:
            found += min(int(other.network_address) - int(one.broadcast_address) - 1, _GAP)
    return found
