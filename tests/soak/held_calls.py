"""Calls of one replica that stay on their way to a device until somebody lets them go: over the network, and as a command."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

# What takes effect by itself: a write outside a transaction, or the end of one. Saving changes no rule.
_TAKES_EFFECT = re.compile(rb"(?:PATCH|PUT|POST|DELETE) /mgmt/tm/(?!sys/|transaction HTTP|ltm/)")
_PART = 1 << 16


class Hold(Protocol):
    """Holds the next call that would change the device."""

    def arm(self) -> None:
        """From now on."""
        ...

    @property
    def holds(self) -> bool:
        """Whether it has one."""
        ...

    def let_go(self) -> None:
        """On with it; and hold nothing more."""
        ...


class Way:
    """A connection to a BIG-IP that passes on what it gets, in a thread for each direction."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._armed, self._held, self._go = threading.Event(), threading.Event(), threading.Event()
        self._lock, self._sockets = threading.Lock(), list[socket.socket]()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def arm(self) -> None:
        """From now on."""
        self._held.clear()
        self._go.clear()
        self._armed.set()

    @property
    def holds(self) -> bool:
        """Whether it has one."""
        return self._held.is_set()

    def let_go(self) -> None:
        """On with it."""
        self._armed.clear()
        self._go.set()

    def close(self) -> None:
        """End every connection."""
        self.let_go()
        with self._lock:
            for one in (self._listener, *self._sockets):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                with self._lock:
                    self._sockets += [near, far]
                threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, there: bool) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(_PART):
                if there and self._armed.is_set() and _TAKES_EFFECT.match(part) and b"oordination-" not in part:
                    self._armed.clear()
                    self._held.set()
                    self._go.wait()
                sink.sendall(part)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@dataclass
class Gate:
    """A program in the place of nft, whose next transaction waits until it is let go."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.program = str(self.folder / "nft")
        Path(self.program).write_text(_PROGRAM.format(folder=self.folder))
        Path(self.program).chmod(0o755)

    def arm(self) -> None:
        """From now on."""
        for name in ("held", "go", "code"):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / "armed").touch()

    @property
    def holds(self) -> bool:
        """Whether it has one."""
        return (self.folder / "held").exists()

    def let_go(self) -> None:
        """On with it."""
        (self.folder / "armed").unlink(missing_ok=True)
        (self.folder / "go").touch()

    @property
    def code(self) -> int | None:
        """How the one that was held ended; None when it has not, or was killed before."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.folder / "code").read_text())
        return None


_PROGRAM = """#!/bin/sh
case " $* " in
*" -c "*) ;;
*" -f "*)
    if mv {folder}/armed {folder}/held 2>/dev/null; then
        document=$(cat)
        until [ -e {folder}/go ]; do sleep 0.02; done
        printf '%s' "$document" | nft "$@"
        code=$?
        echo $code >{folder}/code.new && mv {folder}/code.new {folder}/code
        exit $code
    fi ;;
esac
exec nft "$@"
"""


@contextlib.contextmanager
def way(url: str) -> Iterator[Way]:
    """A way to this device."""
    made = Way(url)
    try:
        yield made
    finally:
        made.close()
