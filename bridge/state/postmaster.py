"""One Postgres server as a process: how it is started, and who is really listening.

A server of ours inherits the open, locked file `server.lock`. The lock lasts exactly as long as any process of that server does
(initdb and orphaned backends too), whoever started it, so no process number ever has to be believed.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import StateError
from bridge.state.account import Account

PORT = 5432  # names the socket file; nothing listens on TCP
SUPERUSER = "fusion_bridge"

_DEFAULTS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one embedded server keeps its things: `home` is ours, `data` and `sockets` are the account's."""

    home: Path
    sockets: Path

    @property
    def data(self) -> Path:
        """The data folder proper, which Postgres owns."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What initdb and the server say; emptied at each start."""
        return self.home / "postgres.log"

    def tail(self, lines: int = 20) -> str:
        """The end of the log, for messages."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError as error:
            return f"({error})"

    @property
    def socket(self) -> Path:
        """The socket that clients connect to."""
        return self.sockets / f".s.PGSQL.{PORT}"


@dataclass(frozen=True, slots=True)
class Start:
    """What a process of the server is started with: who it runs as, and two open files, its log and the lock it holds while it lives."""

    account: Account
    layout: Layout
    log: int
    lock: int
    durable: bool

    def run(
        self, folders: Iterable[Path], program: Path, *options: str, limit: float, background: bool = False
    ) -> None:
        """Run `program`, which works in `folders`, to its end, or leave it `background`. StateError when it fails or takes too long."""
        words = [*self.account.command(program, folders), str(program), *options]
        # The shell ends at once and leaves the server to init: whoever stops it later, no zombie of ours stays behind.
        words = ["sh", "-c", '"$@" &', "sh", *words] if background else words
        try:
            code = self._run(words, limit)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StateError(f"{program} could not be run: {error}") from error
        if code != 0:
            raise StateError(f"{program} failed with code {code}; its log:\n{self.layout.tail()}")

    def _run(self, words: list[str], limit: float) -> int:
        # No PG* variable of the caller's may reach the server; "/" because the account may not enter our working folder.
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            pass_fds=(self.lock,),
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            umask=0o077,
            start_new_session=True,
            timeout=limit,
            check=False,
        ).returncode


def launch(program: Path, start: Start, settings: Mapping[str, str]) -> None:
    """Start the server in the background, as nobody's child. It may still fail: watch the lock."""
    layout = start.layout
    chosen = {
        **_DEFAULTS,
        **({} if start.durable else _NOT_DURABLE),
        **settings,
        "cluster_name": "fusion-bridge",
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(layout.sockets),
        "unix_socket_permissions": "0700",
        "hba_file": str(layout.home / "pg_hba.conf"),
        "ident_file": str(layout.home / "pg_ident.conf"),
        "logging_collector": "off",
    }
    options = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
    folders = [layout.data, layout.sockets]
    start.run(folders, program, "-D", str(layout.data), *options, limit=30, background=True)


def recorded_pid(data: Path) -> int | None:
    """The number in postmaster.pid, believed by nobody before it is checked; None when there is no such file or number."""
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def listener(path: Path) -> int | None:
    """The process that the kernel names as listening on the socket (SO_PEERCRED); None when none answers."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    return int(struct.unpack("3i", credentials)[0]) or None


@contextlib.contextmanager
def verified(layout: Layout) -> Iterator[int | None]:
    """A handle (pidfd) on the postmaster of this layout, None unless it is proven to be that.

    Proof: the process in postmaster.pid of our data folder is the one that listens in our private socket folder, or (its socket is
    gone) is seen to be a Postgres that works in that data folder. The handle is opened first, so that a number reused in between
    cannot be signalled.
    """
    pid = recorded_pid(layout.data)
    handle = None
    if pid is not None and pid > 0:
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
    try:
        proven = (
            handle is not None and pid is not None and (listener(layout.socket) == pid or _serves(pid, layout.data))
        )
        yield handle if proven else None
    finally:
        if handle is not None:
            os.close(handle)


def interrupt(layout: Layout, how: signal.Signals) -> bool:
    """Send `how` to the postmaster of this layout; False when none is proven to be it."""
    with verified(layout) as handle:
        if handle is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, how)
        return True


def forget_the_dead(layout: Layout) -> None:
    """Take away what a dead server left, for Postgres believes a reused process number. Call only while holding `server.lock`.

    Raises StateError when a server that somebody started by hand runs on our data folder.
    """
    pid = recorded_pid(layout.data)
    if pid is not None and Path(f"/proc/{pid}").exists():
        if _serves(pid, layout.data) is not False:
            raise StateError(
                f"process {pid} serves {layout.data} and was not started by the bridge: stop it, then try again"
            )
        (layout.data / "postmaster.pid").unlink(missing_ok=True)
    for name in (layout.socket.name, f"{layout.socket.name}.lock"):
        (layout.sockets / name).unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool | None:
    """Whether the process is a Postgres that works in `data`; None for a Postgres whose working folder we may not see."""
    process = Path(f"/proc/{pid}")
    try:
        name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
        if name not in {"postgres", "postmaster"} or rest.split()[0] in {"Z", "X"}:  # a zombie serves nobody
            return False
        return (process / "cwd").samefile(data)
    except PermissionError:
        return None
    except OSError:
        return False
