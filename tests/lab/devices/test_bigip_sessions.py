"""Tokens, and what goes wrong on the wire."""

import json
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip
from tests.lab.devices.conftest import FIREWALL, client

LIST = f"{FIREWALL}/address-list"
LOGIN = "/mgmt/shared/authn/login"
TOKENS = "/mgmt/shared/authz/tokens"
BODY: dict[str, Any] = {"name": "x", "addresses": ["10.0.0.1"]}


def login(device: Bigip, http: httpx.Client) -> httpx.Response:
    credentials = {"username": device.username, "password": device.password, "loginProviderName": "tmos"}
    return http.post(LOGIN, json=credentials, auth=lambda request: request)


def bearer(token: str) -> Callable[[httpx.Request], httpx.Request]:
    def sign(request: httpx.Request) -> httpx.Request:
        request.headers["X-F5-Auth-Token"] = token
        return request

    return sign


def test_token_lives_and_can_be_extended(device: Bigip, http: httpx.Client) -> None:
    token = login(device, http).json()["token"]
    assert token["timeout"] == 1200
    auth = bearer(token["token"])
    assert http.get(LIST, auth=auth).status_code == 200
    assert http.patch(f"{TOKENS}/{token['token']}", json={"timeout": 36001}, auth=auth).status_code == 400
    assert http.patch(f"{TOKENS}/{token['token']}", json={"timeout": 36000}, auth=auth).json()["timeout"] == 36000
    device.clock.advance(35_990)
    assert http.get(LIST, auth=auth).status_code == 200
    device.clock.advance(11)
    refused = http.get(LIST, auth=auth)
    assert refused.status_code == 401
    assert refused.json().keys() == {"code", "message", "referer", "restOperationId", "kind"}
    assert refused.json()["message"] == "X-F5-Auth-Token does not exist."


def test_token_is_deleted(device: Bigip, http: httpx.Client) -> None:
    token = login(device, http).json()["token"]["token"]
    assert http.delete(f"{TOKENS}/{token}", auth=bearer(token)).status_code == 200
    assert http.get(LIST, auth=bearer(token)).status_code == 401
    assert device.tokens.live() == []


def test_a_hundred_tokens_and_no_more(device: Bigip, http: httpx.Client) -> None:
    assert {login(device, http).status_code for _ in range(100)} == {200}
    refused = login(device, http)
    assert refused.status_code == 400
    assert refused.json()["message"].endswith("has reached maximum active login tokens")
    device.clock.advance(1200)
    assert login(device, http).status_code == 200


def test_wrong_password_and_none(device: Bigip, http: httpx.Client) -> None:
    assert http.post(LOGIN, json={"username": device.username, "password": "no"}).status_code == 401
    assert http.get(LIST, auth=(device.username, "no")).status_code == 401
    assert http.get(LIST, auth=lambda request: request).status_code == 401
    assert http.get(LIST).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "shape"),
    [
        ("busy", 503, "restOperationId"),
        ("busy-tm", 503, "errorStack"),
        ("async-task", 503, "there is an active asynchronous task executing"),
        ("unauthorized", 401, "X-F5-Auth-Token does not exist."),
        ("html-502", 502, "<html>"),
        ("html-503", 503, "<html>"),
        ("html-401", 401, "<html>"),
    ],
)
def test_canned_answers_come_once(device: Bigip, http: httpx.Client, kind: str, status: int, shape: str) -> None:
    before = device.digest()
    device.faults.add(kind)
    refused = http.post(LIST, json=BODY)
    assert (refused.status_code, shape in refused.text) == (status, True)
    assert device.digest() == before
    assert http.post(LIST, json=BODY).status_code == 200


@pytest.mark.parametrize("effect", ["before", "after"])
def test_cut_before_and_after_the_write(device: Bigip, http: httpx.Client, effect: str) -> None:
    device.faults.add("cut", method="POST", effect=effect)
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(LIST, json=BODY)
    assert bool(device.members("/Common/x")) is (effect == "after")
    assert (device.requests()[-1].status, device.requests()[-1].fault) == (0, "cut")


def test_busy_after_the_write_took_effect(device: Bigip, http: httpx.Client) -> None:
    device.faults.add("busy", effect="after", path="address-list")
    assert http.post(LIST, json=BODY).status_code == 503
    assert device.members("/Common/x") == {"10.0.0.1"}


def test_truncated_and_garbage(device: Bigip, http: httpx.Client) -> None:
    device.faults.add("truncated")
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(LIST)
    device.faults.add("garbage")
    answer = http.get(LIST)
    assert answer.status_code == 200
    with pytest.raises((UnicodeDecodeError, json.JSONDecodeError)):
        answer.json()


def test_hang_until_the_client_goes(device: Bigip) -> None:
    device.faults.add("hang", effect="after", method="POST")
    with client(device) as http, pytest.raises(httpx.ReadTimeout):
        http.post(LIST, json=BODY, timeout=0.2)
    assert device.members("/Common/x") == {"10.0.0.1"}
    assert device.wait_until(lambda: len(device.requests()) == 1, 5)


def test_slow(device: Bigip, http: httpx.Client) -> None:
    device.faults.add("slow", seconds=0.2, times=None)
    assert http.get(LIST).status_code == 200
    assert http.get(LIST).status_code == 200
    assert min(one.seconds for one in device.requests()) > 0.19  # clocks and sleeps differ a little


def test_faults_skip_count_and_clear(device: Bigip, http: httpx.Client) -> None:
    device.faults.add("busy", skip=1, times=2)
    assert [http.get(LIST).status_code for _ in range(4)] == [200, 503, 503, 200]
    device.faults.add("busy", times=None)
    assert http.get(LIST).status_code == 503
    device.faults.clear()
    assert http.get(LIST).status_code == 200
    with pytest.raises(ValueError, match="no fault is called"):
        device.faults.add("earthquake")


def test_log_counts_the_bytes(device: Bigip, http: httpx.Client) -> None:
    body = {"name": "x", "addresses": [f"10.0.0.{number}" for number in range(1, 101)]}
    answer = http.post(LIST, json=body)
    (call,) = device.requests()
    assert len(answer.request.content) < call.bytes_in < len(answer.request.content) + 400
    assert len(answer.content) < call.bytes_out < len(answer.content) + 300
    assert (call.method, call.path, call.status, call.user) == ("POST", LIST, 200, device.username)


def test_half_a_write_is_none(device: Bigip) -> None:
    assert device.ca is not None
    target, context = urlsplit(device.url), ssl.create_default_context(cafile=device.ca)
    token = device.tokens.login({"username": device.username, "password": device.password})["token"]["token"]
    head = f"POST {LIST} HTTP/1.1\r\nHost: x\r\nX-F5-Auth-Token: {token}\r\nContent-Length: 1000\r\n\r\n"
    before = len(device.writes())
    with (
        socket.create_connection((str(target.hostname), int(target.port or 0))) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(head.encode() + json.dumps(BODY).encode())
    with client(device) as http:
        assert http.get(LIST).status_code == 200
    assert [one.method for one in device.requests()] == ["GET"]
    assert len(device.writes()) == before


def test_stop_ends_hanging_calls(device: Bigip) -> None:
    device.faults.add("hang")
    with client(device) as http, ThreadPoolExecutor(1) as pool:
        call = pool.submit(http.get, LIST, timeout=60)
        assert device.wait_until(lambda: len(device.faults) == 0)
        device.stop()
        assert isinstance(call.exception(timeout=30), httpx.TransportError)


def test_it_comes_back_on_the_same_port(device: Bigip) -> None:
    url = device.url
    with client(device) as http:
        http.post(LIST, json=BODY)
    device.stop()
    device.start()
    assert device.url == url
    with client(device) as http:
        assert http.get(f"{LIST}/~Common~x").status_code == 200
