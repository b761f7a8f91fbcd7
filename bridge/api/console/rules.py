"""Rules by tier, as a person reads a firewall policy; and what of all that is not in force as it was written."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Place
from bridge.api.parameters import Name
from bridge.api.problems import Wrong
from bridge.api.routes import remarks as remark_routes
from bridge.api.routes import rules as routes
from bridge.model.policy import Tier
from bridge.state.remark_store import Chosen as Remarked
from bridge.state.rule_store import Chosen

router = APIRouter(include_in_schema=False)

_ROWS = 50


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which somebody asks for."""

    q: Name = ""
    cluster: Name = ""
    namespace: Name = ""
    device: Name = ""


Filter = Annotated[_Filter, Depends()]


@router.get("/rules")
def rules(request: Request, site: Asked, _: Viewer, those: Filter, tier: Name = "", place: Place = "") -> HTMLResponse:
    """A page of the rules, in the order in which devices ask them."""
    cluster, device = named.cluster(site, those.cluster), named.device(site, those.device)
    chosen = Chosen(cluster, those.namespace or None, _tier(tier), device, those.q)
    found = routes.listed(site, _ROWS, place, chosen)
    values = {
        "rules": found,
        "tiers": _by_tier(found.rows),
        "query": PageQuery({**asdict(those), "tier": tier}, place),
        "choices": {"tier": list(Tier), "cluster": sorted(site.serving), "device": site.devices},
    }
    return page(request, "rules.html.j2", values, title="Rules")


@router.get("/remarks")
def remarks(request: Request, site: Asked, _: Viewer, those: Filter, place: Place = "") -> HTMLResponse:
    """A page of what is not in force as it was written."""
    cluster, device = named.cluster(site, those.cluster), named.device(site, those.device)
    chosen = Remarked(cluster, those.namespace or None, device, None, those.q)
    values = {
        "remarks": remark_routes.listed(site, _ROWS, place, chosen),
        "query": PageQuery(asdict(those), place),
        "choices": {"cluster": sorted(site.serving), "device": site.devices},
    }
    return page(request, "remarks.html.j2", values, title="Not in force as written")


def _tier(word: str) -> Tier | None:
    try:
        return Tier(word) if word else None
    except ValueError:
        raise Wrong("tier", f"one of {', '.join(Tier)}") from None


def _by_tier(rules: Iterable[routes.PolicyRule]) -> list[tuple[Tier, list[routes.PolicyRule]]]:
    return [(tier, list(each)) for tier, each in groupby(rules, lambda rule: rule.tier)]
