"""The webhook's answers, its certificate and its patience."""

import base64
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from bridge.cli.webhook import Webhook, answer
from bridge.model.gate import CONDITION

GATE = {"conditionType": CONDITION}


def review(spec: dict[str, Any], namespace: str = "shop", **more: Any) -> bytes:  # noqa: ANN401
    """What the API server asks."""
    pod = {"metadata": {"generateName": "web-"}, "spec": spec}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "7", "kind": kind, "namespace": namespace, "operation": "CREATE", "object": pod, **more}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def patch(body: bytes, *never: str) -> Any:  # noqa: ANN401 (any JSON)
    """The patch in the answer; None without one."""
    found = json.loads(answer(body, never))
    assert found["response"]["uid"] == "7"
    assert found["response"]["allowed"] is True
    said = found["response"].get("patch")
    return json.loads(base64.b64decode(said)) if said else None


def test_a_new_pod_is_given_the_gate() -> None:
    assert patch(review({})) == [{"op": "add", "path": "/spec/readinessGates", "value": [GATE]}]
    other = {"readinessGates": [{"conditionType": "example.org/x"}]}
    assert patch(review(other)) == [{"op": "add", "path": "/spec/readinessGates/-", "value": GATE}]


@pytest.mark.parametrize(
    "body",
    [
        review({"readinessGates": [GATE]}),
        review({"hostNetwork": True}),
        review({}, "bridge"),
        review({}, operation="UPDATE"),
        review({}, kind={"group": "apps", "version": "v1", "kind": "Deployment"}),
        review({}, object=None),
    ],
)
def test_nobody_else_is(body: bytes) -> None:
    assert patch(body, "bridge") is None


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"apiVersion": "v1", "request": {"uid": 7}}', b"\xff"])
def test_what_is_no_question_has_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        answer(body, ())


@dataclass
class Served:
    """A webhook with a certificate that can be replaced."""

    hook: Webhook
    folder: Path
    authority: trustme.CA

    def renew(self, authority: trustme.CA | None = None) -> None:
        """Another certificate."""
        self.authority = authority or trustme.CA()
        write(self.folder, self.authority)

    def post(self, body: bytes) -> httpx.Response:
        """A question over a connection of its own."""
        trust = ssl.create_default_context()
        self.authority.configure_trust(trust)
        with httpx.Client(verify=trust, trust_env=False, timeout=10) as client:
            return client.post(f"https://127.0.0.1:{self.hook.port}/gate", content=body)


def write(folder: Path, authority: trustme.CA) -> None:
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(folder / "tls.key")
    made.cert_chain_pems[0].write_to_path(folder / "tls.crt")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    hook = Webhook("127.0.0.1", 0, tmp_path / "tls.crt", tmp_path / "tls.key", {"bridge"})
    hook.start()
    yield Served(hook, tmp_path, trustme.CA())
    hook.stop()


def test_it_answers_as_soon_as_there_is_a_certificate(served: Served) -> None:
    with pytest.raises(httpx.TransportError):
        served.post(review({}))
    served.renew()
    found = served.post(review({}))
    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    assert "patch" in found.json()["response"]
    assert "patch" not in served.post(review({}, "bridge")).json()["response"]


def test_a_renewed_certificate_counts_and_half_a_one_does_not(served: Served) -> None:
    served.renew()
    served.renew()
    assert served.post(review({})).status_code == 200
    (served.folder / "tls.crt").write_text("in the middle of something")
    assert served.post(review({})).status_code == 200


def test_nonsense_is_refused_and_the_next_one_is_answered(served: Served) -> None:
    served.renew()
    assert served.post(b"nonsense").status_code == 400
    assert served.post(review({})).status_code == 200


def test_who_says_nothing_keeps_nobody_waiting(served: Served) -> None:
    served.renew()
    with socket.create_connection(("127.0.0.1", served.hook.port)):
        assert served.post(review({})).status_code == 200


def test_a_question_without_end_is_not_read(served: Served) -> None:
    served.renew()
    trust = ssl.create_default_context()
    served.authority.configure_trust(trust)
    with (
        socket.create_connection(("127.0.0.1", served.hook.port), 10) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert secure.recv(64).startswith(b"HTTP/1.1 413")
