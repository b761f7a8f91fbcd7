"""Reconciliation reports: those that are kept, one made now, and what differs between two."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from bridge.api.access import Operator, Viewer
from bridge.api.asked import Asked
from bridge.api.comparisons import Compared
from bridge.api.console.errors import unanswered
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.forms import Posted
from bridge.api.paging import Place
from bridge.api.problems import Missing, Wrong
from bridge.api.routes import reports as routes

router = APIRouter(include_in_schema=False)

_PATIENCE = 0.1  # seconds


@router.get("/reports")
def reports(request: Request, site: Asked, _: Viewer, place: Place = "") -> HTMLResponse:
    """Those that are kept, the newest first."""
    values = {"reports": routes.kept(site, None, routes.ROWS, place), "query": PageQuery({}, place)}
    return page(request, "reports.html.j2", values, title="Reports")


@router.post("/reports")
def report_made(site: Asked, _: Operator, __: Posted) -> RedirectResponse:
    """Read every device now, and keep the report."""
    routes.made(site, [])
    return RedirectResponse("/reports", 303)


@router.get("/reports/difference")
def difference(
    request: Request,
    site: Asked,
    person: Viewer,
    known: Compared,
    before: routes.Which = "previous",
    after: routes.Which = "last",
    place: Place = "",
) -> HTMLResponse:
    """What is otherwise in one report than in another; whole reports take a while, and the page comes at once."""
    found, failed = None, None
    try:
        whole = routes.soon(site, person, known, _PATIENCE, before, after)
        found = routes.listed(whole, routes.ROWS, place) if whole else None
    except (Wrong, Missing) as error:
        failed = unanswered(error)
    values = {
        "asked": {"before": before, "after": after},
        "found": found,
        "failed": failed,
        "working": not found and not failed,
        "query": PageQuery({"before": before, "after": after}, place),
    }
    status = failed.status if failed else 200
    return page(
        request, "difference.html.j2", values, title="What differs between two reports", status=status, still=True
    )
