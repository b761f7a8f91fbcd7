"""How a change is cut into transactions, so that no packet on its way meets old rules with new members.

A packet takes the rules of the instant at which it came, and looks into each set as that is when the packet gets there.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.conformance.site import BANK, CART, HTTPS, SOURCES, WEB, Site, line, objects
from adapters.nftables import NftablesAdapter
from adapters.nftables.names import Names
from adapters.nftables.transport import Answer, Local
from bridge.errors import Busy
from bridge.model.intent import EVERYTHING, DeviceObject, Group, Ports
from bridge.model.policy import Action, PortRange, Protocol
from tests.adapters.nftables.machine import kernel, namespace, nft, ruleset
from tests.adapters.nftables.rig import OWNER, TABLE, config
from tests.adapters.nftables.test_gateway import FENCE, TERMS, planned, reconcile

pytestmark = kernel

Json = dict[str, Any]
NAMES = Names(OWNER)
PAY = line("pay", ports=HTTPS, protocol=Protocol.TCP)
NO = line("no", WEB, Action.DENY)


@dataclass
class Way:
    """A way that keeps what is committed, and goes no further than it is told to."""

    way: Local
    committed: list[list[Json]] = field(default_factory=list)
    left: int | None = None

    @property
    def calls(self) -> int:
        return self.way.calls

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        if document:
            if self.left == 0:
                return Answer(-9, b"", "")
            self.left = self.left and self.left - 1
            self.committed.append(json.loads(document)["nftables"])
        return self.way.run(words, document)


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    with namespace() as name:
        yield name


@pytest.fixture
def way(space: str) -> Way:
    return Way(Local("edge", 10, ("ip", "netns", "exec", space)))


@pytest.fixture
def adapter(space: str, way: Way) -> Iterator[NftablesAdapter]:
    made = NftablesAdapter(config(space), way)
    made.raise_fence(FENCE)
    yield made
    nft(space, "flush", "ruleset")


def bank(*members: str) -> Site:
    return objects(Group(BANK, frozenset(members)))


def named(commands: Sequence[Json], verbs: set[str], kind: str) -> list[Json]:
    """What these verbs are said of in a transaction."""
    return [one[kind] for command in commands for verb, one in command.items() if verb in verbs and kind in one]


def check_turns(committed: Sequence[Sequence[Json]]) -> None:
    """Where rules are written no set changes that stood before, and none is made whose content would show later than they do."""
    for commands in committed:
        if not named(commands, {"add"}, "rule"):
            continue
        made = {one["name"]: one for one in named(commands, {"create"}, "set")}
        changed = named(commands, {"create", "add", "delete"}, "element") + named(commands, {"flush"}, "set")
        assert {one["name"] for one in changed} <= {*made, "marks"}
        assert not [name for name, one in made.items() if "flags" in one]


_MEMBERS = st.frozensets(
    st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.0/30", "192.0.2.0-192.0.2.9", "fd00::/64"])
)
_SITES = st.builds(
    lambda sources, to, ports, lines: TERMS.shop(
        *sources, lines=lines, more=[Group(WEB, frozenset(SOURCES[:1])), Group(BANK, to), Ports(HTTPS, ports)]
    ),
    st.frozensets(st.sampled_from([*SOURCES, "10.0.0.0/28", "fd00::1"])),
    _MEMBERS,
    st.sampled_from([(PortRange(443, 443),), (PortRange(80, 443),)]),
    st.sampled_from([[PAY], [NO, PAY], [PAY, NO], [NO]]),
)


def test_rules_and_what_they_look_into_never_change_together(adapter: NftablesAdapter, way: Way) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_SITES)
    def check(site: Site) -> None:
        way.committed.clear()
        reconcile(adapter, site)
        check_turns(way.committed)
        assert len(way.committed) <= 3  # what comes before, the change, and what goes after

    check()


def test_what_changes_with_its_rules_stands_beside_what_it_replaces(
    adapter: NftablesAdapter, way: Way, space: str
) -> None:
    """And goes back to the first name the next time."""
    for number, (member, port, ending, ports) in enumerate(
        (
            ("192.0.2.0/24", 443, ".nets4", "ports/prod"),
            ("192.0.3.0/24", 80, ".nets4b", "ports/_twin/prod"),
            ("192.0.4.0/24", 443, ".nets4", "ports/prod"),
        )
    ):
        lines = [line(f"pay-{number}", ports=HTTPS, protocol=Protocol.TCP)]
        more: list[DeviceObject] = [Group(BANK, frozenset({member})), Ports(HTTPS, (PortRange(port, port),))]
        way.committed.clear()
        reconcile(adapter, TERMS.shop(SOURCES[0], lines=lines, more=more))
        assert len(way.committed) == 2
        check_turns(way.committed)
        text = ruleset(space)
        name = NAMES.name(BANK) + ending
        assert text.count(f"set {NAMES.name(BANK)}.nets") == 1
        assert f"set {name} " in text
        assert f"@{name} tcp dport @{ports}/" in text


def test_what_intervals_gave_to_single_addresses_is_covered_at_every_moment(
    adapter: NftablesAdapter, way: Way, space: str
) -> None:
    """A range that is cut up, and one that takes its addresses in again: members alone, with one more transaction, and no rule."""
    whole, cut = ("10.1.0.0/30", "10.2.0.9"), ("10.1.0.0/31", "10.1.0.2", "10.3.0.9")
    reconcile(adapter, TERMS.shop(SOURCES[0]) | bank(*whole, "10.9.9.9"))
    for members, order in ((cut, ["create", "delete"]), (whole, ["create", "delete"])):
        way.committed.clear()
        reconcile(adapter, TERMS.shop(SOURCES[0]) | bank(*members, "10.9.9.9"))
        host = [
            (at, verb)
            for at, commands in enumerate(way.committed)
            for verb in order
            for one in named(commands, {verb}, "element")
            if one["name"].endswith("hosts4") and "10.1.0.2" in one["elem"]
        ]
        nets = [
            at
            for at, one in enumerate(way.committed)
            if any("nets4" in each["name"] for each in named(one, {"delete"}, "element"))
        ]
        assert len(way.committed) == 2
        assert (host, nets) == (([(0, "create")], [1]) if members == cut else ([(1, "delete")], [0]))


def test_what_a_change_left_that_was_broken_off_goes_with_the_next(
    adapter: NftablesAdapter, way: Way, space: str
) -> None:
    def site(member: str, port: int, name: str) -> Site:
        more: list[DeviceObject] = [Group(BANK, frozenset({member})), Ports(HTTPS, (PortRange(port, port),))]
        return TERMS.shop(SOURCES[0], lines=[line(name, ports=HTTPS, protocol=Protocol.TCP)], more=more)

    first = site("192.0.2.0/24", 443, "pay")
    reconcile(adapter, first)
    before = adapter.read(EVERYTHING).objects
    way.left = 1
    with pytest.raises(Busy):
        adapter.apply(planned(adapter, site("192.0.3.0/24", 80, "pay-more")), FENCE)
    way.left = None
    assert f"set {NAMES.name(BANK)}.nets4b " in ruleset(space)
    assert adapter.read(EVERYTHING).objects == before, "what no rule looks into was read as a member"
    reconcile(adapter, first | objects(Group(CART, frozenset(SOURCES[1:]))))
    text = nft(space, "list", "table", "inet", TABLE)
    assert "nets4b" not in text
    assert "/_twin/" not in text
