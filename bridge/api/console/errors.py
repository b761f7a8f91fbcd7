"""What went wrong, as a page for whoever asked for a page."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bridge.api.console.page import page
from bridge.api.documents import Problem, ProblemJson
from bridge.api.parameters import Several
from bridge.api.problems import Missing, Wrong, headers, problem

_PROGRAMS = "/api/"
_NO_PAGE = Problem(status=404, title="There is no such page", detail="nothing of the console has this address")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why a form has no answer: the status, the words, and, where what was written can mean several things, words that mean one."""

    status: int
    words: str
    choices: tuple[str, ...] = ()

    @property
    def of_search(self) -> int:
        """The status of a page that was looked for and not found: the answer to a search, which may become another."""
        return HTTPStatus.OK if self.status == HTTPStatus.NOT_FOUND else self.status


def unanswered(error: Wrong | Missing) -> Unanswered:
    """The same error beside the form that it is about."""
    if isinstance(error, Missing):
        return Unanswered(HTTPStatus.NOT_FOUND, str(error))
    choices = error.choices if isinstance(error, Several) else ()
    return Unanswered(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error.parameter}: {error}", choices)


def answer(request: Request, error: Exception) -> Response:
    """The error: a page for browsers, JSON for programs."""
    found = problem(error)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        found = _NO_PAGE
    told = headers(found, error)
    if not _wants_page(request):
        return ProblemJson(found, found.status, told)
    values = {"problem": found, "status": HTTPStatus(found.status).phrase}
    made = page(request, "problem.html.j2", values, title=found.title, status=found.status, still=True)
    made.headers.update(told)
    return made


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith(_PROGRAMS) and "text/html" in request.headers.get("accept", "")
