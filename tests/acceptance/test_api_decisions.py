"""Decisions over the API, from whoever is logged in to the device; the stream of changes; and docs/api.md, word for word."""

import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from bridge.api.access import Access, Person, Role
from bridge.api.client import ApiProblem, Client
from tests.acceptance.documented import Document
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.acceptance.world import World, world
from tests.api.conftest import api_of

DOCUMENT = Document(Path(__file__).parents[2] / "docs/api.md")
SHOWN = "http://127.0.0.1:9810"  # where the document has the API
LEFT = [f"10.244.1.{last}" for last in range(1, 31)]  # who goes unseen
STAY = [f"10.244.2.{last}" for last in range(1, 31)]


class Joe:
    """Everybody is Joe."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def person(self, request: Request) -> Person:  # noqa: ARG002 (it may be anybody's)
        """Joe."""
        return Person("joe", self._role)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team of 60 pods, of which half are gone and nobody saw it: their removal is held."""
    with world(tmp_path_factory.mktemp("site")) as made:
        made.team("shop", *LEFT, *STAY)
        made.bridge.start()
        made.await_in_step(60)
        made.bridge.stop()
        for number in range(len(LEFT)):
            made.delete_pod("shop", f"web-{number}")
        made.store.compact()  # so that a list tells of it, and no watch
        made.bridge.start()
        yield made


@contextmanager
def _client(site: World, access: Access | None = None) -> Iterator[Client]:
    with api_of(site, access) as api, Client(str(api.client.base_url), trust_env=False) as client:
        yield client


def _web(site: World) -> frozenset[str]:
    return site.group("service", "shop", "web")


@pytest.mark.acceptance(
    "api: what is held is released and rejected by security alone, with the name of whoever is logged in"
)
def test_release(site: World) -> None:
    with _client(site, Joe(Role.SECURITY)) as client:
        eventually("the removal is held", lambda: any(one.waits for one in client.held()))
        (waiting,) = client.held(state="waiting")
        with (
            _client(site, Joe(Role.OPERATOR)) as operator,
            pytest.raises(ApiProblem, match="it takes the role security"),
        ):
            operator.release(waiting.device, waiting.digest, "he may not")
        with pytest.raises(ApiProblem, match="by: it is joe who asks"):
            client.release(waiting.device, waiting.digest, "a trick", by="ann")
        with pytest.raises(ApiProblem, match="404"):
            client.release(waiting.device, "0" * 16, "nothing")
        assert _web(site) == {*LEFT, *STAY}
        rejected = client.reject(waiting.device, waiting.digest, "not now", wait=30)
        assert (rejected.state, rejected.by) == ("Done", "joe")
        eventually("it is rejected", lambda: client.held_list(waiting.device, waiting.digest).state == "rejected")
        assert client.held_list(waiting.device, waiting.digest).by == "joe"
        released = client.release(waiting.device, waiting.digest, "the node is gone", wait=30)
        assert (released.state, released.cluster) == ("Done", CLUSTER)
        eventually("those that left are out", lambda: _web(site) == set(STAY))
        assert [(one.verdict, one.by, one.state) for one in client.decisions(device=DEVICE, digest=waiting.digest)] == [
            ("Release", "joe", "Done"),
            ("Reject", "joe", "Done"),
        ]
        eventually("the audit says who and why", lambda: _audited(client, "joe", "the node is gone"))
    assert site.store.get("decisions", None, released.name)["spec"]["by"] == "joe"


def _audited(client: Client, *words: str) -> bool:
    rows = [f"{one.cause} {one.outcome}" for one in client.audit(device=DEVICE)]
    return any(all(word in row for word in words) for row in rows)


@pytest.mark.acceptance("api: a device is stopped and started by an operator, with a name and a reason")
def test_stop(site: World) -> None:
    with _client(site, Joe(Role.VIEWER)) as viewer, pytest.raises(ApiProblem, match="it takes the role operator"):
        viewer.stop_device(DEVICE, "he may not")
    with _client(site, Joe(Role.OPERATOR)) as client:
        assert client.stop_device(DEVICE, "a fire", wait=30).state == "Stopped"
        site.pod("shop", "web-90", "10.244.3.1")
        eventually("it is recorded", lambda: client.device(DEVICE).oldest_unapplied is not None)
        (stop,) = client.stops()
        assert (stop.by, stop.reason, stop.obeyed_by) == ("joe", "a fire", (DEVICE,))
        assert "10.244.3.1" not in _web(site)
        assert [one.state for one in client.start_device(DEVICE, "it is out", wait=30).lifted] == ["Started"]
        eventually("what happened meanwhile is done", lambda: "10.244.3.1" in _web(site))
        assert list(client.stops()) == []


@pytest.mark.acceptance("api: a stream tells where something moved, and whoever comes back what has moved since")
def test_changes(site: World) -> None:
    with _client(site) as client:
        changes = client.changes("an id that nobody gave")
        first = next(changes)
        site.pod("shop", "web-91", "10.244.3.2")
        heard: set[str] = set()
        for change in changes:
            heard |= {*(change.moved.clusters if change.moved else ()), *(change.moved.devices if change.moved else ())}
            if heard >= {CLUSTER, DEVICE}:
                break
        again = next(client.changes(first.id))
        assert again.moved is not None
        assert {*again.moved.clusters, *again.moved.devices} == {CLUSTER, DEVICE}


@pytest.mark.acceptance("api: the examples of docs/api.md do what they say")
@pytest.mark.parametrize("example", ["clusters", "page", "problem", "stop", "changes"])
def test_documented_calls(site: World, example: str) -> None:
    with api_of(site) as api:
        lines = DOCUMENT.examples()[example].splitlines()
        for line, answer in zip(lines[1:-1], [*lines[2:-1], ""], strict=True):
            if not line.removeprefix("$ ").startswith("curl "):
                continue
            found = _curl(api.client, line.removeprefix("$ "))
            if example == "problem":
                assert found.text == answer
            else:
                assert found.is_success, found.text
    if example == "stop":
        eventually("nothing is stopped", lambda: site.bridge.cli("held", codes=(0, 3))["stops"] == [])


def _curl(client: httpx.Client, line: str) -> httpx.Response:
    _, *words = shlex.split(line)
    url = words[-1]
    assert url.startswith(SHOWN)
    if words[0] == "--json":
        headers = {"Content-Type": "application/json"}
        return client.post(url.removeprefix(SHOWN), content=words[1], headers=headers)
    return client.get(url.removeprefix(SHOWN))


@pytest.mark.acceptance("api: a client in Python, and its example in docs/api.md")
def test_documented_client(site: World) -> None:
    fence, *lines, _ = DOCUMENT.examples()["client"].splitlines()
    assert fence == "```python"
    with api_of(site) as api:
        program = "\n".join(lines).replace(SHOWN, str(api.client.base_url).rstrip("/"))
        eventually("the device goes on", lambda: api.get(f"devices/{DEVICE}")["state"] == "ok")
        over = threading.Event()
        churn = threading.Thread(target=_churn, args=(site, over))
        churn.start()
        try:
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False
            )
        finally:
            over.set()
            churn.join()
    assert done.returncode == 0, done.stderr
    assert f"{DEVICE} ok" in done.stdout
    assert "service shop/web" in done.stdout
    assert "look again" in done.stdout


def _churn(site: World, over: threading.Event) -> None:
    """Something moves as long as somebody waits for that."""
    number = 0
    while not over.wait(0.5):
        number += 1
        site.pod("shop", "web-99", "10.244.3.9", phase="Running" if number % 2 else "Succeeded")
