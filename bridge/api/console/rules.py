"""Rules by tier, as a person reads a firewall policy; and what of all that is not in force as it was written."""

from collections.abc import Iterable
from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.paging import Name, Place
from bridge.api.problems import Wrong
from bridge.api.routes import remarks as remark_routes
from bridge.api.routes import rules as routes
from bridge.model.policy import Tier
from bridge.state.remark_store import Chosen as Remarked
from bridge.state.rule_store import Chosen

router = APIRouter(include_in_schema=False)

_ROWS = 50


@router.get("/rules")
def rules(
    request: Request,
    site: Asked,
    _: Viewer,
    q: Name = "",
    tier: Name = "",
    cluster: Name = "",
    namespace: Name = "",
    device: Name = "",
    place: Place = "",
) -> HTMLResponse:
    """A page of the rules, in the order in which devices ask them."""
    chosen = Chosen(named.cluster(site, cluster), namespace or None, _tier(tier), named.device(site, device), q)
    found = routes.listed(site, _ROWS, place, chosen)
    asked = {"q": q, "tier": tier, "cluster": cluster, "namespace": namespace, "device": device}
    values = {
        "rules": found,
        "tiers": _by_tier(found.rows),
        "query": PageQuery(asked, place),
        "choices": {"tier": list(Tier), "cluster": sorted(site.serving), "device": _devices(site.serving.values())},
    }
    return page(request, "rules.html.j2", values, title="Rules")


@router.get("/remarks")
def remarks(
    request: Request,
    site: Asked,
    _: Viewer,
    q: Name = "",
    cluster: Name = "",
    namespace: Name = "",
    device: Name = "",
    place: Place = "",
) -> HTMLResponse:
    """A page of what is not in force as it was written."""
    chosen = Remarked(named.cluster(site, cluster), namespace or None, named.device(site, device), None, q)
    asked = {"q": q, "cluster": cluster, "namespace": namespace, "device": device}
    values = {
        "remarks": remark_routes.listed(site, _ROWS, place, chosen),
        "query": PageQuery(asked, place),
        "choices": {"cluster": sorted(site.serving), "device": _devices(site.serving.values())},
    }
    return page(request, "remarks.html.j2", values, title="Not in force as written")


def _tier(word: str) -> Tier | None:
    try:
        return Tier(word) if word else None
    except ValueError:
        raise Wrong("tier", f"one of {', '.join(Tier)}") from None


def _by_tier(rules: Iterable[routes.PolicyRule]) -> list[tuple[Tier, list[routes.PolicyRule]]]:
    return [(tier, list(each)) for tier, each in groupby(rules, lambda rule: rule.tier)]


def _devices(serving: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for each in serving for name in each})
