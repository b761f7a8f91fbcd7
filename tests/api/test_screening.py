"""Which requests are taken at all."""

from collections.abc import Mapping

import pytest
from starlette.datastructures import Headers

from bridge.api.console.login import local
from bridge.api.screening import LARGEST, host_of, refusal
from tests.api.conftest import Api

HOSTS = frozenset({"bridge.example.com", "127.0.0.1"})
HERE = {"host": "127.0.0.1:9810"}
API = "/api/v1/held"
JSON = {"content-type": "application/json"}


def status(method: str, path: str, headers: Mapping[str, str]) -> int:
    found = refusal(method, path, Headers({**HERE, **headers}), HOSTS)
    return found.status if found else 200


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("127.0.0.1:9810", "127.0.0.1"),
        ("Bridge.Example.COM.", "bridge.example.com"),
        ("[FD00::0010]:443", "fd00::10"),
        ("", ""),
        ("bridge.example.com:x", ""),
        ("bridge.example.com/evil.example", ""),
        ("evil.example@bridge.example.com", ""),
        ("bridge.example.com?x", ""),
        ("[::1", ""),
    ],
)
def test_what_a_host_header_names(header: str, host: str) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "localhost", "bridge.example.com.evil"])
def test_a_name_that_somebody_else_made_lead_here_gets_nothing(host: str) -> None:
    assert status("GET", "/", {"host": host}) == 400
    assert status("POST", API, {"host": host, **JSON}) == 400


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (API, JSON, 200),  # a program
        (API, JSON | {"origin": "http://127.0.0.1:9810"}, 200),
        (API, JSON | {"host": "bridge.example.com", "origin": "https://bridge.example.com"}, 200),  # TLS before us
        (API, JSON | {"origin": "http://127.0.0.1:9811"}, 403),  # another server on this machine
        (API, JSON | {"origin": "https://evil.example"}, 403),
        (API, JSON | {"origin": "null"}, 403),
        (API, JSON | {"sec-fetch-site": "cross-site"}, 403),
        (API, JSON | {"sec-fetch-site": "same-site"}, 403),
        (API, {"content-length": "0"}, 200),
        (API, {}, 200),
        (API, {"transfer-encoding": "chunked"}, 415),
        (API, {"content-type": "text/plain", "content-length": "2"}, 415),
        (API, {"content-type": "application/x-www-form-urlencoded"}, 415),
        (API, {"content-type": "application/json; charset=utf-8"}, 200),
        ("/held", {"origin": "http://127.0.0.1:9810"}, 200),
        ("/held", {"sec-fetch-site": "same-origin"}, 200),
        ("/held", {}, 403),
        ("/held", {"sec-fetch-site": "none"}, 403),
        ("/held", {"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, 403),
        (API, JSON | {"content-length": str(LARGEST + 1)}, 413),
    ],
)
def test_what_changes_something_comes_from_a_page_of_ours_or_from_a_program(
    path: str, headers: Mapping[str, str], expected: int
) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert status(method, path, headers) == expected


def test_another_site_may_lead_here_and_may_not_embed_us() -> None:
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert status("GET", "/", elsewhere | {"sec-fetch-mode": "navigate"}) == 200
    for mode in ("no-cors", "cors", "websocket"):
        assert status("GET", API, elsewhere | {"sec-fetch-mode": mode}) == 403
    assert status("GET", API, {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}) == 200


def test_a_body_whose_length_nobody_stated_is_counted(api: Api) -> None:
    parts = (b"x" * 65_536 for _ in range(LARGEST // 65_536 + 1))
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
    assert api.client.post("/login", content=parts, headers=headers).status_code == 413
    assert api.client.post("/login", content=b"token=x", headers=headers).headers["location"] == "/"
    assert api.client.get("/login", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    "where", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\n//x", "/\n/x", ""]
)
def test_a_login_leads_nowhere_else(where: str) -> None:
    assert local(where) == "/"
    assert local("/groups/east?q=%2F") == "/groups/east?q=%2F"
