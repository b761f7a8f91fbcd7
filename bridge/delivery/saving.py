"""When a device is told to keep what it stores over a restart of its own."""

import structlog

from bridge.clock import Clock
from bridge.delivery.enforcement import Enforcement
from bridge.errors import DeviceError

log = structlog.get_logger(__name__)


class Saving:
    """Saves once for many changes, `after` seconds after the first of them; what fails is tried again after as long."""

    def __init__(self, enforcement: Enforcement, clock: Clock, after: float) -> None:
        self._enforcement = enforcement
        self._clock = clock
        self._after = after
        self._due: float | None = None

    def changed(self) -> None:
        """Something was stored."""
        if self._due is None:
            self._due = self._clock.elapsed() + self._after

    def save(self, *, now: bool) -> None:
        """Save what is not saved yet, when it is time; with `now` in any case."""
        if self._due is None or not (now or self._clock.elapsed() >= self._due):
            return
        adapter = self._enforcement.adapter
        try:
            adapter.save()
            self._due = None
        except DeviceError as error:
            log.warning("not saved yet", device=adapter.device, error=str(error))
            self._due = self._clock.elapsed() + self._after
