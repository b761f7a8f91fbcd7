"""The clusters that are watched."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, answers
from bridge.api.parameters import named
from bridge.api.problems import Missing
from bridge.api.site import Site
from bridge.report.words import doubted_line
from bridge.state.report_store import ReportStore
from bridge.state.reported import ClusterStanding

router = APIRouter(tags=["clusters"])

Name = Annotated[str, named("The cluster, by its name.")]


class Cluster(Document, frozen=True):
    """One cluster. `problem` says why nothing is taken from it, or not all that its lists say; "" when all is well."""

    name: str
    identity: str
    revision: int
    changed_at: datetime | None
    synced: tuple[str, ...]
    problem: str
    doubted: int
    devices: tuple[str, ...]


class Clusters(Document, frozen=True):
    """Every cluster, by name."""

    clusters: tuple[Cluster, ...]


@router.get("/clusters", responses=answers(Clusters))
def clusters(site: Asked, _: Viewer) -> Json:
    """Every cluster, and how far it was read."""
    return Json(Clusters(clusters=every(site)))


@router.get("/clusters/{name}", responses=answers(Cluster, 404))
def cluster(name: Name, site: Asked, _: Viewer) -> Json:
    """One cluster."""
    found = every(site)
    for one in found:
        if one.name == name:
            return Json(one)
    raise Missing(f"there is no cluster {name}; there are {', '.join(one.name for one in found) or 'none'}")


def every(site: Site) -> tuple[Cluster, ...]:
    """Every cluster, by name."""
    return tuple(_told(one, site) for one in ReportStore(site.database).clusters())


def _told(one: ClusterStanding, site: Site) -> Cluster:
    doubted = doubted_line(one.name, one.doubted) if one.doubted else ""
    return Cluster(
        name=one.name,
        identity=one.uid,
        revision=one.revision,
        changed_at=one.changed_at,
        synced=tuple(sorted(one.synced)),
        problem="; ".join(filter(None, [one.problem, doubted])),
        doubted=one.doubted,
        devices=tuple(site.serving.get(one.name, ())),
    )
