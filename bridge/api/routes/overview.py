"""The whole installation at a glance."""

from datetime import UTC, datetime

from fastapi import APIRouter

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, answers
from bridge.api.paging import MOST
from bridge.api.routes import clusters, devices
from bridge.api.site import Site
from bridge.state.report_store import ReportStore
from bridge.state.schema import ALIVE_SECONDS

router = APIRouter(tags=["overview"])


class Replica(Document, frozen=True):
    """A replica of the controller that was heard of in the last minute, and the clusters and devices that it acts for."""

    name: str
    version: str
    started_at: datetime
    seen_at: datetime
    clusters: tuple[str, ...]
    devices: tuple[str, ...]


class Overview(Document, frozen=True):
    """Everything in few figures. `running`: a controller is there and acts, so what is told here moves. Devices beyond 500 are left out."""

    at: datetime
    running: bool
    in_step: bool
    held: int
    clusters: tuple[clusters.Cluster, ...]
    devices: tuple[devices.Device, ...]
    replicas: tuple[Replica, ...]


@router.get("/overview", responses=answers(Overview))
def overview(site: Asked, _: Viewer) -> Json:
    """Clusters, devices and the replicas of the controller."""
    return Json(everything(site))


def everything(site: Site) -> Overview:
    """How everything stands now."""
    now = datetime.now(UTC)
    listed = devices.listed(site, MOST).rows
    replicas = tuple(
        Replica(
            name=one.holder,
            version=one.version,
            started_at=one.started_at,
            seen_at=one.seen_at,
            clusters=one.clusters,
            devices=one.devices,
        )
        for one in ReportStore(site.database).replicas()
    )
    return Overview(
        at=now,
        running=any((now - one.seen_at).total_seconds() < ALIVE_SECONDS for one in replicas),
        in_step=all(one.in_step for one in listed),
        held=sum(one.held for one in listed),
        clusters=clusters.every(site),
        devices=listed,
        replicas=replicas,
    )
