"""Arithmetic on addresses, compared with counting them one by one."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.addresses import (
    Ranges,
    canonical_address,
    canonical_member,
    covers,
    meet,
    networks,
    overlap,
    sort_key,
    subtract,
)

Numbered = frozenset[tuple[int, int]]
BASES = {4: int(ip_address("192.0.2.0")), 6: int(ip_address("2001:db8::"))}
BITS = {4: 32, 6: 128}
SPACE = 4  # bits of the little space that is counted out


def _counted(members: tuple[str, ...]) -> Numbered:
    """Every address of these members, by version and number."""
    return frozenset((net.version, int(one)) for net in networks(members) for one in net)


@st.composite
def _members(draw: st.DrawFn) -> str:
    """An address, prefix or range of the little space, of either family."""
    version = draw(st.sampled_from((4, 6)))
    base, bits = BASES[version], BITS[version]
    first = draw(st.integers(0, 2**SPACE - 1))
    form = draw(st.sampled_from(("address", "prefix", "range")))
    if form == "address":
        return _text(version, base + first)
    if form == "prefix":
        length = draw(st.integers(bits - SPACE, bits))
        return f"{_text(version, base + (first >> (bits - length) << (bits - length)))}/{length}"
    last = draw(st.integers(first, 2**SPACE - 1))
    return f"{_text(version, base + first)}-{_text(version, base + last)}"


def _text(version: int, number: int) -> str:
    net = ip_network((number, BITS[version]))
    assert net.version == version
    return str(net.network_address)


SETS = st.lists(_members(), max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("10.0.0.0-10.0.0.255", "10.0.0.0/24"),
        ("10.0.0.1 - 10.0.0.3", "10.0.0.1-10.0.0.3"),
        ("10.0.0.7-10.0.0.7", "10.0.0.7"),
        ("2001:DB8::1-2001:db8::0003", "2001:db8::1-2001:db8::3"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_one_form_for_one_meaning(written: str, canonical: str) -> None:
    assert canonical_member(written) == canonical


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("300.1.2.3", "300.1.2.3"),
        ("10.1.2.3/16", "write 10.1.0.0/16"),
        ("10.0.0.9-10.0.0.1", "backwards"),
        ("10.0.0.1-2001:db8::1", "mixes"),
        ("10.0.0.0/33", "not an address"),
        ("fe80::1%eth0", "zone"),
        ("db.example.com", "db.example.com"),
        ("", ""),
        ("10.0.0.1-", "not an address"),
        ("010.1.2.3", "010.1.2.3"),
    ],
)
def test_what_is_no_member_is_refused_in_words(written: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        canonical_member(written)
    assert words in str(refusal.value)


def test_a_range_of_prefix_notation_is_refused() -> None:
    with pytest.raises(ValueError, match="not an address"):
        canonical_member("10.0.0.0/24-10.0.1.0/24")


@given(_members())
def test_canonical_is_canonical_and_means_the_same(member: str) -> None:
    once = canonical_member(member)
    assert canonical_member(once) == once
    assert _counted((once,)) == _counted((member,))


@given(SETS)
def test_equal_sets_of_one_shape_are_equal_texts(members: tuple[str, ...]) -> None:
    for one in members:
        for other in members:
            if _counted((one,)) == _counted((other,)):
                assert canonical_member(one) == canonical_member(other)


@given(SETS, SETS)
def test_subtraction_is_exact(members: tuple[str, ...], inside: tuple[str, ...]) -> None:
    left = subtract(members, inside)
    assert _counted(left) == _counted(members) - _counted(inside)
    assert list(left) == sorted(set(left), key=sort_key)
    assert all(canonical_member(one) == one for one in left)


@given(SETS, SETS)
def test_overlap_and_cover_are_exact(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    assert overlap(left, right) == bool(_counted(left) & _counted(right))
    assert covers(left, right) == (_counted(right) <= _counted(left))


@given(SETS, SETS)
def test_what_is_in_both_is_exact(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    assert _counted(tuple(meet(left, right))) == _counted(left) & _counted(right)


def test_what_is_in_both_stays_as_it_is_written() -> None:
    left = ("192.0.2.0/25", "192.0.2.200-192.0.2.202", "198.51.100.1", "2001:db8::/32")
    right = ("192.0.2.0/24", "198.51.100.1", "2001:db8:1::/48")
    assert meet(left, right) == {*left[:3], "2001:db8:1::/48"}


@given(SETS)
def test_ranges_answer_for_every_address(members: tuple[str, ...]) -> None:
    ranges, inside = Ranges(members), _counted(members)
    for version, base in BASES.items():
        for offset in range(-1, 2**SPACE + 1):
            text = _text(version, base + offset)
            assert (text in ranges) == ((version, base + offset) in inside)


def test_everything_less_the_inside() -> None:
    outside = subtract(("0.0.0.0/0", "::/0"), ("10.0.0.0/8", "fd00::/8"))
    assert not overlap(outside, ("10.0.0.0/8", "fd00::/8"))
    assert covers((*outside, "10.0.0.0/8"), ("0.0.0.0/0",))
    assert covers((*outside, "fd00::/8"), ("::/0",))


def test_ipv4_comes_first_and_numbers_count_as_numbers() -> None:
    members = ["2001:db8::1", "10.0.0.10", "10.0.0.9", "9.0.0.0/8"]
    assert sorted(members, key=sort_key) == ["9.0.0.0/8", "10.0.0.9", "10.0.0.10", "2001:db8::1"]


def test_canonical_address_takes_no_prefix() -> None:
    with pytest.raises(ValueError, match="appear"):
        canonical_address("10.0.0.0/8")
