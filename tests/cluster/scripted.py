"""A server that answers each list and each watch by a script, byte for byte, and a clock and a consumer to watch a reflector by."""

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

from bridge.cluster.kinds import KINDS
from bridge.model.observed import Change, Event, Resource, Synced

Json = dict[str, Any]
PATIENCE = 10.0


class FakeClock:
    """Time that passes only when somebody waits, or a script says so."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._seconds)

    def elapsed(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.advance(seconds)
        return event.wait(0.001)


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def watches(self) -> bool:
        return self.query.get("watch") == "true"


@dataclass(frozen=True)
class Answer:
    """A whole answer. `cut` leaves out so many bytes of its body and closes."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0

    def play(self, peer: socket.socket, _server: "ScriptedServer") -> bool:
        head = f"HTTP/1.1 {self.status} Word\r\nContent-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        peer.sendall(head.encode() + b"\r\n" + self.body[: len(self.body) - self.cut])
        return self.cut == 0


@dataclass(frozen=True)
class Streamed:
    """A watch: these chunks, then the end (`end`), a broken connection (`cut`), or nothing (`hang`); so long by the fake clock."""

    chunks: Sequence[bytes] = ()
    then: str = "end"
    lasting: float = 60.0

    def play(self, peer: socket.socket, server: "ScriptedServer") -> bool:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in self.chunks:
            peer.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        server.clock.advance(self.lasting)
        if self.then == "hang":
            server.ended.wait(PATIENCE)
        if self.then == "end":
            peer.sendall(b"0\r\n\r\n")
            return True
        return False


Step = Answer | Streamed


class ScriptedServer:
    """Plays `lists` and `watches` in turn for one resource, the last list again and again, and hangs when there are no more watches.

    Namespaces are answered by `namespaces` (one namespace by default) unless they are what is scripted.
    """

    def __init__(self, clock: FakeClock, folder: Path, resource: Resource = Resource.PODS) -> None:
        self.clock = clock
        self.lists: list[Step] = []
        self.watches: list[Step] = []
        self.namespaces: list[Step] = [listed([namespace("default", 1)], 1)]
        self.requests: list[Request] = []
        self.ended = threading.Event()
        self._path = KINDS[resource].path
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.kubeconfig = folder / "kubeconfig"
        write_kubeconfig(self.kubeconfig, f"http://127.0.0.1:{self.port}", {"token": "t0"})
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        # close() alone does not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            peer.close()

    def asked(self, *, watches: bool) -> list[Request]:
        """The lists or the watches of the scripted resource so far."""
        with self._lock:
            return [each for each in self.requests if each.path == self._path and each.watches == watches]

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer, peer.makefile("rb") as source:
                while (line := source.readline()).strip():
                    headers = {}
                    while header := source.readline().decode().strip():
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    method, target, _ = line.decode().split(" ")
                    parts = urlsplit(target)
                    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    if not self._step(Request(method, parts.path, query, headers)).play(peer, self):
                        return
        except (OSError, ValueError):
            return

    def _step(self, request: Request) -> Step:
        with self._lock:
            self.requests.append(request)
            if request.path == self._path and request.watches:
                return self.watches.pop(0) if self.watches else Streamed(then="hang", lasting=0)
            steps = self.lists if request.path == self._path else self.namespaces
            return steps.pop(0) if len(steps) > 1 else steps[0]


class Consumer:
    """Folds what a reflector delivers into a store, as the database would."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Event | Synced]] = []
        self.store: dict[str, Any] = {}
        self.refused: set[int] = set()  # which of the batches offered, by number, are not taken
        self._offered = 0
        self._arrived = threading.Condition()

    def __call__(self, batch: Sequence[Event | Synced]) -> None:
        with self._arrived:
            self._offered += 1
            if self._offered - 1 in self.refused:
                raise RuntimeError("the database is away")
            self.batches.append(batch)
            for item in batch:
                if isinstance(item, Event) and item.change is Change.UPSERT:
                    self.store[item.value.uid] = item.value
                elif isinstance(item, Event):
                    self.store.pop(item.value.uid, None)
            self._arrived.notify_all()

    @property
    def items(self) -> list[Event | Synced]:
        return [item for batch in list(self.batches) for item in batch]

    @property
    def events(self) -> list[Event]:
        return [item for item in self.items if isinstance(item, Event)]

    @property
    def syncs(self) -> list[Synced]:
        return [item for item in self.items if isinstance(item, Synced)]

    def told(self) -> list[tuple[str, str]]:
        """Change and name of each event."""
        return [(event.change.value, event.value.name) for event in self.events]

    def until(self, condition: Callable[[], object]) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: bool(condition()), PATIENCE), self.items[-10:]


def eventually(condition: Callable[[], object]) -> None:
    """Wait for something that no delivery announces."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def write_kubeconfig(path: Path, url: str, user: Json, ca: Path | None = None) -> None:
    """A kubeconfig with one cluster and this user."""
    trust = {"certificate-authority": str(ca)} if ca else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url} | trust}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(config))


def pod(name: str, version: int, *, uid: str = "", ip: str = "10.0.0.1") -> Json:
    """A running pod; its uid is made of its name unless given."""
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {"app": "x"},
        },
        "spec": {"serviceAccountName": "default", "nodeName": "n1"},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": "2026-01-01T00:00:00Z"},
    }


def namespace(name: str, version: int) -> Json:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def listed(items: Sequence[Json], version: int, *, proceed: str = "") -> Answer:
    """One page of a list."""
    metadata = {"resourceVersion": str(version)} | ({"continue": proceed} if proceed else {})
    return Answer(json.dumps({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}).encode())


def refused(code: int, reason: str = "", *, retry_after: int | None = None) -> Answer:
    """A Status with its HTTP status."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(status(code, reason), code, headers)


def status(code: int, reason: str = "") -> bytes:
    return json.dumps(
        {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "so it is"}
    ).encode()


def line(kind: str, thing: Json) -> bytes:
    """One event of a watch."""
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def error(code: int, reason: str = "") -> bytes:
    return b'{"type":"ERROR","object":' + status(code, reason) + b"}\n"
