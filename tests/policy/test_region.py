"""Regions against the packets that they mean: every packet of a small world is tried."""

from collections.abc import Iterable
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.addresses import overlap
from bridge.model.policy import (
    EVERYTHING,
    IcmpType,
    Operator,
    PortRange,
    Protocol,
    Requirement,
    Selector,
    Source,
    SourceKind,
    Traffic,
)
from bridge.policy.region import Region, What, what
from bridge.policy.who import Who, who

# Pods as (namespace, app); a source is the set of those that it selects.
PODS = (("shop", "web"), ("shop", "db"), ("bank", "web"), ("bank", ""))
_WEB = Selector((Requirement("app", Operator.IN, ("web",)),))
SOURCES = (
    Source(SourceKind.CLUSTER),
    Source(SourceKind.CLUSTER, pods=_WEB),
    Source(SourceKind.NAMESPACE, "shop"),
    Source(SourceKind.NAMESPACE, "bank"),
    Source(SourceKind.NAMESPACE, "shop", pods=_WEB),
    Source(SourceKind.SERVICE, "shop", "db"),
    Source(SourceKind.SERVICE, "bank", "web"),
)
PLACES = ("192.0.2.0/30", "192.0.2.2", "192.0.2.1-192.0.2.6", "0.0.0.0/0", "2001:db8::/32")
WHERE = ("192.0.2.0", "192.0.2.2", "192.0.2.5", "198.51.100.1", "2001:db8::1")
_ECHO, _ANY_CODE, _TOO_BIG = IcmpType(8, 0), IcmpType(3), IcmpType(3, 4)
WHAT = (
    *product((Protocol.TCP, Protocol.UDP), (0, 80, 443, 8080)),
    *product((Protocol.ICMP, Protocol.ICMPV6), (8 * 256, 8 * 256 + 1, 3 * 256, 3 * 256 + 4)),
    *product((Protocol.OTHER,), (47, 89, 90)),
)

sources = st.sampled_from(SOURCES)
traffics = st.lists(
    st.one_of(
        st.just(Traffic(Protocol.ANY)),
        st.builds(Traffic, st.sampled_from((Protocol.TCP, Protocol.UDP))),
        st.builds(
            lambda types: Traffic(Protocol.ICMP, icmp=tuple(sorted(types))),
            st.sets(st.sampled_from((_ECHO, _ANY_CODE, _TOO_BIG))),
        ),
        st.just(Traffic(Protocol.ICMPV6, icmp=(IcmpType(8),))),
        st.sampled_from((47, 89)).map(lambda number: Traffic(Protocol.OTHER, number=number)),
        st.sampled_from((80, 443, 400)).map(lambda first: Traffic(Protocol.TCP, (PortRange(first, first + 100),))),
    ),
    min_size=1,
    max_size=3,
)
regions = st.builds(
    lambda source, where, lines: Region(who(source), tuple(where), what(lines)),
    sources,
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=2, unique=True),
    traffics,
)
Packet = tuple[tuple[str, str], str, tuple[Protocol, int]]
PACKETS: tuple[Packet, ...] = tuple(product(PODS, WHERE, WHAT))


def _selects(source: Source, pod: tuple[str, str]) -> bool:
    namespace, app = pod
    if source.kind is SourceKind.SERVICE:
        return namespace == source.namespace and app == source.service
    if source.kind is SourceKind.NAMESPACE and namespace != source.namespace:
        return False
    return source.pods == EVERYTHING or source.pods.matches({"app": app})


def _sends(whom: Who, pod: tuple[str, str]) -> bool:
    return all(_selects(one, pod) for one in whom.all_of) and not any(_selects(one, pod) for one in whom.none_of)


def _carries(lines: What, packet: tuple[Protocol, int]) -> bool:
    protocol, port = packet
    return any(each.first <= port <= each.last for each in lines.ports.get(protocol, ()))


def _means(region: Region) -> frozenset[Packet]:
    return frozenset(
        (pod, place, packet)
        for pod, place, packet in PACKETS
        if _sends(region.who, pod) and overlap(region.where, (place,)) and _carries(region.what, packet)
    )


def _union(found: Iterable[Region]) -> list[Packet]:
    return [packet for region in found for packet in _means(region)]


@given(regions, regions)
def test_both_is_the_intersection(left: Region, right: Region) -> None:
    common = left.both(right)
    assert (_means(common) if common else frozenset()) == _means(left) & _means(right)


@given(regions, regions)
def test_without_is_the_difference_in_pieces_that_share_nothing(left: Region, right: Region) -> None:
    pieces = _union(left.without(right))
    assert len(pieces) == len(set(pieces))
    assert set(pieces) == _means(left) - _means(right)


@given(regions, st.lists(regions, min_size=1, max_size=3))
def test_one_after_the_other(left: Region, holes: list[Region]) -> None:
    found: tuple[Region, ...] = (left,)
    for hole in holes:
        found = tuple(piece for one in found for piece in one.without(hole))
    pieces = _union(found)
    assert len(pieces) == len(set(pieces))
    assert set(pieces) == _means(left).difference(*map(_means, holes))


@given(regions)
def test_nothing_is_left_of_what_is_taken_out_of_itself(region: Region) -> None:
    assert region.without(region) == ()


@given(traffics, traffics)
def test_traffic_written_back_means_the_same_or_is_not_written(left: list[Traffic], right: list[Traffic]) -> None:
    for meant in (what(left), what(left).without(what(right)), what(left).both(what(right))):
        written = meant.traffic()
        if written is not None:
            assert what(written) == meant
        else:
            assert Protocol.OTHER in meant.ports or Protocol.ICMP in meant.ports or Protocol.ICMPV6 in meant.ports


def test_everyone_at_once_is_nobody() -> None:
    shop, bank = who(SOURCES[2]), who(SOURCES[3])
    assert shop.both(bank).empty
    assert not shop.both(who(SOURCES[0])).empty
    assert shop.both(who(SOURCES[0])) == shop  # the whole cluster adds nothing


def test_whole_types_and_single_codes_are_written_as_such() -> None:
    everything, echo = what([Traffic(Protocol.ICMP)]), what([Traffic(Protocol.ICMP, icmp=(IcmpType(8, 0),))])
    mixed = Traffic(Protocol.ICMP, icmp=(IcmpType(3), IcmpType(8, 0)))
    assert what([mixed]).traffic() == (mixed,)
    assert everything.without(everything.without(echo)) == echo
    assert everything.without(echo).traffic() is None, "every other code of one type is no list for people"


def test_one_port_out_of_all_leaves_the_other_protocols_whole() -> None:
    every = (Traffic(Protocol.TCP), Traffic(Protocol.ICMP), Traffic(Protocol.ICMPV6))
    left = what(every).without(what([Traffic(Protocol.TCP, (PortRange(443, 443),))]))
    rest = Traffic(Protocol.TCP, (PortRange(0, 442), PortRange(444, 65535)))
    assert left.traffic() == tuple(sorted((rest, *every[1:])))
