"""Who of those that come to groups and leave them may do so now, and who waits for a person."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from bridge.delivery.group_view import Delta, GroupView
from bridge.delivery.holds import Holds, Place, Waiting
from bridge.delivery.prefixes import around, inside
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group
from bridge.model.plan import Held, HoldKind
from bridge.policy.guard import GroupChange, GuardLimits, count_addresses, count_left_out, guard, widened

Deltas = Mapping[ObjectKey, Delta]
_NOBODY: frozenset[str] = frozenset()


class Admission:
    """The guard of one device, with what people decided before and what passed it lately. `elapsed` tells seconds."""

    def __init__(self, holds: Holds, limits: GuardLimits, elapsed: Callable[[], float]) -> None:
        self._holds = holds
        self._limits = limits
        self._elapsed = elapsed
        self._passed: dict[Place, deque[tuple[float, int]]] = {}

    def stays(
        self, deltas: Deltas, views: Mapping[ObjectKey, GroupView], first: set[ObjectKey], before: Waiting
    ) -> dict[Place, Held]:
        """What of these changes is held back; `first` are groups that the device never had, `before` was held until now.

        Whoever was held before, stays so until a person decides or it is proven: otherwise one decision would let others pass too.
        """
        changes = [self._change(key, delta, views[key], first=key in first) for key, delta in deltas.items()]
        total = 0
        if any(one.unproven for one in changes):
            total = sum(len(view) for view in views.values())
            changes += self._others(deltas, views)
        found = {(one.key, one.kind): one for one in guard(changes, total, self._limits)}
        for key, delta in deltas.items():
            for kind, up in _kinds(delta):
                self._keep((key, kind), up, delta.waited.get(kind, _NOBODY), before, found)
        self._follow(deltas, found)
        return found

    def edit(self, body: Group, had: Group, waited: Held | None) -> Held | None:
        """What of an edited destination is held back; `waited` was until now."""
        place, up = (body.key, HoldKind.DESTINATION), body.members - had.members
        found: dict[Place, Held] = {}
        held = widened(body.key, had.members, body.members, self._limits)
        if held is not None and (members := held.members - self._settled(place)):
            found[place] = Held(body.key, members, held.reason, held.kind)
        self._keep(place, up, waited.members if waited else _NOBODY, {place: waited} if waited else {}, found)
        return found.get(place)

    def _change(self, key: ObjectKey, delta: Delta, view: GroupView, *, first: bool) -> GroupChange:
        up = {kind: members - self._settled((key, kind)) for kind, members in _kinds(delta)}
        wide, away = up[HoldKind.WIDENING], up[HoldKind.REMOVAL]
        gained, lost = _reach(wide, delta.leaves), _reach(away, delta.joins)
        let_in, passed = self._lately((key, HoldKind.WIDENING)), self._lately((key, HoldKind.REMOVAL))
        much = max(gained + let_in, lost + passed) > self._limits.removals_per_group.count
        return GroupChange(
            key,
            len(view),
            up[HoldKind.GROWTH],
            away,
            first=first,
            doubtful=wide,
            gained=gained,
            lost=lost,
            left_out=count_left_out(list(view.members)) if much else 0,
            passed=passed,
            let_in=let_in,
        )

    def _others(self, deltas: Deltas, views: Mapping[ObjectKey, GroupView]) -> list[GroupChange]:
        """Groups that nothing happens to now and that lost members lately: of the device as a whole those count too."""
        places = [place for place in self._passed if place[0] not in deltas and place[1] is HoldKind.REMOVAL]
        return [GroupChange(p[0], len(views.get(p[0], ())), _NOBODY, _NOBODY, passed=self._lately(p)) for p in places]

    def _settled(self, place: Place) -> frozenset[str]:
        """Those about whom a person has decided: the guard counts them no more."""
        return self._holds.released(place) | self._holds.rejected(place)

    def _keep(
        self, place: Place, up: frozenset[str], waited: frozenset[str], before: Waiting, found: dict[Place, Held]
    ) -> None:
        """Whoever was held before, listed or rejected stays too, if it still comes up and nobody released it."""
        holds = self._holds
        stay = ((waited | holds.listed(place)) - holds.released(place) | holds.rejected(place)) & up
        if stay:
            known = found.get(place) or before.get(place) or holds.recorded_as(place)
            reason = known.reason if known else "held before"
            members = found[place].members | stay if place in found else stay
            found[place] = Held(place[0], members, reason, place[1])

    def _follow(self, deltas: Deltas, found: dict[Place, Held]) -> None:
        """Who would join what is left of others, because of a removal that waits, waits with it."""
        leaving: dict[str, set[str]] = {}
        for (key, kind), one in found.items():
            if kind is HoldKind.REMOVAL:
                leaving.setdefault(key.cluster, set()).update(one.members)
        for key, delta in deltas.items():
            place, waits = (key, HoldKind.WIDENING), leaving.get(key.cluster, set())
            joins = delta.doubtful - self._holds.released(place) if waits else set()
            extra = (joins & waits) | around(joins, waits) | inside(joins, waits)
            if extra:
                known = found.get(place)
                reason = known.reason if known else f"{len(extra)} join because others leave, which waits too"
                found[place] = Held(key, frozenset(extra) | (known.members if known else _NOBODY), reason, place[1])

    def note(self, deltas: Deltas, found: Mapping[Place, Held], shut: Collection[ObjectKey]) -> None:
        """Those who pass now without proof count for a while; of those who join, not in groups that are `shut`."""
        if not self._limits.window:
            return
        for key, delta in deltas.items():
            for kind, up in _kinds(delta):
                if not up or kind is HoldKind.GROWTH or (kind is HoldKind.WIDENING and key in shut):
                    continue
                stay = found[key, kind].members if (key, kind) in found else _NOBODY
                others = delta.joins if kind is HoldKind.REMOVAL else delta.leaves
                count = _reach(up - stay - self._holds.released((key, kind)), others)
                if count:
                    self._passed.setdefault((key, kind), deque()).append((self._elapsed(), count))

    def _lately(self, place: Place) -> int:
        passed = self._passed.get(place)
        if passed is None:
            return 0
        since = self._elapsed() - self._limits.window
        while passed and passed[0][0] <= since:
            passed.popleft()
        if not passed:
            del self._passed[place]
        return sum(count for _, count in passed)


def _reach(members: frozenset[str], others: Collection[str]) -> int:
    """How many addresses come or go with these, less what the others bring back of the same."""
    if not any("/" in member for member in members):
        return len(members)
    return count_addresses(members) - count_addresses(inside(others, members))


def _kinds(delta: Delta) -> Iterator[tuple[HoldKind, frozenset[str]]]:
    """Who comes up, by what would happen."""
    wider = delta.widening
    doubtful = frozenset(delta.doubtful) & wider if delta.doubtful else _NOBODY
    yield HoldKind.REMOVAL, delta.narrowing if delta.unproven else _NOBODY
    yield HoldKind.WIDENING, doubtful
    yield HoldKind.GROWTH, wider - doubtful
