"""Time, behind one small door so that tests turn hours into milliseconds."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the loops ask of time."""

    def now(self) -> datetime:
        """The wall clock, in UTC: for people, records and leases that others read."""
        ...

    def elapsed(self) -> float:
        """Seconds since some fixed point, suspended time included: for deadlines."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, at most so long; True when it is set."""
        ...


class SystemClock:
    """The machine's clock. Deadlines run on CLOCK_BOOTTIME where the system has it, so that a suspended machine wakes expired."""

    _source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Seconds of CLOCK_BOOTTIME."""
        return time.clock_gettime(self._source)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, at most so long."""
        return event.wait(seconds)
