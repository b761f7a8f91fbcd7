"""A device: how it stands, how far behind it was, and what it holds."""

from enum import StrEnum
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.charts import changes_chart, lag_chart
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Place
from bridge.api.parameters import Device as DeviceName
from bridge.api.parameters import Name
from bridge.api.problems import Wrong
from bridge.api.routes import devices
from bridge.model.identity import Kind
from bridge.report import picture
from bridge.state.desired import ObjectState

router = APIRouter(include_in_schema=False)

E = TypeVar("E", bound=StrEnum)

Hours = Annotated[int, Query(ge=1, le=168)]


@router.get("/devices/{name}")
def device(
    name: DeviceName,
    request: Request,
    site: Asked,
    _: Viewer,
    state: Name = "",
    kind: Name = "",
    q: Name = "",
    hours: Hours = 24,
    place: Place = "",
) -> HTMLResponse:
    """One device with a page of its objects."""
    found = devices.one(site, name)
    lag = devices.lag(site, found, hours)
    objects = devices.objects(
        site, name, 50, place, state=_chosen(ObjectState, "state", state), kind=_chosen(Kind, "kind", kind), q=q
    )
    values = {
        "device": found,
        "lag": lag_chart(lag),
        "changes": changes_chart(lag),
        "sizes": picture,
        "hours": hours,
        "objects": objects,
        "query": PageQuery({"state": state, "kind": kind, "q": q}, place),
        "states": list(ObjectState),
        "kinds": list(Kind),
    }
    return page(request, "device.html.j2", values, title=f"Device {name}")


def _chosen(kind: type[E], parameter: str, word: str) -> E | None:
    try:
        return kind(word) if word else None
    except ValueError:
        raise Wrong(parameter, f"one of {', '.join(kind)}") from None
