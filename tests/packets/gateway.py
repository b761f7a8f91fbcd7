"""A gateway run by the adapter, what policy says of each attempt through it, and a world written by hand."""

from dataclasses import dataclass

from adapters.nftables import NftablesAdapter
from bridge.model.intent import EVERYTHING, Intent, RuleList
from bridge.model.plan import Fence
from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    IcmpType,
    PortRange,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.compile import Target, compile_policy
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict, evaluate
from bridge.policy.withhold import settle
from tests.packets.network import Attempt, Fate, Network
from tests.policy.device import holdings
from tests.policy.test_evaluate import Scene
from tests.policy.world import ADDRESSES, OUTSIDE, Holder, World

FENCE = Fence(1, "packets")
PODS = tuple("abcdef")
_KINDS = ((Protocol.TCP, 80), (Protocol.TCP, 443), (Protocol.UDP, 53), (Protocol.SCTP, 3868), (Protocol.ICMP, 0))
_EXPECTED = {
    Verdict.ALLOW: Fate.THROUGH,
    Verdict.UNMATCHED: Fate.THROUGH,
    Verdict.DENY: Fate.DROPPED,
    Verdict.REJECT: Fate.REJECTED,
}
ATTEMPTS = tuple(
    Attempt(source, to, Protocol.ICMPV6 if protocol is Protocol.ICMP and ":" in to else protocol, port)
    for source in ADDRESSES
    for to in OUTSIDE
    if (":" in source) == (":" in to)
    for protocol, port in _KINDS
)


@dataclass
class Gateway:
    """A network, and the adapter that runs its gateway."""

    network: Network
    adapter: NftablesAdapter

    def enforce(self, world: World) -> None:
        """Bring the policy of this world onto the gateway."""
        target = Target("edge", self.adapter.capabilities, world.defaults)
        held = holdings(compile_policy(world.policy, target), world)
        objects = {key: settle(one, {}) if isinstance(one, RuleList) else one for key, one in held.items()}
        want = self.adapter.normalize(Intent("edge", objects))
        have = self.adapter.read(EVERYTHING).objects
        steps = diff(have, Intent("edge", want))
        self.adapter.apply(plan("edge", steps, have, self.adapter.capabilities, self.adapter.limits), FENCE)
        assert self.adapter.read(EVERYTHING).objects == want

    def takes(self, world: World) -> bool:
        """Whether the gateway can have the policy of this world as it was written."""
        target = Target("edge", self.adapter.capabilities, world.defaults)
        remarks = compile_policy(world.policy, target).remarks.values()
        return not any(remark.reason in ("Unsupported", "Withheld") for remark in remarks)

    def check(self, world: World) -> None:
        """Every attempt goes as the evaluator says."""
        fates = self.network.try_all(ATTEMPTS, lambda one: expected(world, one))
        wrong = {one: (fate, expected(world, one)) for one, fate in fates.items() if fate is not expected(world, one)}
        assert not wrong


def verdict(world: World, one: Attempt) -> Verdict:
    """What the evaluator says of it."""
    types = {Protocol.ICMP: IcmpType(8, 0), Protocol.ICMPV6: IcmpType(128, 0)}
    packet = Packet(one.source, one.destination, one.protocol, one.port, types.get(one.protocol))
    return evaluate(world.policy, world.defaults, Scene(world), packet).verdict


def expected(world: World, one: Attempt) -> Fate:
    """What its sender sees of that."""
    return _EXPECTED[verdict(world, one)]


# ---- a world written by hand

DB = Ref("ExternalService", "shop", "db")
MAIL = Ref("ClusterExternalService", "", "mail")
PAID, CART = Holder("shop", {"app": "pay"}), Holder("shop", {"app": "cart"})


def rule(name: str, tier: Tier, action: Action, source: Source, *to: Ref, priority: int = 1) -> Rule:
    kind = {Tier.CLUSTER: "ClusterEgressRule", Tier.NAMESPACE: "NamespaceEgressRule"}.get(tier, "ServiceEgressRule")
    return Rule(Ref(kind, source.namespace, name), tier, priority, action, source, to, log=True)


SHOP, PAY = Source(SourceKind.NAMESPACE, "shop"), Source(SourceKind.SERVICE, "shop", "pay")
EVERYONE = Source(SourceKind.CLUSTER)
WORLD = World(
    holders={
        "10.0.0.1": PAID,
        "10.0.0.2": CART,
        "10.0.0.3": Holder("free", {"app": "pay"}),
        "10.0.0.4": Holder("bank", {"app": "pay"}),
        "fd00::1": PAID,
    },
    rules=(
        rule("no-mail", Tier.CLUSTER, Action.REJECT, EVERYONE, MAIL),
        rule("onward", Tier.NAMESPACE, Action.PASS, SHOP, DB),
        rule("pay", Tier.SERVICE, Action.ALLOW, PAY, DB),
    ),
    externals={
        DB: ExternalService(
            DB,
            ("192.0.2.1", "2001:db8::/32"),
            (),
            (
                Traffic(Protocol.TCP, (PortRange(443, 443),)),
                Traffic(Protocol.SCTP, (PortRange(3868, 3868),)),
                Traffic(Protocol.ICMP, icmp=(IcmpType(8),)),
                Traffic(Protocol.ICMPV6, icmp=(IcmpType(128, 0),)),
            ),
        ),
        MAIL: ExternalService(MAIL, ("198.51.100.9",), (), (Traffic(Protocol.ANY),)),
    },
    defaults=Defaults(DefaultAction.DENY, UnknownAddresses.DENY),
)
