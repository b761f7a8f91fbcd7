"""The loops of the process, each in its thread, and whether they go on."""

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from bridge.clock import Clock

log = structlog.get_logger(__name__)


class Pulse:
    """The clock that one loop is given. It notes when the loop last looked at it or waited: a loop that goes on does both all the time.

    What a loop does without looking at the clock can show that it goes on by `progress`: any value that changes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owner: threading.Thread | None = None
        self._beat = clock.elapsed()
        self._progress: Callable[[], object] | None = None
        self._seen: object = None

    def own(self) -> None:
        """The calling thread is the loop; what others read from this clock proves nothing."""
        self._owner = threading.current_thread()
        self.beat()

    def beat(self, rest: float = 0) -> None:
        """The loop goes on, and need not give a sign for so many seconds."""
        self._beat = self._clock.elapsed() + rest

    def follow(self, progress: Callable[[], object] | None) -> None:
        """From now on (None: no longer) a change of what this returns shows that the loop goes on."""
        self._seen = progress() if progress else None
        self._progress = progress

    def still_for(self) -> float:
        """Seconds without a sign. From any thread, now and then: progress is looked at here."""
        progress = self._progress
        if progress is not None and (seen := progress()) != self._seen:
            self._seen = seen
            self.beat()
        return max(0.0, self._clock.elapsed() - self._beat)

    def now(self) -> datetime:
        """As the clock says."""
        self._sign()
        return self._clock.now()

    def elapsed(self) -> float:
        """As the clock says."""
        self._sign()
        return self._clock.elapsed()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """As the clock does. To wait is no stillness, for as long as was asked."""
        if threading.current_thread() is not self._owner:
            return self._clock.wait(event, seconds)
        self.beat(seconds)
        try:
            return self._clock.wait(event, seconds)
        finally:
            self.beat()

    def _sign(self) -> None:
        if threading.current_thread() is self._owner:
            self.beat()


class Loops:
    """Starts loops and knows of each whether it goes on. A loop that returns has ended well; one that raises has died."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loops: dict[str, tuple[threading.Thread, Pulse]] = {}
        self._ended: set[str] = set()
        self._pulses: dict[str, Pulse] = {}

    def pulse(self, name: str) -> Pulse:
        """A pulse that is counted among the loops, for a thread that somebody else keeps: it is to be beaten now and then."""
        return self._pulses.setdefault(name, Pulse(self._clock))

    def start(self, name: str, target: Callable[[Pulse], None]) -> threading.Thread:
        """Run `target` in a thread of its own, with a clock of its own. A name may be used again after its loop ended."""
        pulse = Pulse(self._clock)
        thread = threading.Thread(target=self._run, args=(name, target, pulse), name=name, daemon=True)
        self._ended.discard(name)
        thread.start()
        self._loops[name] = thread, pulse
        return thread

    def join(self) -> None:
        """Wait for all to end."""
        for thread, _ in list(self._loops.values()):
            thread.join()

    def dead(self) -> list[str]:
        """The loops whose thread is gone although they did not end."""
        return [
            name for name, (thread, _) in list(self._loops.items()) if not (thread.is_alive() or name in self._ended)
        ]

    def still(self) -> dict[str, float]:
        """For how many seconds each running loop gave no sign."""
        running = {name: pulse for name, (thread, pulse) in list(self._loops.items()) if thread.is_alive()}
        return {name: pulse.still_for() for name, pulse in (running | self._pulses).items()}

    def _run(self, name: str, target: Callable[[Pulse], None], pulse: Pulse) -> None:
        pulse.own()
        try:
            target(pulse)
        except Exception:
            log.exception("a loop died", loop=name)
        else:
            self._ended.add(name)
