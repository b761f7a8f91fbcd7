"""Whether anything is written to devices: stops, and their end."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from bridge.api import named, orders
from bridge.api.access import Operator, Person, Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.orders import Order, Signed, Wait
from bridge.api.paging import Limit, Place, behind, cut
from bridge.api.parameters import MOST_OF_NAME, Device, OfCluster
from bridge.api.parameters import named as part_of_path
from bridge.api.problems import Missing
from bridge.api.routes.plan import require_device
from bridge.api.site import Site
from bridge.cluster.orders import to_lift
from bridge.errors import ClusterError, Refused
from bridge.state.order_pages import OrderPages, StopRow

router = APIRouter(tags=["stops"])

ROWS = 50  # of one page, unless told
STOPPING = ("Waiting", "Stopping")
STARTING = ("Waiting", "Starting")
_STOPPED, _STARTED = ("Stopped", "NotHere"), ("Started", "NotHere")

Cluster = Annotated[str, part_of_path("The cluster, by its name.")]
Name = Annotated[str, part_of_path("The stop, by its name.")]
Standing = Annotated[bool, Query(description="Only those in force.")]


class StopRequest(Signed):
    """Nothing is to be written to these devices, none named: to all that serve the cluster."""

    cluster: str = Field(max_length=MOST_OF_NAME, description="Into which cluster it is written.")
    devices: list[Annotated[str, Field(max_length=63)]] = Field([], max_length=64)


class Stop(Document, frozen=True):
    """A stop; in force while `endedAt` is null. `devices` empty: all that serve its cluster. To those of `obeyedBy` nothing is written."""

    cluster: str
    name: str
    devices: tuple[str, ...]
    by: str
    reason: str
    since: datetime
    message: str
    lifted_by: str
    lifted_reason: str
    ended_at: datetime | None
    obeyed_by: tuple[str, ...]


class Started(Document, frozen=True):
    """What was lifted so that a device starts. `others` stop it too, with further devices: they are lifted by their names.

    `unanswered` are clusters in which nobody could look for stops; `problem` says why.
    """

    lifted: tuple[Order, ...]
    others: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    problem: str = ""


@router.get("/stops", responses=answers(Page[Stop], 404))
def stops(
    site: Asked, _: Viewer, standing: Standing = True, cluster: OfCluster = None, limit: Limit = ROWS, page: Place = ""
) -> Json:
    """Stops, the youngest first."""
    return Json(listed(site, standing=standing, cluster=cluster, limit=limit, page=page))


@router.get("/stops/{cluster}/{name}", responses=answers(Stop, 404))
def one_stop(cluster: Cluster, name: Name, site: Asked, _: Viewer) -> Json:
    """One stop."""
    return Json(one(site, cluster, name))


_SAID = {
    **answers(Order, 404, 409, 502, description="Each device has heard it."),
    **answers(Order, 404, 409, 502, status=202, description="It is written; some device has not heard it yet."),
}


@router.post("/stops", responses=_SAID)
def new_stop(body: StopRequest, site: Asked, person: Operator, wait: Wait = orders.SECONDS) -> Json:
    """Write nothing more to these devices. They are read, compared and reported all the same. It becomes a Stop object in the cluster."""
    return orders.answer(stop(site, person, body.cluster, body.devices, body.reason, body.by, wait), STOPPING)


@router.post("/stops/{cluster}/{name}/lift", responses=_SAID)
def end_stop(
    cluster: Cluster, name: Name, body: Signed, site: Asked, person: Operator, wait: Wait = orders.SECONDS
) -> Json:
    """Lift one stop, even where its object is no longer in the cluster."""
    return orders.answer(lift(site, person, cluster, name, body.reason, body.by, wait), STARTING)


@router.post("/devices/{name}/stop", responses=_SAID)
def stop_of_device(name: Device, body: Signed, site: Asked, person: Operator, wait: Wait = orders.SECONDS) -> Json:
    """Write nothing more to this device. It becomes a Stop object in the first of its clusters that takes it."""
    return orders.answer(stop_device(site, person, name, body.reason, body.by, wait), STOPPING)


@router.post(
    "/devices/{name}/start",
    responses={
        **answers(Started, 404, 409, 502, description="Each stop of this device alone is lifted, and heard."),
        **answers(Started, 404, 409, 502, status=202, description="The device is, or may be, stopped still."),
    },
)
def start_of_device(name: Device, body: Signed, site: Asked, person: Operator, wait: Wait = orders.SECONDS) -> Json:
    """Lift the stops of this device. Those that stop others too are told, and lifted by their names."""
    found = start_device(site, person, name, body.reason, body.by, wait)
    whole = not (found.others or found.unanswered) and all(one.state not in STARTING for one in found.lifted)
    return Json(found, 200 if whole else 202)


def listed(
    site: Site, *, standing: bool = True, cluster: str | None = None, limit: int = ROWS, page: str = ""
) -> Page[Stop]:
    """A page of stops. Raises Wrong, and Missing for a cluster that is none."""
    of = named.cluster(site, cluster)
    found = OrderPages(site.database).stops(limit + 1, behind(page), standing=standing, cluster=of)
    rows, following = cut(found, limit, lambda row: (row.since.isoformat(), row.cluster, row.name))
    return Page(rows=tuple(map(_stop, rows)), next=following)


def one(site: Site, cluster: str, name: str) -> Stop:
    """One stop. Raises Missing."""
    for row in OrderPages(site.database).stops(1, standing=False, cluster=cluster, name=name):
        return _stop(row)
    raise Missing(f"there is no stop {name} in cluster {cluster}; /stops lists them")


def stop(
    site: Site,
    person: Person,
    cluster: str,
    devices: Sequence[str],
    reason: str,
    by: str | None = None,
    wait: float = orders.SECONDS,
) -> Order:
    """Stop these devices, none named: all of the cluster. Raises Wrong, Missing, Refused, ClusterError."""
    who, why = orders.signature(person, by), orders.said(reason)
    orders.require_cluster(site, cluster)
    for device in devices:
        if device not in site.serving[cluster]:
            known = ", ".join(site.serving[cluster]) or "none"
            raise Missing(f"no device {device} serves cluster {cluster}; there are {known}")
    spec = {"by": who, "reason": why, **({"devices": sorted(set(devices))} if devices else {})}
    with site.orders(cluster) as there:
        given = there.stop(spec)
        return orders.told(cluster, orders.awaited(there, given, _STOPPED, wait), who, why)


def stop_device(
    site: Site, person: Person, device: str, reason: str, by: str | None = None, wait: float = orders.SECONDS
) -> Order:
    """Stop one device. A stop of any of its clusters stops it. Raises Wrong, Missing, Refused, ClusterError."""
    *first, last = _clusters(site, device)
    for cluster in first:
        try:
            return stop(site, person, cluster, [device], reason, by, wait)
        except (ClusterError, Refused):
            continue
    return stop(site, person, last, [device], reason, by, wait)


def start_device(
    site: Site, person: Person, device: str, reason: str, by: str | None = None, wait: float = orders.SECONDS
) -> Started:
    """Lift the stops of one device in each cluster. Raises Wrong, Missing, Refused, and ClusterError where no cluster answers."""
    who, why = orders.signature(person, by), orders.said(reason)
    clusters, until = _clusters(site, device), time.monotonic() + wait
    lifted: list[Order] = []
    others: list[str] = []
    silent: dict[str, ClusterError] = {}
    for cluster in clusters:
        try:
            with site.orders(cluster) as there:
                chosen, kept = to_lift(there.stops(), [device])
                others += [one.name for one in kept]
                for given in [there.lift(one, who, why) for one in chosen]:
                    seconds = max(0.0, until - time.monotonic())
                    lifted.append(orders.told(cluster, orders.awaited(there, given, _STARTED, seconds), who, why))
        except ClusterError as error:
            silent[cluster] = error
    if len(silent) == len(clusters):
        raise next(iter(silent.values()))
    problem = "; ".join(map(str, silent.values()))
    return Started(lifted=tuple(lifted), others=tuple(others), unanswered=tuple(silent), problem=problem)


def lift(
    site: Site,
    person: Person,
    cluster: str,
    name: str,
    reason: str,
    by: str | None = None,
    wait: float = orders.SECONDS,
) -> Order:
    """End one stop. Raises Wrong, Missing, Refused for one that is ended already, ClusterError."""
    who, why = orders.signature(person, by), orders.said(reason)
    orders.require_cluster(site, cluster)
    with site.orders(cluster) as there:
        found = next((one for one in there.stops() if one.name == name), None)
        over = found.lifted if found else one(site, cluster, name).ended_at is not None
        if over:
            raise Refused(f"stop {name} is over: what was lifted once stays so")
        given = there.lift(found, who, why) if found else there.lift_unseen(name, who, why)
        return orders.told(cluster, orders.awaited(there, given, _STARTED, wait), who, why)


def _clusters(site: Site, device: str) -> tuple[str, ...]:
    require_device(site, device)
    return tuple(cluster for cluster, devices in site.serving.items() if device in devices)


def _stop(row: StopRow) -> Stop:
    return Stop(
        cluster=row.cluster,
        name=row.name,
        devices=row.devices,
        by=row.by,
        reason=row.reason,
        since=row.since,
        message=row.message,
        lifted_by=row.lifted_by,
        lifted_reason=row.lifted_reason,
        ended_at=row.ended_at,
        obeyed_by=row.obeyed_by,
    )
