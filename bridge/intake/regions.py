"""Groups whose members are prefixes: a region of the pod ranges, less the addresses in it that do not belong."""

from collections.abc import Iterator, Mapping

from bridge.intake.definition import ranges
from bridge.intake.prefix_index import PrefixIndex
from bridge.model.identity import ObjectKey
from bridge.policy.complement import Complement

Prefixes = tuple[str, ...]
Keys = tuple[ObjectKey, ...]
Changed = tuple[ObjectKey, set[str], set[str]]
"""A group, the members that joined it, and those that left."""

_CACHE_LIMIT = 50_000


class Region:
    """One such group: everything in some prefixes but what is known not to belong, and what is known to belong elsewhere.

    `members` are the fewest prefixes in the region, and single addresses outside it.
    """

    def __init__(self, prefixes: Prefixes) -> None:
        self.prefixes = prefixes
        self._inside = ranges(prefixes)
        self._rest = Complement(prefixes)
        self.members: set[str] = set(self._rest.members)

    def around(self, address: str) -> bool:
        """Whether the address lies in the region."""
        return address in self._inside

    def turn(self, address: str, *, exceptional: bool) -> set[str]:
        """Make an address an exception, or one no longer; returns the members that come or go."""
        if address not in self._inside:
            (self.members.add if exceptional else self.members.discard)(address)
            return {address}
        come, go = self._rest.exclude(address) if exceptional else self._rest.include(address)
        self.members.difference_update(go)
        self.members.update(come)
        return {*come, *go}


class Regions:
    """All such groups of a cluster, and what has changed of them since they were last recorded."""

    def __init__(self) -> None:
        self._regions: dict[ObjectKey, Region] = {}
        self._by_prefixes: dict[Prefixes, list[ObjectKey]] = {}
        self._around: PrefixIndex[Prefixes] = PrefixIndex()
        self._alike: dict[tuple[int, tuple[Prefixes, ...]], tuple[Keys, Keys]] = {}
        self._exceptions: dict[str, Keys] = {}
        self._of: dict[ObjectKey, set[str]] = {}
        self._touched: dict[ObjectKey, set[str] | None] = {}

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._regions

    def __bool__(self) -> bool:
        return bool(self._regions)

    def of(self, address: str) -> Keys:
        """The groups that have the address."""
        if not self._regions:
            return ()
        turned = self._exceptions.get(address, ())
        inside = [key for prefixes in dict.fromkeys(self._around.of(address)) for key in self._by_prefixes[prefixes]]
        outside = [key for key in turned if key not in inside]
        return (*(key for key in inside if key not in turned), *outside)

    def define(self, regions: Mapping[ObjectKey, Prefixes]) -> None:
        """Replace all. One whose region is another now starts anew; the addresses in it must be updated after that."""
        self._alike.clear()
        for key in [key for key in self._regions if self._regions[key].prefixes != regions.get(key)]:
            del self._regions[key]
            self._touched.pop(key, None)
            for address in self._of.pop(key, ()):
                self._keep(address, tuple(one for one in self._exceptions[address] if one != key))
        for key, prefixes in regions.items():
            if key not in self._regions:
                self._regions[key] = Region(prefixes)
                self._touched[key] = None
        self._by_prefixes, self._around = {}, PrefixIndex()
        for key, prefixes in regions.items():
            self._by_prefixes.setdefault(prefixes, []).append(key)
        for prefixes in self._by_prefixes:
            self._around.add(prefixes, prefixes)

    def update(self, address: str, selected: Keys, *, held: bool) -> tuple[Keys, Keys]:
        """Bring one address up to date, given the groups that select it; returns the groups that gained and those that lost it."""
        before = self._exceptions.get(address, ())
        after = self._exceptional(address, selected) if held else ()
        if before == after:
            return (), ()
        turned = [key for key in (*before, *after) if (key in before) != (key in after)]
        gained = tuple(key for key in turned if self._turn(key, address, exceptional=key in after))
        self._keep(address, after)
        return gained, tuple(key for key in turned if key not in gained)

    def _exceptional(self, address: str, selected: Keys) -> Keys:
        """The groups for which it matters that the address is held. Addresses of one region that are selected alike are so alike."""
        around = tuple(dict.fromkeys(self._around.of(address)))
        known = self._alike.get((id(selected), around))
        if known is not None and known[0] is selected:
            return known[1]
        chosen = frozenset(selected)
        inside = [key for prefixes in around for key in self._by_prefixes[prefixes]]
        found = {key for key in inside if key not in chosen}
        found |= (chosen & self._regions.keys()).difference(inside)
        ordered = tuple(sorted(found))
        if len(self._alike) >= _CACHE_LIMIT:
            self._alike.clear()
        self._alike[id(selected), around] = (selected, ordered)
        return ordered

    def _turn(self, key: ObjectKey, address: str, *, exceptional: bool) -> bool:
        """Returns whether the group has the address now."""
        one = self._regions[key]
        changed = one.turn(address, exceptional=exceptional)
        known = self._touched.setdefault(key, set())
        if known is not None:
            known |= changed
        kept = self._of.setdefault(key, set())
        (kept.add if exceptional else kept.discard)(address)
        return exceptional != one.around(address)

    def changes(self, recorded: Mapping[ObjectKey, set[str]]) -> Iterator[Changed]:
        """Who joined and who left each group since this was asked last, compared with what is recorded of it."""
        touched, self._touched = self._touched, {}
        for key, members in touched.items():
            now, before = self._regions[key].members, recorded.get(key, set())
            joined = now - before if members is None else {one for one in members if one in now and one not in before}
            left = before - now if members is None else {one for one in members if one in before and one not in now}
            if joined or left:
                yield key, joined, left

    def _keep(self, address: str, keys: Keys) -> None:
        if keys:
            self._exceptions[address] = keys
        else:
            self._exceptions.pop(address, None)
