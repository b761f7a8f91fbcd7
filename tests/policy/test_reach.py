"""What the difference of reachability says, against the reference evaluator for every packet of small worlds before and after."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.model.addresses import subtract
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, RuleEntry, RuleList
from bridge.model.policy import Action, IcmpType, Protocol, Rule
from bridge.policy import reach_spans
from bridge.policy.compile import compile_policy, policies
from bridge.policy.reach import Difference, Shift, Turn, difference
from bridge.policy.reach_spans import Spans
from tests.policy import device
from tests.policy.reference import Decision, decide
from tests.policy.world import CLUSTER, GOVERNANCE, PACKETS, Packet, World, externals, rules, worlds

OUTSIDE = {CLUSTER: subtract(("0.0.0.0/0", "::/0"), GOVERNANCE.internal)}
_NUMBERS = st.integers(0, 40)
_SPANS = st.lists(st.tuples(_NUMBERS, _NUMBERS).map(lambda pair: (min(pair), max(pair)))).map(reach_spans.merged)


def _held(world: World, form: Form = Form.TIERED) -> dict[ObjectKey, DeviceObject]:
    target = world.target()
    target = replace(target, capabilities=replace(target.capabilities, form=form))
    return device.holdings(compile_policy(world.policy, target), world)


def _compare(before: World, after: World) -> Difference:
    return difference(_held(before), _held(after), OUTSIDE)


def _expected(before: Decision, after: Decision) -> Turn | None:
    if before is not Decision.ALLOW and after is Decision.ALLOW:
        return Turn.GAINS
    if before is Decision.ALLOW and after is not Decision.ALLOW:
        return Turn.LOSES
    if before.stopped != after.stopped:
        return Turn.STOPPED if after.stopped else Turn.RELEASED
    return None


def _number(packet: Packet) -> int:
    icmp = packet.icmp or IcmpType(0, 0)
    other = packet.number if packet.protocol is Protocol.OTHER else packet.port
    return reach_spans.packet(packet.protocol, icmp.type * 256 + (icmp.code or 0) if packet.icmp else other)


def _about(shift: Shift, packet: Packet, told: frozenset[str]) -> bool:
    rest = packet.source not in told and device.holds(frozenset(shift.rest), packet.source)
    number = _number(packet)
    return (
        (packet.source in shift.sources or rest)
        and device.holds(frozenset(shift.where), packet.destination)
        and any(first <= number <= last for first, last in shift.what)
    )


@st.composite
def _edits(draw: st.DrawFn) -> tuple[World, World]:
    """A world, and the same with some rules, destinations and holders replaced."""
    before, other = draw(worlds()), draw(worlds())
    kept: tuple[Rule, ...] = tuple(one for one in before.rules if draw(st.booleans()))
    new = tuple(draw(rules(number)) for number in range(10, 10 + draw(st.integers(0, 2))))
    changed = tuple(replace(one, priority=2) if draw(st.booleans()) else one for one in kept)
    after = replace(before, rules=(*changed, *new))
    if draw(st.booleans()):
        mixed = dict(before.externals)
        mixed.update({ref: one for ref, one in draw(externals()).items() if draw(st.booleans())})
        after = replace(after, externals=mixed)
    if draw(st.booleans()):
        after = replace(after, holders=other.holders)
    if draw(st.booleans()):
        after = replace(after, defaults=other.defaults)
    return before, after


@settings(max_examples=100, deadline=None)
@given(_edits())
def test_the_difference_says_of_every_packet_what_the_evaluator_says(worlds_: tuple[World, World]) -> None:
    before, after = worlds_
    found = _compare(before, after)
    for packet in PACKETS:
        turns = [shift.turn for shift in found.shifts if _about(shift, packet, found.told)]
        expected = _expected(decide(before, packet), decide(after, packet))
        assert turns == ([expected] if expected else []), (packet, expected)


@pytest.mark.parametrize("form", [Form.FLAT, Form.ALLOW_ONLY])
@settings(max_examples=40, deadline=None)
@given(_edits())
def test_so_it_does_of_every_form_what_the_device_does(form: Form, worlds_: tuple[World, World]) -> None:
    """Where nothing is withheld: what stands or not there depends on what stood before."""
    before, after = held = tuple(_held(world, form) for world in worlds_)
    entries = (
        entry for objects in held for one in objects.values() if isinstance(one, RuleList) for entry in one.entries
    )
    assume(not any(entry.withheld for entry in entries))
    found = difference(before, after, OUTSIDE)
    for packet in PACKETS:
        turns = [shift.turn for shift in found.shifts if _about(shift, packet, found.told)]
        expected = _expected(device.decide(before, packet), device.decide(after, packet))
        assert turns == ([expected] if expected else []), (packet, expected)


@settings(max_examples=25, deadline=None)
@given(worlds())
def test_nothing_changed_is_no_difference(world: World) -> None:
    assert _compare(world, world) == Difference()


@settings(max_examples=25, deadline=None)
@given(_edits())
def test_the_way_back_is_the_same_turned_round(worlds_: tuple[World, World]) -> None:
    before, after = worlds_
    back = {Turn.GAINS: Turn.LOSES, Turn.LOSES: Turn.GAINS, Turn.STOPPED: Turn.RELEASED, Turn.RELEASED: Turn.STOPPED}
    there = {_meaning(one, one.turn) for one in _compare(before, after).shifts}
    here = {_meaning(one, back[one.turn]) for one in _compare(after, before).shifts}
    assert there == here


def _meaning(shift: Shift, turn: Turn) -> tuple[object, ...]:
    return (turn, shift.sources, shift.rest, shift.where, shift.names, shift.traffic)


@given(_SPANS, _SPANS)
def test_stretches_are_sets_of_numbers(left: Spans, right: Spans) -> None:
    def numbers(found: Spans) -> set[int]:
        return {one for first, last in found for one in range(first, last + 1)}

    assert numbers(reach_spans.meet(left, right)) == numbers(left) & numbers(right)
    assert numbers(reach_spans.less(left, right)) == numbers(left) - numbers(right)
    assert reach_spans.touch(left, right) == bool(numbers(left) & numbers(right))
    for found in (reach_spans.meet(left, right), reach_spans.less(left, right)):
        assert found == reach_spans.merged(found)


def test_traffic_is_written_as_people_write_it() -> None:
    tcp, icmp = reach_spans.packet(Protocol.TCP, 0), reach_spans.packet(Protocol.ICMP, 0)
    other = reach_spans.packet(Protocol.OTHER, 0)
    found: Mapping[Spans, tuple[str, ...]] = {
        reach_spans.EVERYTHING: ("Any",),
        ((tcp + 80, tcp + 80), (tcp + 443, tcp + 450)): ("TCP 80,443-450",),
        ((tcp, tcp + 65535),): ("TCP",),
        ((icmp + 8 * 256, icmp + 8 * 256 + 255), (other + 47, other + 47)): ("ICMP 8", "IP 47"),
        ((icmp + 3 * 256 + 4, icmp + 3 * 256 + 4),): ("ICMP 3/4",),
    }
    for spans, texts in found.items():
        assert reach_spans.traffic_texts(spans) == texts


def _many(count: int, *, opened: int | None = None) -> dict[ObjectKey, DeviceObject]:
    """So many groups, each with a line to a destination of its own; one line may be to everywhere."""
    objects: dict[ObjectKey, DeviceObject] = {}
    lines = []
    for number in range(count):
        source, to = (
            ObjectKey(Kind.GROUP, CLUSTER, scope, "shop", f"g{number}") for scope in (Scope.SERVICE, Scope.EXTERNAL)
        )
        objects[source] = Group(source, frozenset({f"10.1.{number >> 8}.{number & 255}"}))
        objects[to] = Group(to, frozenset({"0.0.0.0/0" if number == opened else f"192.0.{number >> 8}.{number & 255}"}))
        lines.append(RuleEntry(f"g{number}_tcp", Action.ALLOW, (source,), (to,), Protocol.TCP))
    key = ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.SERVICE, "shop")
    objects[key] = RuleList(key, tuple(lines))
    objects.update((one.key, one) for one in policies([key]))
    return objects


def test_only_senders_of_changed_lines_are_looked_at() -> None:
    looked: set[int] = set()
    found = difference(_many(1000), _many(1000, opened=7), OUTSIDE, lambda _, of: looked.add(of))
    assert looked == {1}
    assert found.told == {"10.1.0.7"}
    (shift,) = found.shifts
    assert (shift.turn, shift.sources, shift.traffic) == (Turn.GAINS, ("10.1.0.7",), ("TCP",))
    assert subtract(("0.0.0.0/0",), shift.where) == ("192.0.0.7",)


def test_a_line_that_moves_counts_where_it_meets_others() -> None:
    before = _many(20)
    ((key, listed),) = ((key, one) for key, one in before.items() if isinstance(one, RuleList))
    moved = {**before, key: RuleList(key, (*listed.entries[1:], listed.entries[0]))}
    assert difference(before, moved, OUTSIDE) == Difference((), frozenset({"10.1.0.0"}))
