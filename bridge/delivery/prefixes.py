"""Which members of a group lie in which others, where some of them are prefixes: two of them are apart, or one holds the other."""

from collections.abc import Collection, Iterator

from bridge.model import addresses

_Place = tuple[int, int, int]
"""Family, length and leading bits."""


def inside(members: Collection[str], others: Collection[str]) -> set[str]:
    """Those members that lie in one of the others."""
    return {inner for inner, _ in _nested(members, others)}


def around(members: Collection[str], others: Collection[str]) -> set[str]:
    """Those members that one of the others lies in."""
    return {outer for _, outer in _nested(others, members)}


def _nested(inner: Collection[str], outer: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each pair of which the first lies in the second and is not the same. Without prefixes, as nearly always, nothing is looked at."""
    wide = {_place(one): one for one in outer if "/" in one} if inner else {}
    lengths = {place[:2] for place in wide}
    for member in inner if wide else ():
        family, own, bits = _place(member)
        for kind, length in lengths:
            found = wide.get((family, length, bits >> (own - length))) if kind == family and length < own else None
            if found is not None:
                yield member, found


def _place(member: str) -> _Place:
    (net,) = addresses.networks((member,))
    return net.version, net.prefixlen, int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
