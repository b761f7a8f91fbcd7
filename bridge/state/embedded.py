"""The database when no URL is set: a private Postgres in the data folder, shared by every process that names the same folder.

    <data_dir>/postgres/        ours, closed to others
        start.lock              held while somebody starts or stops the server: one at a time
        users.lock              held (shared) by each user; whoever closes and can hold it alone is the last one
        server.lock             inherited by the server: held as long as any of its processes lives
        data/                   the cluster; appears by rename, so it is whole or not there
        socket/                 0700; socket.path instead names a short private folder where this path is too long for a socket
        postgres.log  pg_hba.conf  pg_ident.conf

The kernel drops a dead process's locks, so a user ended by kill -9 keeps nothing alive and leaves nothing to clean. Nothing listens
on TCP; the only way in is the socket, as the operating system user that started the server (peer authentication). No parent
folder is ever changed. Linux only, on a local file system (flock).
"""

import contextlib
import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from platformdirs import user_data_path
from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from bridge.errors import StateError, StateUnavailable
from bridge.state import postmaster
from bridge.state.account import Account, own_name, server_account
from bridge.state.data_folder import prepare_cluster
from bridge.state.postmaster import PORT, SUPERUSER, Layout, Start
from bridge.state.socket_folder import drop_short_folder, socket_folder

DATABASE = "fusion_bridge"
_PAUSE = 0.02


def default_data_dir() -> Path:
    """The platform's user data folder (`~/.local/share/fusion-bridge`), for root too: see bridge.state.account."""
    return user_data_path("fusion-bridge")


class EmbeddedPostgres:
    """A user of the shared server of one data folder. As a context manager: started on entry, given up on exit.

    `durable=False` gives up safety against power loss, for tests; `settings` are Postgres settings; both matter only to the one
    who starts the server, not to those who find it running. `account` is whom root runs it as. Time-outs in seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        account: str | None = None,
        start_timeout: float = 300.0,
        stop_timeout: float = 30.0,
    ) -> None:
        self._home = data_dir.expanduser().resolve() / "postgres"
        self._durable = durable
        self._settings = dict(settings or {})
        self._account_name = account
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._layout: Layout | None = None
        self._users: int | None = None
        self._opener = 0

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database; it holds no secret. StateError before `start`."""
        sockets = self._started().sockets
        query = {"host": str(sockets), "port": str(PORT)}
        return URL.create("postgresql+psycopg", username=SUPERUSER, database=DATABASE, query=query).render_as_string()

    @property
    def pid(self) -> int | None:
        """The postmaster, when one is proven to serve our folder now; None otherwise."""
        layout = self._started()
        with postmaster.verified(layout) as handle:
            return postmaster.recorded_pid(layout.data) if handle is not None else None

    @property
    def log(self) -> Path:
        """The file in which the server speaks; emptied at each start."""
        return self._home / "postgres.log"

    def start(self) -> None:
        """Be a user of the server: find it, or make and start it, and wait until it accepts connections.

        May be called again at any time, to bring back a server that died. Raises StateUnavailable when the binaries are missing or
        the time-out passes (recovery goes on in the background), StateError when it cannot work, with the end of the log.
        """
        account = server_account(self._account_name)
        deadline = time.monotonic() + self._start_timeout
        self._make_home(account)
        with self._one_at_a_time(deadline):
            if self._users is None:
                self._users = _open(self._home / "users.lock")
                self._opener = os.getpid()
                fcntl.flock(self._users, fcntl.LOCK_SH)
            try:
                self._layout = self._bring_up(account, deadline)
            except StateUnavailable:
                self._leave()
                raise
            except BaseException:
                self._layout = Layout(self._home, socket_folder(self._home, account, make=False))
                self._stop_if_last()
                self._leave()
                raise

    def close(self) -> None:
        """Stop being a user; the last one stops the server. Safe to repeat.

        Raises StateUnavailable when the server does not end in time; it is never killed outright.
        """
        if self._users is None:
            return
        if self._opener != os.getpid():  # a forked child: the registration is its parent's
            os.close(self._users)
            self._users = None
            return
        try:
            with self._one_at_a_time(time.monotonic() + self._start_timeout):
                self._stop_if_last()
        finally:
            self._leave()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> Layout:
        if self._layout is None:
            raise StateError("the embedded Postgres is not started")
        return self._layout

    def _stop_if_last(self) -> None:
        """Needs the start lock. Whoever can hold the users' lock alone is the last one."""
        if self._users is not None and self._layout is not None and _try_lock(self._users):
            self._bring_down(self._layout)

    def _leave(self) -> None:
        if self._users is not None:
            os.close(self._users)
        self._users = None
        self._layout = None

    def _make_home(self, account: Account) -> None:
        self._home.parent.mkdir(parents=True, exist_ok=True)
        self._home.mkdir(mode=0o700, exist_ok=True)
        info = self._home.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            raise StateError(
                f"{self._home} is not a folder of {own_name()}: choose another --data-dir, or run as its owner"
            )
        if account.other:
            os.chown(self._home, 0, account.gid)
        self._home.chmod(0o710 if account.other else 0o700)

    @contextlib.contextmanager
    def _one_at_a_time(self, deadline: float) -> Iterator[None]:
        lock = _open(self._home / "start.lock")
        try:
            while not _try_lock(lock):
                if time.monotonic() > deadline:
                    raise StateUnavailable(f"another process has been starting or stopping {self._home} for too long")
                time.sleep(_PAUSE)
            yield
        finally:
            os.close(lock)

    def _bring_up(self, account: Account, deadline: float) -> Layout:
        """Wait for a server that answers; whenever nothing of ours is alive, start one, but only once."""
        launched = False
        pause = _PAUSE
        layout = Layout(self._home, socket_folder(self._home, account, make=False))
        while time.monotonic() < deadline:
            lock = _open(self._home / "server.lock")
            try:
                if _try_lock(lock):
                    if launched:
                        raise StateError(f"the embedded Postgres ended while starting; its log:\n{layout.tail()}")
                    layout = self._launch(account, lock)
                    launched = True
            finally:
                os.close(lock)
            if _answers(layout):
                _make_database(layout)
                return layout
            time.sleep(pause)
            pause = min(0.5, pause * 1.2)  # each question in a long recovery is a line in the log
        raise StateUnavailable(
            f"the embedded Postgres in {self._home} did not accept connections within {self._start_timeout:.0f} s;"
            f" its log:\n{layout.tail()}"
        )

    def _launch(self, account: Account, lock: int) -> Layout:
        layout = Layout(self._home, socket_folder(self._home, account, make=True))
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        start = Start(account, layout, log, lock, self._durable)
        try:
            binaries = prepare_cluster(start)
            postmaster.forget_the_dead(layout)
            _write_access(layout.home, account)
            postmaster.launch(binaries / "postgres", start, self._settings)
        finally:
            os.close(log)
        return layout

    def _bring_down(self, layout: Layout) -> None:
        """Fast shutdown, then immediate; only ever sent to the proven postmaster. Done when the last of its processes has ended."""
        for how in (signal.SIGINT, signal.SIGQUIT):
            deadline = time.monotonic() + self._stop_timeout
            sent = False
            while time.monotonic() < deadline:
                if not _held(self._home / "server.lock"):
                    drop_short_folder(layout)
                    return
                sent = sent or postmaster.interrupt(layout, how)
                time.sleep(_PAUSE)
        raise StateUnavailable(f"the embedded Postgres in {self._home} does not stop; its log:\n{layout.tail()}")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(path: Path) -> bool:
    lock = _open(path)
    try:
        return not _try_lock(lock)
    finally:
        os.close(lock)


def _conninfo(layout: Layout, database: str) -> str:
    return make_conninfo(host=str(layout.sockets), port=PORT, user=SUPERUSER, dbname=database, connect_timeout=2)


def _answers(layout: Layout) -> bool:
    """Whether the proven postmaster of the folder accepts connections (not while it recovers or shuts down)."""
    with postmaster.verified(layout) as handle:
        return handle is not None and pq.PGconn.ping(_conninfo(layout, "postgres").encode()) == pq.Ping.OK


def _make_database(layout: Layout) -> None:
    try:
        with psycopg.connect(_conninfo(layout, "postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.Error as error:
        raise StateError(f"the embedded Postgres does not let us in: {error}") from error


def _write_access(home: Path, account: Account) -> None:
    """Who may connect: the user we are, as the one role there is, over the socket."""
    name = own_name().replace('"', '""')
    _write(home / "pg_hba.conf", "local all all peer map=bridge\n", account)
    _write(home / "pg_ident.conf", f'bridge "{name}" {SUPERUSER}\n', account)


def _write(path: Path, text: str, account: Account) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    account.give(path)
