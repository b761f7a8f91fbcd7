"""What waits on a flat or an allow-only device, because something above it is not in force there, opens nothing."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, RuleList
from bridge.model.policy import (
    Action,
    DefaultAction,
    Defaults,
    ExternalService,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    UnknownAddresses,
)
from bridge.policy.allow_only import compile_allow_only
from bridge.policy.compile import Compiled, Remark
from bridge.policy.flat import compile_flat
from tests.policy import device, reference
from tests.policy.reference import Decision
from tests.policy.world import ADDRESSES, CLUSTER_EXTERNALS, DEFAULTS, PACKETS, Holder, Packet, World, holders

MAIL = CLUSTER_EXTERNALS[0]
ANYWHERE = {MAIL: ExternalService(MAIL, ("192.0.2.0/30",), (), (Traffic(Protocol.ANY),))}
KINDS = {Tier.CLUSTER: "ClusterEgressRule", Tier.NAMESPACE: "NamespaceEgressRule", Tier.SERVICE: "ServiceEgressRule"}


def _rule(name: str, tier: Tier, priority: int, action: Action) -> Rule:
    """Every pod of the namespace, to one place."""
    namespace = "" if tier is Tier.CLUSTER else "shop"
    source = Source(SourceKind.NAMESPACE, "shop")
    return Rule(Ref(KINDS[tier], namespace, name), tier, priority, action, source, (MAIL,), log=False)


def _held(compiled: Compiled, world: World) -> dict[ObjectKey, DeviceObject]:
    """What a new device holds: no line that waits."""
    objects = device.holdings(compiled, world)
    for key, value in objects.items():
        if isinstance(value, RuleList):
            kept = tuple(one for one in value.entries if not one.withheld)
            objects[key] = replace(value, entries=kept)
    return objects


@pytest.mark.parametrize("unknown", UnknownAddresses)
def test_an_allow_that_waits_does_not_take_the_place_of_what_a_pass_ends_in(unknown: UnknownAddresses) -> None:
    """Nobody is to meet the Allow that the Pass skips because the lower Allow, which is not there, would have been met first."""
    rules = (
        _rule("pass", Tier.CLUSTER, 1, Action.PASS),
        _rule("skipped", Tier.CLUSTER, 2, Action.ALLOW),
        deny := _rule("deny", Tier.NAMESPACE, 1, Action.DENY),
        _rule("waits", Tier.NAMESPACE, 2, Action.ALLOW),
    )
    world = World({ADDRESSES[0]: Holder("shop", {}, "default")}, rules, ANYWHERE, Defaults(DefaultAction.DENY, unknown))
    policy = replace(world.policy, barred={deny.ref: Remark("Unsupported", "for a reason found elsewhere")})
    compiled = compile_flat(policy, world.target(form=Form.FLAT))
    packet = Packet(ADDRESSES[0], "192.0.2.1", Protocol.TCP, 80)
    assert device.decide(_held(compiled, world), packet) is Decision.DENY


_STEEP = st.lists(
    st.builds(
        lambda tier, priority, action: (tier, priority, Action.ALLOW if tier is Tier.SERVICE else action),
        st.sampled_from(Tier),
        st.integers(1, 4),
        st.sampled_from(Action),
    ),
    min_size=4,
    max_size=7,
)


@settings(max_examples=150)
@given(_STEEP, holders(), DEFAULTS, st.integers(0, 1 << 32))
def test_whatever_is_not_in_force_nothing_opens(
    drawn: list[tuple[Tier, int, Action]], held: dict[str, Holder], defaults: Defaults, seed: int
) -> None:
    """All rules about the same packets, so that each leans on the others."""
    rules = tuple(_rule(f"rule-{number}", *one) for number, one in enumerate(drawn))
    world = World(held, rules, ANYWHERE, defaults)
    random, stops = Random(seed), [rule.ref for rule in rules if rule.action in (Action.DENY, Action.REJECT)]
    out = random.sample(stops, random.randint(0, len(stops)))
    policy = replace(world.policy, barred=dict.fromkeys(out, Remark("Unsupported", "for a reason found elsewhere")))
    on_flat = _held(compile_flat(policy, world.target(form=Form.FLAT)), world)
    on_allows = _held(compile_allow_only(policy, world.target(form=Form.ALLOW_ONLY)), world)
    for packet in PACKETS:
        through = device.decide(on_flat, packet) is Decision.ALLOW or device.lets_through(on_allows, packet)
        assert not through or reference.decide(world, packet) is Decision.ALLOW, (packet, out)
