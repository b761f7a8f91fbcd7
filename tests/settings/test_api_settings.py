"""To whom the API may be opened, and every reason why not at once."""

from pathlib import Path
from typing import Any

import pytest

from bridge.cli.admitting import hosts
from bridge.settings.api import ApiSettings, Authentication
from tests.settings.files import good, loaded, problems

TLS = {"certFile": "api.crt", "keyFile": "api.key"}
OPEN = {"listen": "0.0.0.0:9810", "hosts": ["bridge.example.com"], "tls": TLS}
TOKENS = [{"name": "sam", "role": "security", "token": {"file": "sam-token"}}]
OIDC = {"issuer": "https://login.example.com/realms/acme/", "audience": "fusion-bridge"}
ROLES = {"viewer": {"groups": ["staff"]}}
REVIEW = {"authentication": "tokenReview", "roles": ROLES}
SIGNED = {"authentication": "oidc", "roles": ROLES}
EAST = {"cluster": "east"}
NO_SENSE = {"listen": 7, "authentication": ["x"], "tokens": 3, "roles": [], "hosts": 1}


def found(folder: Path, api: object) -> dict[str, str]:
    return problems(folder, {**good(), "api": api})


def read(folder: Path, api: object) -> ApiSettings:
    return loaded(folder, {**good(), "api": api}).api


@pytest.mark.parametrize(
    "api",
    [
        {},
        {"listen": "[::1]:0"},
        {"listen": "localhost:9810", "tls": TLS},
        {"authentication": "tokens", "tokens": TOKENS},
        {"authentication": "tokens", "tokens": TOKENS, "hosts": ["bridge.example.com"]},  # TLS before us
        {**OPEN, "authentication": "tokens", "tokens": TOKENS},
        {**OPEN, "authentication": "oidc", "oidc": OIDC, "roles": ROLES},
        {**OPEN, "authentication": "tokenReview", "tokenReview": {"cluster": "west"}, "roles": ROLES},
        {"authentication": "none", "tokens": TOKENS},  # said so
    ],
)
def test_what_may_be(tmp_path: Path, api: dict[str, Any]) -> None:
    assert found(tmp_path, api) == {}


@pytest.mark.parametrize("listen", ["0.0.0.0:9810", "[::]:9810", "192.0.2.10:9810", "bridge.example.com:9810"])
def test_beyond_loopback_it_takes_all_three(tmp_path: Path, listen: str) -> None:
    said = found(tmp_path, {"listen": listen})
    assert said.keys() == {"api.tls", "api.hosts", "api.authentication"}
    assert "not on loopback" in said["api.tls"]
    assert found(tmp_path, {**OPEN, "listen": listen}).keys() == {"api.authentication"}


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ({"hosts": ["bridge.example.com"]}, {"api.hosts": "needs authentication"}),
        ({"tokens": TOKENS}, {"api.authentication": "is required beside api.tokens"}),
        ({"authentication": "tokens"}, {"api.tokens": "at least one"}),
        ({"authentication": "tokens", "tokens": [*TOKENS, *TOKENS]}, {"api.tokens[1].name": "is the name of api.tokens[0] too"}),
        ({"authentication": "tokens", "tokens": [{**TOKENS[0], "token": "hunter2"}]}, {"api.tokens[0].token": "names a place"}),
        ({"authentication": "tokens", "tokens": [{**TOKENS[0], "role": "root"}]}, {"api.tokens[0].role": "'viewer'"}),
        (
            {"authentication": "tokens", "tokens": [{**TOKENS[0], "token": {"secret": {"namespace": "a", "name": "b", "key": "c"}}}]},
            {"api.tokens[0].token.secret.cluster": "several clusters"},
        ),
        ({"authentication": "oidc"}, {"api.oidc": "is required", "api.roles": "nobody could read"}),
        ({"authentication": "oidc", "oidc": {**OIDC, "issuer": "http://login.example.com"}, "roles": ROLES}, {"api.oidc.issuer": "https"}),
        ({**SIGNED, "oidc": {"issuer": "x"}}, {"api.oidc.issuer": "URL", "api.oidc.audience": "is required"}),
        ({"authentication": "tokenReview", "roles": ROLES}, {"api.tokenReview.cluster": "several clusters"}),
        ({"authentication": "tokenReview", "tokenReview": {"cluster": "north"}, "roles": ROLES}, {"api.tokenReview.cluster": "no cluster"}),
        ({**REVIEW, "tokenReview": {**EAST, "audiences": []}}, {"api.tokenReview.audiences": ""}),
        ({**REVIEW, "tokenReview": EAST, "roles": {"viewer": {}}}, {"api.roles": "nobody could read"}),
        ({"authentication": "password"}, {"api.authentication": "'tokens'"}),
        ({**OPEN, "authentication": "tokens", "tokens": TOKENS, "hosts": ["https://bridge"]}, {"api.hosts[0]": "without port"}),
        ({"tls": {"certFile": "a"}}, {"api.tls.keyFile": "is required"}),
        ({"session": {"idle": 0}}, {"api.session.idle": "greater than 0"}),
        (NO_SENSE, {"api.listen": "text", "api.hosts": "", "api.tokens": "", "api.roles": ""}),
    ],
)  # fmt: skip
def test_every_reason_at_once(tmp_path: Path, api: dict[str, Any], expected: dict[str, str]) -> None:
    said = found(tmp_path, api)
    assert "hunter2" not in str(said)
    for path, words in expected.items():
        assert words in said.get(path, "missing"), said


def test_what_is_read(tmp_path: Path) -> None:
    api = read(tmp_path, {**OPEN, "authentication": "oidc", "oidc": OIDC, "roles": ROLES})
    assert api.authentication is Authentication.OIDC
    assert api.oidc is not None
    assert api.oidc.issuer == OIDC["issuer"]  # to the letter: tokens name it so
    assert api.tls is not None
    assert api.tls.cert_file == tmp_path / "api.crt"


def test_the_names_by_which_it_may_be_asked(tmp_path: Path) -> None:
    assert hosts(read(tmp_path, {})) == {"localhost", "127.0.0.1", "::1"}
    assert hosts(read(tmp_path, {"listen": "127.0.0.2:0"})) == {"localhost", "127.0.0.1", "::1", "127.0.0.2"}
    names = ["Bridge.Example.com.", "FD00::0010"]
    opened = {**OPEN, "hosts": names, "authentication": "tokens", "tokens": TOKENS}
    assert hosts(read(tmp_path, opened)) == {"bridge.example.com", "fd00::10"}
