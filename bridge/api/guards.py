"""What each route takes of whoever asks, as the OpenAPI document says it."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from bridge.api.access import Needs, Role

ROLE = "x-role"
_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the settings, of a cluster or of an OIDC issuer.",
    }
}


def routes(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    """Every route of these."""
    for router in routers:
        yield from (route for route in router.routes if isinstance(route, APIRoute))


def role(route: APIRoute) -> Role | None:
    """Which role the route takes; None: it asks nobody."""
    return max((call.role for call in calls(route.dependant) if isinstance(call, Needs)), default=None)


def calls(dependant: Dependant) -> Iterator[Any]:
    """Everything that the route depends on."""
    for one in dependant.dependencies:
        yield one.call
        yield from calls(one)


def stated(document: dict[str, Any], routers: Iterable[APIRouter], prefix: str, *, asks: bool) -> dict[str, Any]:
    """The OpenAPI document with the role of each operation, and, where it `asks` who somebody is, how he says it."""
    if asks:
        document.setdefault("components", {})["securitySchemes"] = _SCHEMES
        document["security"] = [{"token": []}]
    for route in routes(routers):
        taken = role(route)
        if route.include_in_schema and taken is not None:
            for method in route.methods or ():
                document["paths"][prefix + route.path_format][method.lower()][ROLE] = taken.name.lower()
    return document
