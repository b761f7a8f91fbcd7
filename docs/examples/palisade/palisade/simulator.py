"""A Palisade to be proven on: it keeps one document, replaces it by its version, and refuses what a strict device would.

How it decides a packet (`verdict`) is read from what it holds, by its own rules and by nothing of the adapter's.
"""

import hashlib
import json
import secrets
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import trustme

from bridge.lab.device import Exchange, Trouble, Write
from bridge.model.addresses import overlap
from bridge.policy.evaluate import Packet, Verdict
from palisade.wire import Addresses, Chain, Document, Line, Problem, Rules, Services, Session

PLACES = ("cluster", "namespace", "service")  # met in this order; what matches nothing there goes on, unmatched
_ACTIONS = {"allow": Verdict.ALLOW, "deny": Verdict.DENY, "reject": Verdict.REJECT}
_STATUS = {
    Trouble.UNAUTHORIZED: 401,
    Trouble.FORBIDDEN: 403,
    Trouble.MISSING: 404,
    Trouble.CONFLICT: 409,
    Trouble.TOO_MANY: 429,
    Trouble.UNAVAILABLE: 503,
}


class No(Exception):
    """The device refuses."""

    def __init__(self, status: int, error: str, record: str = "") -> None:
        self.status, self.problem = status, Problem(error, record)
        super().__init__(error)


class Palisade:
    """The device, and all that a laboratory does to it. The entry point of the simulator is this class."""

    def __init__(
        self, *, tls: bool = True, port: int = 0, username: str | None = None, password: str | None = None
    ) -> None:
        self.username = username or "bridge"
        self.password = password or secrets.token_urlsafe(24)  # the token
        self.rights: tuple[str, ...] = ("read", "write")
        self.limits: dict[str, int] = {}
        self.faults: list[Fault] = []
        self.calls = 0
        self.lock = threading.RLock()
        self.patient = threading.Event()  # ends whoever is kept waiting
        self._tls, self._port = tls, port
        self._server: ThreadingHTTPServer | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._exchanges: list[Exchange] = []
        self.wipe()

    # ---- a simulator, as bridge.lab.device has it

    @property
    def url(self) -> str:
        """Where it listens; empty before it does."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}" if self._server else ""

    @property
    def ca(self) -> str | None:
        """The authority to trust."""
        return str(Path(self._folder.name) / "ca.pem") if self._folder else None

    def start(self) -> None:
        """Listen."""
        server = ThreadingHTTPServer(("127.0.0.1", self._port), _Handler)
        server.daemon_threads = True
        server.block_on_close = False
        server.palisade = self  # type: ignore[attr-defined]
        if self._tls:
            server.socket = self._context().wrap_socket(server.socket, server_side=True)
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """End every connection."""
        self.patient.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def document(self) -> Mapping[str, str | None]:
        """What a client needs."""
        return {
            "url": self.url,
            "kubeconfig": None,
            "username": self.username,
            "password": None,
            "token": self.password,
            "ca": self.ca,
        }

    def requests(self) -> Sequence[Exchange]:
        """Every call so far."""
        return list(self._exchanges)

    def writes(self) -> Sequence[Write]:
        """Every change so far."""
        changes = [one for one in self._exchanges if one.method == "PUT" and one.status == 200]
        return [
            Write(number, one.at, one.user, one.agent, one.method, one.path, ()) for number, one in enumerate(changes)
        ]

    def digest(self) -> str:
        """Of all that it holds."""
        return hashlib.sha256(msgspec.json.encode(self.held, order="deterministic")).hexdigest()

    def reboot(self) -> None:
        """What is written is saved."""

    def wipe(self) -> None:
        """As from the factory."""
        with self.lock:
            self.held, self.version = Document(), 1
            self.history = [self.held]
            self.limits, self.rights = {}, ("read", "write")

    # ---- what a client calls

    def answer(self, token: str, method: str, path: str, match: str, body: bytes) -> tuple[object, int]:
        """The answer and the version. Raises No."""
        if not secrets.compare_digest(token, self.password):
            raise No(401, "who are you?")
        with self.lock:
            if (method, path) == ("GET", "/session"):
                return Session("PAL-0001", "4.2", self.rights), self.version
            if path != "/config" or method not in ("GET", "PUT"):
                raise No(404, f"{path} is not there")
            if method == "PUT":
                self._replace(match, body)
            return self.held, self.version

    def edit(self, held: Document) -> None:
        """Somebody changes it at its console."""
        with self.lock:
            self.held, self.version = held, self.version + 1
            self.history.append(held)

    def note(self, exchange: Exchange) -> None:
        """One more call."""
        with self.lock:
            self._exchanges.append(exchange)

    def _replace(self, match: str, body: bytes) -> None:
        if "write" not in self.rights:
            raise No(403, "this token may not write")
        if match != str(self.version):
            raise No(412, f"version {self.version} stands there, not {match or 'any'}")
        try:
            draft = msgspec.json.decode(body, type=Document)
        except msgspec.MsgspecError as error:
            raise No(400, str(error)) from None
        for problem in check(draft, self.held, self.limits):
            raise No(422, problem.error, problem.record)
        self.edit(draft)

    def _context(self) -> ssl.SSLContext:
        authority = trustme.CA()
        self._folder = tempfile.TemporaryDirectory()
        authority.cert_pem.write_to_path(str(Path(self._folder.name) / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        return context


def check(draft: Document, held: Document, limits: Mapping[str, int]) -> Iterator[Problem]:
    """What is wrong with a configuration, and because of which record."""
    for name, record in draft.records.items():
        try:
            size = _check(record.body, draft)
        except ValueError as error:
            yield Problem(str(error), name)
            continue
        for limit, kind in (("group_members", Addresses), ("rules", Rules)):
            if isinstance(record.body, kind) and size > limits.get(limit, size):
                yield Problem(f"more than {limits[limit]} {limit}", name)
    sets = [name for name, record in draft.records.items() if isinstance(record.body, Addresses)]
    if len(sets) > limits.get("groups", len(sets)):
        yield Problem(
            f"more than {limits['groups']} sets", next(name for name in reversed(sets) if name not in held.records)
        )
    for place, name in draft.places.items():
        if place not in PLACES or (name and not isinstance(_body(draft, name), Chain)):
            yield Problem(f"place {place} cannot hold {name}")


def _check(body: object, draft: Document) -> int:
    """How much is in it. ValueError where it cannot stand."""
    match body:
        case Addresses():
            for item in body.items:
                for part in item.split("-"):
                    ip_network(part)
            _refer(draft, body.sets, Addresses)
            return len(body.items)
        case Services() if not body.spans or not all(0 < first <= last < 65536 for first, last in body.spans):
            raise ValueError("no ports, or none that there are")
        case Rules():
            for line in body.lines:
                _refer(draft, (*line.sources, *line.destinations), Addresses)
                _refer(draft, [line.services] if line.services else [], Services)
                if line.action not in _ACTIONS or not line.sources or not line.destinations:
                    raise ValueError(f"line {line.name} is none")
            return len(body.lines)
        case Chain():
            _refer(draft, body.lists, Rules)
    return 0


def _refer(draft: Document, names: Sequence[str], kind: type) -> None:
    missing = [name for name in names if not isinstance(_body(draft, name), kind)]
    if missing:
        raise ValueError(f"{missing[0]} is not there")


def _body(held: Document, name: str) -> object:
    record = held.records.get(name)
    return record.body if record else None


# ---- what it does with a packet


def verdict(held: Document, packet: Packet) -> Verdict:
    """The first line that matches, place after place, list after list."""
    for place in PLACES:
        chain = _body(held, held.places.get(place, ""))
        for name in chain.lists if isinstance(chain, Chain) else ():
            rules = _body(held, name)
            for line in rules.lines if isinstance(rules, Rules) else ():
                if _matches(held, line, packet):
                    return _ACTIONS[line.action]
    return Verdict.UNMATCHED


def dangling(held: Document) -> Iterator[str]:
    """References to what is not there: its own checks leave none."""
    for problem in check(held, held, {}):
        yield f"{problem.record}: {problem.error}"


def _matches(held: Document, line: Line, packet: Packet) -> bool:
    if line.protocol not in ("", packet.protocol.value):
        return False
    services = _body(held, line.services)
    if isinstance(services, Services) and not any(first <= packet.port <= last for first, last in services.spans):
        return False
    sides = ((line.sources, packet.source), (line.destinations, packet.destination))
    return all(any(_holds(held, name, address) for name in names) for names, address in sides)


def _holds(held: Document, name: str, address: str) -> bool:
    """An empty set matches nothing: a Palisade is kind."""
    found = _body(held, name)
    if not isinstance(found, Addresses):
        return False
    return overlap(found.items, (address,)) or any(_holds(held, one, address) for one in found.sets)


# ---- HTTP


class Fault:
    """A trouble in the way of the next calls."""

    def __init__(self, trouble: Trouble, skip: int, times: int | None, *, writes: bool) -> None:
        self.trouble, self.skip, self.times, self.writes = trouble, skip, times, writes
        self.hits = 0

    def meets(self, *, write: bool) -> bool:
        """Whether this call meets it; counted."""
        if (self.writes and not write) or self.hits == self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece

    def log_message(self, *_words: Any) -> None:  # noqa: ANN401 (the library's own)
        """Nothing to standard error."""

    def do_GET(self) -> None:
        """Read."""
        self._serve()

    def do_PUT(self) -> None:
        """Replace."""
        self._serve()

    def _serve(self) -> None:
        device: Palisade = self.server.palisade  # type: ignore[attr-defined]
        began = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with device.lock:
            device.calls += 1
            number = device.calls
            fault = next((one for one in device.faults if one.meets(write=self.command != "GET")), None)
        status, content, version = self._outcome(device, body, fault)
        told = str(fault.trouble) if fault else ""
        agent = self.headers.get("User-Agent", "")
        sizes = (len(body), len(content))
        device.note(
            Exchange(
                number, began, self.command, self.path, "", status, *sizes, time.time() - began, "", agent, "", told, 1
            )
        )
        if fault and fault.trouble in (Trouble.LOST, Trouble.CUT, Trouble.SILENCE):
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", str(version))
        self.end_headers()
        self.wfile.write(content)

    def _outcome(self, device: Palisade, body: bytes, fault: Fault | None) -> tuple[int, bytes, int]:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if fault and fault.trouble is Trouble.SILENCE:
            device.patient.wait(30)
        if fault and fault.trouble is not Trouble.LOST:
            words = f"cannot serve {token}" if fault.trouble is Trouble.ECHO else str(fault.trouble)
            if fault.trouble is Trouble.HTML:
                return 200, b"<html>Please log in.</html>", 0
            return _STATUS.get(fault.trouble, 400), json.dumps({"error": words}).encode(), 0
        try:
            found, version = device.answer(token, self.command, self.path, self.headers.get("If-Match", ""), body)
        except No as no:
            return no.status, msgspec.json.encode(no.problem), 0
        return 200, msgspec.json.encode(found), version
