"""Trace decides as the reference evaluator does, now and of every recorded moment of the past, packet by packet and for all traffic."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.model.addresses import overlap
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
from bridge.policy import evaluate as reference
from bridge.policy.evaluate import evaluate, is_source
from bridge.policy.lines import source_key
from bridge.policy.region import What, what
from bridge.report.considered import Piece, Verdict, consider, decide
from bridge.report.destination import destination
from bridge.report.sender import NotTraceable, source
from bridge.report.trace_words import traffic_of
from bridge.state.batch import Batch, MemberChange
from bridge.state.database import Database
from tests.policy.world import ADDRESSES, CLUSTER, OUTSIDE, PACKETS, SERVICES, Holder, Packet, World, worlds
from tests.report.trace_record import Recorded, Scene, fresh, to_text
from tests.state.builders import at

_ASKED = [packet for packet in PACKETS if packet.source in ADDRESSES][::7]
_NO_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def packet_of(each: Packet) -> reference.Packet:
    """As the evaluator takes it."""
    return reference.Packet(each.source, each.destination, each.protocol, each.port, each.icmp, each.number)


def expected(world: World, each: Packet) -> tuple[str, str]:
    """Verdict and rule as the reference says."""
    found = evaluate(world.policy, world.defaults, Scene(world), packet_of(each))
    return found.verdict.value, str(found.rule) if found.rule else ""


@settings(max_examples=4, deadline=None, suppress_health_check=_NO_FIXTURE)
@given(st.lists(worlds(), min_size=3, max_size=3))
def test_it_decides_as_the_evaluator_now_and_then(database: Database, story: Sequence[World]) -> None:
    recorded = fresh(database)
    times = [at(10 * number) for number in range(len(story))]
    for world, time in zip(story, times, strict=True):
        recorded.record(world, time)
    now = at(10 * len(story))
    for each in _ASKED:
        said = recorded.trace(each.source, to_text(each), story[-1], now)
        (decision,) = said.answers[0].decisions
        assert (decision.verdict, decision.rule) == expected(story[-1], each), (each, said)
        for world, time in zip(story, times, strict=True):
            said = recorded.trace(each.source, to_text(each), world, now, time)
            (decision,) = said.answers[0].decisions
            assert (decision.verdict, decision.rule) == expected(world, each), (each, time, said)


@given(worlds(most=7), st.sampled_from(ADDRESSES), st.sampled_from(OUTSIDE))
def test_all_traffic_is_told_in_pieces_that_hold_every_packet_once(world: World, sender: str, to: str) -> None:
    if (":" in sender) != (":" in to):
        return
    pieces = _pieces(world, sender, to, what([Traffic(Protocol.ANY)]))
    for each in (one for one in PACKETS if (one.source, one.destination) == (sender, to)):
        found = evaluate(world.policy, world.defaults, Scene(world), packet_of(each))
        if "not governed" in found.why:
            continue
        (piece,) = [one for one in pieces if not one.what.both(_what(each)).empty]
        assert (piece.verdict.value, piece.rule.ref if piece.rule else None) == (found.verdict.value, found.rule)
        assert piece.passed == found.passed


def _pieces(world: World, sender: str, to: str, asked: What) -> list[Piece]:
    meant = {ref: overlap(one.addresses, [to]) for ref, one in world.externals.items()}
    scene = Scene(world)
    sources: Mapping[Ref, bool | None] = {rule.ref: is_source(rule, scene, sender) for rule in world.rules}
    considered = consider([(rule, None) for rule in world.rules], world.externals, sources, meant, asked)
    return list(decide(considered, asked, world.defaults, known=sender in world.holders))


def _what(each: Packet) -> What:
    return destination(to_text(each)).what


_WEB, _API, _NET = (Ref("ExternalService", "shop", name) for name in ("web", "api", "net"))
_ELSE = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
_DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)


def _rule(name: str, action: Action, *to: Ref, priority: int = 10, tier: Tier = Tier.NAMESPACE) -> Rule:
    kind = "NamespaceEgressRule" if tier is Tier.NAMESPACE else "ServiceEgressRule"
    return Rule(Ref(kind, "shop", name), tier, priority, action, Source(SourceKind.NAMESPACE, "shop"), to, log=False)


def _service(ref: Ref, *ports: int) -> ExternalService:
    return ExternalService(
        ref, ("192.0.2.1",), (), tuple(Traffic(Protocol.TCP, (PortRange(port, port),)) for port in ports)
    )


def test_what_would_take_many_lines_is_everything_else() -> None:
    """All traffic to a host of which nobody knows the addresses, with two rules that may be about it."""
    rules = [_rule("web", Action.ALLOW, _WEB), _rule("net", Action.ALLOW, _NET)]
    externals = {_WEB: _service(_WEB, *range(1, 99, 2)), _NET: _service(_NET, 8443)}
    asked = what([Traffic(Protocol.ANY)])
    considered = consider(
        [(one, None) for one in rules], externals, {one.ref: True for one in rules}, {_WEB: None, _NET: None}, asked
    )
    pieces = list(decide(considered, asked, _DENY, known=True))
    told = [traffic_of(one, pieces, destination("api.example.com")) for one in pieces]
    assert told.count("everything else") == 1
    assert "TCP 8443" in told
    assert not any("not all of it" in one for one in told)


@pytest.mark.parametrize("action", [Action.ALLOW, Action.DENY, Action.PASS])
def test_what_nobody_knows_is_said_where_it_matters(action: Action) -> None:
    """A rule of which it is not known whether it matches leaves what is the same anyhow."""
    maybe, below = _rule("maybe", action, _API, priority=1), _rule("below", Action.DENY, _WEB)
    externals = {_WEB: _service(_WEB, 443), _API: _service(_API, 443, 80)}
    sources: Mapping[Ref, bool | None] = {maybe.ref: True, below.ref: True}
    asked = what([Traffic(Protocol.TCP)])
    considered = consider([(maybe, None), (below, None)], externals, sources, {_WEB: True, _API: None}, asked)
    pieces = {str(piece.verdict): piece for piece in decide(considered, asked, _DENY, known=True)}
    if action is Action.DENY:
        assert pieces.keys() == {"Deny"} or all(one == "Deny" for one in pieces), (
            "whether it matches makes no difference"
        )
    else:
        assert pieces["unknown"].doubts == (maybe.ref,)
        assert pieces["unknown"].otherwise is Verdict.DENY


def test_a_rule_with_a_sure_and_an_unsure_destination_is_told_apart_by_traffic() -> None:
    rule = _rule("both", Action.ALLOW, _WEB, _NET)
    externals = {_WEB: _service(_WEB, 443), _NET: _service(_NET, 443, 8443)}
    asked = what([Traffic(Protocol.ANY)])
    considered = consider([(rule, None)], externals, {rule.ref: True}, {_WEB: True, _NET: None}, asked)
    told = {str(one.verdict): one.what.ports.get(Protocol.TCP) for one in decide(considered, asked, _DENY, known=True)}
    assert told["Allow"] == (PortRange(443, 443),)
    assert told["unknown"] == (PortRange(8443, 8443),)


@pytest.mark.parametrize(
    ("text", "address", "traffic"),
    [
        ("203.0.113.7:443", "203.0.113.7", Traffic(Protocol.TCP, (PortRange(443, 443),))),
        ("203.0.113.7:53/udp", "203.0.113.7", Traffic(Protocol.UDP, (PortRange(53, 53),))),
        ("203.0.113.7:5000/SCTP", "203.0.113.7", Traffic(Protocol.SCTP, (PortRange(5000, 5000),))),
        ("203.0.113.7", "203.0.113.7", Traffic(Protocol.ANY)),
        ("203.0.113.7/tcp", "203.0.113.7", Traffic(Protocol.TCP)),
        ("203.0.113.7/icmp", "203.0.113.7", Traffic(Protocol.ICMP)),
        ("203.0.113.7/icmp:8", "203.0.113.7", Traffic(Protocol.ICMP, icmp=(IcmpType(8),))),
        ("203.0.113.7/icmp:8/0", "203.0.113.7", Traffic(Protocol.ICMP, icmp=(IcmpType(8, 0),))),
        ("203.0.113.7/47", "203.0.113.7", Traffic(Protocol.OTHER, number=47)),
        ("203.0.113.7/6", "203.0.113.7", Traffic(Protocol.TCP)),
        ("203.0.113.0/ip:24", "203.0.113.0", Traffic(Protocol.OTHER, number=24)),
        ("[2001:db8::7]:53/udp", "2001:db8::7", Traffic(Protocol.UDP, (PortRange(53, 53),))),
        ("2001:DB8::7/icmpv6", "2001:db8::7", Traffic(Protocol.ICMPV6)),
        ("Api.Example.com.:443", "", Traffic(Protocol.TCP, (PortRange(443, 443),))),
    ],
)
def test_destinations_as_people_write_them(text: str, address: str, traffic: Traffic) -> None:
    found = destination(text)
    assert (found.address, found.traffic) == (address, traffic)
    assert found.host == (address or "api.example.com")


@pytest.mark.parametrize(
    "text",
    ["", "a b", "203.0.113.7:0", "203.0.113.7:99999", "203.0.113.7:443/icmp", "203.0.113.0/24", "203.0.113.7/icmp:300",
     "203.0.113.7/gopher", "[203.0.113.7", "203.0.113.7/tcp:443", "1.2.3", "203.0.113.7:443/47", "203.0.113.7/255", "::1::2",
     "203.0.113.7/0", "0.0.0.0/0", "203.0.113.7/\u00b2", "203.0.113.7/icmp:\u00b2", "\u017f.example.com", f"203.0.113.7/{'9' * 5000}"],
)  # fmt: skip
def test_what_is_no_destination_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|has no ports|stands before|in brackets"):
        destination(text)


@pytest.mark.parametrize("text", ["", "shop", "a/b/c", "shop/", "10.0.0.1%eth0", "shop/web\udcff", "shop/w\neb"])
def test_what_names_nobody_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="names no sender: write"):
        source(text)


def test_before_the_record_nothing_is_guessed(database: Database) -> None:
    recorded = Recorded(database)
    world = World({}, (), {}, _DENY)
    recorded.record(world, at(10))
    recorded.record(World({}, (), {}, _ELSE), at(16))
    with pytest.raises(NotTraceable, match="begins at 2026-03-01T12:00:10Z"):
        recorded.trace("10.0.0.1", "192.0.2.1:443", world, at(20), at(5))
    assert recorded.trace("10.0.0.1", "192.0.2.1:443", world, at(20), at(15)).answers[0].decisions[0].verdict == "Deny"


def test_behind_a_service_without_a_selector_is_who_is_recorded_to_be(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its EndpointSlices are not recorded, but the members that they made of its group are."""
    to_api = Rule(
        Ref("ServiceEgressRule", "shop", "legacy-api"),
        Tier.SERVICE,
        10,
        Action.ALLOW,
        Source(SourceKind.SERVICE, "shop", "legacy"),
        (_API,),
        log=False,
    )
    monkeypatch.setitem(SERVICES, ("shop", "legacy"), {})
    holders = {one: Holder("shop", {"app": "old"}, one.replace(".", "-")) for one in ("10.0.0.1", "10.0.0.2")}
    world = World(holders, (to_api,), {_API: _service(_API, 443)}, _DENY)
    recorded = fresh(database)
    recorded.record(world, at(0))
    key = source_key(CLUSTER, to_api)
    recorded.stores.commit(Batch(at(2), joined=[MemberChange(key, "10.0.0.1")]))

    inside = recorded.trace("10.0.0.1", "192.0.2.1:443", world, at(3))
    assert inside.answers[0].decisions[0].rule == "ServiceEgressRule shop/legacy-api", inside
    outside = recorded.trace("10.0.0.2", "192.0.2.1:443", world, at(3))
    assert outside.answers[0].decisions[0].verdict == "Deny", outside
    behind = recorded.trace("service/shop/legacy", "192.0.2.1:443", world, at(3))
    assert [one.address for answer in behind.answers for one in answer.senders] == ["10.0.0.1"]

    recorded.stores.commit(Batch(at(4), groups_gone=[key], left=[MemberChange(key, "10.0.0.1")]))
    unknown = recorded.trace("10.0.0.2", "192.0.2.1:443", world, at(5))
    assert unknown.answers[0].decisions[0].verdict == "unknown", unknown
    assert not unknown.agrees
