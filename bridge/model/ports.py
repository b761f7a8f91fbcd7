"""Arithmetic on ranges of ports, and of whatever else is counted as they are."""

from collections.abc import Iterable

from bridge.model.policy import PortRange


def merged(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """The same ports in as few ranges as there can be, in order: what overlaps or touches is joined."""
    result: list[PortRange] = []
    for span in sorted(ranges):
        if result and span.first <= result[-1].last + 1:
            result[-1] = PortRange(result[-1].first, max(result[-1].last, span.last))
        else:
            result.append(span)
    return tuple(result)
