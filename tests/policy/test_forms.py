"""Flat and allow-only devices decide as the evaluator does: packets at the edges of all that is written, in small worlds."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.addresses import canonical_address, networks, overlap
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Objects, Ports, RuleEntry, RuleList
from bridge.model.policy import (
    EVERYTHING,
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
from bridge.policy.allow_only import compile_allow_only
from bridge.policy.compile import EVERYONE, Compiled, policies
from bridge.policy.flat import compile_flat
from bridge.policy.remainder import builtin
from bridge.policy.select import NAME_LABEL
from bridge.policy.tiered import compile_tiered
from tests.policy import device, reference
from tests.policy.reference import Decision
from tests.policy.world import (
    ADDRESSES,
    CLUSTER,
    GOVERNANCE,
    GOVERNED,
    INSIDE,
    PACKETS,
    STRANGER,
    Holder,
    Packet,
    World,
    crowded,
    worlds,
)

_Kind = tuple[Protocol, int, IcmpType | None, int]
COMPILERS = {Form.FLAT: compile_flat, Form.ALLOW_ONLY: compile_allow_only}


def packets(world: World, seed: int, most: int = 80) -> Iterator[Packet]:
    """The usual ones, and some at the edges of destinations and of ports."""
    random = Random(seed)
    where = sorted({*_places(world), *INSIDE})
    kinds = sorted(
        {kind for one in world.externals.values() for line in one.traffic for kind in _kinds(line)}, key=repr
    )
    for _ in range(most):
        source, destination = random.choice((*ADDRESSES, "10.0.0.15", "fd00::f", STRANGER)), random.choice(where)
        if (":" in source) == (":" in destination):
            yield Packet(source, destination, *random.choice(kinds))
    yield from random.sample(PACKETS, 30)


def _places(world: World) -> Iterator[str]:
    for one in world.externals.values():
        for member in one.addresses:
            yield from _edges(member)


def _edges(member: str) -> Iterator[str]:
    for net in networks((member,)):
        yield from {str(net[0]), str(net[-1])}
        if net.prefixlen:
            yield from {str(net[0] - 1), str(net[-1] + 1)}


def _kinds(line: Traffic) -> Iterator[_Kind]:
    yield Protocol.SCTP, 1, None, 0
    yield Protocol.OTHER, 0, None, line.number or 50
    yield from ((protocol, 7, None, 0) for protocol in (Protocol.TCP, Protocol.UDP))
    for span in line.ports:
        for port in (span.first - 1, span.first, span.last, span.last + 1):
            yield line.protocol, port, None, 0
    for one in line.icmp or (IcmpType(0, 0),):
        for code in (0, one.code or 1, 255):
            yield Protocol.ICMP, 0, IcmpType(one.type, code), 0
            yield Protocol.ICMPV6, 0, IcmpType(one.type, code), 0


def barred(compiled: Compiled) -> bool:
    return any(remark.reason in ("Unsupported", "Withheld") for remark in compiled.remarks.values())


def in_force(compiled: Compiled, world: World) -> dict[ObjectKey, DeviceObject]:
    """What a new device holds: no line that is withheld."""
    objects = device.holdings(compiled, world)
    for key, value in objects.items():
        if isinstance(value, RuleList):
            objects[key] = replace(value, entries=tuple(entry for entry in value.entries if not entry.withheld))
    return objects


def _lines(compiled: Compiled) -> list[RuleEntry]:
    lists = sorted(value.key for value in compiled.objects.values() if isinstance(value, RuleList))
    found = [compiled.objects[key] for policy in policies(lists) for key in policy.lists]
    return [entry for each in found if isinstance(each, RuleList) for entry in each.entries]


CROWDED = st.integers(0, 1 << 32).map(crowded)
ANY_WORLD = st.one_of(worlds(most=8, dense=True), CROWDED, CROWDED, CROWDED)


@settings(max_examples=250)
@given(ANY_WORLD, st.integers(0, 1 << 32))
def test_a_flat_device_decides_as_the_reference_does(world: World, seed: int) -> None:
    """Exactly, the default and what goes on unmatched included; never more open where a rule has no form there."""
    compiled = compile_flat(world.policy, world.target(form=Form.FLAT))
    objects = in_force(compiled, world)
    assert not device.dangling(objects)
    exactly = not barred(compiled)
    for packet in packets(world, seed):
        got, meant = device.decide(objects, packet), reference.decide(world, packet)
        assert got is meant or (not exactly and got is not Decision.ALLOW), packet


@settings(max_examples=250)
@given(ANY_WORLD, st.integers(0, 1 << 32))
def test_an_allow_only_device_lets_through_what_the_reference_allows(world: World, seed: int) -> None:
    compiled = compile_allow_only(world.policy, world.target(form=Form.ALLOW_ONLY))
    objects = in_force(compiled, world)
    assert not device.dangling(objects)
    exactly = not barred(compiled)
    for packet in packets(world, seed):
        got, meant = device.lets_through(objects, packet), reference.decide(world, packet)
        assert got == (meant is Decision.ALLOW) or (not exactly and not got), packet


@settings(max_examples=60)
@given(worlds(names=True, most=7, dense=True), st.integers(0, 1 << 32), st.booleans())
def test_names_are_kept_whole_or_refused_whatever_they_stand_for(world: World, seed: int, known: bool) -> None:
    meaning = reference.anything if known else reference.nothing
    stands_for = ("db.example.com",) if known else ()
    flat = compile_flat(world.policy, world.target(form=Form.FLAT))
    allows = compile_allow_only(world.policy, world.target(form=Form.ALLOW_ONLY))
    on_flat, on_allows = in_force(flat, world), in_force(allows, world)
    for packet in packets(world, seed, 60):
        if overlap(GOVERNANCE.internal, (packet.destination,)):
            continue  # that a name never leads there is seen to where names are resolved
        meant = reference.decide(world, packet, meaning)
        got = device.decide(on_flat, packet, stands_for)
        assert got is meant or (barred(flat) and got is not Decision.ALLOW), packet
        through = device.lets_through(on_allows, packet, stands_for)
        assert through == (meant is Decision.ALLOW) or (barred(allows) and not through), packet


@settings(max_examples=60)
@given(ANY_WORLD)
def test_the_forms_hold_only_what_they_know(world: World) -> None:
    """No Pass and nobody exempt on either, nothing but Allows and no default where there are only these; names told apart; groups exact."""
    for form, compiler in COMPILERS.items():
        compiled = compiler(world.policy, world.target(form=form))
        actions = {entry.action for entry in _lines(compiled)}
        assert actions <= ({Action.ALLOW} if form is Form.ALLOW_ONLY else set(Action) - {Action.PASS})
        for value in compiled.objects.values():
            if isinstance(value, RuleList):
                names = [entry.name for entry in value.entries]
                assert len(names) == len(set(names))
                assert value.entries
                assert form is Form.FLAT or value.key.scope is not Scope.DEFAULT
            elif isinstance(value, Group):
                assert value.members
                assert not overlap(value.members, GOVERNANCE.internal)
            elif isinstance(value, Ports):
                assert value.ports
        used = {ref for entry in _lines(compiled) for ref in entry.references()}
        assert used == {key for key in (*compiled.groups, *compiled.objects) if key.kind is not Kind.RULE_LIST}
        again = compiler(replace(world, rules=world.rules[::-1]).policy, world.target(form=form))
        assert again == compiled, "the order in which rules are known plays no part"


# Everyone who can be told apart, in both families; one who is exempt; and an address of each family that nobody holds.
_PEOPLE = tuple(product(sorted(GOVERNED), ("pay", "cart", "nobody"), ("default", "payer")))
CROWD = {
    address: Holder(place, {"app": app}, account)
    for number, (place, app, account) in enumerate(_PEOPLE)
    for address in (f"10.0.0.{number}", canonical_address(f"fd00::{number:x}"))
}
CROWD["10.0.0.14"] = Holder("free", {"app": "pay"})
SENDERS = (*CROWD, "10.0.0.15", "fd00::f")


@settings(max_examples=80, deadline=None)
@given(ANY_WORLD)
def test_no_line_that_a_pass_brings_is_dead(world: World) -> None:
    """Each decides some packet of somebody that no line before it decides. What people wrote stays, whether it decides or not."""
    # Not in every namespace, so that all that are named together are not everyone.
    kept = (rule for rule in world.rules if rule.ref.namespace != "bank")
    world = replace(world, holders=CROWD, rules=tuple(replace(rule, source=_plain(rule.source)) for rule in kept))
    compiled = compile_flat(world.policy, world.target(form=Form.FLAT))
    passes = {(rule.ref.namespace, rule.ref.name) for rule in world.rules if rule.action is Action.PASS}
    if not passes:
        return
    objects = device.holdings(compiled, world)
    where = sorted({*_places(world)})
    what = sorted({kind for one in world.externals.values() for line in one.traffic for kind in _kinds(line)}, key=repr)
    decided: set[tuple[str, str, int]] = set()
    for scope in device.TIERS:
        policy = objects[ObjectKey(Kind.POLICY, "", scope)]
        for key in policy.references():
            rules = objects[key]
            assert isinstance(rules, RuleList)
            for entry in rules.entries:
                meant = set(_matched(objects, entry, SENDERS, where, what))
                if (key.namespace, entry.name.partition("_")[0]) in passes and key.scope is not Scope.DEFAULT:
                    assert meant - decided, entry
                decided |= meant


def _plain(source: Source) -> Source:
    """Without what the compiler cannot know: whom a Service selects, and which namespaces have a label."""
    if source.kind is SourceKind.SERVICE:
        return Source(SourceKind.NAMESPACE, source.namespace)
    by_name = all(one.key == NAME_LABEL for one in source.namespaces.requirements)
    return source if by_name else replace(source, namespaces=EVERYTHING)


def _matched(
    objects: Objects, entry: RuleEntry, senders: Iterable[str], where: Iterable[str], what: list[_Kind]
) -> Iterator[tuple[str, str, int]]:
    sources = [one for one in senders if any(device.holds(device.members(objects, key), one) for key in entry.sources)]
    places = [
        one for one in where if any(device.holds(device.members(objects, key), one) for key in entry.destinations)
    ]
    kinds = [number for number, kind in enumerate(what) if device.carries(objects, entry, Packet("", "", *kind))]
    return product(sources, places, kinds)


@given(worlds(most=6))
def test_without_a_pass_a_flat_device_holds_what_a_tiered_one_does(world: World) -> None:
    """The same lines of the same groups, so that consoles look alike; the whole cluster alone is said otherwise."""
    world = replace(world, rules=tuple(rule for rule in world.rules if rule.action is not Action.PASS))
    flat, tiered = (
        compile_flat(world.policy, world.target(form=Form.FLAT)),
        compile_tiered(world.policy, world.target()),
    )
    ranges, everyone = builtin(CLUSTER, "pod-ranges"), builtin(CLUSTER, EVERYONE)
    meant = [
        replace(entry, sources=tuple(everyone if key == ranges else key for key in entry.sources))
        for entry in _lines(tiered)
        if entry.action is not Action.PASS
    ]
    said = [
        replace(entry, sources=(everyone,))
        if entry.name == "default-deny" and entry.sources[0].name.startswith(EVERYONE)
        else entry
        for entry in _lines(flat)
    ]
    assert said == meant
    assert flat.remarks == tiered.remarks
    assert flat.placed.keys() == tiered.placed.keys()


@given(worlds(most=6))
def test_without_what_stops_an_allow_only_device_holds_the_allows_of_a_tiered_one(world: World) -> None:
    world = replace(world, rules=tuple(rule for rule in world.rules if rule.action is Action.ALLOW))
    allows = compile_allow_only(world.policy, world.target(form=Form.ALLOW_ONLY))
    tiered = compile_tiered(world.policy, world.target())
    meant = [
        replace(
            entry,
            sources=tuple(builtin(CLUSTER, EVERYONE) if key.name == "pod-ranges" else key for key in entry.sources),
        )
        for entry in _lines(tiered)
        if entry.action is Action.ALLOW
    ]
    assert _lines(allows) == meant


@given(ANY_WORLD)
def test_no_line_that_is_left_of_an_allow_is_needless(world: World) -> None:
    """Pieces of an Allow share no packet, and no line is within others of it. What people wrote stays, needless or not."""
    kept = (rule for rule in world.rules if rule.ref.namespace != "bank")
    world = replace(world, holders=CROWD, rules=tuple(replace(rule, source=_plain(rule.source)) for rule in kept))
    compiled = compile_allow_only(world.policy, world.target(form=Form.ALLOW_ONLY))
    objects = device.holdings(compiled, world)
    where = sorted({*_places(world)})
    what = sorted({kind for one in world.externals.values() for line in one.traffic for kind in _kinds(line)}, key=repr)
    tiered = compile_tiered(world.policy, world.target())
    for key, value in compiled.objects.items():
        held = {entry.name: set(_matched(objects, entry, SENDERS, where, what)) for entry in _entries(value)}
        by_origin: dict[str, list[str]] = {}
        for name in held:
            by_origin.setdefault(re.sub(r"_[a-z0-9]+(_\d+)?$", "", name), []).append(name)
        for names in by_origin.values():
            assert sum(len(held[name]) for name in names) == len(set().union(*(held[name] for name in names)))
        written = _by_rule(_entries(tiered.objects.get(key)))
        for rule, made in _by_rule(_entries(value)).items():
            if {_plainly(entry) for entry in made} != {_plainly(entry) for entry in written[rule]}:
                for entry in made:
                    assert held[entry.name].difference(*(held[one.name] for one in made if one is not entry)), entry


@pytest.mark.parametrize(
    ("stopped", "destinations", "left"),
    [
        (
            "db",
            ("mail", "db"),
            {"rest_cluster_mail_tcp", "rest_cluster_mail_tcp_2", "rest_cluster_mail_tcp_3", "rest_db_udp"},
        ),
        ("db", ("db", "mail"), {"rest_cluster_mail_tcp", "rest_cluster_mail_tcp_2", "rest_db_tcp", "rest_db_udp"}),
        (
            "away",
            ("db", "near"),
            {f"rest_cluster_near_{what}" for what in ("tcp", "udp", "tcp_2", "udp_2", "tcp_3", "udp_3")},
        ),
    ],
    ids=[
        "a line within one before it",
        "a line within one before it, the other way round",
        "all of one within a later one",
    ],
)
def test_what_two_destinations_of_a_rule_have_in_common_stands_once(
    stopped: str, destinations: tuple[str, ...], left: set[str]
) -> None:
    """A line that others hold is not needed, wherever in the rule its destination stands."""
    db = Ref("ExternalService", "shop", "db")
    mail, near, away = (Ref("ClusterExternalService", "", name) for name in ("mail", "near", "away"))
    named = {ref.name: ref for ref in (db, mail, near, away)}
    web = Traffic(Protocol.TCP, (PortRange(80, 443),)), Traffic(Protocol.UDP, (PortRange(53, 53),))
    externals = {
        db: ExternalService(db, ("192.0.2.0/30",), (), web),
        mail: ExternalService(mail, ("192.0.2.0/29",), (), (Traffic(Protocol.TCP),)),
        near: ExternalService(near, ("192.0.2.0/29",), (), (Traffic(Protocol.TCP), Traffic(Protocol.UDP))),
        away: ExternalService(away, ("192.0.2.4/30",), (), web),
    }
    shop = Source(SourceKind.NAMESPACE, "shop")
    payers = replace(shop, service_accounts=("shop/payer",))
    out = (named[stopped],)
    stop = Rule(Ref("NamespaceEgressRule", "shop", "stop"), Tier.NAMESPACE, 1, Action.DENY, payers, out, log=False)
    refs = tuple(named[name] for name in destinations)
    rest = Rule(Ref("NamespaceEgressRule", "shop", "rest"), Tier.NAMESPACE, 2, Action.ALLOW, shop, refs, log=False)
    world = World(CROWD, (stop, rest), externals, Defaults(DefaultAction.DENY, UnknownAddresses.DENY))
    compiled = compile_allow_only(world.policy, world.target(form=Form.ALLOW_ONLY))
    assert {entry.name for entry in _lines(compiled)} == left


def _entries(value: DeviceObject | None) -> tuple[RuleEntry, ...]:
    return value.entries if isinstance(value, RuleList) else ()


def _by_rule(entries: Iterable[RuleEntry]) -> dict[str, list[RuleEntry]]:
    """The lines of a list by the names of their rules."""
    found: dict[str, list[RuleEntry]] = {}
    for entry in entries:
        found.setdefault(entry.name.partition("_")[0], []).append(entry)
    return found


def _plainly(entry: RuleEntry) -> RuleEntry:
    """The line as every form has it when nothing is taken out of it."""
    everyone, ranges = builtin(CLUSTER, EVERYONE), builtin(CLUSTER, "pod-ranges")
    sources = tuple(everyone if key == ranges else key for key in entry.sources)
    return replace(entry, sources=sources, withheld=False)
