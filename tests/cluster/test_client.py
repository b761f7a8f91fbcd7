"""Reaching a cluster: credentials of every kind, refusals in the words of the error tree, and nothing secret said."""

import gc
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.cluster.answers import RequestRefused, Throttled
from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from bridge.cluster.stream import Chunks
from bridge.errors import ClusterDenied, ClusterUnavailable, Expired
from tests.cluster.scripted import Answer, FakeClock, Json, ScriptedServer, refused, write_kubeconfig

PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text() or 0) + 1 if count.exists() else 1
count.write_text(str(number))
status = {"token": f"plugin-{number}"}
if len(sys.argv) > 2:
    status["expirationTimestamp"] = sys.argv[2]
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""
OK = Answer(b'{"gitVersion":"v1.36.3"}')


def opened(server: ScriptedServer, clock: FakeClock, user: Json) -> Connection:
    write_kubeconfig(server.kubeconfig, f"http://127.0.0.1:{server.port}", user)
    return Connection(ClusterConfig("east", server.kubeconfig), clock)


def exec_user(folder: Path, *more: str) -> Json:
    script = folder / "plugin.py"
    script.write_text(PLUGIN)
    call = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "interactiveMode": "Never"}
    return {"exec": call | {"args": [str(script), str(folder / "count"), *more]}}


def tokens(server: ScriptedServer) -> list[str]:
    return [request.headers.get("authorization", "") for request in server.requests]


def test_an_exec_plugin_is_asked_once_while_its_token_lasts(
    server: ScriptedServer, clock: FakeClock, tmp_path: Path
) -> None:
    server.namespaces = [OK]
    connection = opened(server, clock, exec_user(tmp_path, "2999-01-01T00:00:00Z"))
    assert connection.server_version() == "v1.36.3"
    assert connection.server_version() == "v1.36.3"
    connection.close()
    assert tokens(server) == ["Bearer plugin-1", "Bearer plugin-1"]


def test_an_expired_token_is_asked_for_anew(server: ScriptedServer, clock: FakeClock, tmp_path: Path) -> None:
    server.namespaces = [OK]
    connection = opened(server, clock, exec_user(tmp_path, "2001-01-01T00:00:00Z"))
    connection.server_version()
    connection.server_version()
    connection.close()
    first, second = tokens(server)
    assert first != second


def test_refused_credentials_are_loaded_again_once(server: ScriptedServer, clock: FakeClock) -> None:
    server.namespaces = [OK, refused(401), OK, refused(401)]
    connection = opened(server, clock, {"token": "old-secret"})
    connection.server_version()
    write_kubeconfig(server.kubeconfig, f"http://127.0.0.1:{server.port}", {"token": "new-secret"})
    clock.advance(60)
    connection.server_version()
    assert tokens(server) == ["Bearer old-secret", "Bearer old-secret", "Bearer new-secret"]
    with pytest.raises(ClusterDenied, match="get version") as denied:
        connection.server_version()
    connection.close()
    assert "secret" not in str(denied.value)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(400), RequestRefused),
        (refused(403), ClusterDenied),
        (refused(404, "NotFound"), RequestRefused),
        (refused(409, "Conflict"), RequestRefused),
        (refused(410), Expired),
        (refused(422), RequestRefused),
        (refused(429, retry_after=3), Throttled),
        (refused(500), ClusterUnavailable),
        (refused(503, retry_after=3), Throttled),
        (Answer(b"<html>", 502), ClusterUnavailable),
        (Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}), ClusterUnavailable),
        (Answer(b"{}"), ClusterUnavailable),
    ],
)
def test_each_refusal_is_one_error(
    answer: Answer, kind: type[Exception], server: ScriptedServer, connection: Connection
) -> None:
    server.namespaces = [answer]
    with pytest.raises(kind, match="east: get version"):
        connection.server_version()
    assert len(server.requests) == 1


def test_no_server_there(clock: FakeClock, tmp_path: Path) -> None:
    with ScriptedServer(clock, tmp_path) as server:
        connection = Connection(ClusterConfig("east", server.kubeconfig), clock)
    with pytest.raises(ClusterUnavailable, match=r"east: get version: .*refused"):
        connection.server_version()


def test_a_peer_that_resets_before_the_handshake_leaves_no_socket(clock: FakeClock, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        write_kubeconfig(tmp_path / "config", f"https://127.0.0.1:{listener.getsockname()[1]}", {"token": "t"})
        connection = Connection(ClusterConfig("east", tmp_path / "config"), clock)
        failures: list[ClusterUnavailable] = []

        def ask() -> None:
            try:
                connection.identity()
            except ClusterUnavailable as error:
                failures.append(error)

        before = set(map(id, _open_sockets()))  # of whatever else this process serves
        # Held back between connect and handshake, where servers that die are met.
        with pytest.MonkeyPatch.context() as patch:
            wrap, connected, reset = ssl.SSLContext.wrap_socket, threading.Event(), threading.Event()

            def late(context: ssl.SSLContext, *given: Any, **more: Any) -> ssl.SSLSocket:  # noqa: ANN401
                connected.set()
                assert reset.wait(10)
                return wrap(context, *given, **more)

            patch.setattr(ssl.SSLContext, "wrap_socket", late)
            asking = threading.Thread(target=ask)
            asking.start()
            peer, _ = listener.accept()
            assert connected.wait(10)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            time.sleep(0.05)
            reset.set()
            asking.join()
    # Before the error is dropped: its traceback is what would keep the socket.
    assert len(failures) == 1
    assert [each for each in _open_sockets() if id(each) not in before] == []


@pytest.mark.parametrize("text", ["token: hush: [", "just words", "[]", "apiVersion: v1\nkind: Config\n", ""])
def test_a_kubeconfig_that_cannot_be_used(text: str, clock: FakeClock, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterUnavailable, match="kubeconfig") as unusable:
        Connection(ClusterConfig("east", path), clock).identity()
    assert "hush" not in str(unusable.value)


def test_a_kubeconfig_that_is_not_there(clock: FakeClock, tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailable, match="kubeconfig"):
        Connection(ClusterConfig("east", tmp_path / "none"), clock).identity()


def test_not_in_a_cluster(clock: FakeClock) -> None:
    with pytest.raises(ClusterUnavailable, match="service account"):
        Connection(ClusterConfig("here", in_cluster=True), clock).identity()


def test_the_identity_of_a_cluster(server: ScriptedServer, connection: Connection) -> None:
    server.namespaces = [Answer(json.dumps({"metadata": {"uid": "abc"}}).encode())]
    assert connection.identity() == "abc"
    assert server.requests[0].path == "/api/v1/namespaces/kube-system"


def test_the_official_client_is_imported_when_first_needed() -> None:
    code = "import sys, bridge.cluster.watcher, bridge.cluster.writes; assert 'kubernetes' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_chunks_in_any_pieces(size: int) -> None:
    sent = b"3\r\nabc\r\n1;x=y\r\nd\r\nA\r\n0123456789\r\n0\r\n\r\n"
    chunks = Chunks()
    assert b"".join(chunks.feed(sent[at : at + size]) for at in range(0, len(sent), size)) == b"abcd0123456789"
    assert chunks.ended


def test_chunks_of_nonsense() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Chunks().feed(b"zz\r\n")


def _open_sockets() -> list[ssl.SSLSocket]:
    return [each for each in gc.get_objects() if isinstance(each, ssl.SSLSocket) and each.fileno() >= 0]
