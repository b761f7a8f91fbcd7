"""The right of this process to act for one cluster or device: a lease row, renewed in time, with an epoch that fences others."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from bridge.clock import Clock
from bridge.errors import LostLease, StateError

log = structlog.get_logger(__name__)

_LOOK = 5.0  # seconds; a grant wakes at once
_MANY = 8


def _nothing() -> None:
    """Nobody waits."""


class Elsewhere(StrEnum):
    """Who else acts, as far as is known. DOUBTED: the lease is another's, who did not renew it when he should have."""

    NOBODY = "nobody"
    HELD = "held"
    DOUBTED = "doubted"


Meanwhile = Callable[[Elsewhere, Clock], None]


def wait(_elsewhere: Elsewhere, _clock: Clock) -> None:
    """There is nothing to do until it is our turn."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: how long a lease lasts, how often it is renewed, how long after a renewal calls may still be started, and how often to
    look for a lease that is free."""

    term: float = 6.0
    renewal: float = 1.5
    deadline: float = 4.0
    attempt: float = 0.5

    def overdue(self, left: float) -> bool:
        """Whether a lease that lasts so many seconds more was not renewed for as long as two renewals take."""
        return left < self.term - 2 * self.renewal


class Leases(Protocol):
    """What a tenure does to its lease row by itself."""

    def release(self, role: str, name: str, holder: str, epoch: int, ago: float = 0.0) -> None:
        """Give it up, as if that had been so many seconds ago."""
        ...

    def settle(self, role: str, name: str, holder: str, epoch: int) -> None:
        """The take-over is complete."""
        ...


class Tenure:
    """Held from `grant` until it is lost or released; `epoch` is asked before every write and raises LostLease past the deadline.

    One thread serves it and releases it, another grants and renews it.
    """

    def __init__(self, role: str, name: str, holder: str, leases: Leases, clock: Clock, times: LeaseTimes) -> None:
        self.role, self.name = role, name
        self._holder, self._leases, self._clock, self._times = holder, leases, clock, times
        self._epoch: int | None = None
        self._until = self._taken = self._rests_until = 0.0
        self._taking_over = False
        self._elsewhere = Elsewhere.NOBODY
        self._serving = self._closed = False
        self._granted = threading.Event()
        self._lock = threading.Lock()
        self.failures = 0  # in a row, of serving it
        self.over = threading.Event()  # of this grant: end between two turns, and release
        self.wake: Callable[[], None] = _nothing  # whoever serves it and may be waiting, to look at `over`

    # ---- whoever serves

    def await_grant(self, clock: Clock, meanwhile: Meanwhile = wait) -> bool:
        """Wait until it is ours; False when it will never be again. `meanwhile` is called at once when others act or do so no more."""
        while not self._closed:
            meanwhile(self._elsewhere, clock)
            if clock.wait(self._granted, _LOOK):
                with self._lock:
                    self._granted.clear()
                    if self._epoch is not None and not self._closed:
                        self._serving = True
                        return True
        self.release()
        return False

    def epoch(self) -> int:
        """The epoch under which to write; LostLease when it is no longer certain that it is ours."""
        with self._lock:
            if self._epoch is None or self._clock.elapsed() > self._until:
                raise LostLease(f"the lease of {self.role} {self.name} was not renewed in time")
            return self._epoch

    def permit(self) -> None:
        """`epoch`, for those who only need leave."""
        self.epoch()

    def settle(self) -> None:
        """What the owner before may have left behind is made good. Raises StateUnavailable, LostLease."""
        self._leases.settle(self.role, self.name, self._holder, self.epoch())
        self._taking_over = False
        log.info("take-over complete", role=self.role, name=self.name)

    def release(self, rest: float = 0.0) -> None:
        """Give it up, so that another need not wait. With a rest it could not be served: anybody may try at once, we not for so long."""
        with self._lock:
            epoch, self._epoch = self._epoch, None
            self._rests_until = self._clock.elapsed() + rest
            self.failures = min(self.failures + 1, _MANY) if rest else 0
            self.wake = _nothing
        try:
            if epoch is not None:
                self._leases.release(self.role, self.name, self._holder, epoch, self._times.term if rest else 0.0)
        except StateError as error:
            log.warning("lease not released", role=self.role, name=self.name, error=str(error))
        finally:
            with self._lock:
                self._serving = False  # not before: a release on its way would end the next grant of the same epoch

    # ---- whoever keeps it

    @property
    def free(self) -> bool:
        """Whether it may be granted now: nobody serves it here, or is to leave it alone for a while."""
        with self._lock:
            idle = self._epoch is None and not self._serving and not self._closed
            return idle and self._clock.elapsed() >= self._rests_until

    def look(self, elsewhere: Elsewhere) -> None:
        """Who else acts now."""
        before, self._elsewhere = self._elsewhere, elsewhere
        if before is not elsewhere:
            self._granted.set()

    @property
    def renewable(self) -> int | None:
        """The epoch to renew; None when there is nothing to renew."""
        with self._lock:
            return self._epoch

    def grant(self, epoch: int, asked: float, *, taking_over: bool) -> None:
        """It is ours since it was asked for, at this time."""
        with self._lock:
            self._epoch, self._until, self._taken = epoch, asked + self._times.deadline, asked
            self._taking_over = taking_over
            self.over = threading.Event()
            closed = self._closed
        if closed:
            self.release()
        self._granted.set()

    def renewed(self, epoch: int, asked: float, *, kept: bool) -> None:
        """What came of a renewal that was asked for at this time; without an answer the deadline stays where it was."""
        with self._lock:
            lost = self._epoch == epoch and not kept
            if lost:
                self._epoch = None
            elif self._epoch == epoch:
                self._until = asked + self._times.deadline
        if lost:
            self.give_up()  # who has nothing to do there would not find out, and keep others here from serving it

    def resume(self) -> None:
        """It need not be left alone any longer: a person may have decided."""
        with self._lock:
            self._rests_until = 0.0

    def give_up(self) -> None:
        """Whoever serves it is to end and release it."""
        self.over.set()
        self.wake()

    def close(self) -> None:
        """For good."""
        with self._lock:
            self._closed = True
        self.give_up()
        self._granted.set()

    # ---- whoever looks, from any thread

    @property
    def current(self) -> int | None:
        """The epoch while the tenure is certain, None otherwise."""
        with self._lock:
            return self._epoch if self._clock.elapsed() <= self._until else None

    @property
    def held(self) -> bool:
        """Whether we act now."""
        return self.current is not None

    @property
    def taking_over(self) -> bool:
        """Whether the owner before did not give it up, and what he may have left behind is not made good yet."""
        return self._taking_over and self._epoch is not None

    @property
    def settled(self) -> bool:
        """Whether we act now, and nothing of the owner before is to be made good."""
        return self.held and not self._taking_over

    @property
    def held_for(self) -> float:
        """Seconds since it was taken; 0 while it is not held."""
        return self._clock.elapsed() - self._taken if self.held else 0.0
