"""Errors as answers: one status and one shape for each kind, and a person can act on the words."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bridge.api.access import Forbidden, TooMany, Unavailable, Unknown
from bridge.api.documents import Problem, ProblemJson
from bridge.errors import BridgeError, ClusterError, DeviceError, Refused, SettingsError, StateUnavailable

log = structlog.get_logger(__name__)

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


class Missing(Exception):
    """There is nothing of that name; the message says which names there are, or where to look."""


class Wrong(Exception):
    """A parameter is wrong: which, and why."""

    def __init__(self, parameter: str, why: str) -> None:
        self.parameter = parameter
        super().__init__(why)


def answered(error: Exception) -> ProblemJson:
    """The answer to this error."""
    found = problem(error)
    return ProblemJson(found, found.status, headers(found, error))


def headers(found: Problem, error: Exception) -> dict[str, str]:
    """The headers of its answer."""
    told = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "2"}}.get(found.status, {})
    if isinstance(error, TooMany):
        told = {"Retry-After": str(error.retry_after)}
    if isinstance(error, HTTPException):
        told = {**told, **(error.headers or {})}
    return told


def problem(error: Exception) -> Problem:
    """What there is to say of this error; a fault of ours goes into the log too."""
    if isinstance(error, RequestValidationError):
        return Problem(status=422, title="Parameters are wrong", problems=dict(map(_named, error.errors())))
    if isinstance(error, Wrong):
        return Problem(status=422, title="Parameters are wrong", problems={error.parameter: str(error)})
    if isinstance(error, HTTPException):
        return Problem(status=error.status_code, title=str(error.detail))
    for kind, (status, title) in _KINDS.items():
        if isinstance(error, kind):
            return Problem(status=status, title=title, detail=str(error))
    log.error("a fault of the bridge", exc_info=error)
    return Problem(status=500, title="A fault of the bridge", detail="its log says more")


def _named(one: Mapping[str, Any]) -> tuple[str, str]:
    """The parameter that is wrong, and why; what is no JSON is wrong as a whole."""
    place, *within = one["loc"]
    name = ".".join(map(str, within)) if one["type"] != "json_invalid" else ""
    return name or str(place), str(one["msg"])


_KINDS: dict[type[Exception], tuple[int, str]] = {
    Unknown: (401, "Who asks is not known"),
    Forbidden: (403, "Who asks may not do this"),
    Unavailable: (503, "Who asks cannot be found out now"),
    TooMany: (429, "Too many failed logins"),
    Missing: (404, "There is no such thing"),
    SettingsError: (404, "There is no such thing"),
    StateUnavailable: (503, "The database cannot be reached now"),
    Refused: (409, "Refused"),
    ClusterError: (502, "The cluster did not answer as it should"),
    DeviceError: (502, "The device did not answer as it should"),
    BridgeError: (500, "The bridge cannot answer"),
}


def install(app: FastAPI, answer: Handler) -> None:
    """Have the application answer errors so."""
    for kind in (RequestValidationError, HTTPException, Wrong, *_KINDS, Exception):
        app.add_exception_handler(kind, answer)
