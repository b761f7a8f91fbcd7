"""The loop with real threads and a real server: what it says to whom, and that it ends."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from bridge.clock import SystemClock
from bridge.model.resolution import Resolution
from bridge.names.answer import Answer, Family, Found, Unanswered
from bridge.names.follower import Follower
from bridge.names.resolver import Resolver
from bridge.names.settings import NamesSettings
from tests.names.server import NameServer, failing

NAME = "api.example.com"
SETTINGS = NamesSettings(timeout=0.5, attempts=1, shortest=0.1, longest=0.2, grace=0.5, threads=3)


@dataclass
class Desk:
    """Who wants names, as intake does."""

    numbers: Mapping[str, int] | None = None
    known: Mapping[str, Resolution] = field(default_factory=dict)
    told: dict[str, Resolution] = field(default_factory=dict)
    count: int = 0
    wake: Callable[[], None] = print

    @property
    def names_wanted(self) -> Mapping[str, int] | None:
        return self.numbers

    @property
    def resolutions(self) -> Mapping[str, Resolution]:
        return self.known

    def on_names(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def sink(self, events: Sequence[Resolution]) -> None:
        self.count += len(events)
        self.told.update({one.name: one for one in events})

    def want(self, *names: str, number: int = 1) -> None:
        self.numbers = dict.fromkeys(names, number)
        self.wake()


class Scripted:
    """Resolves by a function; knows how many ask it at once."""

    def __init__(self, found: Callable[[str], Found]) -> None:
        self._found = found
        self._lock = threading.Lock()
        self.now = self.most = 0

    def resolve(self, name: str) -> Found:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self._found(name)
        finally:
            with self._lock:
                self.now -= 1

    def close(self) -> None:
        """Nothing to end."""


@contextmanager
def _following(desk: Desk, resolver: Resolver | Scripted, settings: NamesSettings = SETTINGS) -> Iterator[Follower]:
    follower = Follower("east", resolver, ["10.0.0.0/8"], desk, SystemClock(), settings)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield follower
    finally:
        stop.set()
        follower.wake()
        thread.join(10)
        assert not thread.is_alive(), "it ends"


def _eventually(what: str, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        if time.monotonic() > until:
            pytest.fail(what)
        time.sleep(0.01)


def test_a_name_is_followed_until_it_is_wanted_no_more() -> None:
    desk = Desk()
    with NameServer() as names, _following(desk, Resolver(lambda: (names.server,), SETTINGS)) as follower:
        names.put(NAME, "192.0.2.1", "10.1.2.3")
        desk.want(NAME)
        first = Resolution(NAME, ("192.0.2.1",), (("10.1.2.3", "inside the cluster"),))
        _eventually("it is resolved", lambda: desk.told.get(NAME) == first)
        names.put(NAME, "192.0.2.2")
        _eventually("grace", lambda: desk.told[NAME].addresses == ("192.0.2.1", "192.0.2.2"))
        _eventually("its end", lambda: desk.told[NAME] == Resolution(NAME, ("192.0.2.2",)))
        names.behave(NAME, failing())
        _eventually("failure is told", lambda: desk.told[NAME].problem == f"{names.server}: SERVFAIL")
        assert desk.told[NAME].addresses == ("192.0.2.2",)
        assert follower.figures().failing == 1
        desk.want()
        _eventually("nothing is followed", lambda: follower.figures().names == 0)
        asked = len(names.asked)
        time.sleep(0.5)
        assert len(names.asked) <= asked + 2


def test_nothing_is_asked_before_it_is_known_what_is_wanted() -> None:
    known = Resolution(NAME, ("192.0.2.1",))
    desk = Desk(known={NAME: known})
    found: Found = {Family.IPV4: Unanswered("SERVFAIL")}
    with _following(desk, Scripted(lambda _name: found)) as follower:
        time.sleep(0.2)
        assert desk.count == 0
        desk.want(NAME)
        _eventually("it is followed", lambda: follower.figures().names == 1)
        assert desk.told.get(NAME, known).addresses == ("192.0.2.1",)


def test_a_few_at_a_time_and_nobody_is_left_out() -> None:
    desk = Desk()

    def slow(name: str) -> Found:
        time.sleep(0.02)
        return {Family.IPV4: Answer(frozenset({"192.0.2.1"}), 60)}

    every = [f"n{number}.example.com" for number in range(60)]
    scripted = Scripted(slow)
    with _following(desk, scripted):
        desk.want(*every)
        _eventually("each is resolved", lambda: set(desk.told) == set(every))
    assert scripted.most == SETTINGS.threads


def test_a_name_that_hangs_holds_up_its_thread_only() -> None:
    desk, hang = Desk(), threading.Event()

    def resolve(name: str) -> Found:
        if name == "slow.example.com":
            hang.wait(20)
        return {Family.IPV4: Answer(frozenset({"192.0.2.1"}), 60)}

    with _following(desk, Scripted(resolve)):
        desk.want("slow.example.com", *(f"n{number}.example.com" for number in range(20)))
        try:
            _eventually("the others are resolved", lambda: len(desk.told) == 20)
            assert "slow.example.com" not in desk.told
        finally:
            hang.set()


def test_names_that_fail_and_hang_leave_a_thread_to_the_others() -> None:
    hang, asked = threading.Event(), threading.Semaphore(0)
    dead = [f"dead-{number}.example.com" for number in range(20)]
    desk = Desk(known={name: Resolution(name, answered=False, problem="SERVFAIL") for name in dead})

    def resolve(name: str) -> Found:
        if name in dead:
            hang.wait(20)
        else:
            asked.release()
        return {Family.IPV4: Answer(frozenset({"192.0.2.1"}), 0.1)}

    with _following(desk, Scripted(resolve)):
        desk.want(NAME, *dead)
        try:
            for _ in range(5):
                assert asked.acquire(timeout=10), "it is asked about again and again"
        finally:
            hang.set()


def test_a_fault_of_our_own_is_a_failure_of_that_name() -> None:
    desk = Desk()

    def resolve(name: str) -> Found:
        if name == NAME:
            raise ValueError(name)
        return {Family.IPV4: Answer(frozenset({"192.0.2.1"}), 60)}

    with _following(desk, Scripted(resolve)):
        desk.want(NAME, "other.example.com")
        _eventually("both are told of", lambda: len(desk.told) == 2)
    assert desk.told[NAME] == Resolution(NAME, answered=False, problem="a fault of the bridge")
    assert desk.told["other.example.com"].addresses == ("192.0.2.1",)


def test_a_name_that_fails_anew_after_it_was_wanted_no_more_is_logged_anew() -> None:
    desk = Desk()
    found: Found = {Family.IPV4: Unanswered("SERVFAIL")}
    with capture_logs() as logs, _following(desk, Scripted(lambda _name: found)) as follower:
        for times in (1, 2):
            desk.want(NAME)
            _eventually("it fails", lambda times=times: _warnings(logs) == times)  # type: ignore[misc]
            desk.want()
            _eventually("nothing is followed", lambda: follower.figures().names == 0)


def _warnings(logs: Sequence[Mapping[str, object]]) -> int:
    return [one["event"] for one in logs].count("name not resolved")


def test_a_name_that_is_wanted_anew_is_asked_about_at_once() -> None:
    desk = Desk()
    settings = NamesSettings(shortest=3600, longest=3600)
    with NameServer() as names, _following(desk, Resolver(lambda: (names.server,), settings), settings):
        names.put(NAME, "192.0.2.1")
        desk.want(NAME)
        _eventually("resolved", lambda: NAME in desk.told)
        names.put(NAME, "192.0.2.2")
        desk.want(NAME, number=2)
        _eventually("resolved again", lambda: desk.told[NAME].addresses == ("192.0.2.2",))
