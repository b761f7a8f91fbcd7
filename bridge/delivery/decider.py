"""Does what people decided about held steps of one device, and keeps the lists of them in line with what is held."""

from collections.abc import Mapping

import structlog

from bridge.clock import Clock
from bridge.delivery.holds import Holds, Place
from bridge.delivery.ledger import Ledger
from bridge.delivery.orders import Orders
from bridge.delivery.store import Store
from bridge.delivery.wanted import Wanted
from bridge.model.decisions import Choice, Decision, Settled
from bridge.model.identity import ObjectKey
from bridge.model.plan import Held
from bridge.state.desired import HeldList

log = structlog.get_logger(__name__)

_GUARD = "guard"
# Intake does what is decided about edits in a freeze when it hears of it. What it left to us it does not know any more.
_OVER = "the freeze of that list is over, or other lists have taken its place"


class Decider:
    """Each decision counts once it is written down, with the list that it is about, in one stroke: no failure in between does it twice."""

    def __init__(self, device: str, store: Store, clock: Clock, orders: Orders, wanted: Wanted, ledger: Ledger) -> None:
        self._device = device
        self._store = store
        self._clock = clock
        self._orders = orders
        self._wanted = wanted
        self._ledger = ledger
        self._loaded = False
        self._due: set[ObjectKey] = set()  # decided, and not looked at again yet
        self._listed = False  # whether everything that was held then is in a list
        self._kept: Mapping[Place, Held] = {}

    @property
    def _holds(self) -> Holds:
        return self._wanted.holds

    def load(self) -> None:
        """Take the lists as they are recorded, before anything is judged. Raises StateUnavailable."""
        if not self._loaded:
            self._holds.load(self._store.held_lists(self._device))
            self._loaded = True

    def decide(self, epoch: int) -> None:
        """Do what was decided, and list what is held now. Raises StateUnavailable, LostLease; what was not done then is asked again."""
        decisions, self._orders.decisions = self._orders.decisions, ()
        for decision in decisions:
            about = self._settled(decision, epoch)
            self._due.update(part.key for part in (about.held if about else ()))
        if self._due:
            self._tell_anew(self._due)
            self._due, self._listed = set(), False
            self._wanted.review()
        if not (self._listed and self._unchanged):
            self._listed = self._holds.settle(self._wanted.held, self._clock.now(), self._clock.elapsed())
            self._kept = dict(self._wanted.held)
            self._ledger.write(epoch, self._holds, self._clock.now())

    @property
    def _unchanged(self) -> bool:
        """Whether the very same is held as when it was listed: of many members nothing else is quick to tell."""
        now = self._wanted.held
        return now.keys() == self._kept.keys() and all(one is self._kept[place] for place, one in now.items())

    def arrived(self, aside: frozenset[ObjectKey]) -> None:
        """What people released is on the device, but for what it refuses."""
        self._holds.arrived({key.group for key in aside})

    def _settled(self, decision: Decision, epoch: int) -> HeldList | None:
        """Write down what comes of a decision; returns the list where that stands otherwise now."""
        about = self._store.held_list(self._device, decision.digest)
        if decision.verdict is Choice.UNREADABLE:
            return None
        if about is not None and about.kind != _GUARD:
            self._store.decide(self._device, epoch, decision, Settled.NOTHING_HELD, _OVER, None, self._clock.now())
            return None
        verdict = self._holds.judge(decision, about, self._wanted.held)
        outcome = verdict.settled, verdict.message, verdict.list
        self._store.decide(self._device, epoch, decision, *outcome, self._clock.now())
        log.info("decision", device=self._device, by=decision.by, digest=decision.digest, outcome=verdict.message)
        if verdict.list is not None:
            self._holds.decided(verdict.list, self._wanted.held)
        return verdict.list

    def _tell_anew(self, keys: set[ObjectKey]) -> None:
        """Who wants it so is part of what is told of an object."""
        self._wanted.todo.rows = self._ledger.again(keys) | self._wanted.todo.rows
