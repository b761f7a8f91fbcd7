"""How much the simulated account takes, and how fast: AWS's default quotas and request rates."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.lab.devices.aws.answers import Refusal


@dataclass(slots=True)
class Limits:
    """Quotas of one account in one region (Amazon VPC quotas), and what one call may hold. Tests set them."""

    rules: int = 60  # of a security group, for each direction and family; a prefix list weighs its MaxEntries
    groups: int = 2500
    prefix_lists: int = 100
    entries: int = 1000  # the largest MaxEntries
    versions: int = 1000  # then the oldest is forgotten
    changes: int = 100  # entries to add in one call, and as many to remove
    tags: int = 50
    removals_first: bool = (
        True  # within a call, so that an exchange of entries needs no room of its own (one emulator's author says so)
    )
    permissions: int = 1000  # rules in one call
    entry_page: int = 100
    list_page: int = 100
    group_page: int = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket of tokens: how many it holds, and how many come back each second."""

    holds: int
    refill: float


READS, UNFILTERED, WRITES, TAGS = Rate(100, 20), Rate(50, 10), Rate(50, 5), Rate(100, 10)
_OWN = {"CreateTags": TAGS, "DeleteTags": TAGS}
_SMALLER_UNFILTERED = "DescribeSecurityGroups"


def rate_of(action: str, *, writes: bool, narrowed: bool) -> Rate:
    """The default rate of an action, as Amazon publishes them; `narrowed` by a filter or by pages."""
    if action == _SMALLER_UNFILTERED and not narrowed:
        return UNFILTERED
    return _OWN.get(action, WRITES if writes else READS)


@dataclass(slots=True)
class Throttle:
    """A bucket for each action. `on` False leaves everybody alone."""

    now: Callable[[], float]
    on: bool = False
    _left: dict[tuple[str, Rate], tuple[float, float]] = field(default_factory=dict)

    def take(self, action: str, rate: Rate) -> None:
        """One token; Refusal where there is none."""
        if not self.on:
            return
        now = self.now()
        left, since = self._left.get((action, rate), (float(rate.holds), now))
        left = min(rate.holds, left + max(0.0, now - since) * rate.refill)
        if left < 1:
            self._left[action, rate] = (left, now)
            raise Refusal("RequestLimitExceeded", "Request limit exceeded.", 503)
        self._left[action, rate] = (left - 1, now)

    def fill(self) -> None:
        """All buckets full."""
        self._left.clear()
