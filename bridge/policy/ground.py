"""What the rules of one device are about, as regions, and which of them can meet in one packet, each found only where it is asked for."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate

from bridge.model import addresses
from bridge.model.policy import ExternalService, Ref, Rule
from bridge.policy.compiled import ClusterPolicy
from bridge.policy.overlap import homes
from bridge.policy.region import Region, less, what
from bridge.policy.who import who

_V6 = 1 << 33  # IPv6 addresses are counted from here on, apart from those of IPv4
_ANYWHERE = ""


class Ground:
    """The regions of rules on one device. Names are in no region: nobody knows what they stand for."""

    def __init__(self, policy: ClusterPolicy) -> None:
        self.policy = policy
        self._regions: dict[Ref, tuple[tuple[Ref, Region], ...]] = {}

    def services(self, rule: Rule) -> Iterator[ExternalService]:
        """Its destinations as far as they can be read."""
        return (self.policy.externals[ref] for ref in rule.destinations if ref in self.policy.externals)

    def outside(self, service: ExternalService) -> tuple[str, ...]:
        """The addresses of a service outside the cluster."""
        return less(service.addresses, self.policy.governance.internal)

    def named(self, rule: Rule) -> bool:
        """Whether it is about names, too."""
        return any(service.fqdns for service in self.services(rule))

    def regions(self, rule: Rule) -> tuple[tuple[Ref, Region], ...]:
        """The packets that a rule is about, by address: a region for each external service."""
        found = self._regions.get(rule.ref)
        if found is None:
            whom = who(rule.source)
            made = ((one.ref, Region(whom, self.outside(one), what(one.traffic))) for one in self.services(rule))
            found = self._regions[rule.ref] = tuple((ref, region) for ref, region in made if not region.empty)
        return found


class Meeting:
    """Which of some rules can meet another in one packet, without asking each: by destination, then by namespace."""

    def __init__(self, rules: Iterable[Rule], ground: Ground) -> None:
        self._ground = ground
        self._by_service: dict[Ref, dict[str, list[tuple[int, Rule]]]] = {}
        for number, rule in enumerate(rules):
            for service in ground.services(rule):
                by_home = self._by_service.setdefault(service.ref, {})
                for home in homes(rule.source) or (_ANYWHERE,):
                    by_home.setdefault(home, []).append((number, rule))
        services = [ground.policy.externals[ref] for ref in self._by_service]
        self._named = [one for one in services if one.fqdns]
        self._spans = sorted((first, last, one.ref) for one in services for first, last in _spans(ground.outside(one)))
        self._starts = [first for first, _, _ in self._spans]
        self._tops = list(accumulate((last for _, last, _ in self._spans), max))
        self._touching: dict[Ref, tuple[Ref, ...]] = {}

    def of(self, rule: Rule) -> list[Rule]:
        """Those that can meet this one, in the order in which they were given; itself is not among them."""
        found: dict[int, Rule] = {}
        own, here = homes(rule.source), who(rule.source)
        for service in self._ground.services(rule):
            for ref in self._touched(service):
                by_home = self._by_service[ref]
                for home in by_home if own is None else (_ANYWHERE, *own):
                    found.update(by_home.get(home, ()))
        others = (found[number] for number in sorted(found))
        return [one for one in others if one.ref != rule.ref and not here.both(who(one.source)).empty]

    def _touched(self, service: ExternalService) -> tuple[Ref, ...]:
        """The services of which a destination may be one of this service, too."""
        found = self._touching.get(service.ref)
        if found is None:
            near = self._by_service if service.fqdns else {*self._near(service), *(one.ref for one in self._named)}
            externals = self._ground.policy.externals
            found = self._touching[service.ref] = tuple(
                ref for ref in near if any(a.overlaps(b) for a in service.traffic for b in externals[ref].traffic)
            )
        return found

    def _near(self, service: ExternalService) -> Iterator[Ref]:
        for first, last in _spans(self._ground.outside(service)):
            at = bisect_right(self._starts, last) - 1
            while at >= 0 and self._tops[at] >= first:
                if self._spans[at][1] >= first:
                    yield self._spans[at][2]
                at -= 1


@lru_cache(maxsize=16_384)
def _spans(members: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """The addresses as stretches of numbers, both families in one row."""
    nets = addresses.networks(members)
    return tuple((int(net[0]) + _V6 * (net.version == 6), int(net[-1]) + _V6 * (net.version == 6)) for net in nets)
