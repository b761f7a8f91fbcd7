"""Withheld Allows on one device: neither added nor widened (SEMANTICS 4)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bridge.model.identity import ObjectKey
from bridge.model.intent import Objects, RuleEntry, RuleList


def settle(wanted: RuleList, have: Objects) -> RuleList:
    """The list with each withheld line as the device has it now, or without it where the device has none."""
    if not any(entry.withheld for entry in wanted.entries):
        return wanted
    present = have.get(wanted.key)
    standing = {entry.name: entry for entry in present.entries} if isinstance(present, RuleList) else {}
    kept = (standing.get(entry.name) if entry.withheld else entry for entry in wanted.entries)
    return replace(wanted, entries=tuple(entry for entry in kept if entry is not None))


def frozen_groups(lists: Iterable[RuleList]) -> frozenset[ObjectKey]:
    """The groups of withheld lines: while they are withheld, nobody joins them on this device."""
    return frozenset(
        key
        for each in lists
        for entry in each.entries
        if entry.withheld
        for key in (*entry.sources, *entry.destinations)
    )


def with_withheld(lists: Mapping[ObjectKey, RuleList], missing: Iterable[ObjectKey]) -> dict[ObjectKey, RuleList]:
    """The lists with every Allow withheld that a missing object could have stopped.

    `missing` are objects that the device refuses: a Deny, Reject or Pass in such a list, or naming such a group, is not in force.
    Names of groups tell no overlap, so every lower Allow of the same cluster is withheld.
    """
    out = frozenset(missing)
    found = dict(lists)
    barred: set[str] = set()
    for key in sorted(lists, key=_tier_order):
        entries = []
        for entry in lists[key].entries:
            stops = _stops(entry) and (key in out or any(ref in out for ref in entry.references()))
            if stops:
                barred.add(key.cluster)
            withheld = entry.withheld or (not _stops(entry) and key.cluster in barred)
            entries.append(replace(entry, withheld=withheld))
        found[key] = replace(lists[key], entries=tuple(entries))
    return found


def _stops(entry: RuleEntry) -> bool:
    return entry.action.rank < 2


def _tier_order(key: ObjectKey) -> tuple[int, ObjectKey]:
    return (["cluster", "namespace", "service", "default"].index(key.scope), key)
