"""Who held an address, drawn along a line of time."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console import timeline
from bridge.api.console.errors import unanswered
from bridge.api.console.page import page
from bridge.api.parameters import At, Name
from bridge.api.problems import Missing, Wrong
from bridge.api.routes import who as routes

router = APIRouter(include_in_schema=False)


@router.get("/who")
def who(
    request: Request, site: Asked, _: Viewer, address: routes.Address = "", at: At = None, cluster: Name = ""
) -> HTMLResponse:
    """The form, and the answer of each cluster."""
    found, failed = None, None
    if address.strip():
        try:
            found = routes.held_by(site, address, at, cluster or None)
        except (Wrong, Missing) as error:
            failed = unanswered(error)
    now = datetime.now(UTC)
    values = {
        "asked": {"address": address, "at": at or "", "cluster": cluster},
        "clusters": sorted(site.serving),
        "found": found,
        "failed": failed,
        "lines": {one.cluster: timeline.of_answer(one, found.at, now) for one in found.answers} if found else {},
    }
    return page(request, "who.html.j2", values, title="Who held an address", status=failed.of_search if failed else 200)
