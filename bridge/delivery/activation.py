"""When a device is asked whether it enforces what it stores."""

from math import ceil, log2

_SOONEST = 0.05


class Activation:
    """Asks at once after each plan, then after 0.05 s, and after twice as long each time up to the interval; all in seconds.

    On average it never asks more often than once in an interval: what is asked sooner after a lone change, is asked less under a stream of
    changes.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._ahead = interval * ceil(
            log2(max(interval / _SOONEST, 1))
        )  # how far questions may run ahead of the average
        self._paid = 0.0  # when the questions so far would be one in an interval
        self._due = 0.0
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Something was stored that may not be enforced yet."""
        self._pause = min(_SOONEST, self._interval)
        self._due = max(now, self._paid - self._ahead)

    def due(self, now: float) -> bool:
        """Whether to ask now."""
        return now >= self._due

    def asked(self, now: float) -> None:
        """It was asked, whatever the answer."""
        self._paid = max(self._paid, now) + self._interval
        self._due = max(now + self._pause, self._paid - self._ahead)
        self._pause = min(2 * self._pause, self._interval)

    def wait(self, now: float) -> float:
        """The seconds until it is to be asked; the interval where that is overdue, since nobody asks."""
        return self._due - now if self._due > now else self._interval
