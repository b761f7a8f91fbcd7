"""The record of every change on the devices: its rows, where the chains end, and whether a chain is whole."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Place
from bridge.api.parameters import Device, Name, Since, moment
from bridge.api.routes import audit as routes
from bridge.api.site import Site
from bridge.state.audit_pages import Sought

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows somebody asks for, beside the device."""

    of: routes.OfObject = None
    op: Name = ""
    since: Since = None
    refused: routes.Refused = False
    place: Place = ""


Rows = Annotated[_Rows, Depends()]


@router.get("/audit")
def audit(request: Request, site: Asked, _: Viewer, rows: Rows, device: Name = "") -> HTMLResponse:
    """Rows of all devices or of one, and the ends of the chains."""
    return _page(request, site, device, rows)


@router.get("/audit/{device}")
def of_device(device: Device, request: Request, site: Asked, _: Viewer, rows: Rows) -> HTMLResponse:
    """Rows of one device."""
    return _page(request, site, device, rows)


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


def _page(request: Request, site: Site, device: str, rows: _Rows) -> HTMLResponse:
    since = moment(rows.since, "since", datetime.now(UTC))
    asked = {
        "device": device,
        "object": rows.of or "",
        "op": rows.op,
        "since": rows.since or "",
        "refused": "true" if rows.refused else "",
    }
    wanted = Sought(device or None, rows.of or None, rows.op or None, rows.refused, since)
    values = {
        "rows": routes.rows(site, wanted, routes.ROWS, rows.place),
        "heads": routes.heads(site),
        "query": PageQuery(asked, rows.place),
        "devices": sorted({*site.devices, *filter(None, [device])}),
    }
    return page(request, "audit.html.j2", values, title=f"Audit of {device}" if device else "Audit")
