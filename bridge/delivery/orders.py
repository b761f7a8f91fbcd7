"""What people ordered about one device: that nothing is to be written to it, and what to do about what is held."""

import threading
from collections.abc import Callable, Collection

from bridge.delivery.store import Store
from bridge.errors import StateUnavailable, Stopped
from bridge.model.decisions import Decision, Stop

_LOOK_AGAIN = (
    2.0  # seconds: a plan on its way asks by itself, should nobody be heard who says that there is something new
)


class Orders:
    """As the state told last. `news`, from any thread, says that there may be others; then even a plan on its way asks before it writes."""

    def __init__(self, device: str, store: Store, clusters: Collection[str], elapsed: Callable[[], float]) -> None:
        self._device = device
        self._store = store
        self._clusters = clusters
        self._elapsed = elapsed
        self._news = threading.Event()
        self._looked_at = elapsed()
        self._noted: tuple[Stop, ...] | None = None
        self.stops: tuple[Stop, ...] = ()
        self.decisions: tuple[Decision, ...] = ()

    def news(self) -> None:
        """There may be new orders."""
        self._news.set()

    def look(self) -> None:
        """Ask for them. Raises StateUnavailable; what was told last goes on meanwhile."""
        self._news.clear()
        self._looked_at = self._elapsed()
        try:
            control = self._store.control(self._device, self._clusters)
        except StateUnavailable:
            self._news.set()
            raise
        self.stops, self.decisions = control.stops, control.decisions

    def note(self, epoch: int) -> None:
        """Write down which stops are obeyed from now on, where that is not written yet."""
        if self._noted != self.stops:
            self._store.note_stops(self._device, epoch, self.stops)
            self._noted = self.stops

    def permit(self) -> None:
        """Asked before each call that changes the device. Raises Stopped when a stop has come into force since the plan was made.

        While the database is away nobody can have ordered anything that it would tell.
        """
        if not self._news.is_set() and self._elapsed() - self._looked_at < _LOOK_AGAIN:
            return
        self._news.clear()
        self._looked_at = self._elapsed()
        try:
            stops = self._store.control(self._device, self._clusters).stops
        except StateUnavailable:
            self._news.set()
            return
        if stops:
            raise Stopped(f"{self._device}: {words(stops)}")


def words(stops: Collection[Stop]) -> str:
    """Who stopped it, and why."""
    return "; ".join(map(str, stops))
