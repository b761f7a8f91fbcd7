"""Prefixes less some addresses, against the same said slowly: every address tried, and the prefixes of the standard library."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.policy.complement import Complement

RANGES = ("10.0.0.0/29", "10.0.0.8/30", "10.0.0.16/32", "10.0.1.0/30", "fd00::/125", "fd00::10-fd00::12", "::/126")
INSIDE = sorted({str(one) for text in RANGES[:-2] for one in ip_network(text)} | {"fd00::10", "fd00::11", "fd00::12"})
V6_LOW = tuple(str(one) for one in ip_network("::/126"))
OUTSIDE = ("10.0.0.12", "10.0.0.17", "9.255.255.255", "10.0.1.4", "fd00::8", "192.0.2.1", "fd00::f", "fd00::13")
toggles = st.lists(st.tuples(st.sampled_from((*INSIDE, *V6_LOW, *OUTSIDE)), st.booleans()), max_size=60)


def _slowly(excluded: Iterable[str]) -> frozenset[str]:
    out = set(excluded)
    left = [ip_network(one) for one in (*INSIDE, *V6_LOW) if one not in out]
    four = collapse_addresses([net for net in left if isinstance(net, IPv4Network)])
    six = collapse_addresses([net for net in left if isinstance(net, IPv6Network)])
    return frozenset({str(net).removesuffix("/32") for net in four} | {str(net).removesuffix("/128") for net in six})


@given(toggles)
def test_each_change_is_told_exactly_and_the_rest_stays_the_fewest_prefixes(steps: list[tuple[str, bool]]) -> None:
    """What comes was not there, what goes was, and together they make what brute force makes."""
    complement, excluded = Complement(RANGES), set[str]()
    held = set(complement.members)
    assert held == _slowly(())
    for address, out in steps:
        joined, left = complement.exclude(address) if out else complement.include(address)
        (excluded.add if out else excluded.discard)(address)
        assert len(set(joined)) == len(joined)
        assert held.issuperset(left)
        assert held.isdisjoint(joined)
        held = (held - set(left)) | set(joined)
        assert held == _slowly(excluded)
    assert complement.members == held == Complement(RANGES, excluded).members


@pytest.mark.parametrize(("prefix", "bits"), [("10.0.0.0/8", 32), ("fd00:10::/48", 128)])
def test_many_excluded_in_runs_and_back_again(prefix: str, bits: int) -> None:
    """More than fill several runs; each change is never more than the bits of an address, and all of it undone is the prefix again."""
    random = Random(4)
    net = ip_network(prefix)
    first = int(net.network_address)
    chosen = [str(ip_address(first + random.randrange(net.num_addresses))) for _ in range(4_000)]
    complement = Complement((prefix,), chosen[:2_000])
    held = set(complement.members)
    for address in chosen[2_000:]:
        joined, left = complement.exclude(address)
        assert len(joined) + len(left) <= bits
        held.difference_update(left)
        held.update(joined)
    assert held == complement.members == Complement((prefix,), chosen).members
    lengths = (int(one.partition("/")[2] or bits) for one in held)
    assert sum(2 ** (bits - length) for length in lengths) == net.num_addresses - len(set(chosen))
    random.shuffle(chosen)
    for address in chosen:
        joined, left = complement.include(address)
        held.difference_update(left)
        held.update(joined)
    assert held == complement.members == {prefix}


def test_ranges_beside_each_other_are_one() -> None:
    complement = Complement(("10.0.0.0/24", "10.0.1.0/24"))
    assert complement.members == {"10.0.0.0/23"}
    assert complement.exclude("10.0.0.0")[1] == ("10.0.0.0/23",)
    assert "10.0.1.0/24" in complement.members


def test_everything_can_be_excluded() -> None:
    complement = Complement(("192.0.2.1",))
    assert complement.exclude("192.0.2.1") == ((), ("192.0.2.1",))
    assert complement.members == frozenset()
    assert complement.include("192.0.2.1") == (("192.0.2.1",), ())
