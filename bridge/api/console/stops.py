"""Whether anything is written to devices: stops, one more, and their end, each behind a page that asks once more."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from bridge.api.access import Operator, Viewer
from bridge.api.asked import Asked
from bridge.api.console.errors import Unanswered, unanswered
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.forms import Posted
from bridge.api.paging import Place
from bridge.api.parameters import MOST_OF_NAME, Name
from bridge.api.problems import Missing, Wrong
from bridge.api.routes import stops as routes
from bridge.api.site import Site

router = APIRouter(include_in_schema=False)

_PATH = "/stops"

By = Annotated[str, Form(max_length=512)]
Reason = Annotated[str, Form(max_length=1024)]
Written = Annotated[str, Form(max_length=MOST_OF_NAME)]
Ended = Annotated[bool, Query()]


@router.get("/stops")
def stops(
    request: Request, site: Asked, _: Viewer, ended: Ended = False, cluster: Name = "", place: Place = ""
) -> HTMLResponse:
    """Those in force, or all; and which device to stop."""
    values = {
        "stops": routes.listed(site, standing=not ended, cluster=cluster or None, page=place),
        "query": PageQuery({"ended": "true" if ended else "", "cluster": cluster}, place),
        "clusters": sorted(site.serving),
        "devices": site.devices,
    }
    return page(request, "stops.html.j2", values, title="Stops")


@router.get("/stops/new")
def stopping(request: Request, site: Asked, _: Operator, device: Name = "", cluster: Name = "") -> HTMLResponse:
    """What it means, and the form that does it."""
    return _new(request, site, device, cluster)


@router.post("/stops/new")
def stopped(
    request: Request,
    site: Asked,
    person: Operator,
    _: Posted,
    device: Written = "",
    cluster: Written = "",
    reason: Reason = "",
    by: By = "",
) -> Response:
    """Stop a device, or all of a cluster."""
    try:
        if device:
            routes.stop_device(site, person, device, reason, by or None)
        else:
            routes.stop(site, person, cluster, (), reason, by or None)
    except (Wrong, Missing) as error:
        return _new(request, site, device, cluster, by, reason, unanswered(error))
    return RedirectResponse(_PATH, 303)


@router.get("/stops/{cluster}/{name}/lift")
def lifting(cluster: routes.Cluster, name: routes.Name, request: Request, site: Asked, _: Operator) -> HTMLResponse:
    """Which stop it is, and the form that ends it."""
    return _lift(request, routes.one(site, cluster, name))


@router.post("/stops/{cluster}/{name}/lift")
def lifted(
    cluster: routes.Cluster,
    name: routes.Name,
    request: Request,
    site: Asked,
    person: Operator,
    _: Posted,
    reason: Reason = "",
    by: By = "",
) -> Response:
    """End it."""
    try:
        routes.lift(site, person, cluster, name, reason, by or None)
    except Wrong as error:
        return _lift(request, routes.one(site, cluster, name), by, reason, unanswered(error))
    return RedirectResponse(f"{_PATH}?ended=true&cluster={quote(cluster, safe='')}", 303)


def _new(
    request: Request,
    site: Site,
    device: str,
    cluster: str,
    by: str = "",
    reason: str = "",
    failed: Unanswered | None = None,
) -> HTMLResponse:
    values = {
        "device": device,
        "cluster": cluster,
        "devices": site.devices,
        "clusters": sorted(site.serving),
        "by": by,
        "reason": reason,
        "failed": failed,
    }
    status = failed.status if failed else 200
    return page(request, "stop_new.html.j2", values, title="Stop writing to devices?", status=status, still=True)


def _lift(
    request: Request, stop: routes.Stop, by: str = "", reason: str = "", failed: Unanswered | None = None
) -> HTMLResponse:
    values = {"stop": stop, "by": by, "reason": reason, "failed": failed}
    status = failed.status if failed else 200
    return page(request, "stop_lift.html.j2", values, title="Go on writing to devices?", status=status, still=True)
