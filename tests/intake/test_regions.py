"""Groups of prefixes, and conditions: who is in the source and in all of these and in none of those, against every address tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.intake.landscape import Landscape
from bridge.intake.membership import Membership
from bridge.intake.workloads import Workloads
from bridge.model.addresses import overlap
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import Namespace, Pod
from bridge.model.policy import Operator, Requirement, Selector, Source, SourceKind
from bridge.policy.compile import EVERYONE, EXEMPT
from tests.intake.fold import GOVERNANCE
from tests.intake.objects import namespace, pod, service
from tests.state.builders import at

ADDRESSES = (*(f"10.0.0.{last}" for last in range(16)), "fd00::1", "fd00::2")
PLACES = ("shop", "bank", "free")
PAY = Selector((Requirement("app", Operator.IN, ("pay",)),))

BARE = (
    Source(SourceKind.BUILTIN, service=EVERYONE),
    Source(SourceKind.BUILTIN, service=EXEMPT),
    Source(SourceKind.PREFIXES, "shop", prefixes=("10.0.0.0/30", "192.0.2.0/24", "fd00::/64"), governed_only=True),
    Source(SourceKind.PREFIXES, "bank", prefixes=("10.0.0.2/31",)),
    Source(SourceKind.NAMESPACE, "shop", governed_only=True),
    Source(SourceKind.SERVICE, "bank", "pay", governed_only=True),
    Source(SourceKind.CLUSTER, pods=PAY, governed_only=True),
)


@st.composite
def sources(draw: st.DrawFn, depth: int = 1) -> Source:
    """A source with conditions, which may have some too."""
    base = draw(st.sampled_from(BARE))
    if not depth:
        return base
    conditions = st.lists(sources(depth - 1), max_size=2).map(tuple)
    return Source(
        base.kind,
        base.namespace,
        base.service,
        base.pods,
        governed_only=base.governed_only,
        prefixes=base.prefixes,
        also=draw(conditions),
        unless=draw(conditions),
    )


DEFINITIONS = st.dictionaries(
    st.sampled_from([ObjectKey(Kind.GROUP, "east", Scope.RULE, "shop", name) for name in "abc"]),
    st.lists(sources(), min_size=1, max_size=2).map(tuple),
    min_size=1,
)


@dataclass
class World:
    """Who is where, and the membership that is told of each change."""

    random: Random
    landscape: Landscape = field(default_factory=lambda: Landscape(GOVERNANCE))
    workloads: Workloads = field(default_factory=Workloads)
    recorded: dict[ObjectKey, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.membership = Membership(self.landscape, self.workloads)
        self.landscape.services["bank", "pay"] = service("pay", place="bank", app="pay")

    def define(self, definitions: Mapping[ObjectKey, tuple[Source, ...]]) -> None:
        """Other definitions; whom they concern is brought up to date."""
        touched = self.membership.define(definitions, {})
        new, gone, _, strays = self.membership.established()
        self.recorded |= {key: set() for key in new}
        for key in gone:
            assert self.membership.forget(key) == self.recorded.pop(key)
        self._update({*strays, *(self.workloads.addresses if touched else ())})

    def step(self) -> None:
        """A pod or a namespace changes."""
        if self.random.random() < 0.2:
            place = namespace(self.random.choice(PLACES), governed=self.random.random() < 0.6)
            self.landscape.namespaces[place.name] = place
            self.membership.forget_cache()
            self._update({address for one in self.workloads.of_namespace(place.name) for address in one.addresses})
            return
        name = f"{self.random.choice(('pay', 'cart'))}-{self.random.randrange(12)}"
        if f"uid-{name}" in self.workloads.pods:
            self._update(set(self.workloads.remove(f"uid-{name}")))
        else:
            one = pod(name, self.random.choice((*ADDRESSES, "192.0.2.7")), namespace=self.random.choice(PLACES))
            self._update(set(self.workloads.put(one, at(0))))

    def _update(self, addresses: set[str]) -> None:
        for address in addresses:
            moved = self.membership.update(address)
            for key in moved.joined:
                self.recorded[key].add(address)
            for key in moved.left:
                self.recorded[key].remove(address)

    def record(self) -> None:
        """What changed of the groups that are put together."""
        for change in self.membership.changes():
            members = self.recorded[change.key]
            assert not change.joined & members
            assert change.left <= members
            members |= change.joined
            members -= change.left

    def expected(self, source: Source, address: str) -> bool:
        """Whether an address of the pod ranges is in the source."""
        return (
            self._bare(source, address, self.workloads.owner(address))
            and all(self.expected(one, address) for one in source.also)
            and not any(self.expected(one, address) for one in source.unless)
        )

    def _bare(self, source: Source, address: str, owner: Pod | None) -> bool:
        place = self.landscape.namespaces.get(owner.namespace) if owner else None
        exempt = place is not None and not _governed(place)
        if source.kind is SourceKind.PREFIXES:
            return overlap(source.prefixes, (address,)) and not (exempt and source.governed_only)
        if source.service == EVERYONE:
            return not exempt
        if source.service == EXEMPT:
            return exempt
        if owner is None or place is None or exempt:
            return False
        named = source.namespace in ("", owner.namespace)
        return named and (source.kind is SourceKind.NAMESPACE or owner.labels["app"] == "pay")

    def check(self, definitions: Mapping[ObjectKey, tuple[Source, ...]]) -> None:
        """Every address, member or not."""
        self.record()
        assert self.recorded.keys() == definitions.keys()
        for key, definition in definitions.items():
            members = self.recorded[key]
            for address in ADDRESSES:
                meant = any(self.expected(source, address) for source in definition)
                assert overlap(members, (address,)) == meant, (key, address, members)
            assert not overlap(members, ("192.0.2.0/24",)), "outside the pod ranges"


def _governed(place: Namespace) -> bool:
    return place.labels.get("egress") == "governed"


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60)
@given(SEEDS, st.lists(DEFINITIONS, min_size=1, max_size=3), st.integers(0, 40))
def test_members_are_exactly_those_meant(
    seed: int, redefined: list[Mapping[ObjectKey, tuple[Source, ...]]], steps: int
) -> None:
    world = World(Random(seed))
    for definitions in redefined:
        world.define(definitions)
        for _ in range(steps):
            world.step()
            if world.random.random() < 0.2:
                world.record()
        world.check(definitions)


@settings(max_examples=60)
@given(SEEDS, DEFINITIONS, st.integers(0, 40))
def test_a_restart_finds_the_members_that_are_recorded(
    seed: int, definitions: Mapping[ObjectKey, tuple[Source, ...]], steps: int
) -> None:
    world = World(Random(seed))
    world.define(definitions)
    for _ in range(steps):
        world.step()
    world.check(definitions)
    again = Membership(world.landscape, world.workloads)
    again.start_from(world.recorded)
    again.define(definitions, {})
    assert again.established()[:2] == ([], [])
    for address in {*world.workloads.addresses, *again.known_addresses}:
        moved = again.update(address)
        assert (moved.joined, moved.left) == ((), ())
    assert not list(again.changes())
    assert again.members == world.recorded


def test_services_and_namespaces_in_conditions_count() -> None:
    world = World(Random(0))
    inner = Source(SourceKind.SERVICE, "bank", "pay", governed_only=True)
    key = ObjectKey(Kind.GROUP, "east", Scope.RULE, "shop", "a")
    world.define({key: (Source(SourceKind.BUILTIN, service=EVERYONE, unless=(inner,)),)})
    assert world.membership.uses_service("bank", "pay")
    assert not world.membership.uses_service("shop", "pay")


def test_one_address_touches_few_prefixes() -> None:
    """However many are exempt: as many prefixes change as an address has bits, at most."""
    world = World(Random(0))
    key = ObjectKey(Kind.GROUP, "east", Scope.BUILTIN, "", EVERYONE)
    world.landscape.namespaces["free"] = namespace("free", governed=False)
    world.define({key: (BARE[0],)})
    world.record()
    for number in range(1, 250):
        world._update(set(world.workloads.put(pod(f"x-{number}", f"10.0.0.{number}", namespace="free"), at(0))))
        (change,) = world.membership.changes()
        assert len(change.joined) + len(change.left) <= 33
