"""Small clusters and what people wrote in them: few addresses, so that every packet can be tried."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from bridge.model.capabilities import Capabilities, Form
from bridge.model.policy import (
    EVERYTHING,
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    Governance,
    IcmpType,
    Operator,
    PortRange,
    Protocol,
    Ref,
    Requirement,
    Rule,
    Selector,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.compile import ClusterPolicy, Target
from bridge.policy.select import NAME_LABEL

CLUSTER = "east"
GOVERNANCE = Governance(
    pod_ranges=("10.0.0.0/28", "fd00::/124"),
    internal=("10.0.0.0/24", "fd00::/64"),
    namespaces=Selector((Requirement("egress", Operator.IN, ("governed",)),)),
)
NAMESPACES: Mapping[str, Mapping[str, str]] = {
    "shop": {NAME_LABEL: "shop", "egress": "governed", "team": "red"},
    "bank": {NAME_LABEL: "bank", "egress": "governed", "team": "blue"},
    "free": {NAME_LABEL: "free", "team": "red"},
    "kube-system": {NAME_LABEL: "kube-system", "egress": "governed"},
}
GOVERNED = frozenset({"shop", "bank"})
SERVICES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("shop", "pay"): {"app": "pay"},
    ("shop", "cart"): {"app": "cart"},
    ("bank", "pay"): {"app": "pay"},
    ("bank", "nobody"): {},
}
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "fd00::1")
STRANGER = "172.16.0.1"
OUTSIDE = ("192.0.2.1", "192.0.2.2", "192.0.2.5", "2001:db8::1", "198.51.100.9")
INSIDE = ("10.0.0.99", "fd00::99")


@dataclass(frozen=True)
class Holder:
    """The workload at one address."""

    namespace: str
    labels: Mapping[str, str]
    account: str = "default"


@dataclass(frozen=True)
class Packet:
    """What a device sees."""

    source: str
    destination: str
    protocol: Protocol
    port: int
    icmp: IcmpType | None = None
    number: int = 0


@dataclass(frozen=True)
class World:
    """Who holds what, what was written, and what follows the last tier."""

    holders: Mapping[str, Holder]
    rules: tuple[Rule, ...]
    externals: Mapping[Ref, ExternalService]
    defaults: Defaults

    @property
    def policy(self) -> ClusterPolicy:
        return ClusterPolicy(CLUSTER, GOVERNANCE, self.rules, self.externals)

    def target(self, *, fqdn: bool = True, icmp: bool = True, reject: bool = True, form: Form = Form.TIERED) -> Target:
        can = Capabilities(form, fqdn=fqdn, icmp_types=icmp, protocols=icmp, reject=reject)
        return Target("edge", can, self.defaults)


_KINDS: tuple[tuple[Protocol, int, IcmpType | None, int], ...] = (
    (Protocol.TCP, 80, None, 0),
    (Protocol.TCP, 443, None, 0),
    (Protocol.UDP, 53, None, 0),
    (Protocol.ICMP, 0, IcmpType(8, 0), 0),
    (Protocol.ICMP, 0, IcmpType(3, 4), 0),
    (Protocol.OTHER, 0, None, 89),
)
PACKETS = tuple(
    Packet(source, destination, *kind)
    for source in (*ADDRESSES, STRANGER)
    for destination in (*OUTSIDE, *INSIDE)
    if (":" in source) == (":" in destination)
    for kind in _KINDS
)

_APP = Selector((Requirement("app", Operator.IN, ("pay",)),))
_TEAM = Selector((Requirement("team", Operator.IN, ("red",)),))
_SHOP = Selector((Requirement(NAME_LABEL, Operator.IN, ("shop",)),))
_NOBODY = Selector((Requirement("app", Operator.IN, ("nobody",)),))
_PODS = st.sampled_from((EVERYTHING, _APP, _NOBODY))
_TRAFFIC = st.sampled_from(
    (
        (Traffic(Protocol.ANY),),
        (Traffic(Protocol.TCP),),
        (Traffic(Protocol.TCP, (PortRange(80, 80),)),),
        (Traffic(Protocol.TCP, (PortRange(443, 450),)),),
        (Traffic(Protocol.TCP, (PortRange(80, 443),)), Traffic(Protocol.UDP, (PortRange(53, 53),))),
        (Traffic(Protocol.ICMP),),
        (Traffic(Protocol.ICMP, icmp=(IcmpType(3), IcmpType(8, 0))),),
        (Traffic(Protocol.ICMP, icmp=(IcmpType(3, 1),)), Traffic(Protocol.OTHER, number=89)),
        (Traffic(Protocol.TCP, (PortRange(80, 80),)), Traffic(Protocol.OTHER, number=47)),
    )
)
_CARRIED = (
    (Traffic(Protocol.ANY),),
    (Traffic(Protocol.ANY),),
    (Traffic(Protocol.TCP),),
    (Traffic(Protocol.TCP, (PortRange(80, 443),)), Traffic(Protocol.UDP, (PortRange(53, 53),))),
    (Traffic(Protocol.TCP, (PortRange(443, 450),)), Traffic(Protocol.ICMP)),
)
_ACCOUNTS = ("default", "payer")
_DESTINATIONS = st.lists(
    st.sampled_from(("192.0.2.0/30", "192.0.2.2", "192.0.2.2-192.0.2.5", "2001:db8::/32", "10.0.0.99", "0.0.0.0/0")),
    min_size=1,
    max_size=2,
    unique=True,
).map(tuple)

CLUSTER_EXTERNALS = tuple(Ref("ClusterExternalService", "", name) for name in ("mail", "db"))
EXTERNALS = {ns: (Ref("ExternalService", ns, "db"),) for ns in sorted(GOVERNED)}
ALL_EXTERNALS = (*CLUSTER_EXTERNALS, *(ref for refs in EXTERNALS.values() for ref in refs))


@st.composite
def externals(draw: st.DrawFn, *, names: bool = False, dense: bool = False) -> Mapping[Ref, ExternalService]:
    """What every external service means; with `names`, some of them by name; `dense`: all of them near each other."""
    found = {}
    wide = st.sampled_from(
        (("192.0.2.0/29",), ("0.0.0.0/0", "2001:db8::/32"), ("192.0.2.2-192.0.2.5", "2001:db8::/64"))
    )
    where = st.one_of(_DESTINATIONS, wide) if dense else _DESTINATIONS
    for ref in ALL_EXTERNALS:
        fqdns = draw(st.sampled_from(((), ("db.example.com",)))) if names else ()
        addresses = draw(where) if not fqdns or draw(st.booleans()) else ()
        found[ref] = ExternalService(ref, addresses, fqdns, draw(_TRAFFIC))
    return found


@st.composite
def rules(draw: st.DrawFn, number: int, *, dense: bool = False) -> Rule:
    """One rule of any tier; `dense`: more often one that leaves something to others, or that they leave something to."""
    tier = draw(st.sampled_from(Tier))
    passes = (Action.PASS,) * (2 * dense)
    actions = [action for action in Action if tier is not Tier.SERVICE or action is not Action.PASS]
    namespace = "" if tier is Tier.CLUSTER else draw(st.sampled_from(sorted(GOVERNED)))
    kind = {Tier.CLUSTER: "ClusterEgressRule", Tier.NAMESPACE: "NamespaceEgressRule"}.get(tier, "ServiceEgressRule")
    refs = CLUSTER_EXTERNALS if tier is Tier.CLUSTER else (*EXTERNALS[namespace], *CLUSTER_EXTERNALS)
    return Rule(
        ref=Ref(kind, namespace, f"rule-{number}"),
        tier=tier,
        priority=draw(st.integers(1, 3)),
        action=draw(st.sampled_from([*actions, *passes] if tier is not Tier.SERVICE else actions)),
        source=draw(_sources(tier, namespace)),
        destinations=tuple(sorted(draw(st.sets(st.sampled_from(refs), min_size=1, max_size=2)))),
        log=draw(st.booleans()),
    )


@st.composite
def _sources(draw: st.DrawFn, tier: Tier, namespace: str) -> Source:
    if tier is Tier.CLUSTER:
        accounts = draw(st.sampled_from(((), (), ("shop/payer",), ("bank/default", "shop/payer"))))
        namespaces = draw(st.sampled_from((EVERYTHING, EVERYTHING, _TEAM, _SHOP)))
        return Source(SourceKind.CLUSTER, pods=draw(_PODS), namespaces=namespaces, service_accounts=accounts)
    if tier is Tier.NAMESPACE:
        accounts = draw(st.sampled_from(((), (), (f"{namespace}/payer",))))
        return Source(SourceKind.NAMESPACE, namespace, pods=draw(_PODS), service_accounts=accounts)
    services = [name for place, name in SERVICES if place == namespace]
    return Source(SourceKind.SERVICE, namespace, draw(st.sampled_from(services)))


@st.composite
def holders(draw: st.DrawFn) -> Mapping[str, Holder]:
    """Who holds each address; some are held by nobody that is known."""
    found = {}
    for address in ADDRESSES:
        namespace = draw(st.sampled_from((*NAMESPACES, None)))
        if namespace:
            account = draw(st.sampled_from(("default", "payer")))
            found[address] = Holder(namespace, {"app": draw(st.sampled_from(("pay", "cart")))}, account)
    return found


DEFAULTS = st.builds(Defaults, st.sampled_from(DefaultAction), st.sampled_from(UnknownAddresses))


@st.composite
def worlds(draw: st.DrawFn, *, names: bool = False, most: int = 5, dense: bool = False) -> World:
    """A small cluster."""
    count = draw(st.integers(4 if dense else 0, most))
    return World(
        draw(holders()),
        tuple(draw(rules(number, dense=dense)) for number in range(count)),
        draw(externals(names=names, dense=dense)),
        draw(DEFAULTS),
    )


def crowded(start: int) -> World:
    """A cluster in which much meets: broad rules of all tiers on destinations near each other, many of them Passes."""
    random = Random(start)
    near = (
        "192.0.2.0/29",
        "192.0.2.0/30",
        "192.0.2.2",
        "192.0.2.2-192.0.2.5",
        "0.0.0.0/0",
        "2001:db8::/32",
        "2001:db8::/64",
    )
    externals = {
        ref: ExternalService(ref, tuple(random.sample(near, random.randint(1, 2))), (), random.choice(_CARRIED))
        for ref in ALL_EXTERNALS
    }
    rules = tuple(_crowded_rule(random, number) for number in range(random.randint(3, 9)))
    holders = {
        address: Holder(
            random.choice(tuple(NAMESPACES)), {"app": random.choice(("pay", "cart"))}, random.choice(_ACCOUNTS)
        )
        for address in ADDRESSES
        if random.random() < 0.8
    }
    defaults = Defaults(random.choice(tuple(DefaultAction)), random.choice(tuple(UnknownAddresses)))
    return World(holders, rules, externals, defaults)


def _crowded_rule(random: Random, number: int) -> Rule:
    tier = random.choice((Tier.CLUSTER, Tier.CLUSTER, Tier.NAMESPACE, Tier.NAMESPACE, Tier.SERVICE))
    place = "" if tier is Tier.CLUSTER else random.choice(("shop", "shop", "bank"))
    actions = [*Action] if tier is Tier.SERVICE else [*Action, Action.PASS]
    refs = random.sample((*EXTERNALS.get(place, ()), *CLUSTER_EXTERNALS), random.randint(1, 2))
    pods = random.choice((EVERYTHING, EVERYTHING, _APP))
    accounts = random.choice(((), (), (f"{place or 'shop'}/payer",)))
    match tier:
        case Tier.CLUSTER:
            places = random.choice((EVERYTHING, EVERYTHING, _TEAM, _SHOP))
            source = Source(SourceKind.CLUSTER, pods=pods, namespaces=places, service_accounts=accounts)
        case Tier.NAMESPACE:
            source = Source(SourceKind.NAMESPACE, place, pods=pods, service_accounts=accounts)
        case _:
            source = Source(SourceKind.SERVICE, place, "pay")
    action = random.choice([one for one in actions if tier is not Tier.SERVICE or one is not Action.PASS])
    kind = f"{tier.value.title()}EgressRule"
    return Rule(
        Ref(kind, place, f"rule-{number}"),
        tier,
        random.randint(1, 4),
        action,
        source,
        tuple(refs),
        random.random() < 0.5,
    )
