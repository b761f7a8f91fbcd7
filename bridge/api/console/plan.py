"""What delivery would do to a device now, read from the device at this moment."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Operator
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.parameters import Device
from bridge.api.routes import plan as routes

router = APIRouter(include_in_schema=False)


@router.get("/devices/{name}/plan")
def plan(name: Device, request: Request, site: Asked, _: Operator) -> HTMLResponse:
    """The ordered changes, what is held of them, and who would gain or lose what."""
    values = {"found": routes.planned(site, name), "device": name}
    return page(request, "plan.html.j2", values, title=f"What would be done to {name} now", still=True)
