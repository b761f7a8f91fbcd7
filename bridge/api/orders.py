"""Orders that somebody gives over the API: signed with a name and a reason, and waited for until the bridge says what became of them."""

import threading
from collections.abc import Iterable
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.access import Person
from bridge.api.documents import Document, Json
from bridge.api.problems import Missing, Wrong
from bridge.api.site import Site
from bridge.cluster.orders import Given, Orders
from bridge.model.decisions import Settled
from bridge.model.kinds import KINDS

SECONDS = 10  # that the bridge's word is waited for, unless told
_WAITING = threading.BoundedSemaphore(
    8
)  # how many wait at a time; whoever comes then is not kept waiting, and nobody else by him
_SAYS_SOMETHING = r"^[^\x00]*[^\s\x00][^\x00]*$"

Wait = Annotated[int, Query(ge=0, le=30, description="Seconds to wait for the bridge's word on it.")]


class Signed(BaseModel):
    """Who orders it and why, as the audit and the cluster have it. `by` is left out where the API knows who asks."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=1024, pattern=_SAYS_SOMETHING, description="Why, for whoever reads the audit.")
    by: str | None = Field(
        None, max_length=512, pattern=_SAYS_SOMETHING, description="Who says so, where nobody is asked to log in."
    )


class Order(Document, frozen=True):
    """An order as it stands in the cluster. `state` is Waiting while the bridge has said nothing of it; `message` is its words."""

    kind: str
    cluster: str
    name: str
    by: str
    reason: str
    state: str
    message: str
    devices: tuple[str, ...] = ()


def signature(person: Person, by: str | None) -> str:
    """The name that the order bears. Raises Wrong where none is known, or another than that of whoever asks is given."""
    said = (by or "").strip()
    if person.name and said not in ("", person.name):
        raise Wrong("by", f"it is {person.name} who asks: leave it out")
    if not (person.name or said):
        raise Wrong("by", "nobody is asked to log in here: say who you are")
    if not said.isprintable():
        raise Wrong("by", "a name is one line of printable characters")
    return person.name or said


def said(reason: str) -> str:
    """Why somebody orders it. Raises Wrong for nothing but blanks, and for what no text of the state may have."""
    if not reason.strip() or "\0" in reason:
        raise Wrong("reason", "must say something")
    return reason.strip()


def require_cluster(site: Site, cluster: str) -> None:
    """Raises Missing for a cluster that the settings do not have."""
    if cluster not in site.serving:
        raise Missing(f"there is no cluster {cluster}; there are {', '.join(site.serving) or 'none'}")


def awaited(orders: Orders, given: Given, states: Iterable[str], seconds: float) -> Given:
    """The order once the bridge says one of these states of it, or as it stands after so many seconds."""
    if not seconds or not _WAITING.acquire(blocking=False):
        return given
    try:
        return orders.settled(given, states, seconds)
    finally:
        _WAITING.release()


def told(cluster: str, given: Given, by: str, reason: str) -> Order:
    """The order as it is answered."""
    kind = KINDS[given.resource].name
    words = given.message or (
        "" if given.state else "the bridge has not said what became of it; it will once it has heard it"
    )
    state = given.state or str(Settled.WAITING)
    return Order(
        kind=kind,
        cluster=cluster,
        name=given.name,
        by=by,
        reason=reason,
        state=state,
        message=words,
        devices=given.devices,
    )


def answer(order: Order, waiting: Iterable[str]) -> Json:
    """200, or 202 while it is in one of these states."""
    return Json(order, 202 if order.state in waiting else 200)
