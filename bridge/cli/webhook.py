"""The webhook that gates new pods: what the API server asks before it creates one, and our answer, over HTTPS.

It only ever adds a readiness gate, and lets everybody in whatever happens: the API server is told (failurePolicy: Ignore) to create the pod
without our answer when there is none.
"""

import base64
import socket
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from bridge.cli.certificates import Certificates
from bridge.model.gate import CONDITION

log = structlog.get_logger(__name__)

_LARGEST: Final = 8 << 20  # bytes of a question; an API server takes objects of 3 MiB at most
_SECONDS: Final = 5.0  # for whoever connects to say what he wants


class _Gate(msgspec.Struct):
    type: str = msgspec.field(default="", name="conditionType")


class _Spec(msgspec.Struct, rename="camel"):
    readiness_gates: list[_Gate] | None = None
    host_network: bool = False


class _Pod(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _Kind(msgspec.Struct):
    group: str = ""
    kind: str = ""


class _Request(msgspec.Struct, rename="camel"):
    uid: str
    kind: _Kind = msgspec.field(default_factory=_Kind)
    namespace: str = ""
    operation: str = ""
    object: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class _Review(msgspec.Struct, rename="camel"):
    api_version: str
    request: _Request


_reviews = msgspec.json.Decoder(_Review)
_pods = msgspec.json.Decoder(_Pod | None)


def answer(body: bytes, never: Collection[str]) -> bytes:
    """The AdmissionReview that answers this one: allowed, and with the gate for a new pod outside of the namespaces `never`.

    ValueError when it is none.
    """
    review = _reviews.decode(body)
    response: dict[str, Any] = {"uid": review.request.uid, "allowed": True}
    patch = _patch(review.request, never)
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(msgspec.json.encode(patch)).decode()}
    return msgspec.json.encode({"apiVersion": review.api_version, "kind": "AdmissionReview", "response": response})


def _patch(request: _Request, never: Collection[str]) -> list[dict[str, Any]]:
    if (request.kind.group, request.kind.kind, request.operation) != (
        "",
        "Pod",
        "CREATE",
    ) or request.namespace in never:
        return []
    pod = _pods.decode(request.object)
    if pod is None or pod.spec.host_network:  # no device can tell it from its node
        return []
    gates = [gate.type for gate in pod.spec.readiness_gates or ()]
    if CONDITION in gates:
        return []
    entry = {"conditionType": CONDITION}
    if not gates:
        return [{"op": "add", "path": "/spec/readinessGates", "value": [entry]}]
    return [{"op": "add", "path": "/spec/readinessGates/-", "value": entry}]


class Webhook:
    """The endpoint, served from threads of its own between `start` and `stop`. It asks neither database nor cluster. OSError where it
    cannot listen."""

    def __init__(self, address: str, port: int, certificate: Path, key: Path, never: Collection[str]) -> None:
        certificates = Certificates(certificate, key)
        certificates.context()

        class Handler(_Handler):
            ungated = frozenset(never)

        class Server(_Server):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        Server.certificates = certificates
        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """TLS is spoken in the thread of each connection: who connects and says nothing keeps nobody else waiting."""

    daemon_threads = True
    certificates: Certificates

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (of the base)
        """Speak TLS first."""
        context = self.certificates.context()
        if context is None:
            return
        request.settimeout(_SECONDS)
        try:
            with context.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)
        except OSError as error:
            log.debug("webhook: a connection broke", error=str(error))

    def handle_error(self, _request: Any, _client_address: Any) -> None:  # noqa: ANN401 (of the base)
        """Say it in the log."""
        log.exception("webhook failed")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the API server keeps its connection
    timeout = 90
    ungated: frozenset[str] = frozenset()

    def do_POST(self) -> None:
        """A question."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST:
            self.close_connection = True
            self._say(413 if length.isdigit() else 411, b"")
            return
        try:
            self._say(200, answer(self.rfile.read(int(length)), self.ungated))
        except ValueError as error:
            self._say(400, str(error).encode())

    def do_GET(self) -> None:
        """For people who look whether it is there."""
        self._say(200, b"the webhook that adds the readiness gate " + CONDITION.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base)
        """Say nothing."""

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 and body[:1] == b"{" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
