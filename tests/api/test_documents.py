"""The OpenAPI document: types of one name are told apart, and every method of a path is named."""

from typing import Any

import pytest

from bridge.api import documents
from bridge.api.documents import Document, Page, Problem, answers, gathered
from tests.api.conftest import Api


def _called(name: str, **fields: type) -> Any:  # noqa: ANN401
    return type(name, (Document,), {"__annotations__": fields, "__module__": next(_modules)}, frozen=True)


_modules = (f"somewhere.{number}" for number in range(100))


def _document(*kinds: Any, schemas: dict[str, Any] | None = None) -> dict[str, Any]:  # noqa: ANN401
    operations = (
        {"get": {"responses": {str(status): each for status, each in answers(kind).items()}}} for kind in kinds
    )
    paths = {f"/{number}": each for number, each in enumerate(operations)}
    return gathered({"paths": paths, "components": {"schemas": schemas or {}}})


def _schema(document: dict[str, Any], path: str) -> Any:  # noqa: ANN401
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def test_types_of_one_name_are_told_apart() -> None:
    document = _document(_called("Thing", one=str), _called("Thing", other=int))
    assert set(_schema(document, "/0")["properties"]) == {"one"}
    assert set(_schema(document, "/1")["properties"]) == {"other"}


def test_a_page_says_of_what_it_is() -> None:
    rows = _schema(_document(Page[Problem]), "/0")["properties"]["rows"]
    assert rows["items"] == {"$ref": "#/components/schemas/Problem"}


def test_a_type_of_a_request_keeps_its_name() -> None:
    with pytest.raises(ValueError, match="called the same: Thing"):
        _document(_called("Thing", one=str), schemas={"Thing": {"type": "object"}})


def test_every_method_of_a_path_is_named(api: Api) -> None:
    found = api.client.options("/api/v1/stops")
    assert (found.status_code, found.headers["allow"]) == (405, "GET, POST")
    assert api.client.request("DELETE", "/api/v1/devices/edge/stop").headers["allow"] == "POST"
    assert documents.methods({"paths": {"/a/{b}": {"get": {}}}}, "/a/b/c") == ()
