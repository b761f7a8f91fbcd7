"""What waits for a person: lists of held steps, what they would change, and the decision, behind a page that asks once more."""

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from bridge.api.access import Security, Viewer
from bridge.api.asked import Asked
from bridge.api.console.errors import unanswered
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.forms import Posted
from bridge.api.paging import Place
from bridge.api.parameters import Device, Name, words
from bridge.api.problems import Wrong
from bridge.api.routes import decisions
from bridge.api.routes import held as routes
from bridge.api.site import Site
from bridge.model.decisions import Choice

router = APIRouter(include_in_schema=False)

_SOME = 20  # steps and members that are shown together
_ROWS = 100
_DECISIONS = 10

Deciding = Literal["release", "reject"]
By = Annotated[str, Form(max_length=512)]
Reason = Annotated[str, Form(max_length=1024)]
OfObject = Annotated[str, words("Of this object only, by its key.", most=700, alias="object")]


@router.get("/held")
def held(
    request: Request,
    site: Asked,
    _: Viewer,
    state: routes.Wanted = routes.Wanted.OPEN,
    device: Name = "",
    cluster: Name = "",
    place: Place = "",
) -> HTMLResponse:
    """A page of the lists."""
    values = {
        "lists": routes.lists(site, state, device or None, cluster or None, None, routes.ROWS, place),
        "query": PageQuery({"state": state, "device": device, "cluster": cluster}, place),
        "states": list(routes.Wanted),
        "clusters": sorted(site.serving),
        "devices": site.devices,
    }
    return page(request, "held.html.j2", values, title="Held for a decision")


@router.get("/held/{device}/{digest}")
def held_list(device: Device, digest: routes.Digest, request: Request, site: Asked, _: Viewer) -> HTMLResponse:
    """One list: its steps, some of whom they are about, and what was decided."""
    values = {
        **_shown(site, device, digest),
        "decisions": decisions.listed(site, device=device, digest=digest, limit=_DECISIONS),
    }
    return page(request, "held_list.html.j2", values, title=f"Held on {device}")


@router.get("/held/{device}/{digest}/members")
def held_members(
    device: Device,
    digest: routes.Digest,
    request: Request,
    site: Asked,
    _: Viewer,
    of: OfObject = "",
    place: Place = "",
) -> HTMLResponse:
    """Everybody whom it is about, page by page."""
    values = {
        "held": routes.one(site, device, digest),
        "members": routes.members(site, device, digest, of or None, _ROWS, place),
        "query": PageQuery({"object": of}, place),
    }
    return page(request, "held_members.html.j2", values, title=f"Whom it is about: held on {device}")


@router.get("/held/{device}/{digest}/steps")
def held_steps(
    device: Device, digest: routes.Digest, request: Request, site: Asked, _: Viewer, place: Place = ""
) -> HTMLResponse:
    """Every step, page by page."""
    values = {
        "held": routes.one(site, device, digest),
        "steps": routes.steps(site, device, digest, _ROWS, place),
        "query": PageQuery({}, place),
    }
    return page(request, "held_steps.html.j2", values, title=f"Every step: held on {device}")


@router.get("/held/{device}/{digest}/{verdict}")
def deciding(
    device: Device, digest: routes.Digest, verdict: Deciding, request: Request, site: Asked, _: Security
) -> HTMLResponse:
    """What would come of it, and the form that says so."""
    return _form(request, site, device, digest, verdict)


@router.post("/held/{device}/{digest}/{verdict}")
def decided(
    device: Device,
    digest: routes.Digest,
    verdict: Deciding,
    request: Request,
    site: Asked,
    person: Security,
    _: Posted,
    reason: Reason = "",
    by: By = "",
) -> Response:
    """Write the decision, and go on to the list, which says what became of it."""
    try:
        decisions.decide(site, person, device, digest, Choice(verdict.capitalize()), reason, by or None)
    except Wrong as error:
        return _form(request, site, device, digest, verdict, by, reason, error)
    return RedirectResponse(f"/held/{quote(device, safe='')}/{quote(digest, safe='')}", 303)


def _form(
    request: Request,
    site: Site,
    device: str,
    digest: str,
    verdict: Deciding,
    by: str = "",
    reason: str = "",
    error: Wrong | None = None,
) -> HTMLResponse:
    failed = unanswered(error) if error else None
    values = {**_shown(site, device, digest), "verdict": verdict, "by": by, "reason": reason, "failed": failed}
    title = f"{verdict.capitalize()} what is held on {device}?"
    return page(
        request, "held_decision.html.j2", values, title=title, status=failed.status if failed else 200, still=True
    )


def _shown(site: Site, device: str, digest: str) -> dict[str, object]:
    return {
        "held": routes.one(site, device, digest),
        "steps": routes.steps(site, device, digest, _SOME),
        "members": routes.members(site, device, digest, None, _SOME),
    }
