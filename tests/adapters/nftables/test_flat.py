"""A gateway whose three policies stand in one list: the contract, and the way there and back from tiers, on the real kernel."""

from collections.abc import Iterator

import pytest

from adapters.conformance import Conformance
from adapters.conformance.site import CART, SOURCES, Site, Terms, line
from adapters.nftables import NftablesAdapter, factory
from bridge.errors import Unsupported
from bridge.model.capabilities import Form
from bridge.model.identity import Scope
from bridge.model.intent import EVERYTHING, Intent, RuleList
from bridge.model.plan import Fence
from bridge.model.policy import Action, Protocol, Tier
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict
from tests.adapters.nftables.machine import kernel, namespace, nft
from tests.adapters.nftables.referee import Ruleset
from tests.adapters.nftables.rig import TABLE, config, flat_rig, rigged

pytestmark = kernel

FENCE = Fence(4, "an installation")
TERMS = Terms.of(factory.capabilities(config("none")))
PACKET = Packet(SOURCES[0], "198.51.100.1", Protocol.TCP, 443)


class TestFlatNftables(Conformance):
    factory = rigged
    rig = staticmethod(flat_rig)
    skips = frozenset({"limit group_members", "limit groups", "limit rules"})


@pytest.fixture
def space() -> Iterator[str]:
    with namespace() as name:
        yield name


def opened(space: str, form: Form, steps: int = 50_000) -> NftablesAdapter:
    adapter = factory.open(config(space, form=form.value, transactionSteps=steps))
    adapter.raise_fence(FENCE)
    return adapter


def site(first: Action, last: Action) -> Site:
    """A line in the highest tier and one in the lowest."""
    lists = [
        RuleList(TERMS.list_key(Scope.CLUSTER), (line("first", action=first),)),
        RuleList(TERMS.list_key(Scope.SERVICE), (line("last", action=last),)),
    ]
    return {**TERMS.shop(SOURCES[0]), **TERMS.policies(*lists)}


def settle(adapter: NftablesAdapter, wanted: Site) -> None:
    """As delivery does: until a plan is empty, which takes two at most."""
    want = Intent("edge", adapter.normalize(Intent("edge", wanted)))
    for _ in range(2):
        have = adapter.read(EVERYTHING).objects
        adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), FENCE)
    assert adapter.read(EVERYTHING).objects == want.objects
    assert all(adapter.read(EVERYTHING).attached.values())


def verdict(space: str) -> Verdict:
    return Ruleset.of(nft(space, "-jn", "list", "table", "inet", TABLE)).verdict(PACKET)


def test_the_policies_are_one_list_and_no_chain_leads_past_any(space: str) -> None:
    adapter = opened(space, Form.FLAT)
    settle(adapter, site(Action.DENY, Action.ALLOW))
    assert verdict(space) is Verdict.DENY
    settle(adapter, site(Action.ALLOW, Action.DENY))
    assert verdict(space) is Verdict.ALLOW
    assert "next/" not in nft(space, "list", "table", "inet", TABLE)
    jumps = [word for word in nft(space, "list", "chain", "inet", TABLE, "enter").split() if word.startswith("policy/")]
    assert jumps == [f"policy/{tier}" for tier in Tier]


def test_a_pass_is_refused_by_name(space: str) -> None:
    passing = site(Action.PASS, Action.ALLOW)
    with pytest.raises(Unsupported, match="line first: a flat gateway has no Pass") as caught:
        factory.open(config(space, form="flat")).normalize(Intent("edge", passing))
    assert list(caught.value.objects) == [str(TERMS.list_key(Scope.CLUSTER))]
    assert factory.open(config(space)).normalize(Intent("edge", passing))[CART] == passing[CART]


@pytest.mark.parametrize("steps", [50_000, 2], ids=["at once", "in small parts"])
def test_a_gateway_goes_from_one_form_to_the_other_and_back(space: str, steps: int) -> None:
    settle(opened(space, Form.TIERED, steps), site(Action.PASS, Action.DENY))
    assert verdict(space) is Verdict.DENY
    settle(opened(space, Form.FLAT, steps), site(Action.ALLOW, Action.DENY))
    assert verdict(space) is Verdict.ALLOW
    assert "next/" not in nft(space, "list", "table", "inet", TABLE)
    settle(opened(space, Form.TIERED, steps), site(Action.PASS, Action.DENY))
    assert verdict(space) is Verdict.DENY
