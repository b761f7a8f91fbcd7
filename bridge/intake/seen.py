"""Groups as a device sees them that does not see pods: the nodes that hold members, or the stated addresses by which they leave."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.intake.definition import Definition, Formula, Numbers, view_of
from bridge.intake.landscape import Landscape
from bridge.intake.selection import Selection
from bridge.intake.tally import EGRESS, NODE, NODES, Count, Judged, Place, Tally
from bridge.intake.workloads import Workloads
from bridge.model.addresses import Ranges
from bridge.model.identity import ObjectKey, Scope
from bridge.model.policy import AddressSource

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

    def has(self, counts: "Mapping[int, Mapping[Place, Count]]", places: tuple[Place, ...]) -> bool:
        """Whether somebody of the group is at these places, taken together."""
        return any(_holds(one, counts, places) for one in self.formulas)


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
        self._numbers = Numbers()
        self.selection: Selection[int] = Selection(landscape)
        self.tally = Tally(workloads, pod_ranges, self.selection, landscape.governance.node_ranges)
        self._groups: dict[ObjectKey, _Group] = {}
        self._using: dict[int, list[ObjectKey]] = {}
        self._judged: dict[ObjectKey, Judged] = {}
        self._shared: Mapping[ObjectKey, str] = {}
        self._from_the_record = True
        self._clear()

    def _clear(self) -> None:
        self._members: dict[ObjectKey, set[str]] = {}
        self._whole: set[ObjectKey] = set()
        self._recorded: frozenset[ObjectKey] = frozenset()
        self._told: dict[Judged, str] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def define(self, recorded: Mapping[ObjectKey, Definition], watched: Mapping[ObjectKey, Definition]) -> set[str]:
        """Replace all groups; returns the namespaces whose pods must be counted anew, "" for all. Those watched are counted only."""
        definitions = {**watched, **recorded}
        groups = {key: self._group(definition) for key, definition in definitions.items()}
        egress = frozenset(one.egress for one in groups.values() if one.egress)
        by_node = any(one.egress is None for one in groups.values())
        touched: set[str] = set()
        if (egress, by_node) != (self.tally.egress, self.tally.by_node):
            self.tally.start(egress, by_node=by_node)
            self._clear()
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
        touched |= self.selection.define({source: (self._numbers.sources[source],) for source in self._using})
        self._judge(definitions)
        return touched

    def _group(self, definition: Definition) -> _Group:
        view = view_of(definition)
        formulas = tuple(self._numbers.formula(source) for source in definition)
        if view.source is AddressSource.EGRESS:
            return _Group(formulas, (EGRESS, *view.namespaces), view.addresses)
        return _Group(formulas, None, ())

    def _judge(self, definitions: Mapping[ObjectKey, Definition]) -> None:
        """The groups of rules as they are written are judged; those that compilers make of them follow."""
        self._judged = {
            key: (group.formulas[0].bare, group.egress or NODES)
            for key, group in self._groups.items()
            if key.scope not in _BY_NAME and len(definitions[key]) == 1 and _plain(group.formulas[0])
        }
        wanted = set(self._judged.values())
        self._told = {one: words for one, words in self._told.items() if one in wanted}
        self.tally.unclear |= wanted - self._told.keys()
        self._tell()

    def _tell(self) -> None:
        shared = {key: self._told[one] for key, one in self._judged.items() if one in self._told}
        if shared != self._shared:
            self._shared = shared

    @property
    def shared(self) -> Mapping[ObjectKey, str]:
        """Who else stands behind the addresses of each group that a rule may be about, in words; the same object while nothing changed."""
        if self.tally.unclear:
            unclear, self.tally.unclear = self.tally.unclear, set()
            told = {one: self.tally.words(*one) for one in unclear & set(self._judged.values())}
            if any(self._told.get(one) != words for one, words in told.items()):
                self._told.update(told)
                self._tell()
        return self._shared

    def changes(self, recorded: Mapping[ObjectKey, set[str]]) -> Iterator[Change]:
        """Who joined and left the recorded groups since this was asked last, compared with what is recorded of them."""
        unwatched, self._from_the_record = self._from_the_record, False  # who went before was not seen going
        touched, whole, moves = self._touched(), self._whole, self.tally.moves
        self._whole = set()
        self.tally.forget()
        for key in whole:
            self._members[key] = self._everyone(self._groups[key])
        for key in sorted({*touched, *whole}):
            group, known, about = self._groups[key], recorded.get(key, set()), touched.get(key, {})
            members = self._members[key]
            if key not in whole:
                for address in about:
                    (members.add if self._has(group, address) else members.discard)(address)
            if key not in self._recorded:
                continue
            looked_at = members | known if key in whole else about.keys()
            joined = frozenset(one for one in looked_at if one in members and one not in known)
            left = frozenset(one for one in looked_at if one in known and one not in members)
            if joined or left:
                # Of a group that is defined otherwise now those leave without proof, of whom nothing was seen to happen.
                inferred = left if unwatched else frozenset(one for one in left if about.get(one, key in whole))
                pods = {uid: here for one in group.sources for uid, here in moves.get(one, {}).items()}
                yield Change(key, joined, left, inferred, tuple(pods.items()))

    def shown(self, uid: str) -> Iterator[tuple[ObjectKey, str]]:
        """The groups that a pod is in, and the addresses by which a device sees it there."""
        counted = self.tally.counted(uid)
        for source in counted.members if counted else ():
            for key in self._using.get(source, ()):
                group, members = self._groups[key], self._members[key]
                for place in counted.places if counted and key in self._recorded else ():
                    if place == group.egress:
                        yield from ((key, address) for address in group.addresses if address in members)
                    elif group.egress is None and place[0] == NODE:
                        yield from ((key, address) for address in self.tally.nodes.of(place[1]) if address in members)

    def _touched(self) -> dict[ObjectKey, dict[str, bool]]:
        """The addresses of each group that may be members now or no longer, and whether that is without proof."""
        found: dict[ObjectKey, dict[str, bool]] = {}
        tally = self.tally
        for (source, place), doubt in tally.turned.items():
            for key in self._using.get(source, ()):
                group = self._groups[key]
                if group.egress == place:
                    _note(found, key, dict.fromkeys(group.addresses, doubt))
                elif group.egress is None and place[0] == NODE:
                    here = {*tally.nodes.of(place[1]), *tally.readdressed.get(place[1], ())}
                    _note(found, key, dict.fromkeys(here, doubt))
        for name, addresses in tally.readdressed.items():
            for source in tally.at(name):
                for key in self._using.get(source, ()):
                    if self._groups[key].egress is None:
                        _note(found, key, addresses)
        return found

    def _has(self, group: _Group, address: str) -> bool:
        """Nodes with one address are one place: what counts for the address is whoever is on any of them."""
        nodes = ((NODE, name) for name in self.tally.nodes.at(address))
        return group.has(self.tally.counts, (group.egress,) if group.egress is not None else tuple(nodes))

    def _everyone(self, group: _Group) -> set[str]:
        if group.egress is not None:
            return {one for one in group.addresses if self._has(group, one)}
        places = {place for one in group.formulas for place in self.tally.counts.get(one.bare, ())}
        near = {address for place in places if place[0] == NODE for address in self.tally.nodes.of(place[1])}
        return {address for address in near if self._has(group, address)}


def _note(found: dict[ObjectKey, dict[str, bool]], key: ObjectKey, addresses: Mapping[str, bool]) -> None:
    known = found.setdefault(key, {})
    for address, doubt in addresses.items():
        known[address] = known.get(address, False) or doubt


def _plain(one: Formula) -> bool:
    return not one.also and not one.unless


def _holds(one: Formula, counts: Mapping[int, Mapping[Place, Count]], places: tuple[Place, ...]) -> bool:
    here = counts.get(one.bare, {})
    return (
        any(place in here and here[place].members > 0 for place in places)
        and all(_holds(condition, counts, places) for condition in one.also)
        and not any(_holds(condition, counts, places) for condition in one.unless)
    )
