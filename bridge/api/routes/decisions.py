"""What somebody decides about held steps: to release or to reject them."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter

from bridge.api import named, orders
from bridge.api.access import Person, Security, Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.orders import Order, Signed, Wait
from bridge.api.paging import Limit, Place, behind, cut
from bridge.api.parameters import Device, OfCluster, OfDevice, words
from bridge.api.routes import held
from bridge.api.site import Site
from bridge.errors import Refused
from bridge.model.decisions import Choice, Settled
from bridge.state.order_pages import OrderPages

router = APIRouter(tags=["held"])

ROWS = 50  # of one page, unless told
WAITING = (str(Settled.WAITING),)
_SETTLED = tuple(str(one) for one in Settled if one is not Settled.WAITING)

OfDigest = Annotated[str | None, words("About the list of this digest only.", most=64)]


class DecisionRequest(Signed):
    """Release: let the steps be done, as far as they are still wanted. Reject: leave them undone as long as the same is wanted."""

    verdict: Literal["Release", "Reject"]


class Decision(Document, frozen=True):
    """A decision that was written into a cluster, by whoever and by whatever means, and what became of it."""

    cluster: str
    name: str
    device: str
    digest: str
    verdict: str
    by: str
    reason: str
    at: datetime
    state: str
    message: str
    settled_at: datetime | None


@router.post(
    "/held/{device}/{digest}/decision",
    responses={
        **answers(Order, 404, 409, 502, description="What became of it."),
        **answers(Order, 404, 409, 502, status=202, description="It is written; the bridge has not taken it up yet."),
    },
)
def decision(
    device: Device,
    digest: held.Digest,
    body: DecisionRequest,
    site: Asked,
    person: Security,
    wait: Wait = orders.SECONDS,
) -> Json:
    """Release or reject the held steps of one list. It becomes a Decision object in the cluster that the steps are about."""
    found = decide(site, person, device, digest, Choice(body.verdict), body.reason, body.by, wait)
    return orders.answer(found, WAITING)


@router.get("/decisions", responses=answers(Page[Decision], 404))
def decisions(
    site: Asked,
    _: Viewer,
    cluster: OfCluster = None,
    device: OfDevice = None,
    digest: OfDigest = None,
    limit: Limit = ROWS,
    page: Place = "",
) -> Json:
    """What was decided, the last first. What was decided long ago is in the audit alone."""
    return Json(listed(site, cluster, device, digest, limit, page))


def decide(
    site: Site,
    person: Person,
    device: str,
    digest: str,
    verdict: Choice,
    reason: str,
    by: str | None = None,
    wait: float = orders.SECONDS,
) -> Order:
    """The same as a value. Raises Wrong, Missing, Refused where the cluster takes no such decision, ClusterError."""
    who, why = orders.signature(person, by), orders.said(reason)
    cluster = held.one(site, device, digest).cluster
    if not cluster:
        raise Refused("an earlier version held these steps; this one looks at them anew")
    orders.require_cluster(site, cluster)
    with site.orders(cluster) as there:
        given = there.decide({"device": device, "digest": digest, "verdict": str(verdict), "by": who, "reason": why})
        return orders.told(cluster, orders.awaited(there, given, _SETTLED, wait), who, why)


def listed(
    site: Site,
    cluster: str | None = None,
    device: str | None = None,
    digest: str | None = None,
    limit: int = ROWS,
    page: str = "",
) -> Page[Decision]:
    """A page of decisions. Raises Wrong, and Missing for a cluster or a device that is none."""
    pages = OrderPages(site.database)
    of = {"cluster": named.cluster(site, cluster), "device": named.device(site, device), "digest": digest}
    found = pages.decisions(limit + 1, behind(page), **of)
    rows, following = cut(found, limit, lambda row: (row.at.isoformat(), row.cluster, row.uid))
    told = tuple(
        Decision(
            cluster=one.cluster,
            name=one.name,
            device=one.device,
            digest=one.digest,
            verdict=one.verdict,
            by=one.by,
            reason=one.reason,
            at=one.at,
            state=one.state,
            message=one.message,
            settled_at=one.settled_at,
        )
        for one in rows
    )
    return Page(rows=told, next=following)
