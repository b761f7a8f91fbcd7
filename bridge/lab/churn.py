"""Pods that come and go: steps that follow from a seed, taken by the caller or by a thread at a rate."""

import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from bridge.lab.fleet import Fleet
from bridge.lab.workload import Workload

# A thread that fell behind catches up in blocks of this length, so that one wake-up serves many steps at a high rate.
_TICK_SECONDS: Final = 0.005


class Churn:
    """Changes to a fleet. A change is a pod deleted and its replacement addressed, or a pod added or removed.

    `reuse` is the share of replacements that get the address just released. With `only_replace` the fleet keeps its size and
    every step is exactly one change. `gently` lets removed pods be seen terminating first.
    """

    def __init__(
        self, fleet: Fleet, *, seed: int = 1, reuse: float = 0.3, only_replace: bool = False, gently: bool = True
    ) -> None:
        self.fleet = fleet
        self.changes = 0
        self._random = random.Random(seed)
        self._reuse = reuse
        self._only_replace = only_replace
        self._gently = gently
        self._largest = 2 * fleet.size
        self._movable = [workload for workload in fleet.workloads if not workload.daemon]
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def step(self) -> str:
        """One thing that happens; returns what."""
        if self._only_replace:
            return self._replace(self._workload())
        moves: tuple[tuple[Callable[[Workload], str], int], ...] = (
            (self._replace, 70),
            (self._scale_up, 12),
            (self._scale_down, 12),
            (self._roll, 6),
        )
        move = self._random.choices([move for move, _ in moves], [weight for _, weight in moves])[0]
        return move(self._workload())

    def run(self, steps: int) -> None:
        """So many steps at once, and the EndpointSlices that follow from them."""
        for _ in range(steps):
            self.step()
        self.fleet.settle()

    def start(self, rate: float, *, seconds: float | None = None, count: int | None = None) -> Self:
        """Take `rate` steps a second from a thread, until `seconds` are over, `count` steps are done, or `stop`."""
        arguments = (rate, seconds, count)
        self._thread = threading.Thread(target=self._keep_going, args=arguments, name="lab-churn", daemon=True)
        self._thread.start()
        return self

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread to end by itself; whether it did. Raises what a step raised."""
        if self._thread is not None:
            self._thread.join(timeout)
        if self._failure is not None:
            raise self._failure
        return self._thread is None or not self._thread.is_alive()

    def stop(self) -> None:
        """End the thread after its current step."""
        self._stopping.set()
        self.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _keep_going(self, rate: float, seconds: float | None, count: int | None) -> None:
        try:
            self._paced(rate, seconds, count)
        except Exception as failure:  # noqa: BLE001 the thread's owner is told in join
            self._failure = failure

    def _paced(self, rate: float, seconds: float | None, count: int | None) -> None:
        start = time.monotonic()
        done = 0
        while not self._stopping.is_set():
            passed = time.monotonic() - start
            if (seconds is not None and passed >= seconds) or (count is not None and done >= count):
                return
            due = int(passed * rate) + 1 - done
            due = due if count is None else min(due, count - done)
            self.run(due)
            done += due
            next_due = start + done / rate
            self._stopping.wait(max(_TICK_SECONDS, next_due - time.monotonic()))

    def _workload(self) -> Workload:
        return self._random.choice(self._movable)

    def _replace(self, workload: Workload) -> str:
        while not workload.pods:
            if not self._only_replace:
                return self._scale_up(workload)
            workload = self._workload()
        pod = self._random.choice(workload.pods)
        again = self._random.random() < self._reuse
        self.changes += 1
        new = self.fleet.replace(pod, again=again, gently=self._gently)
        return f"{pod.key} replaced by {new.name} at {new.address}"

    def _scale_up(self, workload: Workload) -> str:
        if self.fleet.size >= self._largest:
            return self._scale_down(workload)
        number = self._random.randint(1, 3)
        for _ in range(number):
            self.fleet.add(workload, again=self._random.random() < self._reuse)
        self.changes += number
        return f"{workload.namespace}/{workload.name} scaled up by {number}"

    def _scale_down(self, workload: Workload) -> str:
        number = min(len(workload.pods), self._random.randint(1, 3))
        for pod in self._random.sample(workload.pods, number):
            self.fleet.remove(pod, gently=self._gently)
        self.changes += number
        return f"{workload.namespace}/{workload.name} scaled down by {number}"

    def _roll(self, workload: Workload) -> str:
        """A new revision takes over some of the pods, new before old."""
        self.fleet.revise(workload)
        for pod in workload.pods[:5]:
            self.fleet.add(workload)
            self.fleet.remove(pod, gently=self._gently)
            self.changes += 1
        return f"{workload.namespace}/{workload.name} rolled to v{workload.version}"
