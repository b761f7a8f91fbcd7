"""When a take-over is complete: what the owner before may have sent last has had its time, and is put right."""

import math
from collections.abc import Callable

from bridge.clock import Clock


class TakeOver:
    """A call that the owner before had begun when he lost the device may still take effect: no check of his own can prevent that.

    So everything is read once more when our fence has stood for `patience` seconds, as long as a call may take. Once that reading is put
    right, `settle` is called: the take-over is complete. The device is served all the time. Without `settle` there is nothing to wait
    for: the owner before let go.
    """

    def __init__(self, clock: Clock, patience: float = 0.0, settle: Callable[[], None] | None = None) -> None:
        self._clock, self._patience, self._settle = clock, patience, settle
        self._due: float | None = None
        self._read = False

    @property
    def wait(self) -> float:
        """Seconds until everything is to be read again; infinite when it is not."""
        if self._settle is None or self._read or self._due is None:
            return math.inf
        return max(0.0, self._due - self._clock.elapsed())

    def saw(self, began: float) -> None:
        """Everything was read, by a reading that began then, and our fence stands."""
        if self._due is None:
            self._due = self._clock.elapsed() + self._patience
        elif began >= self._due:
            self._read = True

    def in_step(self) -> None:
        """What was read last is put right."""
        if self._read and self._settle is not None:
            self._settle()
            self._settle = None
