"""What became of a thing, drawn along a line of time."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console import timeline
from bridge.api.console.errors import unanswered
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Place
from bridge.api.parameters import Name, Since
from bridge.api.problems import Missing, Wrong
from bridge.api.routes import history as routes

router = APIRouter(include_in_schema=False)


@router.get("/history")
def history(
    request: Request,
    site: Asked,
    _: Viewer,
    subject: routes.Words = "",
    since: Since = None,
    cluster: Name = "",
    place: Place = "",
) -> HTMLResponse:
    """The form, and a page of the history."""
    found, failed = None, None
    if subject.strip():
        try:
            found = routes.told(site, subject, since, cluster or None, routes.ROWS, place)
        except (Wrong, Missing) as error:
            failed = unanswered(error)
    values = {
        "asked": {"subject": subject, "since": since or "", "cluster": cluster},
        "clusters": sorted(site.serving),
        "found": found,
        "failed": failed,
        "line": timeline.of_rows(found.rows, datetime.now(UTC)) if found else None,
        "query": PageQuery({"subject": subject, "since": since or "", "cluster": cluster}, place),
    }
    return page(request, "history.html.j2", values, title="History", status=failed.of_search if failed else 200)
