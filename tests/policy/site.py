"""Small clusters whose workloads stand on nodes and leave by an egress, and what a device that sees no pods sees of them.

A second writing of SEMANTICS 3, which knows no pods of the model, no places and no counts: everything is found anew for every question.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from hypothesis import strategies as st

from bridge.model.addresses import overlap, subtract
from bridge.model.identity import ObjectKey
from bridge.model.policy import (
    Action,
    AddressSource,
    DefaultAction,
    ExternalService,
    Rule,
    Source,
    SourceKind,
    Tier,
    View,
)
from tests.policy.reference import Decision, reaches
from tests.policy.reference import decide as decide_as_pod
from tests.policy.world import ADDRESSES, GOVERNANCE, GOVERNED, NAMESPACES, SERVICES, Holder, Packet, World, worlds

NODES: Mapping[str, tuple[str, ...]] = {"a": ("10.9.0.1", "fd09::1"), "b": ("10.9.0.2",), "c": ("10.9.0.3",), "d": ()}
NODE = View(AddressSource.NODE, ("192.0.2.0/30", "2001:db8::/32"), name="node")
EGRESS = View(AddressSource.EGRESS, ("198.51.100.0/24",), ("203.0.113.1", "203.0.113.2"), name="egress")
OF_SHOP = View(AddressSource.EGRESS, ("192.0.2.4/30",), ("203.0.113.9",), ("shop",), "egress.shop")
ALL_NODES = View(AddressSource.NODE, name="node")
SIGHTS = ((NODE, View()), (NODE, EGRESS, OF_SHOP, View()), (ALL_NODES,), (ALL_NODES, EGRESS))
SEEN = (*(address for found in NODES.values() for address in found), *EGRESS.addresses, *OF_SHOP.addresses)


@dataclass(frozen=True)
class Lodger:
    """A pod without an address of its own: on the network of its node, or without one yet."""

    holder: Holder
    node: str
    on_host: bool


@dataclass(frozen=True, eq=False)
class Site:
    """A world, the node of each address that is held, and who lives there besides."""

    world: World
    nodes: Mapping[str, str]
    lodgers: tuple[Lodger, ...]

    def behind(self, view: View) -> dict[str, list[tuple[Holder, str | None, bool]]]:
        """Who stands behind each address as seen: holder, address, and whether a rule can be about it."""
        found: dict[str, list[tuple[Holder, str | None, bool]]] = {}
        for holder, address, node, able in self._everyone():
            if view.source is AddressSource.NODE:
                places: Iterable[str] = NODES.get(node, ())
            else:
                places = view.addresses if not view.namespaces or holder.namespace in view.namespaces else ()
            for place in places:
                found.setdefault(place, []).append((holder, address, able))
        return found

    def members(self, source: Source, view: View) -> set[str]:
        """The addresses that a source is seen as."""
        return {
            place
            for place, crowd in self.behind(view).items()
            if any(able and address and selected(source, holder) for holder, address, able in crowd)
        }

    def strangers(self, source: Source, view: View) -> list[str]:
        """The namespaces of those who stand behind such an address and are not in the source."""
        members = self.members(source, view)
        return sorted(
            holder.namespace
            for place, crowd in self.behind(view).items()
            for holder, _, able in crowd
            if place in members and not (able and selected(source, holder))
        )

    def _everyone(self) -> Iterator[tuple[Holder, str | None, str, bool]]:
        for address, holder in self.world.holders.items():
            yield holder, address, self.nodes[address], True
        for one in self.lodgers:
            yield one.holder, None, one.node, not one.on_host


def selected(source: Source, holder: Holder) -> bool:
    """Whether a rule of this source, which reaches only the governed, is about the holder."""
    if holder.namespace not in GOVERNED:
        return False
    if source.service_accounts and f"{holder.namespace}/{holder.account}" not in source.service_accounts:
        return False
    match source.kind:
        case SourceKind.SERVICE:
            selector = SERVICES[source.namespace, source.service]
            return holder.namespace == source.namespace and bool(selector) and selector.items() <= holder.labels.items()
        case SourceKind.NAMESPACE:
            return holder.namespace == source.namespace and source.pods.matches(holder.labels)
        case SourceKind.BUILTIN:
            return source.namespaces.matches(NAMESPACES[holder.namespace])
    return source.pods.matches(holder.labels) and source.namespaces.matches(NAMESPACES[holder.namespace])


def seen(sources: Iterable[Source], site: Site) -> set[str]:
    """The members of a group as its sources are seen, with their conditions."""
    return {address for source in sources for address in _seen(source, site)}


def _seen(source: Source, site: Site) -> set[str]:
    found = site.members(source, source.view)
    for one in source.also:
        found &= _seen(one, site)
    for one in source.unless:
        found -= _seen(one, site)
    return found


def shared(watched: Mapping[ObjectKey, tuple[Source, ...]], site: Site) -> dict[ObjectKey, str]:
    """What is told of groups: who else stands behind their addresses."""
    return {key: ", ".join(site.strangers(sources[0], sources[0].view)) for key, sources in watched.items()}


def decide(site: Site, packet: Packet, views: tuple[View, ...], *, accept: bool) -> Decision:
    """What becomes of a packet whose source is as the device sees it."""
    world = site.world
    view = _view(views, packet.destination)
    if view.source is AddressSource.POD or overlap(GOVERNANCE.internal, (packet.destination,)):
        return decide_as_pod(world, packet)
    standing = [rule for rule in _standing(site, views, view) if packet.source in site.members(rule.source, view)]
    for tier in (Tier.CLUSTER, Tier.NAMESPACE, Tier.SERVICE):
        for rule in standing:
            if rule.tier is tier and any(reaches(world.externals[ref], packet) for ref in rule.destinations):
                if rule.action is Action.PASS:
                    break
                return Decision(rule.action)
    everyone = Source(SourceKind.CLUSTER)
    if packet.source not in site.members(everyone, view) or (site.strangers(everyone, view) and not accept):
        return Decision.UNMATCHED
    return Decision.DENY if world.defaults.action is DefaultAction.DENY else Decision.UNMATCHED


def _view(views: tuple[View, ...], destination: str) -> View:
    for view in views:
        if view.destinations and overlap(view.destinations, (destination,)):
            return view
    return next(view for view in views if not view.destinations)


@cache
def _standing(site: Site, views: tuple[View, ...], view: View) -> list[Rule]:
    """The rules in force in this part, in order; no Allow below one that is not and that it may meet."""
    first = {Action.DENY: 0, Action.REJECT: 0, Action.PASS: 1, Action.ALLOW: 2}
    tiers = list(Tier)
    order = sorted(
        site.world.rules,
        key=lambda r: (tiers.index(r.tier), r.priority, first[r.action], r.ref.namespace, r.ref.name),
    )
    found: list[Rule] = []
    out: list[Rule] = []
    for rule in order:
        if site.strangers(rule.source, view) and not rule.accept_shared:
            out.append(rule)
        elif rule.action is not Action.ALLOW or not any(_meet(one, rule, site.world, views, view) for one in out):
            found.append(rule)
    return found


def _meet(one: Rule, allow: Rule, world: World, views: tuple[View, ...], view: View) -> bool:
    if one.action is Action.ALLOW:
        return False
    pairs = [(world.externals[a], world.externals[b]) for a in one.destinations for b in allow.destinations]
    return any(_meet_in(a, b, views, view) for a, b in pairs)


def _meet_in(one: ExternalService, other: ExternalService, views: tuple[View, ...], view: View) -> bool:
    rest = [member for each in views if each is not view for member in each.destinations]

    def there(service: ExternalService) -> tuple[str, ...]:
        found = subtract(service.addresses, GOVERNANCE.internal)
        return tuple(
            member
            for part in found
            for member in (
                subtract((part,), subtract((part,), view.destinations))
                if view.destinations
                else subtract((part,), rest)
            )
        )

    traffic = any(a.overlaps(b) for a in one.traffic for b in other.traffic)
    return traffic and overlap(there(one), there(other))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """A small world on nodes; some of its rules accept that others share their addresses."""
    world = draw(worlds(most=4))
    accepted = [draw(st.booleans()) for _ in world.rules]
    rules = tuple(replace(rule, accept_shared=one) for rule, one in zip(world.rules, accepted, strict=True))
    nodes = {address: draw(st.sampled_from(("a", "b", "c", "d", ""))) for address in ADDRESSES}
    lodgers = st.builds(
        Lodger,
        st.builds(
            Holder,
            st.sampled_from(tuple(NAMESPACES)),
            st.sampled_from(({"app": "pay"}, {"app": "cart"})),
            st.sampled_from(("default", "payer")),
        ),
        st.sampled_from(("a", "b")),
        st.booleans(),
    )
    return Site(replace(world, rules=rules), nodes, tuple(draw(st.lists(lodgers, max_size=2))))
