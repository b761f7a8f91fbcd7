"""What goes wrong is told in words, and its answer is as guarded as any."""

from contextlib import closing
from typing import Any

import pytest

from bridge.api import named
from bridge.api.routes import clusters
from bridge.api.site import Site
from bridge.state.database import Database
from tests.api.conftest import Api

HTML = {"Accept": "text/html", "Connection": "close"}


def _never(*_: object) -> Any:  # noqa: ANN401
    raise AssertionError("it is not asked for")


def test_a_device_of_the_settings_need_not_be_recorded() -> None:
    with closing(Database("postgresql://nobody@127.0.0.1:1/none")) as nowhere:
        assert named.device(Site(nowhere, {}, {}, {"east": ("far",)}, _never, _never, _never, _never), "far") == "far"


@pytest.mark.parametrize("path", ["/api/v1/clusters", "/"])
def test_a_fault_of_ours_is_guarded_too(api: Api, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(clusters, "every", fails)
    found = api.client.get(path, headers=HTML)
    assert found.status_code == 500
    assert "a secret" not in found.text
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert found.headers["cache-control"] == "no-store"


def test_what_is_no_json_is_wrong_as_a_whole(api: Api) -> None:
    found = api.client.post("/api/v1/stops", content=b'{"a', headers={"Content-Type": "application/json"})
    assert (found.status_code, list(found.json()["problems"])) == (422, ["body"])


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("held", "device"),
        ("held", "cluster"),
        ("decisions", "device"),
        ("decisions", "cluster"),
        ("stops", "cluster"),
        ("rules", "device"),
    ],
)
def test_a_filter_that_names_nothing_is_no_empty_list(api: Api, path: str, parameter: str) -> None:
    found = api.client.get(f"/api/v1/{path}", params={parameter: "faraway"})
    assert (found.status_code, "there is no" in found.text) == (404, True), "nothing is held there: by whose word?"
    assert api.client.get(f"/api/v1/{path}", params={parameter: ""}).status_code == 200
