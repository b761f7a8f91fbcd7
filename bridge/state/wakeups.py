"""Wake-ups: who waits for a cluster's next batch, or can read a device now, hears of it at once. Only hints: the tables are the truth."""

import contextlib
import os
import select
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bridge.errors import StateUnavailable
from bridge.state.database import Connection, Database
from bridge.state.tables import AUDIT_CHANNEL, CHANNEL, GATE_CHANNEL

ANY = ""  # instead of a cluster's name: something may have been missed, look at all

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# A peer that vanished without a word is noticed within a minute.
_KEEPALIVE = "keepalives=1 keepalives_idle=20 keepalives_interval=10 keepalives_count=3 connect_timeout=10"


class Wakeups:
    """LISTENs on a connection of its own, in a thread; as a context manager it is started on entry and closed on exit.

    Callbacks get the name of the cluster that changed, or ANY after every (re)connection; those for gates likewise, of the cluster where
    one may open; those for audits get the name of the device that somebody wants read now. They run in that thread: they must not raise,
    and only wake others. A database that is away is tried again until `close`, with pauses up to five seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callbacks: dict[str, list[Callable[[str], None]]] = {
            channel: [] for channel in (CHANNEL, AUDIT_CHANNEL, GATE_CHANNEL)
        }
        self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
        self._stop_reader, self._stop_writer = os.pipe()
        self._listening = threading.Event()

    def register(self, callback: Callable[[str], None]) -> None:
        """Call this with every wake-up from now on."""
        self._callbacks[CHANNEL].append(callback)

    def register_audits(self, callback: Callable[[str], None]) -> None:
        """Call this with every device that is to be read now. Who asked, and was not heard, asks again."""
        self._callbacks[AUDIT_CHANNEL].append(callback)

    def register_gates(self, callback: Callable[[str], None]) -> None:
        """Call this with every cluster where somebody waits for the firewalls, and perhaps no longer."""
        self._callbacks[GATE_CHANNEL].append(callback)

    def start(self) -> None:
        """Begin to listen; returns at once."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs, whatever the database does."""
        return self._thread.is_alive()

    def wait_until_listening(self, seconds: float) -> bool:
        """Whether the connection stands, after at most that long."""
        return self._listening.wait(seconds)

    def close(self) -> None:
        """Stop, and wait for the thread. Safe to repeat."""
        if self._stop_writer < 0:
            return
        os.write(self._stop_writer, b".")
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._stop_reader)
        os.close(self._stop_writer)
        self._stop_writer = -1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped_within(0):
            try:
                with self._connect() as connection:
                    pause = _FIRST_PAUSE
                    self._listening.set()
                    self._tell(CHANNEL, ANY)
                    self._tell(GATE_CHANNEL, ANY)
                    self._listen(connection)
            except (psycopg.Error, StateUnavailable):
                self._stopped_within(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            finally:
                self._listening.clear()

    def _connect(self) -> contextlib.closing[Connection]:
        conninfo = make_conninfo(
            self._database.conninfo, **conninfo_to_dict(_KEEPALIVE), application_name="fusion-bridge"
        )
        with contextlib.ExitStack() as undo:
            connection = undo.enter_context(contextlib.closing(psycopg.connect(conninfo, autocommit=True)))
            for channel in self._callbacks:
                connection.execute(f"LISTEN {channel}".encode())
            undo.pop_all()
        return contextlib.closing(connection)

    def _listen(self, connection: Connection) -> None:
        """Tell of everything that comes, until the connection breaks (psycopg.Error) or somebody closes us."""
        waiting = _waiting(connection.fileno(), self._stop_reader)
        while True:
            if any(number == self._stop_reader for number, _ in waiting.poll()):
                return
            connection.pgconn.consume_input()
            while notice := connection.pgconn.notifies():
                self._tell(notice.relname.decode(), notice.extra.decode())

    def _tell(self, channel: str, name: str) -> None:
        for callback in tuple(self._callbacks[channel]):
            callback(name)

    def _stopped_within(self, seconds: float) -> bool:
        return bool(_waiting(self._stop_reader).poll(seconds * 1000))


def _waiting(*numbers: int) -> select.poll:
    """Not `select`: that knows only the first 1024 files of a process, and a watch is one."""
    found = select.poll()
    for number in numbers:
        found.register(number, select.POLLIN)
    return found
