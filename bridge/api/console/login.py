"""Logging in and out with a browser: a token is shown once, and stands behind a session from then on."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from bridge.api.access import Forbidden, TooMany, Unavailable, Unknown
from bridge.api.authentication.admission import Admission
from bridge.api.authentication.sessions import attributes, cookie
from bridge.api.console import errors
from bridge.api.console.page import page
from bridge.api.forms import Forms, Posted
from bridge.api.problems import answered

router = APIRouter(include_in_schema=False)

_LONGEST = 16_384  # characters of a token
_PATH = 2_000
_NOBODY = "login"  # the form's word is not a session's: after a link from elsewhere a browser shows its cookie only when it sends the form

Where = Annotated[str, Query(alias="next", max_length=_PATH)]


@router.get("/login")
def login(request: Request, where: Where = "/") -> Response:
    """The form. Where nobody is asked who he is, there is nothing to do here."""
    return _form(request, where) if _admission(request) else RedirectResponse("/", 303)


@router.post("/login")
def logged_in(
    request: Request,
    form_token: Annotated[str, Form(max_length=128)] = "",
    token: Annotated[str, Form(max_length=_LONGEST)] = "",
    where: Annotated[str, Form(alias="next", max_length=_PATH)] = "/",
) -> Response:
    """Begin a session, and go on to where somebody wanted to go."""
    admission = _admission(request)
    if admission is None:
        return RedirectResponse("/", 303)
    forms: Forms = request.app.state.forms
    forms.check(forms.word(_NOBODY), form_token)
    try:
        shown = admission.login(request, token)
    except (Unknown, Forbidden, Unavailable, TooMany) as error:
        problem = answered(error)
        return _form(request, where, said=str(error), status=problem.status_code, headers=dict(problem.headers))
    found = RedirectResponse(local(where), 303)
    found.set_cookie(cookie(request), shown, **_attributes(request))
    return found


@router.post("/logout")
def logged_out(request: Request, _: Posted) -> Response:
    """End the session."""
    admission = _admission(request)
    if admission is not None:
        admission.logout(request)
    found = RedirectResponse("/login", 303)
    found.delete_cookie(cookie(request), **_attributes(request))
    return found


def asked(request: Request, error: Exception) -> Response:
    """Whoever wants a page and is not known is led to the form; a program is told so."""
    wanted = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if not wanted or request.url.path.startswith("/api/") or _admission(request) is None:
        return errors.answer(request, error)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/login?next={quote(request.url.path + query, safe='')}"[:_PATH], 303)


def local(where: str) -> str:
    """A path of ours, whatever somebody wrote into the link."""
    outside = where[:2] in ("//", "/\\") or not where.isprintable() or not where.startswith("/")
    return "/" if outside else where


def _form(
    request: Request, where: str, *, said: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    forms: Forms = request.app.state.forms
    values = {"next": local(where), "said": said, "word": forms.word(_NOBODY)}
    found = page(request, "login.html.j2", values, title="Log in", status=status)
    if headers and "retry-after" in headers:
        found.headers["Retry-After"] = headers["retry-after"]
    return found


def _admission(request: Request) -> Admission | None:
    access = request.app.state.access
    return access if isinstance(access, Admission) else None


def _attributes(request: Request) -> Any:  # noqa: ANN401 (keywords of starlette)
    return attributes(request)
