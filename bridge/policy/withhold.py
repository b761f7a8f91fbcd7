"""Withheld Allows on one device: neither added nor widened (SEMANTICS 4)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bridge.model.identity import ObjectKey, Scope
from bridge.model.intent import DeviceObject, Objects, RuleEntry, RuleList
from bridge.model.policy import Action, IcmpType, Protocol

_Sides = tuple[frozenset[ObjectKey], frozenset[ObjectKey]]
_Permission = tuple[Action, _Sides, Protocol, ObjectKey | None, frozenset[IcmpType], int]


def settle(wanted: RuleList, have: Objects, outgrown: frozenset[ObjectKey] = frozenset()) -> RuleList:
    """The list with each withheld line as the device has it now, or without it where the device has none.

    `outgrown` are groups and ports that must grow for the sake of a line that stops something: withheld lines that name them go.
    """
    if not any(entry.withheld for entry in wanted.entries):
        return wanted
    standing = _standing(have.get(wanted.key))
    kept = (_kept(entry, standing, outgrown) if entry.withheld else entry for entry in wanted.entries)
    return replace(wanted, entries=tuple(entry for entry in kept if entry is not None))


def frozen(
    lists: Mapping[ObjectKey, RuleList], have: Objects, outgrown: frozenset[ObjectKey] = frozenset()
) -> frozenset[ObjectKey]:
    """The groups and ports of withheld lines that stand on the device: while they are withheld, nothing joins them there."""
    found: set[ObjectKey] = set()
    for key, each in lists.items():
        standing = _standing(have.get(key))
        lines = (_kept(entry, standing, outgrown) for entry in each.entries if entry.withheld)
        found.update(ref for line in lines if line is not None for ref in line.references())
    return frozenset(key for key in found if key.scope is not Scope.BUILTIN)


def stuck(have: Objects, refused: Iterable[ObjectKey]) -> dict[ObjectKey, RuleList]:
    """The lists that the device has and will not let go of, their Allows withheld: what they name must not grow under them."""
    lists = (have.get(key) for key in refused)
    return {
        each.key: replace(each, entries=tuple(replace(e, withheld=not _stops(e)) for e in each.entries))
        for each in lists
        if isinstance(each, RuleList)
    }


def stopped_with(lists: Iterable[RuleList]) -> frozenset[ObjectKey]:
    """The groups and ports that a Deny, Reject or Pass names."""
    lines = (entry for each in lists for entry in each.entries if _stops(entry))
    return frozenset(ref for line in lines for ref in line.references())


def _standing(present: DeviceObject | None) -> dict[_Permission, RuleEntry]:
    """The lines of a list on a device by what they permit: a device may have names of its own for them."""
    return {_permission(entry): entry for entry in present.entries} if isinstance(present, RuleList) else {}


def _kept(
    entry: RuleEntry, standing: Mapping[_Permission, RuleEntry], outgrown: frozenset[ObjectKey]
) -> RuleEntry | None:
    return None if outgrown.intersection(entry.references()) else standing.get(_permission(entry))


def _permission(entry: RuleEntry) -> _Permission:
    sides = (frozenset(entry.sources), frozenset(entry.destinations))
    return (entry.action, sides, entry.protocol, entry.ports, frozenset(entry.icmp), entry.number)


def without_new(wanted: RuleList, have: Objects, refused: Iterable[ObjectKey]) -> RuleList:
    """The list without Allows that are new to the device and name what it refused: its older meaning there is not theirs.

    Allows that stand go on with the last good version.
    """
    out, present = _with_groups(refused), _standing(have.get(wanted.key))
    kept = (
        entry
        for entry in wanted.entries
        if _stops(entry) or out.isdisjoint(entry.references()) or _permission(entry) in present
    )
    return replace(wanted, entries=tuple(kept))


def with_withheld(lists: Mapping[ObjectKey, RuleList], refused: Iterable[ObjectKey]) -> dict[ObjectKey, RuleList]:
    """The lists with every Allow withheld that something refused could have stopped.

    A Deny, Reject or Pass in a refused list, or naming a refused group or one with a refused part, is not in force. Names of groups tell no
    overlap, so every lower Allow of the same cluster is withheld.
    """
    out = _with_groups(refused)
    found = dict(lists)
    barred: set[str] = set()
    for key in sorted(lists, key=_tier_order):
        entries = []
        for entry in lists[key].entries:
            if _barred(key, entry, out):
                barred.add(key.cluster)
            withheld = entry.withheld or (not _stops(entry) and key.cluster in barred)
            entries.append(replace(entry, withheld=withheld))
        found[key] = replace(lists[key], entries=tuple(entries))
    return found


def not_in_force(
    lists: Mapping[ObjectKey, RuleList], refused: Iterable[ObjectKey]
) -> Iterator[tuple[ObjectKey, RuleEntry]]:
    """The lines, highest first, that would stop something and do not, because of what is refused; each with its list."""
    out = _with_groups(refused)
    for key in sorted(lists, key=_tier_order):
        for entry in lists[key].entries:
            if _barred(key, entry, out):
                yield key, entry


def _barred(key: ObjectKey, entry: RuleEntry, out: frozenset[ObjectKey]) -> bool:
    return _stops(entry) and (key in out or not out.isdisjoint(entry.references()))


def _with_groups(keys: Iterable[ObjectKey]) -> frozenset[ObjectKey]:
    return frozenset(key for one in keys for key in (one, one.group))


def _stops(entry: RuleEntry) -> bool:
    return entry.action.rank < 2


def _tier_order(key: ObjectKey) -> tuple[int, ObjectKey]:
    return (["cluster", "namespace", "service", "default"].index(key.scope), key)
