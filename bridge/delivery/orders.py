"""What people ordered about one device: that nothing is to be written to it, and what to do about what is held."""

import threading
from collections.abc import Collection

from bridge.delivery.store import Store
from bridge.errors import StateUnavailable, Stopped
from bridge.model.decisions import Decision, Stop


class Orders:
    """As the state told last. `news`, from any thread, says that there may be others; then even a plan on its way asks before it writes."""

    def __init__(self, device: str, store: Store, clusters: Collection[str]) -> None:
        self._device = device
        self._store = store
        self._clusters = clusters
        self._news = threading.Event()
        self._noted: tuple[Stop, ...] | None = None
        self.stops: tuple[Stop, ...] = ()
        self.decisions: tuple[Decision, ...] = ()

    def news(self) -> None:
        """There may be new orders."""
        self._news.set()

    def look(self) -> None:
        """Ask for them. Raises StateUnavailable; what was told last goes on meanwhile."""
        self._news.clear()
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
        if not self._news.is_set():
            return
        self._news.clear()
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
