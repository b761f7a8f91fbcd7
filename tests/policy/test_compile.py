"""The compiled form decides as the text of the semantics says: every packet of small worlds is tried."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.addresses import overlap
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, RuleList
from bridge.model.policy import (
    ALWAYS,
    Action,
    AddressGroupSpec,
    Day,
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
    Validity,
    Window,
)
from bridge.model.reasons import RESTING
from bridge.policy.compile import compile_policy
from bridge.policy.validity import resting
from tests.policy import device, reference
from tests.policy.reference import Decision
from tests.policy.world import (
    ALL_EXTERNALS,
    CLUSTER_EXTERNALS,
    GOVERNANCE,
    INSIDE,
    PACKETS,
    Holder,
    Packet,
    World,
    worlds,
)

MAIL = CLUSTER_EXTERNALS[0]
DENY_BOTH = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)


def _service(ref: Ref = MAIL, *addresses: str, fqdns: tuple[str, ...] = ()) -> ExternalService:
    return ExternalService(ref, addresses, fqdns, (Traffic(Protocol.ANY),))


def _rule(
    name: str, action: Action, source: Source, *refs: Ref, tier: Tier = Tier.CLUSTER, namespace: str = ""
) -> Rule:
    return Rule(Ref(f"{tier.value.title()}EgressRule", namespace, name), tier, 1000, action, source, refs, log=False)


@given(worlds())
def test_the_compiled_form_decides_as_the_reference_does(world: World) -> None:
    objects = device.holdings(compile_policy(world.policy, world.target()), world)
    assert not device.dangling(objects)
    for packet in PACKETS:
        assert device.decide(objects, packet) is reference.decide(world, packet), packet


@given(worlds(), st.integers(1, 4))
def test_groups_in_parts_decide_the_same(world: World, size: int) -> None:
    compiled = compile_policy(world.policy, world.target())
    objects, parts = device.holdings(compiled, world), device.holdings(compiled, world, size)
    assert not device.dangling(parts)
    assert all(device.decide(objects, packet) is device.decide(parts, packet) for packet in PACKETS)


@given(worlds(names=True), st.booleans())
def test_no_allow_below_what_is_not_in_force(world: World, icmp: bool) -> None:
    """Where the device takes no names, nor types of ICMP and numbers of protocols: no packet is allowed that the full policy stops,
    whatever the names stand for."""
    compiled = compile_policy(world.policy, world.target(fqdn=False, icmp=icmp))
    lists = {key: _without_withheld(value) for key, value in compiled.objects.items() if isinstance(value, RuleList)}
    compiled.objects.update(lists)
    objects = device.holdings(compiled, world)
    for packet in PACKETS:
        if device.decide(objects, packet) is Decision.ALLOW:
            for names in (reference.nothing, reference.anything):
                assert not reference.decide(world, packet, names).stopped, packet


@given(worlds())
def test_a_device_that_cannot_answer_is_silent_and_says_so(world: World) -> None:
    compiled = compile_policy(world.policy, world.target(reject=False))
    objects = device.holdings(compiled, world)
    for packet in PACKETS:
        meant = reference.decide(world, packet)
        assert device.decide(objects, packet) is (Decision.DENY if meant is Decision.REJECT else meant)
    for rule in world.rules:
        remark = compiled.remarks.get(rule.ref)
        told = remark is not None and (remark.reason == "NoDestination" or "silent" in remark.message)
        assert told == (rule.action is Action.REJECT) or (remark is not None and remark.reason == "NoDestination")


@given(worlds(names=True), st.sets(st.sampled_from(ALL_EXTERNALS)))
def test_what_cannot_be_read_any_more_opens_nothing(world: World, lost: set[Ref]) -> None:
    """Accepted once, unreadable now: no rule is whole that names it, and below what stops nothing is added."""
    left = {ref: service for ref, service in world.externals.items() if ref not in lost}
    compiled = compile_policy(replace(world, externals=left).policy, world.target())
    lists = {key: _without_withheld(value) for key, value in compiled.objects.items() if isinstance(value, RuleList)}
    compiled.objects.update(lists)
    objects = device.holdings(compiled, world)
    for packet in PACKETS:
        if device.decide(objects, packet) is Decision.ALLOW:
            assert not reference.decide(world, packet).stopped, packet
    for rule in world.rules:
        remark = compiled.remarks.get(rule.ref)
        assert (remark is not None and remark.reason == "Unsupported") == (not lost.isdisjoint(rule.destinations))


DAY = datetime(2026, 3, 2, tzinfo=UTC)
VALIDITIES = (
    ALWAYS,
    Validity(not_before=DAY + timedelta(hours=3)),
    Validity(not_after=DAY + timedelta(hours=6)),
    Validity(windows=frozenset({Window(frozenset({Day.MON}), 5 * 60, 20 * 60, "UTC")})),
)


@given(worlds(), st.lists(st.sampled_from(VALIDITIES), min_size=5, max_size=5), st.integers(0, 24))
def test_the_moment_decides_which_rules_count(world: World, times: list[Validity], hour: int) -> None:
    at = DAY + timedelta(hours=hour)
    dated = tuple(replace(rule, validity=one) for rule, one in zip(world.rules, times, strict=False))
    counting = replace(world, rules=tuple(rule for rule in dated if resting(rule.validity, at) is None))
    compiled = compile_policy(replace(world.policy, rules=dated, at=at), world.target())
    objects = device.holdings(compiled, world)
    assert all(device.decide(objects, packet) is reference.decide(counting, packet) for packet in PACKETS)
    resting_now = {ref for ref, remark in compiled.remarks.items() if remark.reason in RESTING}
    assert resting_now == {rule.ref for rule in dated} - {rule.ref for rule in counting.rules}
    assert all(compiled.placed[ref] == set() for ref in resting_now)


def _without_withheld(rules: RuleList) -> RuleList:
    return replace(rules, entries=tuple(entry for entry in rules.entries if not entry.withheld))


@given(worlds(names=True))
def test_a_device_without_names_is_told_of_and_everything_else_stands(world: World) -> None:
    compiled = compile_policy(world.policy, world.target(fqdn=False))
    for rule in world.rules:
        named = any(world.externals[ref].fqdns for ref in rule.destinations)
        remark = compiled.remarks.get(rule.ref)
        assert (remark is not None and remark.reason == "Unsupported") == named
        if remark is not None and remark.reason == "Withheld":
            assert rule.action is Action.ALLOW


@given(worlds())
def test_no_group_is_ever_a_destination_inside(world: World) -> None:
    compiled = compile_policy(world.policy, world.target())
    for rules in (value for value in compiled.objects.values() if isinstance(value, RuleList)):
        for key in (key for entry in rules.entries for key in entry.destinations):
            group = compiled.objects[key]
            assert isinstance(group, Group)
            assert group.members
            assert not overlap(group.members, GOVERNANCE.internal)


@given(worlds())
def test_names_of_lines_are_unique_in_their_list(world: World) -> None:
    compiled = compile_policy(world.policy, world.target())
    for rules in (value for value in compiled.objects.values() if isinstance(value, RuleList)):
        names = [entry.name for entry in rules.entries]
        assert len(names) == len(set(names))


def test_dots_in_names_confuse_no_line_with_another() -> None:
    a, b = Ref("ExternalService", "shop", "b.c"), Ref("ExternalService", "shop", "c")
    cluster, lookalike = Ref("ClusterExternalService", "", "c"), Ref("ExternalService", "shop", "cluster.c")
    source = Source(SourceKind.NAMESPACE, "shop")
    rules = (
        _rule("a", Action.ALLOW, source, a, b, cluster, lookalike, tier=Tier.NAMESPACE, namespace="shop"),
        _rule("a.b", Action.ALLOW, source, b, tier=Tier.NAMESPACE, namespace="shop"),
    )
    externals = {ref: _service(ref, "192.0.2.1") for ref in (a, b, cluster, lookalike)}
    compiled = compile_policy(World({}, rules, externals, DENY_BOTH).policy, World({}, (), {}, DENY_BOTH).target())
    rules_of_shop = compiled.objects[ObjectKey(Kind.RULE_LIST, "east", Scope.NAMESPACE, "shop")]
    assert isinstance(rules_of_shop, RuleList)
    assert len({entry.name for entry in rules_of_shop.entries}) == 5


def test_a_selector_that_selects_nobody_matches_nothing() -> None:
    rule = _rule(
        "none", Action.ALLOW, Source(SourceKind.SERVICE, "bank", "nobody"), MAIL, tier=Tier.SERVICE, namespace="bank"
    )
    world = World({"10.0.0.1": Holder("bank", {"app": "pay"})}, (rule,), {MAIL: _service(MAIL, "0.0.0.0/0")}, DENY_BOTH)
    objects = device.holdings(compile_policy(world.policy, world.target()), world)
    assert device.members(objects, ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "bank", "nobody")) == frozenset()
    assert all(device.decide(objects, packet) is not Decision.ALLOW for packet in PACKETS)


def test_the_whole_cluster_is_its_pod_ranges_less_the_exempt() -> None:
    world = World(
        {"10.0.0.1": Holder("shop", {}), "10.0.0.2": Holder("free", {})},
        (_rule("all", Action.REJECT, Source(SourceKind.CLUSTER), MAIL),),
        {MAIL: _service(MAIL, "0.0.0.0/0")},
        Defaults(DefaultAction.NONE, UnknownAddresses.PASS),
    )
    objects = device.holdings(compile_policy(world.policy, world.target()), world)

    def sent(source: str, destination: str = "192.0.2.1") -> Decision:
        return device.decide(objects, Packet(source, destination, Protocol.TCP, 80))

    assert sent("10.0.0.1") is Decision.REJECT
    assert sent("10.0.0.9") is Decision.REJECT, "held by nobody that is known, yet of the pod ranges"
    assert sent("10.0.0.2") is Decision.UNMATCHED, "ungoverned"
    assert sent("10.0.0.16") is Decision.UNMATCHED, "outside the pod ranges"
    assert sent("10.0.0.1", INSIDE[0]) is Decision.UNMATCHED


def test_a_rule_whose_destinations_all_lie_inside_says_so() -> None:
    rule = _rule("inward", Action.ALLOW, Source(SourceKind.CLUSTER), MAIL)
    world = World({}, (rule,), {MAIL: _service(MAIL, "10.0.0.0/25")}, DENY_BOTH)
    compiled = compile_policy(world.policy, world.target())
    assert compiled.remarks[rule.ref].reason == "NoDestination"
    assert ObjectKey(Kind.RULE_LIST, "east", Scope.CLUSTER) not in compiled.objects


def test_scope_of_rule_and_of_device() -> None:
    source = Source(SourceKind.NAMESPACE, "shop")
    rule = _rule("to-mail", Action.ALLOW, source, MAIL, tier=Tier.NAMESPACE, namespace="shop")
    world = World({}, (rule,), {MAIL: _service(MAIL, "192.0.2.1")}, DENY_BOTH)
    key = ObjectKey(Kind.RULE_LIST, "east", Scope.NAMESPACE, "shop")
    here, elsewhere = replace(rule, devices=("edge",)), replace(rule, devices=("core",))
    assert key in compile_policy(replace(world, rules=(here,)).policy, world.target()).objects
    assert key not in compile_policy(replace(world, rules=(elsewhere,)).policy, world.target()).objects
    narrow = replace(world.target(), namespaces=frozenset({"bank"}))
    assert key not in compile_policy(world.policy, narrow).objects


def test_groups_asked_for_by_name_stand_without_a_rule() -> None:
    everyone = Source(SourceKind.CLUSTER)
    spec = AddressGroupSpec(Ref("AddressGroup", "", "all"), everyone, ("edge",))
    world = World({}, (), {}, Defaults(DefaultAction.NONE, UnknownAddresses.PASS))
    policy = replace(world.policy, address_groups=(spec,), annotation_groups={("free", "x"): (everyone,)})
    compiled = compile_policy(policy, world.target())
    assert set(compiled.groups) == {
        ObjectKey(Kind.GROUP, "east", Scope.ADDRESS_GROUP, "", "all"),
        ObjectKey(Kind.GROUP, "east", Scope.ANNOTATION, "free", "x"),
    }
    assert not compile_policy(replace(policy, annotation_groups={}), replace(world.target(), name="core")).groups
