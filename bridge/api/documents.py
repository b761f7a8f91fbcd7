"""JSON as the API answers it: msgspec's types say both what is written and what the OpenAPI document promises."""

import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from starlette.responses import Response

T = TypeVar("T")

KIND = "x-kind"  # of an answer, until the document has its schema
_kinds: dict[str, Any] = {}  # what is answered, by how it is written
_REFERENCE = "#/components/schemas/{name}"


class Document(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A value of the API: camelCase names that stay; new ones may come. Times are UTC in ISO 8601, durations in seconds."""


class Page(Document, Generic[T], frozen=True):
    """Some rows of many. `next` is what `page` has to be for those that follow, an opaque text; null where there are no more."""

    rows: tuple[T, ...]
    next: str | None = None


class Problem(Document, frozen=True):
    """What went wrong (RFC 9457). `problems` says it of each parameter, where parameters are wrong."""

    status: int
    title: str
    detail: str = ""
    problems: Mapping[str, str] = {}


class Json(Response):
    """A value as JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Its bytes."""
        return msgspec.json.encode(content)


class ProblemJson(Json):
    """A problem as JSON."""

    media_type = "application/problem+json"


def answers(
    kind: Any,  # noqa: ANN401 (a type, or an alias of one)
    *others: int,
    description: str = "As asked.",
    status: int = 200,
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with this type; `others` are the statuses of its problems besides those of every route."""
    found: dict[int | str, dict[str, Any]] = {status: {"description": description, **_content(kind, Json.media_type)}}
    for one, words in _PROBLEMS.items():
        if one in _ALWAYS or one in others:
            found[one] = {"description": words, **_content(Problem, ProblemJson.media_type)}
    return found


def _content(kind: Any, media_type: str) -> dict[str, Any]:  # noqa: ANN401
    _kinds[repr(kind)] = kind
    return {"content": {media_type: {"schema": {}}}, KIND: repr(kind)}


_PROBLEMS = {
    400: "The request makes no sense.",
    401: "Who asks is not known.",
    403: "Who asks may not do this.",
    404: "There is nothing of that name.",
    409: "What it is about is not as it was.",
    413: "The body is too long.",
    415: "The body is not JSON.",
    422: "Parameters are wrong; `problems` says which and why.",
    429: "Too many logins from there failed; `Retry-After` says when to try again.",
    502: "A device or a cluster did not answer as it should.",
    503: "The database cannot be reached now; `Retry-After` says when to ask again.",
}
_ALWAYS = (400, 401, 403, 413, 415, 422, 429, 503)


def gathered(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the schema of every answer.

    All are made at once: types of different modules that are called the same get names of their own. ValueError where one of them is called
    as another type of some request is.
    """
    answered = [
        answer
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        if KIND in answer
    ]
    names = sorted({answer[KIND] for answer in answered})
    found, components = msgspec.json.schema_components([_kinds[name] for name in names], ref_template=_REFERENCE)
    schemas = dict(zip(names, found, strict=True))
    for answer in answered:
        schema = schemas[answer.pop(KIND)]
        for content in answer["content"].values():
            content["schema"] = content.get("schema") or schema
    known = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        known.pop(unused, None)
    twice = [name for name in known.keys() & components.keys() if not _same_words(known[name], components[name])]
    if twice:
        raise ValueError(f"types of requests and of answers are called the same: {', '.join(sorted(twice))}")
    known.update(components)
    return document


def _same_words(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are words to choose from, and the same ones."""
    return "enum" in one and set(one["enum"]) == set(other.get("enum", ()))


def methods(document: dict[str, Any], path: str) -> tuple[str, ...]:
    """What may be done with this path, by the document; nothing for one that it does not know."""
    found: set[str] = set()
    for template, operations in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found |= {method.upper() for method in operations}
    return tuple(sorted(found))
