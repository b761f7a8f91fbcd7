"""What is not in force as it was written, and what a person does about it: not accepted, quarantined, unsupported, withheld."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import Limit, Place, cut, parts
from bridge.api.parameters import OfCluster, OfDevice, OfNamespace, words
from bridge.api.site import Site
from bridge.model.identity import ObjectKey
from bridge.model.policy import Ref
from bridge.model.reasons import MEANINGS, Reason
from bridge.report.naming import title
from bridge.state.remark_store import BEGINNING, Chosen, Order, RemarkStore, RemarkView

router = APIRouter(tags=["remarks"])

Reasons = Annotated[list[Reason] | None, Query(max_length=len(Reason), description="With one of these reasons.")]


class Remark(Document, frozen=True):
    """One object that is not in force as written: on that `device`, or where that is "" by itself.

    `object` is what a person wrote, or the key of an object of the device; `title` is how a person calls it. `meaning` says what the
    reason means and `remedy` what to do about it, "" for nothing; `message` is the word of the device or of the bridge.
    """

    cluster: str
    device: str
    object: str
    title: str
    namespace: str
    name: str
    reason: str
    meaning: str
    message: str
    remedy: str
    since: datetime | None


@router.get("/remarks", responses=answers(Page[Remark], 404))
def remarks(
    site: Asked,
    _: Viewer,
    cluster: OfCluster = None,
    namespace: OfNamespace = None,
    device: OfDevice = None,
    reason: Reasons = None,
    q: Annotated[str, words("A part of the name of the object, in capitals or not.")] = "",
    limit: Limit = 50,
    page: Place = "",
) -> Json:
    """Remarks: of what people wrote first, then of what it becomes on devices."""
    reasons = [str(one) for one in reason] if reason else None
    chosen = Chosen(named.cluster(site, cluster), namespace or None, named.device(site, device), reasons, q)
    return Json(listed(site, limit, page, chosen))


def listed(site: Site, limit: int = 50, page: str = "", chosen: Chosen | None = None) -> Page[Remark]:
    """What is not in force as written. Raises Wrong."""
    found = RemarkStore(site.database).remarks(limit + 1, _order(page), chosen)
    rows, following = cut(found, limit, lambda row: row.order)
    return Page(rows=tuple(_told(row) for row in rows), next=following)


def _order(page: str) -> Order:
    place = parts(page, int, str, str, str, str, str)
    if place is None:
        return BEGINNING
    number, *words = place
    cluster, namespace, about, name, device = (str(one) for one in words)
    return min(max(int(number), -1), 9), cluster, namespace, about, name, device


def _told(row: RemarkView) -> Remark:
    key = ObjectKey.parse(row.object) if row.place == 2 else None
    what = str(key) if key else str(Ref(row.object, row.namespace, row.name))
    meaning = MEANINGS[Reason(row.reason)] if row.reason in Reason.__members__.values() else None
    return Remark(
        cluster=row.cluster,
        device=row.device,
        object=what,
        title=title(key) if key else what,
        namespace=row.namespace,
        name=key.name if key else row.name,
        reason=row.reason,
        meaning=meaning.text if meaning else "",
        message=row.message,
        remedy=meaning.remedy if meaning else "",
        since=row.since,
    )
