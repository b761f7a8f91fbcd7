"""The application: its routes, its errors, its OpenAPI document."""

from functools import cached_property
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge import __version__
from bridge.api import documents, guards, problems
from bridge.api.access import Access, Everybody, Unknown
from bridge.api.changes import Changes
from bridge.api.comparisons import Comparisons
from bridge.api.console import ROUTERS as PAGES
from bridge.api.console import errors, login
from bridge.api.console.page import STATIC
from bridge.api.forms import Forms
from bridge.api.routes import ROUTERS
from bridge.api.screening import LOOPBACK, Screened
from bridge.api.site import Site
from bridge.state.counters import Counters

PREFIX = "/api/v1"
_DESCRIPTION = (
    "What Fusion Bridge knows: clusters, devices, groups, rules, history, reports, and what waits for a decision."
)
# Nothing from elsewhere, nothing inline, in nobody's frame: a name that were taken for markup could do nothing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with less, browsers do not say from which page of ours a form is
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Application(FastAPI):
    """FastAPI with an OpenAPI document that knows the types of every answer."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        return self._document

    def build_middleware_stack(self) -> ASGIApp:
        """Everything that answers; what answers a fault of ours stands outside of every middleware that is added, and is guarded too."""
        return Guarded(super().build_middleware_stack())

    @cached_property
    def _document(self) -> dict[str, Any]:
        asks = not isinstance(self.state.access, Everybody)
        return guards.stated(documents.gathered(super().openapi()), ROUTERS, PREFIX, asks=asks)


def application(site: Site, access: Access, hosts: frozenset[str] = LOOPBACK) -> Application:
    """Everything under one root: the API at `/api/v1`, its document at `/api/v1/openapi.json`, and the console.

    `hosts` are the names and addresses by which it may be asked.
    """
    app = Application(
        title="Fusion Bridge",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.site, app.state.access, app.state.forms = site, access, Forms()
    app.state.comparisons = Comparisons()
    app.state.changes = Changes(Counters(site.database).now)
    problems.install(app, errors.answer)
    app.add_exception_handler(Unknown, login.asked)
    app.add_middleware(Screened, hosts=hosts)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    for router in (*PAGES, login.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _allowed(app: Application, path: str) -> dict[str, str]:
    found = documents.methods(app.openapi(), path)
    return {"Allow": ", ".join(found)} if found else {}


class Guarded:
    """Every answer bears the headers that keep a browser from doing with it what nobody meant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if message["status"] == HTTPStatus.METHOD_NOT_ALLOWED:
                    # Of several routes under one path the first has answered, and knows of no other.
                    headers.update(_allowed(scope["app"], scope["path"]))
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
