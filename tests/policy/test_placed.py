"""What each object of the cluster becomes on a device: the keys by which feedback and causes find it there."""

from dataclasses import replace

from hypothesis import given

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.policy import (
    Action,
    AddressGroupSpec,
    DefaultAction,
    Defaults,
    ExternalService,
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
from bridge.policy.compile import Compiled, compile_policy
from tests.policy.world import World, worlds

DENY_BOTH = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
BANK, MAIL = Ref("ExternalService", "shop", "bank"), Ref("ClusterExternalService", "", "mail")
WEB = Traffic(Protocol.TCP, (PortRange(443, 443),))
SHOP = ObjectKey(Kind.GROUP, "east", Scope.NAMESPACE, "shop")


def _service(ref: Ref, *addresses: str, fqdns: tuple[str, ...] = (), traffic: Traffic = WEB) -> ExternalService:
    return ExternalService(ref, addresses, fqdns, (traffic,))


def _rule(name: str, *refs: Ref, action: Action = Action.ALLOW, tier: Tier = Tier.NAMESPACE) -> Rule:
    namespace = "" if tier is Tier.CLUSTER else "shop"
    source = Source(SourceKind.CLUSTER) if tier is Tier.CLUSTER else Source(SourceKind.NAMESPACE, "shop")
    return Rule(Ref(f"{tier.value.title()}EgressRule", namespace, name), tier, 1000, action, source, refs, log=False)


def _compiled(rules: tuple[Rule, ...], *services: ExternalService, fqdn: bool = True) -> Compiled:
    world = World({}, rules, {one.ref: one for one in services}, DENY_BOTH)
    return compile_policy(world.policy, world.target(fqdn=fqdn))


def _key(kind: Kind, scope: Scope, namespace: str = "", name: str = "") -> ObjectKey:
    return ObjectKey(kind, "east", scope, namespace, name)


def test_a_rule_is_its_list_its_source_and_its_destinations() -> None:
    rule = _rule("out", BANK, MAIL)
    compiled = _compiled(
        (rule,), _service(BANK, "192.0.2.1"), _service(MAIL, "192.0.2.9", traffic=Traffic(Protocol.ANY))
    )
    bank, ports = _key(Kind.GROUP, Scope.EXTERNAL, "shop", "bank"), _key(Kind.PORTS, Scope.EXTERNAL, "shop", "bank.tcp")
    mail = _key(Kind.GROUP, Scope.CLUSTER_EXTERNAL, "", "mail")
    assert compiled.placed[rule.ref] == {_key(Kind.RULE_LIST, Scope.NAMESPACE, "shop"), SHOP, bank, ports, mail}
    assert compiled.placed[BANK] == {bank, ports}
    assert compiled.placed[MAIL] == {mail}


def test_a_rule_of_the_whole_cluster_stands_on_its_ranges_and_on_who_is_exempt() -> None:
    rule = _rule("all", MAIL, tier=Tier.CLUSTER)
    placed = _compiled((rule,), _service(MAIL, "192.0.2.9")).placed[rule.ref]
    assert {key.name for key in placed if key.scope is Scope.BUILTIN} == {"pod-ranges", "exempt", "outside"}


def test_what_a_device_cannot_express_becomes_nothing_and_what_it_stops_is_withheld() -> None:
    deny, allow = _rule("no", MAIL, action=Action.DENY), _rule("yes", BANK)
    services = (_service(MAIL, "192.0.2.1", fqdns=("x.example",)), _service(BANK, "192.0.2.1"))
    compiled = _compiled((deny, allow), *services, fqdn=False)
    assert compiled.placed[deny.ref] == set()
    assert compiled.remarks[deny.ref].reason == "Unsupported"
    assert SHOP in compiled.placed[allow.ref]
    assert compiled.remarks[allow.ref].reason == "Withheld"
    assert MAIL not in compiled.placed, "no rule in force names it"


def test_a_destination_inside_is_said_of_the_rule_and_of_the_service() -> None:
    rule = _rule("inward", BANK)
    compiled = _compiled((rule,), _service(BANK, "10.0.0.0/25"))
    assert compiled.placed == {rule.ref: set(), BANK: set()}
    assert {remark.reason for remark in compiled.remarks.values()} == {"NoDestination"}
    both = _rule("both", BANK, MAIL)
    compiled = _compiled((both,), _service(BANK, "10.0.0.0/25"), _service(MAIL, "192.0.2.1"))
    assert compiled.placed[both.ref]
    assert set(compiled.remarks) == {BANK}


def test_what_does_not_concern_a_device_is_not_placed_there() -> None:
    elsewhere = replace(_rule("elsewhere", BANK), devices=("core",))
    assert not _compiled((elsewhere,), _service(BANK, "192.0.2.1")).placed


def test_on_a_device_for_some_namespaces_the_groups_are_its_own() -> None:
    everyone, some = _rule("all", MAIL, tier=Tier.CLUSTER), _rule("some", MAIL, tier=Tier.CLUSTER)
    some = replace(some, source=replace(some.source, service_accounts=("builder",)))
    world = World({}, (everyone, some), {MAIL: _service(MAIL, "192.0.2.1")}, DENY_BOTH)
    compiled = compile_policy(world.policy, replace(world.target(), namespaces=frozenset({"shop"})))
    assert _key(Kind.GROUP, Scope.CLUSTER, "", "some-.edge") in compiled.placed[some.ref]
    assert _key(Kind.GROUP, Scope.BUILTIN, "", "exempt-.edge") in compiled.placed[everyone.ref]
    for keys in compiled.placed.values():
        assert keys <= compiled.objects.keys() | compiled.groups.keys()


def test_groups_by_name_are_placed_where_they_are_wanted() -> None:
    spec = AddressGroupSpec(Ref("AddressGroup", "", "all"), Source(SourceKind.CLUSTER), ("edge",))
    pay, shop = Ref("Service", "shop", "pay"), Ref("Namespace", "", "shop")
    asked = {
        ("shop", "x"): (Source(SourceKind.SERVICE, "shop", "pay"),),
        ("shop", "y"): (Source(SourceKind.NAMESPACE, "shop"),),
    }
    world = World({}, (), {}, DENY_BOTH)
    policy = replace(
        world.policy,
        address_groups=(spec,),
        annotation_groups=asked,
        annotation_carriers={pay: (("shop", "x"), ("shop", "y")), shop: (("shop", "y"),)},
    )
    x, y = (_key(Kind.GROUP, Scope.ANNOTATION, "shop", name) for name in "xy")
    group = _key(Kind.GROUP, Scope.ADDRESS_GROUP, "", "all")
    assert compile_policy(policy, world.target()).placed == {spec.ref: {group}, pay: {x, y}, shop: {y}}
    other = replace(world.target(), name="core", namespaces=frozenset({"bank"}))
    assert compile_policy(policy, other).placed == {}


def test_a_withheld_rule_whose_destinations_lie_inside_waits_for_nothing() -> None:
    deny, allow = _rule("deny", BANK, action=Action.DENY), _rule("allow", MAIL)
    compiled = _compiled(
        (deny, allow), _service(BANK, fqdns=("db.example.com",)), _service(MAIL, "10.0.0.99"), fqdn=False
    )
    assert compiled.remarks[allow.ref].reason == "NoDestination"
    assert not compiled.placed[allow.ref]


@given(worlds(names=True))
def test_every_rule_is_placed_and_names_only_what_is_there(world: World) -> None:
    compiled = compile_policy(world.policy, world.target(fqdn=False))
    there = compiled.objects.keys() | compiled.groups.keys()
    for rule in world.rules:
        keys, remark = compiled.placed[rule.ref], compiled.remarks.get(rule.ref)
        assert keys <= there
        assert bool(keys) == (remark is None or remark.reason == "Withheld")
    for key, value in compiled.objects.items():
        if isinstance(value, RuleList) and key.scope is not Scope.DEFAULT:
            assert any(key in keys for keys in compiled.placed.values())
    for ref in world.externals:
        assert compiled.placed.get(ref, set()) <= there
