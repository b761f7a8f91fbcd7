"""What is not done without a person: mass changes that no event proves (SEMANTICS 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.model import addresses
from bridge.model.identity import ObjectKey
from bridge.model.plan import Held


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
    """Defaults of SEMANTICS 8; every one can be set."""

    removals_per_group: Threshold = Threshold(10, 20)
    removals_per_device: Threshold = Threshold(5, 200)
    growth_per_group: Threshold = Threshold(50, 1000)


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What is about to happen to one group: how many members it has on the device, who joins, who leaves without proof.

    `first` marks a group that the device does not have yet: its first load is not growth.
    """

    key: ObjectKey
    members: int
    joins: frozenset[str]
    unproven: frozenset[str]
    first: bool = False


def guard(changes: Iterable[GroupChange], device_members: int, limits: GuardLimits) -> tuple[Held, ...]:
    """The offending parts, one Held for each; everything not named flows on.

    `device_members` counts the members of all groups on the device before the change.
    """
    listed = list(changes)
    held = [one for change in listed for one in _of_group(change, limits)]
    unproven = sum(len(change.unproven) for change in listed)
    if limits.removals_per_device.exceeded(unproven, device_members):
        seen = {one.key for one in held if one.reason.startswith("removal")}
        reason = f"removal of {unproven} of {device_members} members on the device, which no event proves"
        held += [Held(c.key, c.unproven, reason) for c in listed if c.unproven and c.key not in seen]
    return tuple(held)


def _of_group(change: GroupChange, limits: GuardLimits) -> Iterable[Held]:
    if limits.removals_per_group.exceeded(len(change.unproven), change.members):
        reason = f"removal of {len(change.unproven)} of {change.members} members, which no event proves"
        yield Held(change.key, change.unproven, reason)
    if not change.first and limits.growth_per_group.exceeded(len(change.joins), change.members):
        yield Held(change.key, change.joins, f"growth by {len(change.joins)} from {change.members} members")
    wide = frozenset(member for member in change.joins if "/" in member or "-" in member)
    if wide and not change.first and _nearly_everything(wide):
        yield Held(change.key, wide, "an edit widens the destination to every address")


def _nearly_everything(members: Iterable[str]) -> bool:
    """Whether these are more than half of all addresses of a family: what is left of a /0 once the inside is taken out."""
    sizes = {4: 0, 6: 0}
    for net in addresses.networks(members):
        sizes[net.version] += net.num_addresses
    return sizes[4] > 2**31 or sizes[6] > 2**127


def held_members(held: Iterable[Held]) -> Mapping[ObjectKey, frozenset[str]]:
    """All held members of each group."""
    found: dict[ObjectKey, frozenset[str]] = {}
    for one in held:
        found[one.key] = found.get(one.key, frozenset()) | one.members
    return found
