"""Flat and allow-only devices decide as the evaluator does: packets at the edges of all that is written, in small worlds."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.addresses import networks
from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, RuleList
from bridge.model.policy import IcmpType, Protocol, Traffic
from bridge.policy.allow_only import compile_allow_only
from bridge.policy.compile import Compiled
from bridge.policy.flat import compile_flat
from tests.policy import device, reference
from tests.policy.reference import Decision
from tests.policy.world import ADDRESSES, INSIDE, PACKETS, STRANGER, Packet, World, worlds

COMPILERS = {Form.FLAT: compile_flat, Form.ALLOW_ONLY: compile_allow_only}


def packets(world: World, seed: int, most: int = 120) -> Iterator[Packet]:
    """The usual ones, and some at the edges of destinations and of ports."""
    random = Random(seed)
    where = sorted(
        {*chain.from_iterable(_edges(member) for one in world.externals.values() for member in one.addresses), *INSIDE}
    )
    kinds = sorted(
        {kind for one in world.externals.values() for line in one.traffic for kind in _kinds(line)}, key=repr
    )
    for _ in range(most):
        source, destination = random.choice((*ADDRESSES, "10.0.0.15", "fd00::f", STRANGER)), random.choice(where)
        if (":" in source) == (":" in destination):
            yield Packet(source, destination, *random.choice(kinds))
    yield from random.sample(PACKETS, 60)


def _edges(member: str) -> Iterator[str]:
    for net in networks((member,)):
        yield from {str(net[0]), str(net[-1])}
        if net.prefixlen:
            yield from {str(net[0] - 1), str(net[-1] + 1)}


def _kinds(line: Traffic) -> Iterator[tuple[Protocol, int, IcmpType | None, int]]:
    yield Protocol.SCTP, 1, None, 0
    yield Protocol.OTHER, 0, None, line.number or 50
    for span in line.ports:
        for port in (span.first - 1, span.first, span.last, span.last + 1):
            yield line.protocol, port, None, 0
    for one in line.icmp or (IcmpType(0, 0),):
        for code in (0, one.code or 1, 255):
            yield Protocol.ICMP, 0, IcmpType(one.type, code), 0
            yield Protocol.ICMPV6, 0, IcmpType(one.type, code), 0


def _barred(compiled: Compiled) -> bool:
    return any(remark.reason in ("Unsupported", "Withheld") for remark in compiled.remarks.values())


def _in_force(compiled: Compiled, world: World) -> dict[ObjectKey, DeviceObject]:
    """What a new device holds: no line that is withheld."""
    objects = device.holdings(compiled, world)
    for key, value in objects.items():
        if isinstance(value, RuleList):
            objects[key] = replace(value, entries=tuple(entry for entry in value.entries if not entry.withheld))
    return objects


@settings(max_examples=300)
@given(worlds(most=8, dense=True), st.integers(0, 1 << 32))
def test_a_flat_device_decides_as_the_reference_does(world: World, seed: int) -> None:
    compiled = compile_flat(world.policy, world.target(form=Form.FLAT))
    objects = _in_force(compiled, world)
    assert not device.dangling(objects)
    exactly = not _barred(compiled)
    for packet in packets(world, seed):
        got, meant = device.decide(objects, packet), reference.decide(world, packet)
        assert got is meant or (not exactly and got is not Decision.ALLOW), packet


@settings(max_examples=300)
@given(worlds(most=8, dense=True), st.integers(0, 1 << 32))
def test_an_allow_only_device_lets_through_what_the_reference_allows(world: World, seed: int) -> None:
    compiled = compile_allow_only(world.policy, world.target(form=Form.ALLOW_ONLY))
    objects = _in_force(compiled, world)
    assert not device.dangling(objects)
    exactly = not _barred(compiled)
    for packet in packets(world, seed):
        got, meant = device.lets_through(objects, packet), reference.decide(world, packet)
        assert got == (meant is Decision.ALLOW) or (not exactly and not got), packet
