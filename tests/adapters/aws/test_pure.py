"""What needs no account: records, sizes, the next call, and which entries a rule comes to."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.aws.canonical import canonical
from adapters.aws.compiled import Entry, compiled
from adapters.aws.known import Held
from adapters.aws.lists import next_change
from adapters.aws.names import NAME_LENGTH, Names
from adapters.aws.records import Recorded, kept, read, written
from adapters.aws.register import Register, calls, entries_of
from adapters.aws.scope import V4, V6, Place, Scope
from adapters.aws.values import PrefixList, Way
from adapters.conformance.site import BANK, CART, HTTPS, Site, Terms, group_key, line, objects
from bridge.lab.devices.aws.values import check_description, check_prefix
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey
from bridge.model.identity import Scope as Of
from bridge.model.intent import FenceState, Group, Policy, RuleEntry, RuleList
from bridge.model.policy import IcmpType, Protocol, Tier
from bridge.model.tiers import attachment

TERMS = Terms.of(Capabilities(Form.ALLOW_ONLY, deny=False, reject=False, log=False, icmp_types=True, protocols=True))
SCOPE = Scope()
PAY = line("pay", ports=HTTPS, protocol=Protocol.TCP)
FRONT = Place("sg-1", {V4: ("198.51.100.0/28",), V6: ("2001:db8:f::/64",)})


# ---- the register


@given(TERMS.rich())
def test_records_say_what_was_written_in_letters_that_ec2_takes(site: Site) -> None:
    for key, value in site.items():
        plain = canonical(value, SCOPE)
        if kept(plain):
            assert read(written(key, plain)) == (key, plain)
            for prefix, words in entries_of(key, plain).items():
                check_prefix(prefix, V6)
                check_description(words)
                assert words == words.strip()


@given(TERMS.rich(), TERMS.rich(), st.integers(1, 100))
def test_a_register_changes_from_one_site_to_another_and_no_record_is_ever_half_there(
    before: Site, after: Site, batch: int
) -> None:
    old, new = (_records(site) for site in (before, after))
    held = {prefix: words for key, value in old.items() for prefix, words in entries_of(key, value).items()}
    add = {prefix: words for key, value in new.items() for prefix, words in entries_of(key, value).items()}
    for coming, going in list(calls(held, add, held.keys() - add.keys(), batch, 1000)):
        assert len(coming) <= batch
        assert len(going) <= batch
        assert not held.keys() & coming.keys()
        held = {prefix: words for prefix, words in held.items() if prefix not in going} | coming
        for key, value in Register.of(held).records.items():
            assert value in (old.get(key), new.get(key))
    found = Register.of(held)
    assert (found.records, found.odd) == (new, set())


def test_what_is_no_whole_record_is_told_apart() -> None:
    key = ObjectKey(Kind.POLICY, "", Of.CLUSTER)
    lists = tuple(ObjectKey(Kind.RULE_LIST, "east", Of.NAMESPACE, f"team-{at}") for at in range(40))
    whole = entries_of(key, Policy(key, lists))
    assert len(whole) > 2
    for missing in whole:
        torn = {prefix: words for prefix, words in whole.items() if prefix != missing}
        assert (Register.of(torn).records, Register.of(torn).odd) == ({}, set(torn))
    assert Register.of({"10.0.0.0/8": "somebody's"}).odd == {"10.0.0.0/8"}


def test_the_fence_is_a_record() -> None:
    state = FenceState(7, "installation-a")
    assert Register.of(entries_of(ObjectKey.fence(), state)).records == {ObjectKey.fence(): state}


def _records(site: Site) -> dict[ObjectKey, Recorded]:
    plain = {key: canonical(value, SCOPE) for key, value in site.items()}
    return {key: value for key, value in plain.items() if kept(value)}


# ---- names


def test_names_are_readable_and_short_enough_and_lead_back() -> None:
    names = Names("fb")
    assert names.name(CART, V4) == "fb/prod/service/shop/cart/ipv4"
    keys = [group_key("n" * length + last, Of.EXTERNAL) for length in (200, 251, 252) for last in "ab"]
    called = [names.name(key, version) for key in keys for version in (V4, V6)]
    assert len(set(called)) == len(called)
    assert max(map(len, called)) <= NAME_LENGTH
    for key in keys:
        assert names.key(names.name(key, V6), V6, names.tags(key)) == key
        assert names.key(names.name(key, V6), V4, names.tags(key)) is None
    assert Names("f").key(names.name(CART, V4), V4, names.tags(CART)) is None


# ---- lists


@given(st.integers(0, 1000), st.sampled_from([0, 10, 25, 100]))
def test_a_size_holds_the_members_and_is_no_larger_than_was_asked(count: int, headroom: int) -> None:
    size = replace(SCOPE, headroom=headroom).size(count)
    assert max(1, count) <= size <= max(1, count * (100 + headroom) / 100)


@given(
    st.frozensets(st.integers(1, 60)), st.frozensets(st.integers(1, 60)), st.integers(1, 100), st.sampled_from([0, 25])
)
def test_a_list_is_brought_there_by_calls_that_ec2_takes(
    before: frozenset[int], after: frozenset[int], batch: int, headroom: int
) -> None:
    scope = replace(SCOPE, changes=batch, headroom=headroom)
    wanted = frozenset(f"10.0.0.{one}" for one in after)
    held = _held(frozenset(f"10.0.0.{one}" for one in before), scope.size(len(before)))
    ends = (held.members, wanted)
    for _ in range(200):
        change = next_change(held, wanted, scope, fitting=True)
        if change is None:
            break
        assert (change.size is None) != (not change.add and not change.remove), "entries and size in one call"
        assert max(len(change.add), len(change.remove)) <= batch
        # Even if what is added is counted before anything is removed.
        assert len(held.members) + len(change.add) <= held.told.size
        members = held.members - set(change.remove) | set(change.add)
        assert ends[0] & ends[1] <= members <= ends[0] | ends[1]
        held = _held(members, held.told.size if change.size is None else change.size)
        assert len(held.members) <= held.told.size
    assert (held.members, held.told.size) == (wanted, scope.size(len(wanted)))


def test_members_leave_a_full_list_before_others_come_and_else_together() -> None:
    full = _held(frozenset({"10.0.0.1", "10.0.0.2"}), 2)
    wanted = frozenset({"10.0.0.1", "10.0.0.3"})
    first = next_change(full, wanted, SCOPE)
    assert first is not None
    assert (first.add, first.remove) == ((), ("10.0.0.2",))
    roomy = next_change(_held(full.members, 3), wanted, SCOPE)
    assert roomy is not None
    assert (roomy.add, roomy.remove) == (("10.0.0.3",), ("10.0.0.2",))


def _held(members: frozenset[str], size: int) -> Held:
    return Held(PrefixList("pl-1", "", V4, 1, size, "modify-complete"), members)


# ---- entries


def test_a_line_is_written_where_its_destinations_cover_all_that_stands_behind() -> None:
    assert _ways("198.51.100.0/24") == {(V4, Way("tcp", 443, 443)), (V4, Way("tcp", 8000, 8010))}
    assert _ways("198.51.100.0/29", "198.51.100.8/29") == _ways("198.51.100.0/28")
    assert _ways("198.51.100.0/29") == set()
    assert _ways("198.51.100.1") == set()
    assert _ways("192.0.2.0/24") == set()


def test_each_family_is_judged_by_itself() -> None:
    six = {"10.0.0.1", "2001:db8::1"}
    assert {version for version, _ in _ways("198.51.100.0/24", sources=six)} == {V4}
    assert {version for version, _ in _ways("2001:db8:f::/48", sources=six)} == {V6}
    assert {version for version, _ in _ways("198.51.100.0/24", "2001:db8:f::/48", sources=six)} == {V4, V6}
    assert {version for version, _ in _ways("2001:db8:f::/48", "198.51.100.1")} == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": Protocol.ANY}, {Way("-1")}),
        ({"protocol": Protocol.UDP}, {Way("udp", 0, 65535)}),
        ({"protocol": Protocol.ICMP}, {Way("icmp", -1, -1)}),
        (
            {"protocol": Protocol.ICMP, "icmp": (IcmpType(8), IcmpType(3, 4))},
            {Way("icmp", 8, -1), Way("icmp", 3, 4)},
        ),
        ({"protocol": Protocol.ICMPV6}, set()),
        ({"protocol": Protocol.OTHER, "number": 47}, {Way("47")}),
        ({"protocol": Protocol.SCTP}, {Way("132")}),
        ({"protocol": Protocol.SCTP, "ports": HTTPS}, set()),
    ],
)
def test_traffic_is_said_exactly_or_not_at_all(change: dict[str, Any], said: set[Way]) -> None:
    plain = replace(line("pay"), ports=None)
    assert {way for _, way in _ways("198.51.100.0/24", entry=replace(plain, **change))} == said


def test_two_lines_that_say_the_same_are_one_entry_and_what_is_not_attached_is_none() -> None:
    site = TERMS.shop("10.0.0.1", lines=[line("a"), line("b")]) | objects(Group(BANK, frozenset({"198.51.100.0/24"})))
    assert compiled(site, [FRONT]) == frozenset()
    whole = site | objects(*map(attachment, Tier))
    assert compiled(whole, [FRONT]) == {Entry("sg-1", CART, V4, Way("-1"))}
    bare = {key: value for key, value in whole.items() if not isinstance(value, RuleList)}
    assert compiled(bare, [FRONT]) == frozenset()


def _ways(*there: str, sources: Iterable[str] = ("10.0.0.1",), entry: RuleEntry = PAY) -> set[tuple[str, Way]]:
    """What a line of the shop comes to."""
    site = TERMS.shop(*sources, lines=[entry]) | objects(Group(BANK, frozenset(there)), *map(attachment, Tier))
    return {(one.family, one.way) for one in compiled(site, [FRONT])}
