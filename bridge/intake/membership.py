"""Which address is a member of which group, kept up to date with work that grows with the change."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bridge.intake.definition import Definition, as_pod, exempts, region
from bridge.intake.landscape import Landscape
from bridge.intake.regions import Regions
from bridge.intake.seen import Change, Seen
from bridge.intake.selection import Selection
from bridge.intake.workloads import Workloads
from bridge.model.addresses import Ranges
from bridge.model.baseline import plain_key
from bridge.model.identity import ObjectKey
from bridge.model.observed import Pod
from bridge.model.policy import SourceKind

Keys = tuple[ObjectKey, ...]
_NONE: Keys = ()
_CACHE_LIMIT = 50_000


class Moved(NamedTuple):
    """The groups that an address joined and left as a member itself; and those of prefixes that it came to be in or out of."""

    joined: Keys = _NONE
    left: Keys = _NONE
    gained: Keys = _NONE
    lost: Keys = _NONE


_STAYED = Moved()


class Established(NamedTuple):
    """New groups, those that are gone, of the new ones those that begin as another, and addresses to look at besides."""

    new: list[ObjectKey]
    gone: list[ObjectKey]
    parted: list[tuple[ObjectKey, ObjectKey]]
    strays: set[str]


class Membership:
    """The members of every group that somebody needs. Rules reach only governed pods; named groups reach all.

    Members are of three kinds. Most are addresses of pods, which `update` moves. Prefixes (`regions`) and addresses as seen (`seen`) follow
    from many pods together: who of them joined and left is told by `changes`, once for all that happened.
    """

    def __init__(self, landscape: Landscape, workloads: Workloads) -> None:
        self._landscape = landscape
        self._workloads = workloads
        self._ranges = Ranges(landscape.governance.pod_ranges)
        self._selection: Selection[ObjectKey] = Selection(landscape)
        self._regions = Regions()
        self.seen = Seen(landscape, workloads, self._ranges)
        self._defined: Mapping[ObjectKey, Definition] = {}
        self._composed: frozenset[ObjectKey] = frozenset()
        self._strays: set[str] = set()
        self._groups_of: dict[str, Keys] = {}
        self._plain: dict[int, tuple[Keys, Keys]] = {}
        self.members: dict[ObjectKey, set[str]] = {}

    def start_from(self, members: Mapping[ObjectKey, Iterable[str]]) -> None:
        """Take the members that the database knows as the base that later updates are compared with."""
        groups: dict[str, list[ObjectKey]] = {}
        for key, addresses in members.items():
            self.members[key] = set(addresses)
            for address in addresses:
                groups.setdefault(address, []).append(key)
        interned: dict[Keys, Keys] = {}
        for address, keys in groups.items():
            ordered = tuple(sorted(keys))
            self._groups_of[address] = interned.setdefault(ordered, ordered)

    @property
    def known_addresses(self) -> Iterable[str]:
        """Every address that is a member of something."""
        return self._groups_of.keys()

    def define(self, groups: Mapping[ObjectKey, Definition], watched: Mapping[ObjectKey, Definition]) -> set[str]:
        """Replace all definitions; returns the namespaces to look at, "" for all. Groups that are only watched have no members here."""
        plain = {key: one for key, one in groups.items() if as_pod(one)}
        touched = self._selection.define(plain)
        pod_ranges = self._landscape.governance.pod_ranges
        regions = {key: found for key, one in plain.items() if (found := region(one, pod_ranges))}
        self._regions.define(regions)
        seen = {key: one for key, one in groups.items() if key not in plain}
        touched |= self.seen.define(seen, {key: one for key, one in watched.items() if not as_pod(one)})
        self._defined = groups
        self._plain.clear()
        self._compose(frozenset({*regions, *seen}))
        return touched

    def _compose(self, composed: frozenset[ObjectKey]) -> None:
        """Members of groups that are put together are not moved one by one."""
        for key in composed - self._composed:
            for member in self.members.get(key, ()):
                self._keep(member, tuple(one for one in self._groups_of.get(member, _NONE) if one != key))
        for key in self._composed - composed:
            for member in self.members.get(key, ()):
                self._keep(member, tuple(sorted({*self._groups_of.get(member, _NONE), key})))
                self._strays.add(member)
        self._composed = composed

    def established(self) -> Established:
        """What the last definitions brought. A group that a device keeps as it was defined before begins with the members it has so far."""
        new = [key for key in self._defined if key not in self.members]
        gone = [key for key in self.members if key not in self._defined]
        parted = [(key, origin) for key in new if key.part and (origin := plain_key(key)) in self.members]
        for key in new:
            self.members[key] = set()
        for key, origin in parted:
            self.members[key] |= self.members[origin]
            self._strays |= self.members[key]
            for member in self.members[key] if key not in self._composed else ():
                self._keep(member, tuple(sorted({*self._groups_of.get(member, _NONE), key})))
        strays, self._strays = self._strays, set()
        return Established(new, gone, parted, strays)

    def forget(self, key: ObjectKey) -> set[str]:
        """Drop a group that nobody needs; returns the members that it had."""
        members = self.members.pop(key, set())
        for address in members:
            self._keep(address, tuple(group for group in self._groups_of.get(address, _NONE) if group != key))
        return members

    def forget_cache(self) -> None:
        """What pods share by their labels must be found anew: namespaces or Services changed."""
        self._selection.forget()
        self.seen.selection.forget()

    def opens(self, key: ObjectKey) -> bool:
        """Whether joining the group takes from others: it is defined by who is not in it, or exempt from the default deny."""
        return any(source.unless or exempts(source) for source in self._defined.get(key, ()))

    def uses_service(self, namespace: str, service: str) -> bool:
        """Whether some group stands for this Service."""
        both = (self._selection, self.seen.selection)
        return any(one.uses_service(namespace, service) for one in both)

    def wanted(self, pod: Pod) -> bool:
        """Whether a rule's source or a group by name is about this pod, be its addresses what they may."""
        return any(
            self._landscape.selects(source, pod, address)
            for selection in (self._selection, self.seen.selection)
            for source in selection.may(pod)
            if source.kind is not SourceKind.BUILTIN
            for address in pod.addresses or ("",)
        )

    def groups(self, address: str) -> Keys:
        """The groups that an address of a pod is in, be it as one of the members or in a prefix that is."""
        return (*self._groups_of.get(address, _NONE), *self._regions.of(address))

    def in_ranges(self, address: str) -> bool:
        """Whether the address is in the cluster's pod ranges: no other is ever a member."""
        return address in self._groups_of or address in self._ranges

    def update(self, address: str) -> Moved:
        """Bring one address into its groups."""
        pod = self._workloads.owner(address)
        held = pod is not None and address in self._ranges
        selected = self._selection.of(pod, address) if pod is not None and held else _NONE
        gained = lost = _NONE
        if self._regions:
            gained, lost = self._regions.update(address, selected, held=held)
            selected = self._without_regions(selected)
        before = self._groups_of.get(address, _NONE)
        if before == selected:
            return Moved(gained=gained, lost=lost) if gained or lost else _STAYED
        joined = tuple(key for key in selected if key not in before)
        left = tuple(key for key in before if key not in selected)
        for key in joined:
            self.members[key].add(address)
        for key in left:
            self.members[key].discard(address)
        self._keep(address, selected)
        return Moved(joined, left, gained, lost)

    def changes(self) -> Iterator[Change]:
        """Who joined and left the groups that are put together, since this was asked last."""
        for key, joined, left in self._regions.changes(self.members):
            yield self._recorded(Change(key, frozenset(joined), frozenset(left)))
        for change in self.seen.changes(self.members):
            yield self._recorded(change)

    def _recorded(self, change: Change) -> Change:
        members = self.members[change.key]
        members |= change.joined
        members -= change.left
        return change

    def _without_regions(self, selected: Keys) -> Keys:
        known = self._plain.get(id(selected))
        if known is not None and known[0] is selected:
            return known[1]
        plain = tuple(key for key in selected if key not in self._regions)
        if len(self._plain) >= _CACHE_LIMIT:
            self._plain.clear()
        self._plain[id(selected)] = (selected, plain)
        return plain

    def _keep(self, address: str, groups: Keys) -> None:
        if groups:
            self._groups_of[address] = groups
        else:
            self._groups_of.pop(address, None)
