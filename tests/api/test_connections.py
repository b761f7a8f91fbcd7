"""Whoever connects and says nothing, or takes nothing, is let go: no number of such keeps others out."""

import socket
from urllib.parse import urlsplit

import pytest

from bridge.api import connections
from tests.api.conftest import Api

HEAD = b"POST /api/v1/stops HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
WHOLE = b"GET /api/v1/clusters HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _connected(api: Api) -> socket.socket:
    where = urlsplit(str(api.client.base_url))
    return socket.create_connection((str(where.hostname), where.port or 0), timeout=30)


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"\r\n{", WHOLE + HEAD])
def test_a_request_that_does_not_come_whole(api: Api, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(connections, "ASKING", 0.3)
    with _connected(api) as one:
        one.sendall(said)
        assert (b"200" in _until_the_end(one)) == said.startswith(WHOLE), "ended, and what was whole was answered"


def test_an_answer_that_is_not_taken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKING", 0.3)
    with _connected(api) as one, pytest.raises(ConnectionError):
        _asked_without_end(one)


def test_who_says_it_in_pieces_is_answered(api: Api) -> None:
    with _connected(api) as one:
        for piece in (WHOLE[:10], WHOLE[10:-1], WHOLE[-1:]):
            one.sendall(piece)
        assert one.recv(12) == b"HTTP/1.1 200"


def _asked_without_end(one: socket.socket) -> None:
    while True:
        one.sendall(LARGE * 200)


def _until_the_end(one: socket.socket) -> bytes:
    found = b""
    try:
        while more := one.recv(65_536):
            found += more
    except ConnectionError:
        pass
    return found
