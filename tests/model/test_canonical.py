"""What every device makes of an object in the same way."""

from dataclasses import replace

import pytest

from bridge.errors import Unsupported
from bridge.model.canonical import check_line, check_number, check_ports, expressed, in_order, lines
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Group, Intent, RuleEntry
from bridge.model.policy import Action, IcmpType, PortRange, Protocol

A, B, C = (ObjectKey(Kind.GROUP, "prod", Scope.NAMESPACE, "shop", name) for name in "abc")
LINE = RuleEntry("line", Action.ALLOW, (A,), (B,))


def test_what_cannot_be_expressed_is_named_all_of_it_and_what_comes_to_nothing_is_left_out() -> None:
    def express(value: DeviceObject) -> DeviceObject | None:
        if value.key is not A:
            raise ValueError(f"no {value.key.name} here")
        return value

    intent = Intent("edge", {key: Group(key) for key in (A, B, C)})
    with pytest.raises(Unsupported) as error:
        expressed(intent, express)
    assert error.value.objects == {str(B): "no b here", str(C): "no c here"}
    assert expressed(intent, lambda value: value if value.key is A else None) == {A: Group(A)}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (replace(LINE, sources=()), "would match any"),
        (replace(LINE, destinations=()), "would match any"),
        (replace(LINE, ports=C), "ANY has no ports"),
        (replace(LINE, protocol=Protocol.TCP, icmp=(IcmpType(8),)), "TCP has no types"),
    ],
)
def test_a_line_that_says_too_little_or_too_much(line: RuleEntry, why: str) -> None:
    check_line(LINE)
    with pytest.raises(ValueError, match=f"(?i)line line: .*{why}"):
        check_line(line)


@pytest.mark.parametrize(
    ("protocol", "number", "fits"),
    [
        (Protocol.TCP, 0, True),
        (Protocol.TCP, 6, False),
        (Protocol.OTHER, 89, True),
        (Protocol.OTHER, 6, False),
        (Protocol.OTHER, 0, False),
        (Protocol.OTHER, 255, False),
    ],
)
def test_the_number_of_a_protocol(protocol: Protocol, number: int, fits: bool) -> None:
    line = replace(LINE, protocol=protocol, number=number)
    if fits:
        check_number(line, range(1, 255))
        return
    with pytest.raises(ValueError, match=f"does not go with number {number}"):
        check_number(line, range(1, 255))


def test_lines_in_their_order_with_each_group_once() -> None:
    twice = replace(LINE, sources=(B, A, B), destinations=(C, A), icmp=(IcmpType(8), IcmpType(0), IcmpType(8)))
    other = replace(LINE, name="above")
    assert lines((twice, other), in_order) == (
        replace(LINE, sources=(A, B), destinations=(A, C), icmp=(IcmpType(0), IcmpType(8))),
        other,
    )
    with pytest.raises(ValueError, match="two lines have one name"):
        lines((LINE, other), lambda line: replace(line, name="same"))


def test_the_range_of_ports_that_a_device_knows() -> None:
    check_ports((PortRange(0, 0), PortRange(65535, 65535)))
    for lowest, port in ((1, PortRange(0, 1)), (0, PortRange(2, 1)), (0, PortRange(1, 65536))):
        with pytest.raises(ValueError, match=f"from {lowest} to 65535"):
            check_ports((port,), lowest)
