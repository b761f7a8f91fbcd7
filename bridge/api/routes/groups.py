"""Groups of workloads: how each device holds them, who is in them and whom those stand for, now and at any moment that is recorded."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import Limit, Place, cut, parts
from bridge.api.parameters import OfCluster, OfNamespace, moment, words
from bridge.api.parameters import named as part_of_path
from bridge.api.problems import Missing, Wrong
from bridge.api.site import Site
from bridge.model.addresses import canonical_member
from bridge.model.identity import Kind, ObjectKey
from bridge.report.about import About, about
from bridge.report.naming import scope_word, title
from bridge.report.times import FORMS, time_text
from bridge.state.desired import ObjectState
from bridge.state.group_store import GroupStore, GroupView, MembersView, OnDevice

router = APIRouter(tags=["groups"])

_SLASH = "~"  # of a key in an address: what stands before it is cluster, scope and namespace, none of which holds one
_LONGEST = 800
GroupId = Annotated[str, part_of_path("`id` of a group: its key, with ~ in place of /.", most=_LONGEST)]


class GroupOnDevice(Document, frozen=True):
    """A group as an object of one device; `object` is its key there, which differs where the device sees workloads in another way.

    `waiting_since` is null when every change of it is applied; `verified_at` is when the device was last seen to hold it.
    """

    device: str
    object: str
    state: ObjectState
    message: str
    waiting_since: datetime | None
    verified_at: datetime | None


class Group(About, frozen=True, kw_only=True):
    """A group of workloads. `title` is how a person calls it, `stands_for` what kind of thing it stands for; `id` is for addresses.

    `gone`: it is no more, and its past is still told.
    """

    id: str
    title: str
    stands_for: str
    members: int
    devices: tuple[GroupOnDevice, ...]
    gone: bool = False


class Member(Document, frozen=True):
    """A member since then, and the pod that holds the address; for a prefix, or an address that nobody is known to hold, no pod.

    `workload` owns the pod. Where devices see workloads by their nodes, members are addresses of a `node`, and no pod is named.
    `inferred`, of the past: that it left was found later, and nobody saw it going.
    """

    address: str
    since: datetime
    inferred: bool
    namespace: str
    pod: str
    workload: str
    node: str


class Members(Page[Member], frozen=True, kw_only=True):
    """Members by address, as of `at`. `note` says what is not known of that time; "" for nothing."""

    at: datetime
    note: str = ""


At = Annotated[str, words(f"At a past moment: {FORMS}; now unless told.", most=60)]


@router.get("/groups", responses=answers(Page[Group], 404))
def groups(
    site: Asked,
    _: Viewer,
    cluster: OfCluster = None,
    namespace: OfNamespace = None,
    q: Annotated[str, words("A part of the key, in capitals or not.")] = "",
    limit: Limit = 50,
    page: Place = "",
) -> Json:
    """Groups by cluster and key; `q` is a part of the key."""
    return Json(listed(site, limit, page, cluster=named.cluster(site, cluster) or "", namespace=namespace or "", q=q))


@router.get("/groups/{group_id}", responses=answers(Group, 404))
def group(group_id: GroupId, site: Asked, _: Viewer) -> Json:
    """One group."""
    return Json(one(site, group_id))


@router.get("/groups/{group_id}/members", responses=answers(Members, 404))
def group_members(group_id: GroupId, site: Asked, _: Viewer, at: At = "", limit: Limit = 100, page: Place = "") -> Json:
    """Who is in the group, or was."""
    return Json(members(site, group_id, limit, page, at=at))


def listed(
    site: Site, limit: int = 50, page: str = "", *, cluster: str = "", namespace: str = "", q: str = ""
) -> Page[Group]:
    """Groups by cluster and key. Raises Wrong."""
    place = parts(page, str, str)
    after = (str(place[0]), str(place[1])) if place else ("", "")
    store = GroupStore(site.database)
    found = store.groups(limit + 1, after, cluster=cluster or None, namespace=namespace or None, words=q)
    rows, following = cut(found, limit, lambda row: (row.key.cluster, str(row.key)))
    return Page(rows=tuple(_told(row) for row in rows), next=following)


def one(site: Site, group_id: str) -> Group:
    """The group of that id. Raises Missing."""
    found = GroupStore(site.database).group(_key(group_id))
    if found is None:
        raise _missing(group_id)
    return _told(found)


def members(site: Site, group_id: str, limit: int = 100, page: str = "", *, at: str = "") -> Members:
    """Who is in the group, or was. Raises Missing, and Wrong for a time of which nothing is known."""
    place, now = parts(page, str), datetime.now(UTC)
    then, after = moment(at, "at", now), _address(str(place[0])) if place else ""
    found = GroupStore(site.database).members(_key(group_id), limit + 1, after, then)
    if found is None:
        raise _missing(group_id)
    note = _note(found, then) if then is not None else ""
    rows, following = cut(found.members, limit, lambda row: (row.address,))
    told = tuple(
        Member(
            address=row.address,
            since=row.since,
            inferred=row.inferred,
            namespace=row.namespace,
            pod=row.pod,
            workload=row.workload,
            node=row.node,
        )
        for row in rows
    )
    return Members(rows=told, next=following, at=then or now, note=note)


def id_of(key: ObjectKey) -> str:
    """What a group is called in addresses."""
    return str(key).partition(":")[2].replace("/", _SLASH, 3)


def _key(group_id: str) -> ObjectKey:
    """The key of the group of that id. Raises Missing."""
    try:
        return ObjectKey.parse(f"{Kind.GROUP}:{group_id.replace(_SLASH, '/', 3)}")
    except ValueError:
        raise _missing(group_id) from None


def _missing(group_id: str) -> Missing:
    return Missing(f"there is no group {group_id}: the list of groups names them, and its rows have their ids")


def _address(text: str) -> str:
    """An address, or prefix, at which a page ended. Raises Wrong."""
    try:
        if "-" not in text:
            return canonical_member(text)
    except ValueError:
        pass
    raise Wrong("page", "it is no place in this list: take `next` of the page before")


def _note(found: MembersView, at: datetime) -> str:
    """What is not known of a past moment. Raises Wrong where nothing is."""
    if found.kept_from is None or at < found.kept_from:
        since = f"begins at {time_text(found.kept_from)}" if found.kept_from else "has not begun"
        raise Wrong("at", f"the record of the cluster {since}")
    if found.outage is None:
        return ""
    t1, t2 = (time_text(one) for one in found.outage)
    return f"the cluster was not watched from {t1} to {t2}: who came and went in between was not seen"


def _told(one: GroupView) -> Group:
    return Group(
        *about(one.key),
        id=id_of(one.key),
        title=title(one.key),
        stands_for=scope_word(one.key.scope),
        members=one.members,
        devices=tuple(_on_device(each) for each in one.devices),
        gone=one.gone,
    )


def _on_device(one: OnDevice) -> GroupOnDevice:
    return GroupOnDevice(
        device=one.device,
        object=str(one.key),
        state=one.state,
        message=one.message,
        waiting_since=one.waiting_since,
        verified_at=one.verified_at,
    )
