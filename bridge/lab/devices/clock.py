"""The clock of a simulated device: runs with the machine's, and jumps ahead when a test says so."""

import time


class LabClock:
    """Seconds since the epoch, as the device believes."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """The device's wall clock, in seconds since the epoch."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass at once; a negative number sets the clock back."""
        self._ahead += seconds
