"""On a device in front of several destinations, an Allow of which a Deny leaves a part of such a place says so itself."""

from dataclasses import replace

from bridge.model.capabilities import Form
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
from bridge.policy.compile import Compiled
from tests.policy.world import ADDRESSES, Holder, World

ALL, SOME, BLOCK = (Ref("ClusterExternalService", "", name) for name in ("all", "some", "block"))
WHOLE, OTHER = ("192.0.2.0/28",), ("198.51.100.0/28",)
ANY = (Traffic(Protocol.ANY),)
EXTERNALS = {
    ALL: ExternalService(ALL, (*WHOLE, *OTHER), (), ANY),
    BLOCK: ExternalService(BLOCK, WHOLE, (), ANY),
    SOME: ExternalService(SOME, ("192.0.2.8/29",), (), ANY),
}
ALLOW, DENY = (Ref("NamespaceEgressRule", "shop", name) for name in ("allow", "deny"))


def _rule(ref: Ref, priority: int, action: Action, to: Ref) -> Rule:
    return Rule(ref, Tier.NAMESPACE, priority, action, Source(SourceKind.NAMESPACE, "shop"), (to,), log=False)


def _compiled(*rules: Rule) -> Compiled:
    defaults = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
    world = World({ADDRESSES[0]: Holder("shop", {}, "default")}, rules, EXTERNALS, defaults)
    target = world.target(form=Form.ALLOW_ONLY)
    blocks = replace(target.capabilities, blocks=(WHOLE, OTHER))
    return compile_allow_only(world.policy, replace(target, capabilities=blocks))


def test_an_allow_that_a_deny_cuts_within_a_block_is_told_as_withheld_there() -> None:
    deny = _rule(DENY, 1, Action.DENY, SOME)
    remark = _compiled(deny, _rule(ALLOW, 2, Action.ALLOW, ALL)).remarks[ALLOW]
    assert remark.reason == "Withheld"
    assert f"{DENY} leaves of it a part of what stands behind one place (" in remark.message
    assert "of 192.0.2.0/28" in remark.message


def test_an_allow_of_which_whole_blocks_are_left_says_nothing() -> None:
    for priority, to in ((3, SOME), (1, BLOCK)):
        assert (
            ALLOW not in _compiled(_rule(DENY, priority, Action.DENY, to), _rule(ALLOW, 2, Action.ALLOW, ALL)).remarks
        )
