"""Stored is not active: AFM compiles a change some time after it is stored, or when a person asks for it.

`delay` is that time in seconds on the device's clock. `manual` keeps changes waiting until `deploy`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.lab.devices.bigip.fields import Key
from bridge.lab.devices.bigip.item import Item, State
from bridge.lab.devices.bigip.kinds import GLOBAL_RULES, ROUTE_DOMAIN, VIRTUAL
from bridge.lab.devices.clock import LabClock

_MERGE_AT = 500


@dataclass(frozen=True, slots=True)
class Context:
    """One place where a policy is enforced or staged."""

    kind: str
    name: str
    policy: str
    policy_type: str


@dataclass(slots=True)
class _Batch:
    due: float | None
    changes: Mapping[Key, Item | None]


def contexts(state: State) -> Iterator[Context]:
    """Every policy in its place, in the order in which a packet meets the places."""
    for collection, kind, prefix in (
        (GLOBAL_RULES, "global", ""),
        (ROUTE_DOMAIN, "route-domain", "fw"),
        (VIRTUAL, "virtual", "fw"),
    ):
        for item in state.values():
            if item.kind.collection != collection:
                continue
            for which in ("enforced", "staged"):
                name = f"fw{which.capitalize()}Policy" if prefix else f"{which}Policy"
                if item.body.get(name):
                    yield Context(kind, item.path, item.body[name], which)


def reachable(state: State, root: Key) -> set[Key]:
    """The object and all that it refers to, through any number of steps."""
    seen: set[Key] = set()
    waiting = [root]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            if key in state:
                waiting.extend(state[key].references)
    return seen


class Compiler:
    """The active configuration, and when each context was last activated."""

    def __init__(self, clock: LabClock, state: State) -> None:
        self._clock = clock
        self.delay = 0.0
        self.manual = False
        self._waiting: list[_Batch] = []
        self._active: dict[Key, Item] = dict(state)
        self._activated: dict[tuple[str, str, str], float] = {}

    def stored(self, changes: Mapping[Key, Item | None]) -> None:
        """Take note of a change that was stored now."""
        self._waiting.append(_Batch(None if self.manual else self._clock.now() + self.delay, changes))
        if len(self._waiting) > _MERGE_AT:
            self._settle()

    def deploy(self) -> None:
        """Compile what waits for a person."""
        due = self._clock.now() + self.delay
        for batch in self._waiting:
            if batch.due is None:
                batch.due = due

    def restart(self, state: State) -> None:
        """Everything compiled, as after a boot."""
        self._waiting.clear()
        self._active = dict(state)
        self._activated = {(one.kind, one.name, one.policy_type): self._clock.now() for one in contexts(state)}

    @property
    def pending(self) -> int:
        """How many stored changes are not active yet."""
        self._settle()
        return len(self._waiting)

    def active(self) -> State:
        """What the device enforces now."""
        self._settle()
        return self._active

    def activations(self) -> list[tuple[Context, float]]:
        """Each context with a policy, and when it was last activated."""
        state = self.active()
        return [(one, self._activated.get((one.kind, one.name, one.policy_type), 0.0)) for one in contexts(state)]

    def _settle(self) -> None:
        now = self._clock.now()
        ready: list[_Batch] = []
        while self._waiting and self._waiting[0].due is not None and self._waiting[0].due <= now:
            ready.append(self._waiting.pop(0))
        if not ready:
            return
        before = self._reach()
        for batch in ready:
            for key, item in batch.changes.items():
                if item is None:
                    self._active.pop(key, None)
                else:
                    self._active[key] = item
        for place, after in self._reach().items():
            keys = after | before.get(place, set())
            touched = [batch.due for batch in ready if batch.due is not None and not keys.isdisjoint(batch.changes)]
            if touched:
                self._activated[place] = max(touched)

    def _reach(self) -> dict[tuple[str, str, str], set[Key]]:
        roots = {"global": GLOBAL_RULES, "route-domain": ROUTE_DOMAIN, "virtual": VIRTUAL}
        reach = {}
        for one in contexts(self._active):
            keys = reachable(self._active, (roots[one.kind], one.name))
            reach[one.kind, one.name, one.policy_type] = keys
        return reach
