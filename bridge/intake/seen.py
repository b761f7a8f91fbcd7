"""Groups as a device sees them that does not see pods: the nodes that hold members, or the stated addresses by which they leave.

Pods are counted at the place where a device cannot tell them apart. A pod that changes touches its own place only. All pods count that
may still send, those too that no group can select (on the network of their node, or without an address): who is not in a group and
stands behind an address of it makes the group shared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest

from bridge.intake.crowds import NAMED, Crowd, in_words, workload
from bridge.intake.definition import Definition, Formula, Numbers, view_of
from bridge.intake.landscape import Landscape
from bridge.intake.nodes import NodeAddresses
from bridge.intake.selection import Selection
from bridge.intake.workloads import Workloads, held
from bridge.model.addresses import Ranges
from bridge.model.identity import ObjectKey, Scope
from bridge.model.observed import Node, Pod
from bridge.model.policy import AddressSource
from bridge.policy.select import selectable

Place = tuple[str, ...]
"""A node by its name, or the egress of some namespaces."""

_NODE, _EGRESS = "node", "egress"
_NODES: Place = (_NODE,)  # all of them together
_Judged = tuple[int, Place]
_BY_NAME = (Scope.ADDRESS_GROUP, Scope.ANNOTATION)  # no rule stands or falls with who is behind these


@dataclass(frozen=True, slots=True)
class _Group:
    formulas: tuple[Formula, ...]
    egress: Place | None
    addresses: tuple[str, ...]

    @property
    def sources(self) -> set[int]:
        """All bare sources that it depends on."""
        return {one for each in self.formulas for one in each.numbers}

    def has(self, counts: "Mapping[int, Mapping[Place, _Count]]", place: Place) -> bool:
        """Whether somebody of the group is at the place."""
        return any(_holds(one, counts, place) for one in self.formulas)


@dataclass(slots=True)
class _Count:
    """What one source selects at one place: how many members, and which pods (member or not yet) by workload.

    `exposed` while an address of the place is in the group; `strangers` are then the workloads there that are not whole in it.
    """

    members: int = 0
    inside: dict[str, int] = field(default_factory=dict)
    exposed: bool = False
    strangers: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What of a pod is counted, and where."""

    places: tuple[Place, ...]
    workload: str
    inside: tuple[int, ...]
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Who joined and who left one group, for which leaves there is no proof, and the pods (by uid) that came to it or went."""

    key: ObjectKey
    joined: frozenset[str]
    left: frozenset[str]
    inferred: frozenset[str] = frozenset()
    pods: tuple[tuple[str, bool], ...] = ()


class Seen:
    """All such groups of a cluster."""

    def __init__(self, landscape: Landscape, workloads: Workloads, pod_ranges: Ranges) -> None:
        self._workloads = workloads
        self._pod_ranges = pod_ranges
        self._numbers = Numbers()
        self._selection: Selection[int] = Selection(landscape)
        self.nodes = NodeAddresses(landscape.governance.node_ranges)
        self._groups: dict[ObjectKey, _Group] = {}
        self._using: dict[int, list[ObjectKey]] = {}
        self._judged: dict[ObjectKey, _Judged] = {}
        self._shared: Mapping[ObjectKey, str] = {}
        self._from_the_record = True
        self._clear()

    def _clear(self, egress: frozenset[Place] = frozenset(), *, by_node: bool = False) -> None:
        self._egress, self._by_node = egress, by_node
        self._counted: dict[str, _Counted] = {}
        self._crowds: dict[Place, Crowd] = {}
        self._at: dict[Place, dict[int, _Count]] = {}
        self._counts: dict[int, dict[Place, _Count]] = {}
        self._strangers: dict[int, dict[str, int]] = {}
        self._members: dict[ObjectKey, set[str]] = {}
        self._whole: set[ObjectKey] = set()
        self._touched: dict[ObjectKey, dict[str, bool]] = {}
        self._moves: dict[int, dict[str, bool]] = {}
        self._recorded: frozenset[ObjectKey] = frozenset()
        self._told: dict[_Judged, str] = {}
        self._unclear: set[_Judged] = set()

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def selection(self) -> Selection[int]:
        """The bare sources that are counted."""
        return self._selection

    def define(self, recorded: Mapping[ObjectKey, Definition], watched: Mapping[ObjectKey, Definition]) -> set[str]:
        """Replace all groups; returns the namespaces whose pods must be counted anew, "" for all. Those watched are counted only."""
        definitions = {**watched, **recorded}
        groups = {key: self._group(definition) for key, definition in definitions.items()}
        egress = frozenset(one.egress for one in groups.values() if one.egress)
        by_node = any(one.egress is None for one in groups.values())
        touched: set[str] = set()
        if (egress, by_node) != (self._egress, self._by_node):
            self._clear(egress, by_node=by_node)
            touched = {""}
        self._whole |= {key for key in groups if groups[key] != self._groups.get(key)} | (
            recorded.keys() - self._recorded
        )
        self._members = {key: self._members.get(key, set()) for key in groups}
        self._whole &= groups.keys()
        self._groups, self._recorded = groups, frozenset(recorded)
        self._using = {}
        for key, group in groups.items():
            for source in group.sources:
                self._using.setdefault(source, []).append(key)
        touched |= self._selection.define({source: (self._numbers.sources[source],) for source in self._using})
        self._judge(definitions)
        return touched

    def _group(self, definition: Definition) -> _Group:
        view = view_of(definition)
        formulas = tuple(self._numbers.formula(source) for source in definition)
        if view.source is AddressSource.EGRESS:
            return _Group(formulas, (_EGRESS, *view.namespaces), view.addresses)
        return _Group(formulas, None, ())

    def _judge(self, definitions: Mapping[ObjectKey, Definition]) -> None:
        """The groups of rules as they are written are judged; those that compilers make of them follow."""
        self._judged = {
            key: (group.formulas[0].bare, group.egress or _NODES)
            for key, group in self._groups.items()
            if key.scope not in _BY_NAME and len(definitions[key]) == 1 and _plain(group.formulas[0])
        }
        wanted = set(self._judged.values())
        self._told = {one: words for one, words in self._told.items() if one in wanted}
        self._unclear |= wanted - self._told.keys()
        self._tell()

    def _tell(self) -> None:
        shared = {key: self._told[one] for key, one in self._judged.items() if one in self._told}
        if shared != self._shared:
            self._shared = shared

    @property
    def shared(self) -> Mapping[ObjectKey, str]:
        """Who else stands behind the addresses of each group that a rule may be about, in words; the same object while nothing changed."""
        if self._unclear:
            unclear, self._unclear = self._unclear, set()
            told = {one: self._words(*one) for one in unclear & set(self._judged.values())}
            if any(self._told.get(one) != words for one, words in told.items()):
                self._told.update(told)
                self._tell()
        return self._shared

    def _words(self, source: int, place: Place) -> str:
        if place == _NODES:
            found = self._strangers.get(source, {})
            return in_words(nsmallest(NAMED, found), len(found))
        count = self._counts.get(source, {}).get(place)
        return in_words(*self._crowds[place].strangers(count.inside)) if count and count.members else ""

    def count(self, uid: str, *, proven: bool = True) -> None:
        """Count one pod as it is now; without proof that it is gone, its node leaves groups without proof too."""
        if not self._groups and not self._counted:
            return
        pod = self._workloads.pods.get(uid)
        before = self._counted.get(uid)
        after = self._measured(pod) if pod is not None and not pod.terminal else None
        if before == after:
            return
        if after is not None:
            self._counted[uid] = after
            self._tally(after, 1, doubt=False)
        else:
            del self._counted[uid]
        if before is not None:
            self._tally(before, -1, doubt=not proven)
        was, now = (before.members if before else ()), (after.members if after else ())
        for source in (*was, *now):
            moved_place = before is not None and after is not None and before.places != after.places
            if moved_place or (source in was) != (source in now):
                self._moves.setdefault(source, {})[uid] = source in now

    def put_node(self, name: str, node: Node | None, *, proven: bool = True) -> bool:
        """Take a node as it is now, None when it is gone; returns whether addresses changed because of that."""
        before, beside = self.nodes.of(name), self.nodes.beside(name)
        if not self.nodes.put(name, node):
            return False
        places = [(_NODE, one) for one in {name, *beside, *self.nodes.beside(name)}]
        for source in {one for place in places for one in self._at.get(place, ())}:
            for place in places:
                self._expose(source, place)
        for source in self._at.get((_NODE, name), ()):
            self._touch(source, {*before, *self.nodes.of(name)}, doubt=not proven)
        return True

    def changes(self, recorded: Mapping[ObjectKey, set[str]]) -> Iterator[Change]:
        """Who joined and left the recorded groups since this was asked last, compared with what is recorded of them."""
        touched, whole, moves = self._touched, self._whole, self._moves
        unwatched, self._from_the_record = self._from_the_record, False  # who went before was not seen going
        self._touched, self._whole, self._moves = {}, set(), {}
        for key in sorted(whole):
            self._members[key] = self._everyone(self._groups[key])
        for key, addresses in touched.items():
            if key in self._groups and key not in whole:
                self._bring_up(key, addresses)
        for key in sorted({*whole, *touched} & self._recorded):
            now, before = self._members[key], recorded.get(key, set())
            about = touched.get(key, {})
            joined, left = frozenset(now - before), frozenset(before - now)
            if joined or left:
                inferred = left if unwatched else frozenset(one for one in left if about.get(one))
                pods = {uid: here for one in self._groups[key].sources for uid, here in moves.get(one, {}).items()}
                yield Change(key, joined, left, inferred, tuple(pods.items()))

    def _bring_up(self, key: ObjectKey, addresses: Mapping[str, bool]) -> None:
        group, members = self._groups[key], self._members[key]
        for address in addresses:
            (members.add if self._has(group, address) else members.discard)(address)

    def _has(self, group: _Group, address: str) -> bool:
        if group.egress is not None:
            return group.has(self._counts, group.egress)
        return any(group.has(self._counts, (_NODE, name)) for name in self.nodes.at(address))

    def _everyone(self, group: _Group) -> set[str]:
        if group.egress is not None:
            return set(group.addresses) if group.has(self._counts, group.egress) else set()
        places = {place for one in group.formulas for place in self._counts.get(one.bare, ())}
        nodes = [place[1] for place in places if place[0] == _NODE and group.has(self._counts, place)]
        return {address for name in nodes for address in self.nodes.of(name)}

    def _measured(self, pod: Pod) -> _Counted:
        inside: dict[int, None] = {}
        members: dict[int, None] = {}
        if selectable(pod):
            for address in pod.addresses or ("",):
                inside.update(dict.fromkeys(self._selection.of(pod, address)))
        for address in held(pod):
            owner = self._workloads.owner(address)
            if owner is not None and owner.uid == pod.uid and address in self._pod_ranges:
                members.update(dict.fromkeys(self._selection.of(pod, address)))
        return _Counted(tuple(self._places(pod)), workload(pod), tuple(inside), tuple(members))

    def _places(self, pod: Pod) -> Iterator[Place]:
        if self._by_node and pod.node:
            yield (_NODE, pod.node)
        for place in self._egress:
            if len(place) == 1 or pod.namespace in place[1:]:
                yield place

    def _tally(self, counted: _Counted, step: int, *, doubt: bool) -> None:
        for place in counted.places:
            for source in counted.inside:
                self._tally_inside(source, place, counted.workload, step)
            self._tally_crowd(place, counted.workload, step)
            for source in counted.members:
                count = self._count(source, place)
                count.members += step
                if count.members == (1 if step > 0 else 0):
                    self._turn(source, place, doubt=doubt)
            self._tidy(place, counted.inside)

    def _tally_inside(self, source: int, place: Place, name: str, step: int) -> None:
        inside = self._count(source, place).inside
        inside[name] = inside.get(name, 0) + step
        if not inside[name]:
            del inside[name]
        self._unclear.add((source, place)) if place[0] == _EGRESS else self._recheck(source, place, name)

    def _tally_crowd(self, place: Place, name: str, step: int) -> None:
        crowd = self._crowds.setdefault(place, Crowd())
        turned = crowd.change(name, step)
        for source, count in self._at.get(place, {}).items():
            if place[0] == _NODE:
                self._recheck(source, place, name)
            elif turned or name in count.inside:
                self._unclear.add((source, place))
        if not crowd:
            del self._crowds[place]

    def _turn(self, source: int, place: Place, *, doubt: bool) -> None:
        """The first member of a source came to a place, or its last one went."""
        if place[0] == _EGRESS:
            self._unclear.add((source, place))
            for key in self._using.get(source, ()):
                if self._groups[key].egress == place:
                    self._touch_group(key, self._groups[key].addresses, doubt=doubt)
            return
        self._touch(source, self.nodes.of(place[1]), doubt=doubt)
        for name in (place[1], *self.nodes.beside(place[1])):
            self._expose(source, (_NODE, name))

    def _touch(self, source: int, addresses: set[str] | tuple[str, ...], *, doubt: bool) -> None:
        for key in self._using.get(source, ()):
            if self._groups[key].egress is None:
                self._touch_group(key, addresses, doubt=doubt)

    def _touch_group(self, key: ObjectKey, addresses: set[str] | tuple[str, ...], *, doubt: bool) -> None:
        known = self._touched.setdefault(key, {})
        for address in addresses:
            known[address] = known.get(address, False) or doubt

    def _expose(self, source: int, place: Place) -> None:
        """Whether an address of the node is in what this source is seen as, through its own members or those of a node with the same."""
        counts = self._counts.get(source, {})
        nodes = (place[1], *self.nodes.beside(place[1]))
        exposed = bool(self.nodes.of(place[1])) and any(
            (_NODE, name) in counts and counts[_NODE, name].members for name in nodes
        )
        if exposed == (place in counts and counts[place].exposed):
            return
        count = self._count(source, place)
        count.exposed = exposed
        crowd = self._crowds.get(place)
        for name in {*(crowd.pods if crowd else ()), *count.strangers}:
            self._recheck(source, place, name)
        self._tidy(place, (source,))

    def _recheck(self, source: int, place: Place, name: str) -> None:
        """Whether a workload at a node is behind an address of the source and not whole in it."""
        count = self._count(source, place)
        crowd = self._crowds.get(place)
        strange = count.exposed and crowd is not None and crowd.pods.get(name, 0) > count.inside.get(name, 0)
        if strange == (name in count.strangers):
            return
        known = self._strangers.setdefault(source, {})
        known[name] = known.get(name, 0) + (1 if strange else -1)
        (count.strangers.add if strange else count.strangers.discard)(name)
        if not known[name]:
            del known[name]
        self._unclear.add((source, _NODES))

    def _count(self, source: int, place: Place) -> _Count:
        counts = self._counts.setdefault(source, {})
        if place not in counts:
            counts[place] = self._at.setdefault(place, {})[source] = _Count()
        return counts[place]

    def _tidy(self, place: Place, sources: tuple[int, ...]) -> None:
        for source in sources:
            count = self._counts.get(source, {}).get(place)
            if count is not None and not count.inside and not count.members and not count.exposed:
                del self._counts[source][place], self._at[place][source]
                if not self._counts[source]:
                    del self._counts[source]
                if not self._at[place]:
                    del self._at[place]


def _plain(one: Formula) -> bool:
    return not one.also and not one.unless


def _holds(one: Formula, counts: Mapping[int, Mapping[Place, _Count]], place: Place) -> bool:
    count = counts.get(one.bare, {}).get(place)
    return (
        count is not None
        and count.members > 0
        and all(_holds(condition, counts, place) for condition in one.also)
        and not any(_holds(condition, counts, place) for condition in one.unless)
    )
