"""The first page: whether the firewalls are right."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.charts import lag_chart
from bridge.api.console.page import page
from bridge.api.routes import devices
from bridge.api.routes.overview import Overview, everything
from bridge.feedback.feedback import FeedbackSettings
from bridge.report import picture
from bridge.report.words import counted

router = APIRouter(include_in_schema=False)

_HOURS = 6
_PATIENCE = FeedbackSettings().patience  # seconds, as in the status of objects
_CHARTS = 24  # each is read from its device's audit: of further devices their own pages draw it


@router.get("/")
def overview(request: Request, site: Asked, _: Viewer) -> HTMLResponse:
    """Clusters and devices at a glance."""
    found = everything(site)
    values = {
        "found": found,
        "kept": {one.name for one in found.devices if keeps_up(one)},
        "verdict": _verdict(found),
        "late": any(one.state not in ("ok", "busy") for one in found.devices),
        "charts": {one.name: lag_chart(devices.lag(site, one, _HOURS)) for one in found.devices[:_CHARTS]},
        "sizes": picture,
        "hours": _HOURS,
    }
    return page(request, "overview.html.j2", values, title="Overview")


def keeps_up(one: devices.Device) -> bool:
    """Whether it is in step, or only a moment behind: where pods come and go it always is, and nobody is to be called for that."""
    refused = one.quarantined + one.unsupported + one.withheld
    return one.in_step or (one.state == "ok" and not refused and one.lag_seconds < _PATIENCE)


def _verdict(found: Overview) -> str:
    """What is not as it should be, in a line."""
    behind = sum(not keeps_up(one) for one in found.devices)
    words = [f"{counted(behind, 'device')} of {len(found.devices)} not in step"] if behind else []
    words += [f"{counted(found.held, 'change')} held for a decision"] if found.held else []
    return ", ".join(words)
