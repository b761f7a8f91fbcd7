"""What is said about rules is true of every packet; and what is plainly wrong is said."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given

from bridge.model.policy import (
    Action,
    ExternalService,
    PortRange,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
    Validity,
)
from bridge.policy.critique import criticise
from tests.policy import reference
from tests.policy.world import GOVERNANCE, PACKETS, World, worlds

DB, NET, WEB = (Ref("ExternalService", "shop", name) for name in ("db", "net", "web"))
EXTERNALS = {
    DB: ExternalService(DB, ("192.0.2.1",), (), (Traffic(Protocol.TCP, (PortRange(443, 443),)),)),
    NET: ExternalService(NET, ("192.0.2.0/24",), (), (Traffic(Protocol.ANY),)),
    WEB: ExternalService(WEB, (), ("www.example.com",), (Traffic(Protocol.ANY),)),
}
PAY, EVERYONE = Source(SourceKind.SERVICE, "shop", "pay"), Source(SourceKind.NAMESPACE, "shop")


def _rule(
    name: str, action: Action, to: Ref, source: Source = EVERYONE, priority: int = 1000, tier: Tier = Tier.NAMESPACE
) -> Rule:
    return Rule(Ref(f"{tier.value.title()}EgressRule", "shop", name), tier, priority, action, source, (to,), log=False)


def _said(*rules: Rule) -> list[tuple[str, str]]:
    return [(one.ref.name, one.word) for one in criticise(rules, EXTERNALS)]


def test_a_narrow_rule_behind_a_wide_one_is_shadowed() -> None:
    assert _said(_rule("wide", Action.DENY, NET, priority=1), _rule("narrow", Action.ALLOW, DB, PAY)) == [
        ("narrow", "Shadowed")
    ]


def test_a_wide_rule_behind_a_narrow_one_is_not() -> None:
    assert _said(_rule("narrow", Action.ALLOW, DB, PAY, 1), _rule("wide", Action.DENY, NET)) == []


def test_a_higher_tier_shadows_and_its_pass_does_not() -> None:
    below = _rule("below", Action.ALLOW, DB, PAY, tier=Tier.SERVICE)
    assert _said(_rule("above", Action.DENY, NET), below) == [("below", "Shadowed")]
    assert _said(_rule("above", Action.PASS, NET), below) == [("above", "SkipsNothing")]


def test_a_rule_hides_nothing_outside_of_its_times() -> None:
    """Nor does it matter when the hidden one counts."""
    wide, narrow = _rule("wide", Action.DENY, NET, priority=1), _rule("narrow", Action.ALLOW, DB, PAY)
    once = Validity(not_after=datetime(2027, 1, 1, tzinfo=UTC))
    assert _said(replace(wide, validity=once), narrow) == []
    assert _said(wide, replace(narrow, validity=once)) == [("narrow", "Shadowed")]
    assert _said(replace(wide, validity=once), replace(narrow, validity=once)) == [("narrow", "Shadowed")]


def test_equals_that_contradict() -> None:
    found = criticise((_rule("no", Action.DENY, DB), _rule("yes", Action.ALLOW, NET)), EXTERNALS)
    assert [(one.ref.name, one.word, one.others[0].name) for one in found] == [("yes", "Contradicted", "no")]


def test_a_name_is_never_called_dead_and_hides_nothing() -> None:
    assert _said(_rule("wide", Action.DENY, NET, priority=1), _rule("name", Action.ALLOW, WEB, PAY)) == []
    assert _said(_rule("name", Action.DENY, WEB, priority=1), _rule("wide", Action.ALLOW, NET)) == []


@given(worlds())
def test_what_is_called_dead_can_go_without_any_packet_knowing(world: World) -> None:
    found = criticise(world.rules, world.externals, GOVERNANCE.internal)
    for dead in (one.ref for one in found if one.word in ("Shadowed", "SkipsNothing")):
        less = replace(world, rules=tuple(rule for rule in world.rules if rule.ref != dead))
        assert all(reference.decide(world, packet) is reference.decide(less, packet) for packet in PACKETS)
