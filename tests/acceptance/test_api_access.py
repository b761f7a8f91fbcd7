"""Who may do what over the API: the program with TLS and tokens, each route tried by each role and by nobody, and what browsers may."""

import contextlib
import json
import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from playwright.sync_api import sync_playwright

from bridge.api.access import Role
from bridge.api.application import application
from bridge.api.console import ROUTERS as PAGES
from bridge.api.console import login
from bridge.api.forms import posted
from bridge.api.guards import calls, role, routes
from bridge.cli.admitting import admitted, certificates, hosts
from bridge.cli.invocation import Invocation
from bridge.cli.serving import served as answered
from bridge.cli.serving import site as handed
from bridge.cli.state import opened
from tests.acceptance.site import ClusterEntry, eventually
from tests.acceptance.world import World, run, world
from tests.api.answering import answering
from tests.api.issuing import Realm, rsa_key
from tests.cluster.scripted import write_kubeconfig
from tests.report.browser import chromium

TOKENS = {Role.VIEWER: "v" * 24, Role.OPERATOR: "o" * 24, Role.SECURITY: "s" * 24}
NAMES = {Role.VIEWER: "vera", Role.OPERATOR: "olaf", Role.SECURITY: "sam"}
TLS = {"certFile": "api.crt", "keyFile": "api.key"}
NOBODY = "nobody-of-that-name"
PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
JSON = {"Content-Type": "application/json"}
SCREENED = (400, 413, 415, 429)


@dataclass
class Served:
    """`fusion-bridge serve` as a process, over TLS, with a token for each role."""

    site: World
    authority: trustme.CA
    where: str = ""

    @property
    def folder(self) -> Path:
        return self.site.bridge.folder

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    @contextlib.contextmanager
    def client(
        self, role: Role | None = None, headers: Mapping[str, str] | None = None, token: str = ""
    ) -> Iterator[httpx.Client]:
        """Whoever holds the token of this role, or this one; nobody without any."""
        trust = ssl.create_default_context()
        self.authority.configure_trust(trust)
        token = TOKENS[role] if role else token
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        base = f"https://{self.where}"
        with httpx.Client(
            base_url=base, verify=trust, trust_env=False, timeout=60, headers=shown | {**(headers or {})}
        ) as client:
            yield client

    def renew(self) -> None:
        """Another certificate, of another authority."""
        self.authority = trustme.CA()
        certificate(self.folder, self.authority)

    def said(self) -> str:
        """Its log."""
        return self.log.read_text()


def certificate(folder: Path, authority: trustme.CA) -> None:
    made = authority.issue_cert("127.0.0.1", "localhost")
    made.private_key_pem.write_to_path(folder / "api.key")
    made.cert_chain_pems[0].write_to_path(folder / "api.crt")


def settings(listen: str = "127.0.0.1:0") -> dict[str, Any]:
    tokens = [{"name": NAMES[one], "role": one.name.lower(), "token": {"file": f"{one.name}-token"}} for one in Role]
    return {"listen": listen, "tls": TLS, "authentication": "tokens", "tokens": tokens}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, authority = tmp_path_factory.mktemp("access"), trustme.CA()
    with world(folder) as made:
        certificate(folder, authority)
        for one, token in TOKENS.items():
            (folder / f"{one.name}-token").write_text(token + "\n")
        made.bridge.write_settings({"api": settings()})
        made.team("shop", "10.244.1.1")
        made.bridge.start()
        made.bridge.await_in_step(60)
        with serving(made, authority) as found:
            yield found


@contextlib.contextmanager
def serving(site: World, authority: trustme.CA) -> Iterator[Served]:
    """The program with the settings of now."""
    found, bridge = Served(site, authority), site.bridge
    with found.log.open("wb") as log:
        process = subprocess.Popen([bridge.program, "--config", bridge.config, "serve"], stderr=log)
    try:
        eventually("the API is served", lambda: '"event": "serving"' in found.said(), 60)
        found.where = re.findall(r'"api": "([^"]+)"', found.said())[0]
        yield found
    finally:
        process.terminate()
        assert process.wait(60) == 0


@contextlib.contextmanager
def beside(site: World, authority: trustme.CA) -> Iterator[Served]:
    """The same, put together as the program does it, without the seconds that another process takes to begin."""
    asked = Invocation(config=site.bridge.config, log_level="warning")
    api = asked.settings.api
    with (
        opened(asked.settings, asked.folder(asked.settings)) as database,
        admitted(asked.settings) as access,
        answered(
            application(handed(asked.settings, database), access, hosts(api)), api.listen, certificates(api)
        ) as where,
    ):
        yield Served(site, authority, where)


@pytest.fixture
def changed(served: Served) -> Iterator[World]:
    """The site, whose settings a test may change."""
    yield served.site
    served.site.bridge.write_settings({"api": settings()})


def filled(path: str) -> str:
    """A path with names that are nobody's."""
    return re.sub(r"\{[^}]+\}", NOBODY, path)


def asked(client: httpx.Client, method: str, path: str) -> int:
    """The status of the answer; what is streamed is not waited for."""
    body = None if method == "GET" else b"{}"
    headers = {"Content-Type": "application/json"} if body else {}
    with client.stream(method, path, content=body, headers=headers) as answer:
        return answer.status_code


def operations(served: Served) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Every operation of the OpenAPI document, by method and path."""
    with served.client() as client:
        document = client.get("/api/v1/openapi.json").json()
    return {
        (method.upper(), path): found
        for path, methods in document["paths"].items()
        for method, found in methods.items()
    }


@pytest.mark.acceptance("api: roles: each call tried by each role, and by nobody")
def test_each_call_by_each_role(served: Served) -> None:
    wrong = []
    every = operations(served)
    assert len(every) > 5
    with contextlib.ExitStack() as stack:
        clients = {one: stack.enter_context(served.client(one)) for one in (None, *Role)}
        for (method, path), operation in every.items():
            takes = Role[operation["x-role"].upper()]  # a route that asks nobody has none
            for who, client in clients.items():
                status = asked(client, method, filled(path))
                expected = status == 401 if who is None else (status == 403) == (who < takes)
                if not expected or status in SCREENED or status >= 500 or (who and status == 401):
                    wrong.append((method, path, who, status))
    assert not wrong


@pytest.mark.acceptance("api: read-only but for decisions, stops and reports; those take a role of their own")
def test_what_takes_more_than_reading(served: Served) -> None:
    taken = {called: Role[operation["x-role"].upper()] for called, operation in operations(served).items()}
    for (method, path), needed in taken.items():
        if method == "GET":
            expected = Role.OPERATOR if path.endswith("/plan") else Role.VIEWER
            assert needed is expected, path
        else:
            assert method == "POST", path
            assert needed >= (Role.SECURITY if "decision" in path else Role.OPERATOR), path


@pytest.mark.acceptance("console: pages take the role of what they show, and each form a word of its session")
def test_each_page_by_each_role(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        clients = {one: stack.enter_context(served.client(one, PAGE)) for one in (None, *Role)}
        for route in routes(PAGES):
            takes = role(route)
            assert takes is not None, f"{route.path} asks nobody who he is"
            for method in route.methods or ():
                if method != "GET":
                    assert posted in list(calls(route.dependant)), f"{route.path} takes forms of anybody"
                for who, client in clients.items():
                    status = client.request(method, filled(route.path_format)).status_code
                    if who is None:
                        assert status in (303, 401, 403), (route.path, status)
                    elif who < takes or method != "GET":  # no form bears the word
                        assert status in (403, 422), (route.path, who, status)
                    else:
                        assert status not in (303, 401, 403), (route.path, who, status)
    assert {route.path for route in routes([login.router]) if role(route) is None} == {"/login", "/logout"}


def form_token(page: str) -> str:
    return str(re.findall(r'name="form_token" value="([0-9a-f]{64})"', page)[0])


@pytest.mark.acceptance(
    "console: a browser logs in with a token, and out again; the session's cookie is for no script and no other site"
)
def test_a_browser_logs_in_and_out(served: Served) -> None:
    with served.client(headers=PAGE) as browser:
        led = browser.get("/?x=1")
        assert (led.status_code, led.headers["location"]) == (303, "/login?next=%2F%3Fx%3D1")
        page = browser.get(led.headers["location"])
        said = {"form_token": form_token(page.text), "next": "/?x=1"}
        refused = browser.post("/login", data={**said, "token": "x" * 24})
        assert (refused.status_code, browser.cookies) == (401, httpx.Cookies())
        assert "no token of the settings" in refused.text
        assert "x" * 24 not in refused.text
        assert browser.post("/login", data={"token": TOKENS[Role.SECURITY]}).status_code == 403  # no form of ours
        entered = browser.post("/login", data={**said, "token": TOKENS[Role.SECURITY]})
        assert (entered.status_code, entered.headers["location"]) == (303, "/?x=1")
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith("__Host-fusion-bridge=")
        assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
            "httponly",
            "secure",
            "samesite=strict",
            "path=/",
        }
        assert TOKENS[Role.SECURITY] not in cookie
        home = browser.get("/")
        assert home.status_code == 200
        assert NAMES[Role.SECURITY] in home.text
        assert browser.get("/api/v1/clusters").status_code == 200
        assert browser.post("/logout", data={"form_token": "0" * 64}).status_code == 403
        first = dict(browser.cookies)
        browser.post("/login", data={**said, "token": TOKENS[Role.SECURITY]})
        session = dict(browser.cookies)
        assert session != first
        with served.client(headers={"Cookie": "; ".join(f"{name}={value}" for name, value in first.items())}) as kept:
            assert kept.get("/api/v1/clusters").status_code == 401, "another login is another session in its place"
        word = form_token(browser.get("/").text)
        assert browser.post("/logout", data={"form_token": word}).headers["location"] == "/login"
        assert not browser.cookies
        browser.cookies.update(session)  # kept by somebody else
        assert browser.get("/api/v1/clusters").status_code == 401


@pytest.mark.acceptance("console: Chromium logs in and out by the pages' own forms")
def test_chromium_logs_in_and_out(served: Served) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(ignore_https_errors=True)
        page.goto(f"https://{served.where}/groups?q=x")
        page.fill("#token", TOKENS[Role.VIEWER])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"https://{served.where}/groups?q=x")
        assert f"{NAMES[Role.VIEWER]}, viewer" in page.inner_text("header")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"https://{served.where}/login")
        assert not page.context.cookies()
        browser.close()


@pytest.mark.acceptance("api: another site's page in somebody's browser can neither read nor change anything")
def test_another_site(served: Served) -> None:
    with served.client(Role.SECURITY) as client:
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            for path in ("/login", "/logout", f"/api/v1/held/edge/{NOBODY}/decision"):
                assert client.post(path, json={}, headers=headers).status_code == 403
        assert client.post("/login", data={"token": "x"}).status_code == 403  # no browser says whence
        assert client.get("/api/v1/clusters", headers={"Host": "evil.example"}).status_code == 400
        embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert client.get("/api/v1/clusters", headers=embedded).status_code == 403
        assert "access-control-allow-origin" not in client.get("/api/v1/clusters").headers
        assert client.post("/api/v1/reports", content=b"x=1", headers={"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.acceptance("api: what strangers send is bounded")
def test_what_strangers_send_is_bounded(served: Served) -> None:
    with served.client() as client:
        assert client.post("/api/v1/stops", content=b" " * 300_000, headers=JSON).status_code == 413
        parts = (b" " * 65_536 for _ in range(5))
        assert client.post("/api/v1/stops", content=parts, headers=JSON).status_code == 413
        assert client.get("/api/v1/clusters", headers={"Authorization": "Bearer " + "x" * 20_000}).status_code == 401


@pytest.mark.acceptance("api: a new certificate is shown from the next connection on")
def test_a_certificate_is_replaced(served: Served) -> None:
    with served.client(Role.VIEWER) as before:
        assert before.get("/api/v1/clusters").status_code == 200
        served.renew()
        with served.client(Role.VIEWER) as after:
            assert after.get("/api/v1/clusters").status_code == 200
        assert before.get("/api/v1/clusters").status_code == 200  # on the connection that it has


@pytest.mark.acceptance("api: opened beyond loopback only with TLS, names and authentication; every reason at once")
def test_it_does_not_open_unguarded(changed: World) -> None:
    changed.bridge.write_settings({"api": {"listen": "0.0.0.0:0"}})
    done = run(changed.bridge.program, "--config", changed.bridge.config, "serve")
    assert done.returncode == 2
    for path in ("api.tls", "api.hosts", "api.authentication"):
        assert f"{path}: " in done.stderr


@pytest.mark.acceptance("api: authentication by an OIDC issuer, roles by groups")
def test_tokens_of_an_issuer(served: Served, changed: World) -> None:
    with answering() as server:
        realm = Realm(server)
        oidc = {"issuer": realm.url, "audience": "fusion-bridge"}
        roles = {"viewer": {"groups": ["staff"]}, "operator": {"groups": ["platform"]}}
        told = {"authentication": "oidc", "oidc": oidc, "roles": roles}
        changed.bridge.write_settings({"api": {"listen": "127.0.0.1:0", "tls": TLS, **told}})
        with beside(changed, served.authority) as found:
            assert _status(found, realm.token(groups=["staff"])) == (200, 403)
            assert _status(found, realm.token(groups=["staff", "platform"])) == (200, 404)
            assert _status(found, realm.token(groups=["other"])) == (403, 403)
            for wrong in (realm.token(exp=1, groups=["staff"]), realm.token(key=rsa_key(1), groups=["staff"])):
                assert _status(found, wrong) == (401, 401)


@pytest.mark.acceptance("api: authentication by Kubernetes' TokenReview, roles by groups")
def test_tokens_of_a_cluster(served: Served, changed: World) -> None:
    def review(body: bytes) -> tuple[int, Any]:
        user = {"kim": ["platform"], "lee": ["staff"]}.get(json.loads(body)["spec"]["token"])
        known = {"user": {"username": "kim", "groups": user}, "audiences": ["fusion-bridge"]} if user else {}
        return 201, {"status": {"authenticated": bool(user), **known}}

    with answering() as server:
        server.answers["/apis/authentication.k8s.io/v1/tokenreviews"] = review
        kubeconfig = served.folder / "people.kubeconfig"
        write_kubeconfig(kubeconfig, server.url, {"token": "the bridge's own"})
        entries = [*changed.bridge.clusters, ClusterEntry("people", kubeconfig, ("10.245.0.0/16",))]
        roles = {"viewer": {"groups": ["staff"]}, "operator": {"groups": ["platform"]}}
        told = {"authentication": "tokenReview", "tokenReview": {"cluster": "people"}, "roles": roles}
        api = {"listen": "127.0.0.1:0", "tls": TLS, **told}
        changed.bridge.write_settings({"api": api, "clusters": [one.settings() for one in entries]})
        with beside(changed, served.authority) as found:
            assert _status(found, "kim") == (200, 404)
            assert _status(found, "lee") == (200, 403)
            assert _status(found, "nobody") == (401, 401)
            assert len(server.asked) == 4  # who is known is not asked about each time
            server.put("/apis/authentication.k8s.io/v1/tokenreviews", {"message": "no"}, 500)
            assert _status(found, "kim") == (200, 404)
            assert _status(found, "max") == (503, 503)


def _status(served: Served, token: str) -> tuple[int, int]:
    """What somebody with this token is answered: who reads, and who has a device read now."""
    with served.client(token=token) as client:
        return asked(client, "GET", "/api/v1/clusters"), asked(client, "GET", f"/api/v1/devices/{NOBODY}/plan")


@pytest.mark.acceptance(
    "api: failed logins become slow, and keep out nobody who was let in before; no token is in the log"
)
def test_failed_logins_become_slow(served: Served) -> None:
    with served.client() as nobody, served.client(Role.VIEWER) as viewer:
        assert viewer.get("/api/v1/clusters").status_code == 200
        guesses = [{"Authorization": f"Bearer guess-{number:04}-hunter2-hunter2"} for number in range(100)]
        answers = (nobody.get("/api/v1/clusters", headers=guess) for guess in guesses)
        answer = next(one for one in answers if one.status_code != 401)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
        assert viewer.get("/api/v1/clusters").status_code == 200
    said = served.said()
    assert "not let in" in said
    assert "hunter2" not in said
    assert not [token for token in TOKENS.values() if token in said]
