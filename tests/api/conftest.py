"""The API over a living site: a simulated cluster, a simulated BIG-IP and the real program between them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bridge.api.access import Access, Everybody
from bridge.api.application import application
from bridge.cli.invocation import Invocation
from bridge.cli.serving import served
from bridge.cli.serving import site as handed
from bridge.cli.state import opened
from tests.acceptance.world import OUTSIDE, World, world


@dataclass
class Api:
    """The API of a site, over HTTP."""

    world: World
    client: httpx.Client

    def get(self, path: str, status: int = 200, **parameters: Any) -> Any:  # noqa: ANN401 (any JSON)
        """What it answers, under /api/v1; AssertionError for another status."""
        found = self.client.get(f"/api/v1/{path}", params={k: v for k, v in parameters.items() if v is not None})
        assert found.status_code == status, (path, found.status_code, found.text[:500])
        return found.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:  # noqa: ANN401
        """The same for something that is to be done."""
        found = self.client.post(f"/api/v1/{path}", json=body)
        assert found.status_code == status, (path, found.status_code, found.text[:500])
        return found.json()

    def every(self, path: str, **parameters: Any) -> list[Any]:  # noqa: ANN401
        """The rows of all pages."""
        rows, place = [], ""
        while True:
            page = self.get(path, page=place or None, **parameters)
            rows += page["rows"]
            place = page["next"]
            if place is None:
                return rows


@contextlib.contextmanager
def api_of(made: World, access: Access | None = None) -> Iterator[Api]:
    """The API of a world whose bridge has made its state."""
    asked = Invocation(config=made.bridge.config, log_level="warning")
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        app = application(handed(asked.settings, database), access or Everybody())
        with (
            served(app, "127.0.0.1:0") as where,
            httpx.Client(base_url=f"http://{where}", trust_env=False, timeout=60) as client,
        ):
            yield Api(made, client)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams, in step. Whoever changes something uses a namespace of his own."""
    with world(tmp_path_factory.mktemp("api")) as made:
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.team("bank", "10.244.2.1")
        made.bridge.start()
        made.bridge.await_in_step(60)
        assert not made.allowed("10.244.9.9", OUTSIDE)
        yield made


@pytest.fixture(scope="package")
def api(site: World) -> Iterator[Api]:
    with api_of(site) as found:
        yield found
