"""Names, members and lines: pure functions, tried with what nobody thought of."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.nftables import ends, members, wire
from adapters.nftables.canonical import canonical
from adapters.nftables.names import COMMENT_LENGTH, NAME_LENGTH, PREFIX_LENGTH, Flavour, Names, line_name
from bridge.model.addresses import covers, overlap
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Ports, RuleEntry, RuleList, Schedule
from bridge.model.policy import Action, IcmpType, PortRange, Protocol
from bridge.model.ports import merged

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9/._-]*\Z")  # what nft's grammar takes for a name without quotes
_FIELDS = st.text(min_size=0, max_size=300)
_KINDS = st.sampled_from([Kind.GROUP, Kind.PORTS, Kind.SCHEDULE, Kind.RULE_LIST])
KEYS = st.builds(ObjectKey, _KINDS, _FIELDS, st.sampled_from(Scope), _FIELDS, _FIELDS)
NAMES = Names("fb")


@given(KEYS)
def test_a_name_is_a_plain_word_and_leads_back(key: ObjectKey) -> None:
    name = NAMES.name(key)
    assert _WORD.match(name)
    assert len(name) + len(".hosts4") <= NAME_LENGTH
    assert NAMES.key(name) == key
    elsewhere = Names("fb")
    elsewhere.learn(name, dict(NAMES.marks(name)))
    assert elsewhere.key(name) == key
    if key.kind is Kind.GROUP:
        assert NAMES.set_key(NAMES.set_name(key, Flavour.NETS6)) == (key, Flavour.NETS6)


@given(KEYS, KEYS)
def test_no_two_keys_share_a_name(one: ObjectKey, other: ObjectKey) -> None:
    assert (NAMES.name(one) == NAMES.name(other)) == (one == other)


@given(KEYS, st.text(max_size=300))
def test_what_has_a_limit_keeps_it(key: ObjectKey, text: str) -> None:
    line = line_name(text)
    assert _WORD.match(f"a{line}")
    assert len(line) <= COMMENT_LENGTH
    assert len(NAMES.counter(key, line)) <= NAME_LENGTH
    assert len(NAMES.prefix(key, line)) <= PREFIX_LENGTH
    assert all(len(comment) <= COMMENT_LENGTH for _, comment in NAMES.marks(NAMES.name(key)))
    assert line_name(line) == line


@pytest.mark.parametrize("name", ["", "group", "group/a/b", "group/a/nope/c/d", "rules/a/cluster/_zz", "hook/forward"])
def test_what_is_no_name_of_ours_is_none(name: str) -> None:
    assert NAMES.key(name) is None


@pytest.mark.parametrize(("epoch", "installation"), [(1, "a"), (2**40, "an installation: ü/_"), (0, "")])
def test_a_fence_leads_back(epoch: int, installation: str) -> None:
    assert NAMES.fence_of(NAMES.fence(epoch, installation)) == (epoch, installation)


_HOSTS = st.one_of(st.ip_addresses(v=4, network="10.0.0.0/29"), st.ip_addresses(v=6, network="fd00::/125")).map(str)
_NETS = st.one_of(
    st.builds(lambda at, bits: f"10.0.0.{at >> bits << bits}/{32 - bits}", st.integers(0, 63), st.integers(0, 6)),
    st.builds(lambda at, more: f"10.0.0.{at}-10.0.0.{at + more}", st.integers(0, 60), st.integers(0, 30)),
    st.builds(lambda at, bits: f"fd00::{at >> bits << bits:x}/{128 - bits}", st.integers(0, 63), st.integers(0, 6)),
    st.sampled_from(["0.0.0.0/0", "::/0"]),
)


@given(st.frozensets(st.one_of(_HOSTS, _NETS), max_size=9))
def test_canonical_members_cover_the_same_and_never_overlap(given_: frozenset[str]) -> None:
    found = members.canonical(given_)
    assert covers(found, given_)
    assert covers(given_, found)
    assert members.canonical(found) == found
    nets = [member for member in found if members.flavour(member).intervals]
    assert not any(overlap((one,), (other,)) for one in nets for other in nets if one != other)
    for flavour, held in members.by_flavour(found).items():
        assert members.members(members.elements(held)) == held
        assert flavour in members.shape(found)


@given(st.lists(st.builds(lambda a, b: PortRange(a, a + b), st.integers(1, 90), st.integers(0, 9)), min_size=1))
def test_ports_are_the_same_ports_and_apart(spans: list[PortRange]) -> None:
    found = merged(spans)
    assert {port for span in found for port in range(span.first, span.last + 1)} == {
        port for span in spans for port in range(span.first, span.last + 1)
    }
    assert all(one.last + 1 < other.first for one, other in pairwise(found))
    assert members.read_ports(members.port_elements(found)) == found


_END = ObjectKey(Kind.SCHEDULE, "prod", Scope.BUILTIN, "", "until.then")
_MINUTES = st.integers(1, (datetime(9999, 1, 1, tzinfo=UTC) - ends.NEVER) // timedelta(minutes=1))


@given(_MINUTES.map(lambda minutes: Schedule(_END, ends.NEVER + timedelta(minutes=minutes))))
def test_an_end_is_read_as_it_is_written(value: Schedule) -> None:
    """As the number that nft takes, and as the date that it prints."""
    plain = ends.canonical(value)
    assert plain.until == min(value.until, ends.LAST)
    (rule,) = ends.rules(plain)
    number = rule[0]["match"]["right"]
    assert number * 10**9 < 2**63
    text = f'meta time < "{plain.until:%Y-%m-%d %H:%M:%S}" accept'
    assert ends.loadable(text.encode()) == b"meta time < %d accept" % number
    dated = {"match": {**rule[0]["match"], "right": f"{plain.until:%Y-%m-%d %H:%M:%S}"}}
    for first in (rule[0], dated):
        assert ends.read(_END, [wire.Rule("c", [first, {"accept": None}])]) == plain


@pytest.mark.parametrize(
    "until",
    [ends.NEVER, ends.NEVER - timedelta(days=1), ends.LAST - timedelta(seconds=1), datetime(2036, 5, 4, 10, 30)],  # noqa: DTZ001
)
def test_an_end_that_no_chain_could_have_is_refused(until: datetime) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        canonical(Schedule(_END, until))


_CLOSES = ends.before(ends.LAST)


@pytest.mark.parametrize(
    "held",
    [
        [],
        [[{"accept": None}]],
        [[_CLOSES, {"drop": None}]],
        [[_CLOSES, {"accept": None}], [{"accept": None}]],
        [[{"match": {**_CLOSES["match"], "op": ">"}}, {"accept": None}]],
        [[{"match": {**_CLOSES["match"], "left": {"meta": {"key": "hour"}}}}, {"accept": None}]],
        [[{"match": {**_CLOSES["match"], "right": "then"}}, {"accept": None}]],
        [[{"match": {**_CLOSES["match"], "right": 10**30}}, {"accept": None}]],
        [[{"match": {**_CLOSES["match"], "right": {"range": [1, 2]}}}, {"accept": None}]],
        [[{"match": {**_CLOSES["match"], "right": "2300-01-01 00:00:00"}}, {"accept": None}]],
    ],
)
def test_a_chain_that_is_no_schedule_reads_as_none_that_we_want(held: list[list[ends.Json]]) -> None:
    assert ends.read(_END, [wire.Rule("c", one) for one in held]).until == ends.NEVER


_GROUP = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "cart")
_LINE = RuleEntry("x", Action.ALLOW, (_GROUP,), (_GROUP,))


@pytest.mark.parametrize(
    "entry",
    [
        RuleEntry("x", Action.ALLOW, (), (_GROUP,)),
        RuleEntry("x", Action.ALLOW, (_GROUP,), ()),
        RuleEntry("x", Action.ALLOW, (_GROUP,), (_GROUP,), Protocol.ICMP, _GROUP),
        RuleEntry("x", Action.ALLOW, (_GROUP,), (_GROUP,), Protocol.TCP, icmp=(IcmpType(8),)),
        RuleEntry("x", Action.ALLOW, (_GROUP,), (_GROUP,), Protocol.OTHER, number=6),
        RuleEntry("x", Action.ALLOW, (_GROUP,), (_GROUP,), Protocol.OTHER, number=256),
        RuleEntry("x", Action.ALLOW, (_GROUP,), (_GROUP,), Protocol.TCP, number=6),
    ],
)
def test_a_line_that_would_mean_something_else_is_refused(entry: RuleEntry) -> None:
    with pytest.raises(ValueError, match="line x"):
        canonical(RuleList(ObjectKey(Kind.RULE_LIST, "prod", Scope.CLUSTER), (entry,)))


def test_what_matches_nothing_or_everything_by_accident_is_refused() -> None:
    for value in (
        Group(_GROUP, fqdns=frozenset({"pay.example.com"})),
        Ports(_GROUP, ()),
        Ports(_GROUP, (PortRange(-1, 80),)),
        RuleList(_GROUP, (_LINE, _LINE)),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            canonical(value)
