"""Nothing that a test started outlives it; ports stay ours."""

import socket
import subprocess
import sys
from pathlib import Path

import psutil

from tests.control_plane.api import eventually
from tests.control_plane.process import Port, Program

OWNER = """
import os, sys, time
from pathlib import Path
from tests.control_plane.process import Leash, Program
folder = Path(sys.argv[1])
leash = Leash(folder / "data")
program = Program(["sleep", "600"], folder / "log", {"PATH": os.environ["PATH"]})
program.start()
leash.hold([program.pid])
print(program.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_owner_takes_its_programs_and_their_data_along(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout is not None
        program = psutil.Process(int(owner.stdout.readline()))
        assert program.is_running()
        owner.kill()
    eventually("the program ended", lambda: not program.is_running() or program.status() == psutil.STATUS_ZOMBIE)
    eventually("its data went", lambda: not data.exists())


def test_a_program_that_ended_by_itself_shows_why(tmp_path: Path) -> None:
    program = Program(["sh", "-c", "echo no room >&2; exit 3"], tmp_path / "log", {"PATH": "/usr/bin:/bin"})
    assert not program.ended
    program.start()
    eventually("ended", lambda: program.ended)
    assert program.pid is None
    assert program.tail().endswith("no room")


def test_a_port_is_refused_until_its_program_shares_it() -> None:
    port = Port()
    with socket.socket() as listener, socket.socket() as caller, socket.socket() as intruder:
        assert caller.connect_ex(("127.0.0.1", port.number)) != 0
        assert bind(intruder, port.number) != 0
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        assert bind(listener, port.number) == 0
        listener.listen()
        with socket.create_connection(("127.0.0.1", port.number)):
            pass
    port.close()


def bind(endpoint: socket.socket, port: int) -> int:
    """0, or the error number."""
    try:
        endpoint.bind(("127.0.0.1", port))
    except OSError as error:
        return error.errno or -1
    return 0
