"""Faults all the time, until they are called off: on the way to devices, at the API server, and between us and the database."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import psycopg

from bridge.lab.apiserver import ApiServer, Fault
from bridge.lab.device import Trouble
from tests.soak.estate import Post

_TROUBLES = tuple(Trouble)
_REFUSING = (Trouble.MISSING, Trouble.CONFLICT, Trouble.ECHO)  # what is refused is left alone until somebody audits
_OF_LISTS: tuple[Fault, ...] = (Fault("cut"), Fault("stale"), Fault("short"), Fault("empty"))
_OF_ALL: tuple[Fault, ...] = (
    Fault("status", times=4, code=500),
    Fault("status", times=4, code=503),
    Fault("status", times=2, code=429, retry_after=0),
    Fault("drop", times=4),
    Fault("gone", times=2),
    Fault("garbage", times=2),
    Fault("malformed", times=2),
    Fault("drip", times=1, delay=0.001),
)


class Storm:
    """A thread that disturbs one thing after the other; what and when follows from `random`."""

    def __init__(self, posts: Sequence[Post], api: ApiServer, admin: str, database: str, random: Random) -> None:
        self._posts, self._api, self._random = posts, api, random
        self._admin, self._database = admin, database
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._troubles = _TROUBLES
        self.count: Counter[str] = Counter()

    def begin(self, *, refusing: bool) -> None:
        """Disturb from now on, and have devices refuse objects too."""
        self._troubles = _TROUBLES if refusing else tuple(one for one in _TROUBLES if one not in _REFUSING)
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="soak-storm", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Nothing is in the way of anything any more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for post in self._posts:
            post.calm()
        self._api.calm()

    def _run(self) -> None:
        lied = False
        self.count[self._device()] += 1
        while not self._ended.is_set():
            acts: tuple[Callable[[], str], ...] = (
                self._device,
                self._device,
                self._device,
                self._watch,
                self._answer,
                self._backend,
            )
            self.count[self._random.choice(acts)()] += 1
            if not lied and self._random.random() < 0.2:
                # Once in a while: who is lied to twice in the same way has no way to know.
                self.count[self._list()] += 1
                lied = True
            self._ended.wait(self._random.uniform(0.002, 0.03))

    def _device(self) -> str:
        """Some of them, each with a trouble of its own."""
        for post in self._random.sample(list(self._posts), self._random.randint(1, len(self._posts))):
            trouble = self._random.choice(self._troubles)
            skip, times = self._random.randrange(2), 1 if trouble is Trouble.SILENCE else self._random.randint(1, 3)
            post.rig.disturb(trouble, skip=skip, times=times, writes=self._random.random() < 0.6)
        return "devices"

    def _watch(self) -> str:
        if self._random.random() < 0.3:
            self._api.cluster.compact()
        self._api.end_watches()
        return "watches ended"

    def _answer(self) -> str:
        fault = self._random.choice(_OF_ALL)
        self._api.disturb(_again(fault))
        return f"api {fault.fault}"

    def _list(self) -> str:
        fault = self._random.choice(_OF_LISTS)
        self._api.disturb(_again(fault, resource="pods"))
        self._api.cluster.compact()
        self._api.end_watches()
        return f"list {fault.fault}"

    def _backend(self) -> str:
        """Connections end, some or all; or none is to be had for a moment."""
        with psycopg.connect(self._admin, autocommit=True) as admin:
            which = self._random.choice(("all", "some", "none to be had"))
            share = 0.3 if which == "some" else 1.0
            if which == "none to be had":
                admin.execute(f"ALTER DATABASE {self._database} ALLOW_CONNECTIONS false".encode())
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND random() < %s",
                [self._database, share],
            )
            if which == "none to be had":
                time.sleep(self._random.uniform(0.02, 0.2))
                admin.execute(f"ALTER DATABASE {self._database} ALLOW_CONNECTIONS true".encode())
        return f"database: {which}"


def _again(fault: Fault, resource: str = "") -> Fault:
    """A fault is used up by being met."""
    return Fault(
        fault.fault,
        times=fault.times,
        resource=resource,
        code=fault.code,
        retry_after=fault.retry_after,
        delay=fault.delay,
    )
