"""What is known of the table between calls. Never the truth: the kernel refuses whatever does not meet what stands."""

from dataclasses import dataclass, field
from datetime import datetime

from adapters.nftables.names import Flavour
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, FenceState, Foreign, RuleList, Schedule
from bridge.model.policy import Action, Tier


@dataclass(slots=True)
class Known:
    """The table as it was last read, moved forward by what was committed since.

    `sets` are the sets that each group has, `skewed` the groups with members in the wrong one, `strays` the names of sets that no rule
    looks into, made by a change that was broken off, `turned` the ports whose twin stands; `stands` and `ours` say whether there is a
    table of our name, and whether it carries our mark; `fences` are the fence chains by name. `marked` are the names that carry our mark.
    """

    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    sets: dict[ObjectKey, frozenset[Flavour]] = field(default_factory=dict)
    skewed: set[ObjectKey] = field(default_factory=set)
    strays: set[str] = field(default_factory=set)
    turned: set[ObjectKey] = field(default_factory=set)
    counters: dict[str, set[str]] = field(default_factory=dict)
    chains: set[str] = field(default_factory=set)
    marked: set[str] = field(default_factory=set)
    fences: dict[str, FenceState] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    strange: set[str] = field(default_factory=set)
    reached_by: str = ""
    sound: bool = False
    stands: bool = False
    ours: bool = False

    @property
    def fence(self) -> FenceState:
        """The highest epoch that stands there."""
        return max(self.fences.values(), key=lambda state: (state.epoch, state.installation), default=FenceState())

    def shape(self, key: ObjectKey) -> frozenset[Flavour]:
        """The sets of a group, none when it does not stand."""
        return self.sets.get(key, frozenset())

    def until(self, key: ObjectKey) -> datetime | None:
        """When a schedule ends, None when it does not stand."""
        value = self.objects.get(key)
        return value.until if isinstance(value, Schedule) else None

    @property
    def passing(self) -> bool:
        """Whether some line is a Pass, and leads to where its tier goes on."""
        lists = (one for one in self.objects.values() if isinstance(one, RuleList))
        return any(entry.action is Action.PASS and entry.sources for one in lists for entry in one.entries)

    @property
    def tiers(self) -> list[Tier]:
        """The tiers that have a policy, in order."""
        return [tier for tier in Tier if ObjectKey(Kind.POLICY, "", Scope(tier.value)) in self.objects]
