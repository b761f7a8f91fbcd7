"""Protocols and types of ICMP as the device writes them."""

import msgspec
import pytest

from adapters.bigip import protocols, wire
from adapters.bigip.names import Names
from adapters.bigip.translate import Translator
from bridge.model.intent import RuleEntry
from bridge.model.policy import NUMBERS, Action, IcmpType, Protocol
from tests.adapters.bigip.site import BANK, CART

TRANSLATOR = Translator(Names("fb"))


def _read(**changes: object) -> RuleEntry:
    entry = RuleEntry("echo", Action.ALLOW, (CART,), (BANK,), Protocol.ICMP, icmp=(IcmpType(3, 4), IcmpType(8)))
    body = {"name": "echo"} | TRANSLATOR.line(entry) | changes
    return TRANSLATOR.read_line(msgspec.convert(body, wire.Rule))


def test_types_are_written_with_a_colon_and_come_back() -> None:
    entry = _read()
    assert TRANSLATOR.line(entry)["icmp"] == [{"name": "3:4"}, {"name": "8"}]
    assert entry.icmp == (IcmpType(3, 4), IcmpType(8))
    assert _read(icmp=[{"name": "8"}, {"name": "3:4"}]) == entry, "their order says nothing"
    assert _read(icmp=[]).icmp == ()


@pytest.mark.parametrize("name", ["255", "8:255", "echo-request", "8:", "8:0:1", "-1", "300", ""])
def test_what_we_never_write_is_unreadable(name: str) -> None:
    assert not _read(icmp=[{"name": name}]).sources


def test_only_lines_of_icmp_speak_of_types() -> None:
    line = RuleEntry("all", Action.ALLOW, (CART,), (BANK,))
    assert "icmp" not in TRANSLATOR.line(line)


@pytest.mark.parametrize("number", range(1, 255))
def test_a_number_is_read_back_by_number_and_by_name(number: int) -> None:
    named = {value: protocol for protocol, value in NUMBERS.items()}.get(number)
    expected = (named, 0) if named else (Protocol.OTHER, number)
    assert protocols.read(str(number)) == expected
    assert protocols.read(protocols.written(*expected)) == expected


@pytest.mark.parametrize(("word", "number"), [("ospf", 89), ("gre", 47), ("esp", 50), ("vrrp", 112), ("udplite", 136)])
def test_the_device_has_names_for_some(word: str, number: int) -> None:
    assert protocols.read(word) == (Protocol.OTHER, number)


@pytest.mark.parametrize("word", ["0", "hopopt", "255", "256", "-1", "ip", "nothing", "", "٣"])
def test_a_word_that_is_no_protocol_of_ours(word: str) -> None:
    assert protocols.read(word) is None


def test_types_that_go_are_taken_away() -> None:
    before = RuleEntry("all", Action.ALLOW, (CART,), (BANK,), Protocol.ICMP, icmp=(IcmpType(8),))
    assert TRANSLATOR.line(RuleEntry("all", Action.ALLOW, (CART,), (BANK,)), before)["icmp"] == []
