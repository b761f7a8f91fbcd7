"""Destinations in parts, each compiled by itself: parting alone changes nothing, and a part as seen otherwise has groups of its own."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.identity import Kind
from bridge.model.intent import RuleList
from bridge.model.policy import (
    Action,
    AddressSource,
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
    View,
)
from bridge.policy.compile import compile_policy
from bridge.policy.compiled import Compiled
from tests.policy import device
from tests.policy.world import CLUSTER_EXTERNALS, PACKETS, World, worlds

PARTS = (("192.0.2.0/31",), ("198.51.100.0/24", "fd00:1::/64"), ("128.0.0.0/1",))
MAIL, DB = CLUSTER_EXTERNALS
NODE = View(AddressSource.NODE, ("192.0.2.0/24",), name="node")
DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)


@given(worlds(), st.sampled_from(PARTS))
def test_parting_the_destinations_changes_no_decision(world: World, part: tuple[str, ...]) -> None:
    whole = device.holdings(compile_policy(world.policy, world.target()), world)
    views = (View(destinations=part, name="some"), View())
    compiled = compile_policy(world.policy, replace(world.target(), views=views))
    objects = device.holdings(compiled, world)
    assert not device.dangling(objects)
    for value in objects.values():
        if isinstance(value, RuleList):
            assert len({entry.name for entry in value.entries}) == len(value.entries)
    for packet in PACKETS:
        assert device.decide(objects, packet) is device.decide(whole, packet), packet


def _rule(name: str, action: Action, source: Source, ref: Ref, priority: int = 1, *, shared: bool = False) -> Rule:
    place = Ref("ClusterEgressRule", "", name)
    return Rule(place, Tier.CLUSTER, priority, action, source, (ref,), log=False, accept_shared=shared)


def _compiled(*rules: Rule, shared: dict[str, str] | None = None, accept: bool = False) -> Compiled:
    """`shared` by the names of groups as seen."""
    services = {
        MAIL: ExternalService(MAIL, ("192.0.2.0/28", "198.51.100.0/28"), (), (Traffic(Protocol.ANY),)),
        DB: ExternalService(DB, ("198.51.100.0/24",), (), (Traffic(Protocol.ANY),)),
    }
    world = World({}, rules, services, DENY)
    target = replace(world.target(), views=(View(), NODE), accept_shared=accept)
    first = compile_policy(world.policy, target)
    known = {key: (shared or {}).get(key.name, "") for key in first.watched}
    return compile_policy(replace(world.policy, shared=known), target)


SHOP = Source(SourceKind.CLUSTER, service_accounts=("shop/web",))
ALL = Source(SourceKind.CLUSTER)


def _lines(compiled: Compiled, scope: str) -> list[str]:
    lists = [value for key, value in compiled.objects.items() if isinstance(value, RuleList) and key.scope == scope]
    return [entry.name for one in lists for entry in one.entries]


def test_each_part_has_its_own_groups_and_lines() -> None:
    compiled = _compiled(_rule("web", Action.ALLOW, SHOP, MAIL), _rule("rest", Action.ALLOW, ALL, DB, 2))
    assert _lines(compiled, "cluster") == [
        "exempt",
        "web_cluster_mail_any",
        "rest_cluster_db_any",
        "web_cluster_mail_any_node",
    ]
    names = {key.name: value for key, value in compiled.groups.items()}
    assert names["web"][0].view == View()
    assert names["web-.node"][0].view == replace(NODE, destinations=())
    assert _lines(compiled, "default") == ["exempt", "default-deny", "default-deny_node"]
    assert not compiled.remarks
    assert not compiled.notes


def test_a_rule_that_meets_others_is_over_broad_where_it_does() -> None:
    web = _rule("web", Action.ALLOW, SHOP, MAIL)
    compiled = _compiled(web, shared={"web-.node": "10.9.0.1 is shared with bank/pay"})
    remark = compiled.remarks[web.ref]
    assert (remark.reason, "bank/pay" in remark.message) == ("OverBroad", True)
    assert "web_cluster_mail_any_node" not in _lines(compiled, "cluster")
    assert any(key.name == "web-.node" for key in compiled.watched)
    assert not any(key.name == "web-.node" for key in compiled.groups)
    accepted = _compiled(replace(web, accept_shared=True), shared={"web-.node": "10.9.0.1 is shared with bank/pay"})
    assert not accepted.remarks


def test_a_deny_that_is_over_broad_withholds_what_is_below_it_in_that_part() -> None:
    stop, go = _rule("stop", Action.DENY, SHOP, MAIL), _rule("go", Action.ALLOW, SHOP, MAIL, 2, shared=True)
    compiled = _compiled(stop, go, shared={"stop-.node": "somebody"})
    assert compiled.remarks[stop.ref].reason == "OverBroad"
    assert compiled.remarks[go.ref].reason == "Withheld"
    (lines,) = (v.entries for k, v in compiled.objects.items() if k.kind is Kind.RULE_LIST and k.scope == "cluster")  # type: ignore[union-attr]
    assert {entry.name: entry.withheld for entry in lines} == {
        "stop_cluster_mail_any": False,
        "go_cluster_mail_any": False,
        "go_cluster_mail_any_node": True,
    }


def test_a_rule_without_destinations_in_a_part_is_not_judged_there() -> None:
    elsewhere = _rule("elsewhere", Action.ALLOW, SHOP, DB)
    assert not _compiled(elsewhere, shared={"elsewhere-.node": "somebody"}).remarks


def test_who_was_not_counted_counts_as_shared() -> None:
    world = World({}, (_rule("web", Action.ALLOW, SHOP, MAIL),), {}, DENY)
    services = {MAIL: ExternalService(MAIL, ("192.0.2.1",), (), (Traffic(Protocol.ANY),))}
    policy = replace(world, externals=services).policy
    compiled = compile_policy(policy, replace(world.target(), views=(View(), NODE)))
    assert compiled.remarks[world.rules[0].ref].reason == "OverBroad"


def test_the_default_deny_needs_the_same() -> None:
    web = _rule("web", Action.ALLOW, SHOP, MAIL)
    compiled = _compiled(web, shared={"governed-.node": "10.9.0.1 is shared with kube-system/proxy"})
    assert _lines(compiled, "default") == ["exempt", "default-deny"]
    assert ["kube-system/proxy" in note for note in compiled.notes] == [True]
    accepted = _compiled(web, shared={"governed-.node": "somebody"}, accept=True)
    assert _lines(accepted, "default") == ["exempt", "default-deny", "default-deny_node"]


def test_on_a_device_for_some_namespaces_the_groups_are_its_own() -> None:
    services = {MAIL: ExternalService(MAIL, ("192.0.2.1",), (), (Traffic(Protocol.ANY),))}
    rules = (_rule("web", Action.ALLOW, SHOP, MAIL, shared=True),)
    world = World({}, rules, services, DENY)
    target = replace(world.target(), views=(View(), NODE), namespaces=frozenset({"shop"}))
    compiled = compile_policy(world.policy, target)
    assert {"web-.node-.edge", "governed-.node-.edge"} <= {key.name for key in compiled.watched}
    assert "web-.node-.edge" in {key.name for key in compiled.groups}


def test_lines_of_several_namespaces_in_one_list_have_names_of_their_own() -> None:
    places = [Ref("NamespaceEgressRule", where, "web") for where in ("shop", "bank")]
    rules = tuple(
        Rule(place, Tier.NAMESPACE, 1, Action.ALLOW, Source(SourceKind.NAMESPACE, place.namespace), (MAIL,), log=False)
        for place in places
    )
    compiled = _compiled(*rules)
    names = [name for name in _lines(compiled, "namespace") if name.endswith("_node")]
    assert sorted(names) == ["bank_web_cluster_mail_any_node", "shop_web_cluster_mail_any_node"]
