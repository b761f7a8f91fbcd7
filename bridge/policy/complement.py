"""Prefixes less a changing set of addresses, always as the fewest prefixes, and what one address more or less changes of them.

Nothing of it is stored but the addresses in order: the piece around an address reaches as far as its two neighbours let it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, collapse_addresses
from itertools import chain
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from bridge.model import addresses

_LENGTH = {4: 32, 6: 128}
_RUN = 1024  # addresses in one run, about: what one change has to move

Change = tuple[tuple[str, ...], tuple[str, ...]]
"""The prefixes that come and those that go, canonical."""

_NOTHING: Change = ((), ())


class Complement:
    """Every address of some prefixes but for the excluded ones. A set: an address is excluded or not, however often it was said.

    Addresses are canonical; of those outside the prefixes nothing is kept. A change costs the length of an address, no more with many
    excluded (a logarithm aside). ValueError for ranges that are none, OSError for an address that is none.
    """

    def __init__(self, ranges: Iterable[str], excluded: Iterable[str] = ()) -> None:
        nets = list(addresses.networks(ranges))
        self._roots = {
            version: [
                (int(net.network_address), net.prefixlen)
                for net in collapse_addresses([net for net in nets if net.version == version])  # type: ignore[type-var]
            ]
            for version in (4, 6)
        }
        inside: dict[int, set[int]] = {4: set(), 6: set()}
        for address in excluded:
            version, number = _parse(address)
            if self._root(version, number) is not None:
                inside[version].add(number)
        self._excluded = {version: _Ordered(numbers) for version, numbers in inside.items()}

    @property
    def members(self) -> frozenset[str]:
        """All of it, as the fewest prefixes."""
        return frozenset(chain.from_iterable(self._pieces(version) for version in (4, 6)))

    def exclude(self, address: str) -> Change:
        """The prefixes that come and that go as this address is excluded; none of either where it was, or lies outside."""
        version, number = _parse(address)
        root = self._root(version, number)
        if root is None or number in self._excluded[version]:
            return _NOTHING
        length = self._reach(version, number, root)
        self._excluded[version].add(number)
        return tuple(_around(version, number, length)), (_text(version, number, length),)

    def include(self, address: str) -> Change:
        """The prefixes that come and that go as this address is excluded no longer."""
        version, number = _parse(address)
        root = self._root(version, number)
        if root is None or number not in self._excluded[version]:
            return _NOTHING
        self._excluded[version].remove(number)
        length = self._reach(version, number, root)
        return (_text(version, number, length),), tuple(_around(version, number, length))

    def _root(self, version: int, number: int) -> int | None:
        """The length of the prefix that the address lies in."""
        shift = _LENGTH[version]
        roots = self._roots[version]
        place = bisect_right(roots, (number, shift)) - 1
        if place < 0:
            return None
        first, length = roots[place]
        return length if (number ^ first) >> (shift - length) == 0 else None

    def _reach(self, version: int, number: int, root: int) -> int:
        """The length of the widest prefix around an address, which is not excluded, without any that is."""
        lengths = (
            _LENGTH[version] - (number ^ other).bit_length() + 1 for other in self._excluded[version].beside(number)
        )
        return max(root, *lengths, 0)

    def _pieces(self, version: int) -> Iterator[str]:
        bits = _LENGTH[version]
        for first, length in self._roots[version]:
            start, last = first, first + (1 << (bits - length)) - 1
            for hole in self._excluded[version].between(first, last):
                yield from _span(version, start, hole - 1)
                start = hole + 1
            yield from _span(version, start, last)


class _Ordered:
    """Numbers in order, in runs, so that a change moves few of them."""

    def __init__(self, numbers: Iterable[int]) -> None:
        ordered = sorted(numbers)
        self._runs = [ordered[at : at + _RUN] for at in range(0, len(ordered), _RUN)] or [[]]

    def __contains__(self, number: int) -> bool:
        run = self._runs[self._run(number)]
        place = bisect_left(run, number)
        return place < len(run) and run[place] == number

    def add(self, number: int) -> None:
        at = self._run(number)
        run = self._runs[at]
        insort(run, number)
        if len(run) > 2 * _RUN:
            self._runs[at : at + 1] = [run[:_RUN], run[_RUN:]]

    def remove(self, number: int) -> None:
        at = self._run(number)
        run = self._runs[at]
        del run[bisect_left(run, number)]
        if not run and len(self._runs) > 1:
            del self._runs[at]

    def beside(self, number: int) -> Iterator[int]:
        """The next below and the next above, where there are any. The number itself is not among them."""
        at = self._run(number)
        place = bisect_left(self._runs[at], number)
        if place:
            yield self._runs[at][place - 1]
        elif at:
            yield self._runs[at - 1][-1]
        if place < len(self._runs[at]):
            yield self._runs[at][place]
        elif at + 1 < len(self._runs):
            yield self._runs[at + 1][0]

    def between(self, first: int, last: int) -> Iterator[int]:
        """Those from the first to the last, in order."""
        for run in self._runs[self._run(first) :]:
            if run and run[0] > last:
                return
            yield from run[bisect_left(run, first) : bisect_right(run, last)]

    def _run(self, number: int) -> int:
        """The run in which the number is, or belongs: the last that begins at it or below."""
        return max(0, bisect_right(self._runs, number, key=_first) - 1)


def _first(run: list[int]) -> int:
    return run[0] if run else 0


def _around(version: int, number: int, length: int) -> Iterator[str]:
    """What is left of a prefix, without one address of it: the other half, of each half that holds the address."""
    for shorter in range(length + 1, _LENGTH[version] + 1):
        yield _text(version, number ^ (1 << (_LENGTH[version] - shorter)), shorter)


def _span(version: int, first: int, last: int) -> Iterator[str]:
    """The fewest prefixes that are exactly these addresses; none when they run backwards."""
    bits = _LENGTH[version]
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else bits
        free = min(aligned, (last - first + 1).bit_length() - 1)
        yield _text(version, first, bits - free)
        first += 1 << free


def _parse(address: str) -> tuple[int, int]:
    version, family = (6, AF_INET6) if ":" in address else (4, AF_INET)
    return version, int.from_bytes(inet_pton(family, address), "big")


def _text(version: int, number: int, length: int) -> str:
    """The prefix of this length around an address, canonical."""
    bits = _LENGTH[version]
    number = number >> (bits - length) << (bits - length)
    if version == 4:
        text = inet_ntop(AF_INET, number.to_bytes(4, "big"))
    elif number >> 32 in (0, 0xFFFF):  # these the system writes with an IPv4 address in them
        text = str(IPv6Address(number))
    else:
        text = inet_ntop(AF_INET6, number.to_bytes(16, "big"))
    return text if length == bits else f"{text}/{length}"
