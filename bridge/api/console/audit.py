"""The record of every change on the devices: its rows, where the chains end, and whether a chain is whole."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Name, Place
from bridge.api.parameters import Device, Since, moment
from bridge.api.routes import audit as routes
from bridge.api.site import Site
from bridge.state.audit_pages import Sought

router = APIRouter(include_in_schema=False)


@router.get("/audit")
def audit(
    request: Request,
    site: Asked,
    _: Viewer,
    device: Name = "",
    of: routes.OfObject = None,
    op: Name = "",
    since: Since = None,
    refused: routes.Refused = False,
    place: Place = "",
) -> HTMLResponse:
    """Rows of all devices or of one, and the ends of the chains."""
    return _rows(request, site, device, of, op, since, place, refused=refused)


@router.get("/audit/{device}")
def of_device(
    device: Device,
    request: Request,
    site: Asked,
    _: Viewer,
    of: routes.OfObject = None,
    op: Name = "",
    since: Since = None,
    refused: routes.Refused = False,
    place: Place = "",
) -> HTMLResponse:
    """Rows of one device."""
    return _rows(request, site, device, of, op, since, place, refused=refused)


@router.get("/audit/{device}/verification")
def verification(device: Device, request: Request, site: Asked, _: Viewer, head: routes.Heads = None) -> HTMLResponse:
    """Whether the chain of the device is whole, and has the heads of kept reports in it."""
    asked = [one for one in head or () if one.strip()]
    values = {"found": routes.verified(site, device, asked), "device": device, "asked": asked}
    return page(request, "verification.html.j2", values, title=f"The chain of {device}", still=True)


@router.get("/audit/{device}/{number}")
def row(device: Device, number: routes.Number, request: Request, site: Asked, _: Viewer) -> HTMLResponse:
    """One row, whole."""
    values = {"row": routes.row(site, device, number)}
    return page(request, "audit_row.html.j2", values, title=f"Row {number} of {device}")


def _rows(
    request: Request,
    site: Site,
    device: str,
    of: str | None,
    op: str,
    since: str | None,
    place: str,
    *,
    refused: bool,
) -> HTMLResponse:
    wanted = Sought(device or None, of or None, op or None, refused, moment(since, "since", datetime.now(UTC)))
    asked = {"device": device, "object": of or "", "op": op, "since": since or "", "refused": "true" if refused else ""}
    values = {
        "rows": routes.rows(site, wanted, routes.ROWS, place),
        "heads": routes.heads(site),
        "query": PageQuery(asked, place),
        "devices": sorted({one for names in site.serving.values() for one in names} | ({device} if device else set())),
    }
    return page(request, "audit.html.j2", values, title=f"Audit of {device}" if device else "Audit")
