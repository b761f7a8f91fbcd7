"""The first page: whether the firewalls are right."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.routes import clusters

router = APIRouter(include_in_schema=False)


@router.get("/")
def overview(request: Request, site: Asked, _: Viewer) -> HTMLResponse:
    """Clusters and devices at a glance."""
    return page(request, "overview.html.j2", {"clusters": clusters.every(site)}, title="Overview")
