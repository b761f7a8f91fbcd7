"""Pods counted at the places where a device cannot tell them apart: behind a node, or behind the addresses of an egress.

A pod that changes touches its own place only. All pods count that may still send, those too that no group can select (on the network of
their node, or without an address): they are whom a group may share its addresses with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest

from bridge.intake.crowds import NAMED, Crowd, in_words, workload
from bridge.intake.nodes import NodeAddresses
from bridge.intake.selection import Selection
from bridge.intake.workloads import Workloads, held
from bridge.model.addresses import Ranges
from bridge.model.observed import Node, Pod
from bridge.policy.select import selectable

Place = tuple[str, ...]
"""A node by its name, or the egress of some namespaces."""

NODE, EGRESS = "node", "egress"
NODES: Place = (NODE,)  # all of them together

Judged = tuple[int, Place]
"""A bare source by its number, as seen at one egress, or at all nodes."""


@dataclass(slots=True)
class Count:
    """What one source selects at one place: how many members, and which pods (member or not yet) by workload.

    `exposed` while an address of the place is in the group; `strangers` are then the workloads there that are not whole in it.
    """

    members: int = 0
    inside: dict[str, int] = field(default_factory=dict)
    exposed: bool = False
    strangers: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Counted:
    """What of a pod is counted, and where."""

    places: tuple[Place, ...]
    workload: str
    inside: tuple[int, ...]
    members: tuple[int, ...]


class Tally:
    """The counts of a cluster, for bare sources by their numbers.

    What has changed gathers in `turned` (the first member of a source came to a place, or its last one went), `readdressed` (the addresses
    that a node had and has), `moves` (the pods that came to a source or went) and `unclear`, until somebody takes it; the truth of `turned`
    and `readdressed` is whether nothing proves the change.
    """

    def __init__(
        self, workloads: Workloads, pod_ranges: Ranges, selection: Selection[int], node_ranges: tuple[str, ...]
    ) -> None:
        self._workloads = workloads
        self._pod_ranges = pod_ranges
        self._selection = selection
        self.nodes = NodeAddresses(node_ranges)
        self.start()

    def start(self, egress: frozenset[Place] = frozenset(), *, by_node: bool = False) -> None:
        """Forget all counts, and count at these places from now on."""
        self.egress, self.by_node = egress, by_node
        self._counted: dict[str, Counted] = {}
        self._crowds: dict[Place, Crowd] = {}
        self._at: dict[Place, dict[int, Count]] = {}
        self._counts: dict[int, dict[Place, Count]] = {}
        self._strangers: dict[int, dict[str, int]] = {}
        self.unclear: set[Judged] = set()
        self.forget()

    def forget(self) -> None:
        """What changed was taken."""
        self.turned: dict[tuple[int, Place], bool] = {}
        self.readdressed: dict[str, dict[str, bool]] = {}
        self.moves: dict[int, dict[str, bool]] = {}

    @property
    def counts(self) -> Mapping[int, Mapping[Place, Count]]:
        """What was counted of each source at each place."""
        return self._counts

    def counted(self, uid: str) -> Counted | None:
        """What of a pod is counted, and where; None for one that is not."""
        return self._counted.get(uid)

    def at(self, name: str) -> Iterator[int]:
        """The sources that select somebody at a node."""
        return iter(self._at.get((NODE, name), ()))

    def words(self, source: int, place: Place) -> str:
        """Who else stands behind the addresses of a source, as seen at an egress, or at all nodes."""
        if place == NODES:
            found = self._strangers.get(source, {})
            return in_words(nsmallest(NAMED, found), len(found))
        count = self._counts.get(source, {}).get(place)
        return in_words(*self._crowds[place].strangers(count.inside)) if count and count.members else ""

    def count(self, uid: str, *, proven: bool = True) -> None:
        """Count one pod as it is now; without proof that it is gone, and while it lives on, its node leaves groups without proof too."""
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
            self._tally(before, -1, doubt=not proven or after is not None)
        was, now = (before.members if before else ()), (after.members if after else ())
        for source in (*was, *now):
            moved_place = before is not None and after is not None and before.places != after.places
            if moved_place or (source in was) != (source in now):
                self.moves.setdefault(source, {})[uid] = source in now

    def put_node(self, name: str, node: Node | None, *, proven: bool = True) -> bool:
        """Take a node as it is now, None when it is gone; returns whether addresses changed because of that."""
        before, beside = self.nodes.of(name), self.nodes.beside(name)
        if not self.nodes.put(name, node):
            return False
        places = [(NODE, one) for one in {name, *beside, *self.nodes.beside(name)}]
        for source in {one for place in places for one in self._at.get(place, ())}:
            for place in places:
                self._expose(source, place)
        known = self.readdressed.setdefault(name, {})
        for address in (*before, *self.nodes.of(name)):
            known[address] = known.get(address, False) or not proven
        return True

    def _measured(self, pod: Pod) -> Counted:
        inside: dict[int, None] = {}
        members: dict[int, None] = {}
        if selectable(pod):
            for address in pod.addresses or ("",):
                inside.update(dict.fromkeys(self._selection.of(pod, address)))
        for address in held(pod):
            owner = self._workloads.owner(address)
            if owner is not None and owner.uid == pod.uid and address in self._pod_ranges:
                members.update(dict.fromkeys(self._selection.of(pod, address)))
        return Counted(tuple(self._places(pod)), workload(pod), tuple(inside), tuple(members))

    def _places(self, pod: Pod) -> Iterator[Place]:
        if self.by_node and pod.node:
            yield (NODE, pod.node)
        for place in self.egress:
            if len(place) == 1 or pod.namespace in place[1:]:
                yield place

    def _tally(self, counted: Counted, step: int, *, doubt: bool) -> None:
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
        self.unclear.add((source, place)) if place[0] == EGRESS else self._recheck(source, place, name)

    def _tally_crowd(self, place: Place, name: str, step: int) -> None:
        crowd = self._crowds.setdefault(place, Crowd())
        turned = crowd.change(name, step)
        for source, count in self._at.get(place, {}).items():
            if place[0] == NODE:
                self._recheck(source, place, name)
            elif turned or name in count.inside:
                self.unclear.add((source, place))
        if not crowd:
            del self._crowds[place]

    def _turn(self, source: int, place: Place, *, doubt: bool) -> None:
        self.turned[source, place] = self.turned.get((source, place), False) or doubt
        if place[0] == EGRESS:
            self.unclear.add((source, place))
            return
        for name in (place[1], *self.nodes.beside(place[1])):
            self._expose(source, (NODE, name))

    def _expose(self, source: int, place: Place) -> None:
        """Whether an address of the node is in what this source is seen as, through its own members or those of a node with the same."""
        counts = self._counts.get(source, {})
        nodes = (place[1], *self.nodes.beside(place[1]))
        exposed = bool(self.nodes.of(place[1])) and any(
            (NODE, name) in counts and counts[NODE, name].members for name in nodes
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
        self.unclear.add((source, NODES))

    def _count(self, source: int, place: Place) -> Count:
        counts = self._counts.setdefault(source, {})
        if place not in counts:
            counts[place] = self._at.setdefault(place, {})[source] = Count()
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
