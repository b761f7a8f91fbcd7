"""The right of this process to act for one cluster or device: a lease row, renewed in time, with an epoch that fences others."""

import threading
from dataclasses import dataclass
from typing import Protocol

import structlog

from bridge.clock import Clock
from bridge.errors import LostLease, StateError

log = structlog.get_logger(__name__)


class Leases(Protocol):
    """The lease rows."""

    def acquire(self, role: str, name: str, holder: str, seconds: float, floor: int = 0) -> int | None:
        """The epoch, or None while another holds it."""
        ...

    def renew(self, role: str, name: str, holder: str, epoch: int, seconds: float) -> bool:
        """False when it is lost."""
        ...

    def release(self, role: str, name: str, holder: str, epoch: int) -> None:
        """Give it up."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: how long a lease lasts, how often it is renewed, and how long after a renewal calls may still be started."""

    term: float = 10.0
    renewal: float = 2.5
    deadline: float = 7.0


class Tenure:
    """Held from `take` until lost or released. `epoch` is asked before every write and raises LostLease past the deadline."""

    def __init__(self, role: str, name: str, holder: str, leases: Leases, clock: Clock, times: LeaseTimes) -> None:
        self.role, self.name = role, name
        self._holder, self._leases, self._clock, self._times = holder, leases, clock, times
        self._epoch: int | None = None
        self._until = self._taken = 0.0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Try to get the lease. Raises StateUnavailable."""
        started = self._clock.elapsed()
        epoch = self._leases.acquire(self.role, self.name, self._holder, self._times.term)
        with self._lock:
            self._epoch, self._until, self._taken = epoch, started + self._times.deadline, started
        return epoch is not None

    def epoch(self) -> int:
        """The epoch under which to write; LostLease when it is no longer certain that it is ours."""
        with self._lock:
            if self._epoch is None or self._clock.elapsed() > self._until:
                raise LostLease(f"the lease of {self.role} {self.name} was not renewed in time")
            return self._epoch

    @property
    def current(self) -> int | None:
        """The epoch while the tenure is certain, None otherwise. From any thread."""
        with self._lock:
            return self._epoch if self._clock.elapsed() <= self._until else None

    @property
    def held(self) -> bool:
        """Whether we act now."""
        return self.current is not None

    @property
    def held_for(self) -> float:
        """Seconds since it was taken; 0 while it is not held."""
        return self._clock.elapsed() - self._taken if self.held else 0.0

    def renew(self) -> None:
        """Prolong it; a failure leaves the deadline where it was, a refusal ends the tenure."""
        with self._lock:
            epoch = self._epoch
        if epoch is None:
            return
        started = self._clock.elapsed()
        try:
            kept = self._leases.renew(self.role, self.name, self._holder, epoch, self._times.term)
        except StateError as error:
            log.warning("lease not renewed", role=self.role, name=self.name, error=str(error))
            return
        with self._lock:
            if kept:
                self._until = started + self._times.deadline
            elif self._epoch == epoch:
                self._epoch = None

    def release(self) -> None:
        """Give it up, so that another need not wait."""
        with self._lock:
            epoch, self._epoch = self._epoch, None
        if epoch is None:
            return
        try:
            self._leases.release(self.role, self.name, self._holder, epoch)
        except StateError as error:
            log.warning("lease not released", role=self.role, name=self.name, error=str(error))
