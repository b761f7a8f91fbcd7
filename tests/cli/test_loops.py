"""Loops that go on, end, die and hang."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bridge.cli.loops import Loops, Pulse


class Time:
    """Passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    def elapsed(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


def _held(loops: Loops, act: Callable[[Pulse], object]) -> tuple[threading.Event, threading.Event]:
    """A loop `one` that does something once and stands still: set when it did, and what ends it."""
    stood, over = threading.Event(), threading.Event()

    def run(clock: Pulse) -> None:
        act(clock)
        stood.set()
        over.wait()

    loops.start("one", run)
    return stood, over


def test_a_loop_that_stands_still_is_found_and_one_that_looks_at_the_clock_is_not() -> None:
    time = Time()
    loops = Loops(time)

    def look(clock: Pulse) -> None:
        time.seconds = 500
        clock.now()

    stood, over = _held(loops, look)
    stood.wait()
    assert loops.still() == {"one": 0}
    time.seconds = 1200
    assert loops.still() == {"one": 700}
    over.set()
    loops.join()
    assert (loops.still(), loops.dead()) == ({}, [])


def test_waiting_is_no_stillness_for_as_long_as_was_asked() -> None:
    time = Time()
    pulse, other = Pulse(time), threading.Event()
    pulse.own()
    seen: list[float] = []

    class Early(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 (passes at once)
            time.seconds = 900
            seen.append(pulse.still_for())
            time.seconds = 1500
            seen.append(pulse.still_for())
            return False

    pulse.wait(Early(), 1000)
    assert seen == [0, 500]
    assert pulse.still_for() == 0
    assert not other.is_set()


def test_what_others_read_from_its_clock_proves_nothing() -> None:
    time = Time()
    loops = Loops(time)
    clocks: list[Pulse] = []
    stood, over = _held(loops, clocks.append)
    stood.wait()
    time.seconds = 50
    clocks[0].now(), clocks[0].elapsed(), clocks[0].wait(over, 0)
    assert loops.still() == {"one": 50}
    over.set()
    loops.join()


def test_progress_elsewhere_is_a_sign_too() -> None:
    time = Time()
    pulse, calls = Pulse(time), [0]
    pulse.follow(lambda: calls[0])
    time.seconds = 60
    assert pulse.still_for() == 60
    calls[0] += 1
    assert pulse.still_for() == 0
    time.seconds = 70
    assert pulse.still_for() == 10
    pulse.follow(None)
    calls[0] += 1
    assert pulse.still_for() == 10


def test_a_loop_that_raises_has_died_one_that_returns_has_not() -> None:
    def dies(_clock: Pulse) -> None:
        raise RuntimeError("a fault of ours")

    loops = Loops(Time())
    loops.start("well", lambda _clock: None)
    loops.start("ill", dies)
    loops.join()
    assert loops.dead() == ["ill"]
    loops.start("ill", lambda _clock: None)
    loops.join()
    assert loops.dead() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_is_torn_down_has_died() -> None:
    def torn(_clock: Pulse) -> None:
        raise KeyboardInterrupt

    loops = Loops(Time())
    loops.start("torn", torn)
    loops.join()
    assert loops.dead() == ["torn"]


def test_a_thread_that_somebody_else_keeps_counts_by_its_pulse() -> None:
    time = Time()
    loops = Loops(time)
    pulse = loops.pulse("schedule")
    time.seconds = 40
    assert loops.still() == {"schedule": 40}
    pulse.beat()
    assert loops.still() == {"schedule": 0}
