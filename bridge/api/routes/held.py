"""What waits for a person on the devices: lists of held steps, what is in one of them, and whom it is about."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import Limit, Place, behind, cut, parts
from bridge.api.parameters import Device, OfCluster, OfDevice, words
from bridge.api.parameters import named as part_of_path
from bridge.api.problems import Missing
from bridge.api.site import Site
from bridge.state import held_pages
from bridge.state.held_pages import HeldPages

router = APIRouter(tags=["held"])

ROWS = 50  # of one page, unless told


class Wanted(StrEnum):
    """Which lists: those that wait for a person; all that are not done with; all."""

    WAITING = "waiting"
    OPEN = "open"
    ALL = "all"


class HoldCause(StrEnum):
    """What holds: the guard, until a person decides; a freeze, until its end, or until a person releases."""

    GUARD = "guard"
    FREEZE = "freeze"


_OPEN = ("held", "superseded", "released", "rejected")
_STATES = {Wanted.WAITING: ("held",), Wanted.OPEN: _OPEN, Wanted.ALL: (*_OPEN, "done")}

Digest = Annotated[str, part_of_path("Of the list, as lists of them have it.", most=64)]
States = Annotated[Wanted, Query(description="Which lists.")]
Cause = Annotated[HoldCause | None, Query(description="Only what holds for this cause.")]


class HeldList(Document, frozen=True):
    """A list of held steps. `by` and `reason` are of whoever decided, `message` says how it ended; `whys` are some of the steps' reasons.

    `waits`: for a person. What a freeze keeps from a device waits for its end, though a person may release it.
    """

    device: str
    digest: str
    cluster: str
    kind: str
    state: str
    waits: bool
    since: datetime
    changed_at: datetime | None
    by: str
    reason: str
    message: str
    steps: int
    members: int
    whys: tuple[str, ...]


class WaitingStep(Document, frozen=True):
    """One step: what would happen to which object (its key), to how many members, and why it waits."""

    object: str
    kind: str
    reason: str
    members: int


class WaitingMember(Document, frozen=True):
    """One member of one step. Of an address, whoever holds it or, up to `until`, was the last to; "" where nobody is known."""

    object: str
    kind: str
    member: str
    namespace: str
    pod: str
    owner: str
    until: datetime | None


@router.get("/held", responses=answers(Page[HeldList], 404))
def held(
    site: Asked,
    _: Viewer,
    state: States = Wanted.OPEN,
    device: OfDevice = None,
    cluster: OfCluster = None,
    kind: Cause = None,
    limit: Limit = ROWS,
    page: Place = "",
) -> Json:
    """Lists of held steps, the newest first."""
    return Json(lists(site, state, device, cluster, kind, limit, page))


@router.get("/held/{device}/{digest}", responses=answers(HeldList, 404))
def held_list(device: Device, digest: Digest, site: Asked, _: Viewer) -> Json:
    """One list; what is in it is told by its steps and members."""
    return Json(one(site, device, digest))


@router.get("/held/{device}/{digest}/steps", responses=answers(Page[WaitingStep], 404))
def held_steps(device: Device, digest: Digest, site: Asked, _: Viewer, limit: Limit = ROWS, page: Place = "") -> Json:
    """The steps of one list."""
    return Json(steps(site, device, digest, limit, page))


@router.get("/held/{device}/{digest}/members", responses=answers(Page[WaitingMember], 404))
def held_members(
    device: Device,
    digest: Digest,
    site: Asked,
    _: Viewer,
    of: Annotated[str | None, words("Of this object only, by its key.", most=700, alias="object")] = None,
    limit: Limit = ROWS,
    page: Place = "",
) -> Json:
    """The members that the steps of one list are about, and whom they stand for."""
    return Json(members(site, device, digest, of, limit, page))


def lists(
    site: Site,
    state: Wanted = Wanted.OPEN,
    device: str | None = None,
    cluster: str | None = None,
    kind: HoldCause | None = None,
    limit: int = ROWS,
    page: str = "",
) -> Page[HeldList]:
    """A page of lists. Raises Wrong, and Missing for a device or a cluster that is none."""
    after = behind(page)
    sought = held_pages.Sought(_STATES[state], named.device(site, device), named.cluster(site, cluster), kind)
    found = HeldPages(site.database).lists(sought, after, limit)
    rows, following = cut(found, limit, lambda row: (row.since.isoformat(), row.device, row.digest))
    return Page(rows=tuple(map(_held, rows)), next=following)


def one(site: Site, device: str, digest: str) -> HeldList:
    """One list. Raises Missing."""
    return _held(_found(site, device, digest))


def steps(site: Site, device: str, digest: str, limit: int = ROWS, page: str = "") -> Page[WaitingStep]:
    """A page of its steps. Raises Missing, Wrong."""
    _found(site, device, digest)
    (after,) = parts(page, int) or (0,)
    found = HeldPages(site.database).steps(device, digest, int(after), limit)
    rows, following = cut(found, limit, lambda row: (row.place,))
    told = tuple(WaitingStep(object=row.key, kind=row.kind, reason=row.reason, members=row.members) for row in rows)
    return Page(rows=told, next=following)


def members(
    site: Site, device: str, digest: str, of: str | None = None, limit: int = ROWS, page: str = ""
) -> Page[WaitingMember]:
    """A page of the members of its steps, or of those about one object. Raises Missing, Wrong."""
    whole = _found(site, device, digest)
    step, member = parts(page, int, int) or (0, 0)
    after = int(step), int(member)
    found = HeldPages(site.database).members(device, digest, whole.cluster, of, after, limit)
    rows, following = cut(found, limit, lambda row: (row.step, row.place))
    return Page(rows=tuple(map(_member, rows)), next=following)


def _found(site: Site, device: str, digest: str) -> held_pages.HeldList:
    found = HeldPages(site.database).one(device, digest)
    if found is None:
        raise Missing(f"nothing is or was held on {device} as {digest}; /held lists what is")
    return found


def _held(row: held_pages.HeldList) -> HeldList:
    return HeldList(
        device=row.device,
        digest=row.digest,
        cluster=row.cluster,
        kind=row.kind,
        state=row.state,
        waits=row.state == "held" and row.kind == HoldCause.GUARD,
        since=row.since,
        changed_at=row.changed_at,
        by=row.by,
        reason=row.reason,
        message=row.message,
        steps=row.steps,
        members=row.members,
        whys=row.whys,
    )


def _member(row: held_pages.HeldMember) -> WaitingMember:
    return WaitingMember(
        object=row.key,
        kind=row.kind,
        member=row.member,
        namespace=row.namespace,
        pod=row.pod,
        owner=row.owner,
        until=row.until,
    )
