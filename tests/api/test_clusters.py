"""Clusters over the API, and what holds of every answer."""

import msgspec
import pytest

from bridge.api.documents import Problem
from tests.acceptance.site import CLUSTER, DEVICE
from tests.api.conftest import Api


def test_clusters(api: Api) -> None:
    (one,) = api.get("clusters")["clusters"]
    assert (one["name"], one["problem"], one["devices"]) == (CLUSTER, "", [DEVICE])
    assert {"pods", "namespaces", "services"} <= set(one["synced"])
    assert api.get(f"clusters/{CLUSTER}") == one


def test_what_is_not_there_is_named(api: Api) -> None:
    found = msgspec.convert(api.get("clusters/elsewhere", 404), Problem)
    assert found.detail == f"there is no cluster elsewhere; there are {CLUSTER}"


@pytest.mark.parametrize("path", ["/api/v1/clusters", "/api/v1/nothing", "/api/v1/openapi.json"])
def test_every_answer_keeps_browsers_in_bounds(api: Api, path: str) -> None:
    headers = api.client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_the_document_says_what_is_answered(api: Api) -> None:
    document = api.client.get("/api/v1/openapi.json").json()
    answers = document["paths"]["/api/v1/clusters"]["get"]["responses"]
    assert answers["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Clusters"}
    assert document["components"]["schemas"]["Clusters"]["properties"].keys() == {"clusters"}
