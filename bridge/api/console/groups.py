"""Groups, and one group with those who are in it."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Place
from bridge.api.parameters import Name
from bridge.api.routes import groups as routes

router = APIRouter(include_in_schema=False)


@router.get("/groups")
def groups(
    request: Request, site: Asked, _: Viewer, q: Name = "", cluster: Name = "", namespace: Name = "", place: Place = ""
) -> HTMLResponse:
    """A page of the groups."""
    found = routes.listed(site, 50, place, cluster=named.cluster(site, cluster) or "", namespace=namespace, q=q)
    values = {
        "groups": found,
        "query": PageQuery({"q": q, "cluster": cluster, "namespace": namespace}, place),
        "clusters": sorted(site.serving),
    }
    return page(request, "groups.html.j2", values, title="Groups")


@router.get("/groups/{group_id}")
def group(
    group_id: routes.GroupId, request: Request, site: Asked, _: Viewer, at: routes.At = "", place: Place = ""
) -> HTMLResponse:
    """One group, and a page of its members."""
    found = routes.one(site, group_id)
    values = {
        "group": found,
        "members": routes.members(site, group_id, 100, place, at=at),
        "query": PageQuery({"at": at}, place),
    }
    return page(request, "group.html.j2", values, title=f"Group {found.title}")
