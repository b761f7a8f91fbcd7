"""Names on devices that take none: what the bridge resolved stands in their place, and what it did not opens nothing."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.intent import Group, RuleList
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
    View,
)
from bridge.policy.compile import compile_policy
from bridge.policy.compiled import Compiled
from tests.policy import device, reference
from tests.policy.reference import Decision
from tests.policy.world import CLUSTER_EXTERNALS, PACKETS, World, worlds

MAIL, DB = CLUSTER_EXTERNALS
KNOWN = ("192.0.2.1", "198.51.100.7", "fd00:1::7")


def _named(world: World) -> frozenset[str]:
    return frozenset(name for service in world.externals.values() for name in service.fqdns)


def _compiled(world: World, names: Mapping[str, tuple[str, ...]] | None, *, fqdn: bool = True) -> Compiled:
    return compile_policy(replace(world.policy, names=names), world.target(fqdn=fqdn))


@given(worlds(names=True), st.lists(st.sampled_from(KNOWN), unique=True))
def test_a_name_is_the_addresses_that_it_stands_for(world: World, found: list[str]) -> None:
    names = dict.fromkeys(_named(world), tuple(sorted(found)))
    objects = device.holdings(_compiled(world, names, fqdn=False), world)
    assert not any(isinstance(one, Group) and one.fqdns for one in objects.values())
    plain = {
        ref: replace(one, fqdns=(), addresses=(*one.addresses, *(found if one.fqdns else ())))
        for ref, one in world.externals.items()
    }
    for packet in PACKETS:
        assert device.decide(objects, packet) is reference.decide(replace(world, externals=plain), packet), packet


@given(worlds(names=True))
def test_what_nobody_resolved_yet_opens_nothing(world: World) -> None:
    compiled = _compiled(world, {}, fqdn=False)
    for key, value in compiled.objects.items():
        if isinstance(value, RuleList):
            compiled.objects[key] = replace(value, entries=tuple(e for e in value.entries if not e.withheld))
    objects = device.holdings(compiled, world)
    for packet in PACKETS:
        if device.decide(objects, packet) is Decision.ALLOW:
            for means in (reference.nothing, reference.anything):
                assert not reference.decide(world, packet, means).stopped, packet


def _service(ref: Ref, *fqdns: str, addresses: tuple[str, ...] = ()) -> ExternalService:
    return ExternalService(ref, addresses, fqdns, (Traffic(Protocol.ANY),))


def _world(*services: ExternalService, **actions: Action) -> World:
    source = Source(SourceKind.CLUSTER)
    rules = tuple(
        Rule(Ref("ClusterEgressRule", "", name), Tier.CLUSTER, 10 * at, action, source, (services[at].ref,), log=False)
        for at, (name, action) in enumerate(actions.items())
    )
    defaults = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
    return World({}, rules, {one.ref: one for one in services}, defaults)


def test_an_allow_by_a_name_that_is_not_resolved_says_so() -> None:
    ref = Ref("ClusterEgressRule", "", "one")
    compiled = _compiled(_world(_service(MAIL, "a.example.com"), one=Action.ALLOW), {}, fqdn=False)
    assert (compiled.remarks[ref].reason, compiled.placed[ref]) == ("Pending", set())
    assert "a.example.com" in compiled.remarks[ref].message
    assert compiled.remarks[MAIL].reason == "Pending"
    half = _world(_service(MAIL, "a.example.com", "b.example.com"), one=Action.ALLOW)
    compiled = _compiled(half, {"b.example.com": ("192.0.2.9",)}, fqdn=False)
    assert (compiled.remarks[ref].reason, "a.example.com" in compiled.remarks[ref].message) == ("", True)
    assert any(isinstance(one, Group) and one.members == {"192.0.2.9"} for one in compiled.objects.values())


@pytest.mark.parametrize("action", [Action.DENY, Action.REJECT, Action.PASS])
def test_what_stops_by_a_name_that_is_not_resolved_stands_in_part_and_withholds(action: Action) -> None:
    stop = _service(MAIL, "a.example.com", addresses=("192.0.2.4",))
    world = _world(stop, _service(DB, addresses=("198.51.100.0/24",)), stop=action, go=Action.ALLOW)
    compiled = _compiled(world, {}, fqdn=False)
    (lines,) = (v.entries for k, v in compiled.objects.items() if isinstance(v, RuleList) and k.scope == "cluster")
    assert [(one.action, one.withheld) for one in lines if one.name != "exempt"] == [
        (action, False),
        (Action.ALLOW, True),
    ]
    assert compiled.remarks[Ref("ClusterEgressRule", "", "stop")].reason == "Pending"
    assert compiled.remarks[Ref("ClusterEgressRule", "", "go")].reason == "Withheld"
    settled = _compiled(world, {"a.example.com": ("198.51.100.9",)}, fqdn=False)
    assert not settled.remarks


@pytest.mark.parametrize(("fqdn", "wildcards"), [(False, False), (True, False), (True, True)])
def test_names_with_a_star_only_where_the_device_takes_them(fqdn: bool, wildcards: bool) -> None:
    world = _world(_service(MAIL, "*.example.com"), one=Action.ALLOW)
    target = world.target()
    can = replace(target.capabilities, fqdn=fqdn, wildcards=wildcards)
    compiled = compile_policy(replace(world.policy, names={}), replace(target, capabilities=can))
    remark = compiled.remarks.get(Ref("ClusterEgressRule", "", "one"))
    assert (remark.reason if remark else "") == ("" if wildcards else "Unsupported")


def test_a_device_that_sees_workloads_in_two_ways_takes_no_name() -> None:
    world = _world(_service(MAIL, "a.example.com"), one=Action.ALLOW)
    two = (View(destinations=("198.51.100.0/24",)), View(name="rest"))
    target = replace(world.target(fqdn=True), views=two)
    compiled = compile_policy(replace(world.policy, names={"a.example.com": ("198.51.100.9",)}), target)
    assert not any(isinstance(one, Group) and one.fqdns for one in compiled.objects.values())
    assert any(isinstance(one, Group) and one.members == {"198.51.100.9"} for one in compiled.objects.values())
    unresolved = compile_policy(world.policy, target)
    assert unresolved.remarks[Ref("ClusterEgressRule", "", "one")].reason == "Unsupported"
