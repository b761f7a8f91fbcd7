"""A server of a few answers, for those who are asked who somebody is."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[bytes], tuple[int, Any]]


@dataclass
class Answering:
    """Answers each path by a function of the body; anything else is 404. `asked` lists the paths."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, value: Any, status: int = 200) -> None:  # noqa: ANN401 (any JSON)
        """Always answer so."""
        self.answers[path] = lambda _: (status, value)


def _missing(_body: bytes) -> tuple[int, Any]:
    return 404, {}


@contextlib.contextmanager
def answering() -> Iterator[Answering]:
    """Served on loopback, over plain HTTP."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            found.asked.append(path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, value = found.answers.get(path, _missing)(body)
            said = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET  # noqa: N815 (the name of the base)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Answering(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
