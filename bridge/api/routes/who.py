"""Which workload held an address, now or at a past moment."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, answers
from bridge.api.parameters import At, OfCluster, moment, words
from bridge.api.problems import Missing, Wrong
from bridge.api.site import Site
from bridge.report.answering import answered, one_address
from bridge.report.attribution import Certainty, Verdict
from bridge.report.who import who_document
from bridge.state.history_store import HistoryStore
from bridge.state.past import Watched

router = APIRouter(tags=["history"])

Address = Annotated[str, words("One IPv4 or IPv6 address, in any spelling.", most=60)]


class Holding(Document, frozen=True):
    """A workload and when it held the address; without `to`, it does still.

    An `After` is set where nobody watched: then it happened between the two times.
    """

    cluster: str
    address: str
    namespace: str
    pod: str
    uid: str
    service_account: str
    owner: str
    node: str
    began: datetime = msgspec.field(name="from")
    began_after: datetime | None = msgspec.field(name="fromAfter")
    ended: datetime | None = msgspec.field(name="to")
    ended_after: datetime | None = msgspec.field(name="toAfter")


class Holder(Holding, frozen=True):
    """Who held it at the time asked about, and how sure that is."""

    certainty: Certainty


class InGroup(Document, frozen=True):
    """A group that the address was in, by its key; without `left`, it is still."""

    object: str
    joined: datetime
    left: datetime | None


class HeldIn(Document, frozen=True):
    """What the history of one cluster says. `previous` and `next` held the address before and after that time.

    `reason` says why it is unknown, or why no pod can have had it; `lastSeen` is set when the cluster has not been heard of since.
    """

    cluster: str
    verdict: Verdict
    reason: str
    exact: bool
    holders: tuple[Holder, ...]
    groups: tuple[InGroup, ...]
    previous: Holding | None
    next: Holding | None
    kept_from: datetime | None
    last_seen: datetime | None


class Who(Document, frozen=True):
    """The address in its one spelling, the time, and the answer of each cluster."""

    address: str
    at: datetime
    answers: tuple[HeldIn, ...]


@router.get("/who", responses=answers(Who, 404))
def who(site: Asked, _: Viewer, address: Address, at: At = None, cluster: OfCluster = None) -> Json:
    """Who held this address, in each cluster or in one."""
    return Json(held_by(site, address, at, cluster))


def held_by(site: Site, address: str, at: str | None = None, cluster: str | None = None) -> Who:
    """The same as a value. Raises Wrong, and Missing for a cluster that was never recorded."""
    now = datetime.now(UTC)
    when = moment(at, "at", now) or now
    try:
        wanted = one_address(address)
    except ValueError as error:
        raise Wrong("address", str(error)) from None
    store = HistoryStore(site.database)
    found = [
        answered(store, one, wanted, when, site.pod_ranges.get(one.cluster, ())) for one in recorded(store, cluster)
    ]
    return msgspec.convert(who_document(wanted, when, found), Who)


def recorded(store: HistoryStore, cluster: str | None) -> tuple[Watched, ...]:
    """The clusters to look at: all, or the one of that name. Raises Missing."""
    found = store.clusters(cluster)
    if cluster is not None and not found:
        known = ", ".join(one.cluster for one in store.clusters()) or "none yet"
        raise Missing(f"no cluster {cluster} is recorded; there are {known}")
    return found
