"""Programs that run beside the tests: their ports, their logs, and a leash that ends them with whoever started them."""

import shlex
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# The last line heard names the programs that run. The input closes when its other end does, however that came about.
_LEASH = 'while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -KILL $pids 2>/dev/null; rm -rf -- "$1"'


class Port:
    """A TCP port of 127.0.0.1 that stays ours while the program behind it is away.

    The socket is bound and never listens; a program that binds with SO_REUSEPORT shares the port, no other can take it.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()


class Leash:
    """A shell that, when this process ends in any way, kills the programs it holds and removes their data folder.

    The kernel's parent-death signal follows the thread that started a program, not the process; a closed pipe follows the process.
    """

    def __init__(self, data: Path) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _LEASH, "leash", str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def hold(self, pids: Sequence[int]) -> None:
        """From now on these and no others."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{' '.join(map(str, pids))}\n".encode())
        self._shell.stdin.flush()

    def let_go(self) -> None:
        """End what is held, remove the data folder, and wait for that."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()


class Program:
    """One program, started and killed any number of times; all its output goes to one log file."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str]) -> None:
        self.name = Path(command[0]).name
        self.log = log
        self._command = [str(word) for word in command]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process; None where none runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def ended(self) -> bool:
        """Whether it was started and then went away by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        with self.log.open("ab") as log:
            log.write(f"$ {shlex.join(self._command)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.log.parent,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at once; nothing that it would flush matters to a test."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
