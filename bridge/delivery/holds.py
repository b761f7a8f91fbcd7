"""What waits for a person on one device, as fixed lists, one at a time for each cluster; and what was decided about them.

A list never changes. What of it is still wanted may shrink; when anything comes up that is not in it, another list takes its place.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.model.decisions import Choice, Decision, Settled
from bridge.model.identity import ObjectKey
from bridge.model.plan import Held, HoldKind, held_digest
from bridge.state.desired import HeldList, ListState

Place = tuple[ObjectKey, HoldKind]
"""What would happen, and to which group."""

Waiting = Mapping[Place, Held]
Members = dict[Place, frozenset[str]]

_MEMBERS_PER_SECOND = 250  # a list of so many members more is kept a second longer before another one takes its place
_LONGEST = 300.0
_UNWANTED = "nothing of it is wanted any more"
_NOBODY: frozenset[str] = frozenset()
_WORDS = {ListState.RELEASED: "released", ListState.REJECTED: "rejected"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a decision, and the list as it stands then; None where that is as it was."""

    settled: Settled
    message: str
    list: HeldList | None = None


class Holds:
    """The lists of one device: those that wait, those that were released and are not on the device yet, those that were rejected.

    What changed of them is in `unrecorded`, until `recorded` is told. Another list does not take the place of one within `relist` seconds,
    more for a long one: who comes up meanwhile waits all the same, and is listed then.
    """

    def __init__(self, device: str, relist: float = 2.0) -> None:
        self._device = device
        self._relist = relist
        self._current: dict[str, HeldList] = {}
        self._listed: dict[str, Members] = {}
        self._listed_at: dict[str, float] = {}
        self._decided: dict[str, HeldList] = {}
        self._live: dict[str, Members] = {}  # of what was decided, who is meant by it still
        self._unrecorded: dict[str, HeldList] = {}

    def load(self, lists: Iterable[HeldList]) -> None:
        """Go on from what is recorded."""
        for one in lists:
            self._place(one)

    @property
    def waiting(self) -> tuple[HeldList, ...]:
        """The lists that wait for a person, by cluster."""
        return tuple(self._current[name] for name in sorted(self._current))

    def listed(self, place: Place) -> frozenset[str]:
        """Who waits until somebody decides, however few of them are left."""
        return self._listed.get(place[0].cluster, {}).get(place, _NOBODY)

    def released(self, place: Place) -> frozenset[str]:
        """Who may pass."""
        return self._meant(place, ListState.RELEASED)

    def rejected(self, place: Place) -> frozenset[str]:
        """Who stays as it is for good."""
        return self._meant(place, ListState.REJECTED)

    def recorded_as(self, place: Place) -> Held | None:
        """The part of a list, waiting or decided, that tells of it."""
        lists = (*self._current.values(), *self._decided.values())
        return next((part for each in lists for part in each.held if (part.key, part.kind) == place), None)

    def why(self, one: Held) -> str:
        """Why it waits, in words, and who wants it to stay so."""
        place = one.key, one.kind
        by = [
            f"rejected by {each.by}: {each.reason}"
            for digest, each in self._decided.items()
            if each.state is ListState.REJECTED and one.members & self._live[digest].get(place, _NOBODY)
        ]
        return "; ".join((one.reason, *by))

    def releases(self, key: ObjectKey) -> tuple[str, ...]:
        """Who let changes of this object pass that are not on the device yet, and why."""
        return tuple(
            f"released by {each.by}: {each.reason}"
            for each in self._decided.values()
            if each.state is ListState.RELEASED and any(part.key == key for part in each.held)
        )

    def judge(self, decision: Decision, about: HeldList | None, up: Waiting) -> Verdict:
        """What a decision about the list of that digest comes to, None where there is none. Nothing changes by that."""
        if about is None or about.cluster != decision.cluster:
            where = f"as {decision.digest} on {self._device} for {decision.cluster}"
            return Verdict(Settled.NOTHING_HELD, f"nothing is held {where}")
        about = self._unrecorded.get(about.digest, about)
        if about.state in (ListState.DONE, ListState.RELEASED):
            return Verdict(Settled.NOTHING_HELD, about.message or f"released before by {about.by}: {about.reason}")
        count = sum(len(one.members & _up(one, up)) for one in about.held)
        if not count:
            return Verdict(Settled.NOTHING_HELD, _UNWANTED, replace(about, state=ListState.DONE, message=_UNWANTED))
        state = ListState.RELEASED if decision.verdict is Choice.RELEASE else ListState.REJECTED
        total = sum(len(one.members) for one in about.held)
        message = f"{_WORDS[state]}: {count} of {total} members, which is all that was still wanted"
        decided = replace(about, state=state, by=decision.by, reason=decision.reason, message="")
        return Verdict(Settled.DONE, message, decided)

    def decided(self, about: HeldList, up: Waiting) -> None:
        """A list stands otherwise, as is recorded already. Only what is held back now is meant by that."""
        self._unrecorded.pop(about.digest, None)
        self._place(about)
        if about.digest in self._live:
            self._live[about.digest] = {
                place: members & up[place].members for place, members in self._live[about.digest].items() if place in up
            }

    def settle(self, up: Waiting, at: datetime, elapsed: float) -> bool:
        """Bring the lists in line with what is held back now; returns whether all of it is in a list."""
        self._end_rejections(up)
        asked: dict[str, list[Held]] = {}
        for place in sorted(up):
            rest = up[place].members - self.rejected(place)
            if rest:
                asked.setdefault(place[0].cluster, []).append(replace(up[place], members=rest))
        listed = [self._list(name, asked.get(name, []), at, elapsed) for name in sorted({*asked, *self._current})]
        return all(listed)

    def arrived(self, aside: Collection[ObjectKey]) -> None:
        """What was released is on the device, but for groups that are set `aside`: nothing else passes by those lists."""
        for one in [each for each in self._decided.values() if each.state is ListState.RELEASED]:
            if not any(part.key in aside for part in one.held):
                self._change(replace(one, state=ListState.DONE, message=f"released by {one.by}, and on the device"))

    @property
    def unrecorded(self) -> tuple[HeldList, ...]:
        """What changed, in an order in which no two lists of a cluster wait at once."""
        return tuple(sorted(self._unrecorded.values(), key=lambda one: one.state is ListState.HELD))

    def recorded(self, lists: Iterable[HeldList]) -> None:
        """These were."""
        for one in lists:
            if self._unrecorded.get(one.digest) is one:
                del self._unrecorded[one.digest]

    def _list(self, cluster: str, asked: list[Held], at: datetime, elapsed: float) -> bool:
        current = self._current.get(cluster)
        if current is not None and not self._replaced(current, asked):
            return True
        if cluster in self._current and not self._due(self._current[cluster], elapsed):
            return False
        if asked:
            digest = held_digest(self._device, cluster, asked)
            if cluster in self._current:
                message = f"{digest} is in its place"
                self._change(replace(self._current[cluster], state=ListState.SUPERSEDED, message=message))
            self._listed_at[cluster] = elapsed
            self._change(HeldList(cluster, digest, tuple(asked), at))
        return True

    def _replaced(self, current: HeldList, asked: list[Held]) -> bool:
        """Whether another list must come in the place of this one; ends it where nobody in it waits any more."""
        listed = self._listed[current.cluster]
        if not any(one.members & listed.get((one.key, one.kind), _NOBODY) for one in asked):
            self._change(replace(current, state=ListState.DONE, message=_UNWANTED))
            return True
        if self._in_part_rejected(current):
            return True
        return not all(one.members <= listed.get((one.key, one.kind), _NOBODY) for one in asked)

    def _in_part_rejected(self, current: HeldList) -> bool:
        return any(members & self.rejected(place) for place, members in self._listed[current.cluster].items())

    def _due(self, current: HeldList, elapsed: float) -> bool:
        """Whether another list may come now: what a person has just decided is listed at once."""
        size = sum(map(len, self._listed[current.cluster].values()))
        least = min(max(self._relist, size / _MEMBERS_PER_SECOND), _LONGEST)
        since = self._listed_at.get(current.cluster, elapsed - least)
        return elapsed >= since + least or self._in_part_rejected(current)

    def _end_rejections(self, up: Waiting) -> None:
        for digest, one in list(self._decided.items()):
            if one.state is not ListState.REJECTED:
                continue
            live = {place: members & up[place].members for place, members in self._live[digest].items() if place in up}
            self._live[digest] = live
            if not any(live.values()):
                self._change(replace(one, state=ListState.DONE, message=f"rejected by {one.by}; {_UNWANTED}"))

    def _change(self, one: HeldList) -> None:
        self._unrecorded[one.digest] = one
        self._place(one)

    def _place(self, one: HeldList) -> None:
        """Keep a list where its state says."""
        current = self._current.get(one.cluster)
        if one.state is ListState.HELD:
            self._current[one.cluster], self._listed[one.cluster] = one, _members(one)
        elif current is not None and current.digest == one.digest:
            del self._current[one.cluster], self._listed[one.cluster]
        if one.state in _WORDS:
            self._decided[one.digest] = one
            self._live[one.digest] = _members(one)
        else:
            self._decided.pop(one.digest, None)
            self._live.pop(one.digest, None)

    def _meant(self, place: Place, state: ListState) -> frozenset[str]:
        found = (self._live[d].get(place, _NOBODY) for d, one in self._decided.items() if one.state is state)
        return _NOBODY.union(*found)


def _members(one: HeldList) -> Members:
    found: Members = {}
    for part in one.held:
        place = part.key, part.kind
        found[place] = found.get(place, _NOBODY) | part.members
    return found


def _up(one: Held, up: Waiting) -> frozenset[str]:
    found = up.get((one.key, one.kind))
    return found.members if found else _NOBODY
