"""Devices: how each stands, how far behind it is and was, and what it holds."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import MOST, Limit, Place, cut, parts
from bridge.api.parameters import Device as DeviceName
from bridge.api.parameters import words
from bridge.api.problems import Missing
from bridge.api.site import Site
from bridge.model.identity import Kind
from bridge.report.about import About, about
from bridge.report.evidence import bucket_width
from bridge.report.naming import title
from bridge.report.overview import DeviceStands, device_stands
from bridge.state.desired import ObjectState
from bridge.state.device_store import DeviceStore, ObjectView

router = APIRouter(tags=["devices"])

Hours = Annotated[int, Query(ge=1, le=168, description="How far back, from now.")]


class Device(DeviceStands, frozen=True):
    """One device, and the clusters that it serves by the settings; none: it is in the settings no more."""

    clusters: tuple[str, ...] = ()


class LagBucket(Document, frozen=True):
    """What was done to a device in a stretch of time that begins at `at`: changes, and objects that somebody else had changed.

    Lag is in seconds from the change in the cluster to the device; null where nothing is known of it.
    """

    at: datetime
    changes: int
    drift: int
    lag_median: float | None
    lag_p99: float | None
    lag_max: float | None


class Lag(Document, frozen=True):
    """Lag now, and over time in stretches of `bucket_seconds` from `since` to `until`; one in which nothing was done is left out.

    Of very many changes only one in `one_in` is looked at: figures are then those of a sample, counts are of the sample too.
    """

    device: str
    lag_seconds: float
    oldest_unapplied: datetime | None
    since: datetime
    until: datetime
    bucket_seconds: float
    one_in: int
    buckets: tuple[LagBucket, ...]


class Object(About, frozen=True, kw_only=True):
    """One object of one device: what is wanted, and how far it got. `title` is how a person calls it.

    `waiting_since` is null when every change of it is applied; `gone`: it is to go. `verified_at` is when the device was last seen to hold
    it, `cause` what its last change came from.
    """

    title: str
    state: ObjectState
    message: str
    gone: bool
    generation: int
    applied_generation: int
    cause: str
    changed_at: datetime
    waiting_since: datetime | None
    verified_at: datetime | None


@router.get("/devices", responses=answers(Page[Device]))
def devices(site: Asked, _: Viewer, limit: Limit = 50, page: Place = "") -> Json:
    """The devices, by name."""
    return Json(listed(site, limit, page))


@router.get("/devices/{name}", responses=answers(Device, 404))
def device(name: DeviceName, site: Asked, _: Viewer) -> Json:
    """One device."""
    return Json(one(site, name))


@router.get("/devices/{name}/lag", responses=answers(Lag, 404))
def device_lag(name: DeviceName, site: Asked, _: Viewer, hours: Hours = 24) -> Json:
    """How far behind the device is, and was."""
    return Json(lag(site, one(site, name), hours))


@router.get("/devices/{name}/objects", responses=answers(Page[Object], 404))
def device_objects(
    name: DeviceName,
    site: Asked,
    _: Viewer,
    state: Annotated[ObjectState | None, Query(description="Those in this state.")] = None,
    kind: Annotated[Kind | None, Query(description="Those of this kind.")] = None,
    q: Annotated[str, words("A part of the key, in capitals or not.")] = "",
    limit: Limit = 50,
    page: Place = "",
) -> Json:
    """What the device is to hold, by key."""
    return Json(objects(site, name, limit, page, state=state, kind=kind, q=q))


def listed(site: Site, limit: int = MOST, page: str = "") -> Page[Device]:
    """Devices by name."""
    now = datetime.now(UTC)
    place = parts(page, str)
    found = DeviceStore(site.database).devices(now, limit + 1, str(place[0]) if place else "")
    rows, following = cut(found, limit, lambda row: (row.name,))
    return Page(rows=tuple(_told(site, device_stands(row, now)) for row in rows), next=following)


def one(site: Site, name: str) -> Device:
    """The device of that name. Raises Missing."""
    now = datetime.now(UTC)
    store = DeviceStore(site.database)
    for row in store.devices(now, 1, name=name):
        return _told(site, device_stands(row, now))
    raise _missing(store, name)


def lag(site: Site, told: Device, hours: int) -> Lag:
    """How far behind the device is, and was in these hours."""
    now = datetime.now(UTC)
    width = bucket_width(timedelta(hours=hours))
    since = datetime.fromtimestamp((now.timestamp() - hours * 3600) // width * width, UTC)
    found = DeviceStore(site.database).lag(told.name, since, timedelta(seconds=width))
    return Lag(
        device=told.name,
        lag_seconds=told.lag_seconds,
        oldest_unapplied=told.oldest_unapplied,
        since=since,
        until=now,
        bucket_seconds=width,
        one_in=found.one_in,
        buckets=tuple(
            LagBucket(
                at=one.at,
                changes=one.changes,
                drift=one.drift,
                lag_median=one.median,
                lag_p99=one.p99,
                lag_max=one.worst,
            )
            for one in found.buckets
        ),
    )


def objects(
    site: Site,
    name: str,
    limit: int = 50,
    page: str = "",
    *,
    state: ObjectState | None = None,
    kind: Kind | None = None,
    q: str = "",
) -> Page[Object]:
    """What the device is to hold, by key. Raises Missing, Wrong."""
    place = parts(page, str)
    store = DeviceStore(site.database)
    if name not in store.names():
        raise _missing(store, name)
    found = store.objects(name, limit + 1, str(place[0]) if place else "", state=state, kind=kind, words=q)
    rows, following = cut(found, limit, lambda row: (str(row.key),))
    return Page(rows=tuple(_object(row) for row in rows), next=following)


def _missing(store: DeviceStore, name: str) -> Missing:
    return Missing(f"there is no device {name}; there are {', '.join(store.names()) or 'none'}")


def _told(site: Site, found: DeviceStands) -> Device:
    clusters = tuple(cluster for cluster, devices in site.serving.items() if found.name in devices)
    return Device(**msgspec.structs.asdict(found), clusters=clusters)


def _object(one: ObjectView) -> Object:
    return Object(
        *about(one.key),
        title=title(one.key),
        state=one.state,
        message=one.message,
        gone=one.gone,
        generation=one.generation,
        applied_generation=one.applied_generation,
        cause=one.cause,
        changed_at=one.changed_at,
        waiting_since=one.waiting_since,
        verified_at=one.verified_at,
    )
