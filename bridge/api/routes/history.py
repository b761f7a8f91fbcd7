"""What became of a group, a rule, a device, a pod or an address over time, the newest first."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, answers
from bridge.api.paging import Limit, Place
from bridge.api.parameters import OfCluster, Several, Since, moment, words
from bridge.api.problems import Missing, Wrong
from bridge.api.routes.who import Holding, InGroup, recorded
from bridge.api.site import Site
from bridge.report.subject import FORMS, Subject, subjects
from bridge.report.told import Past, Told
from bridge.state import history_store

router = APIRouter(tags=["history"])

ROWS = 50  # of one page, unless told
TEXT = 4_000  # characters of what a change says that was before or after; the whole row is in the audit

Words = Annotated[
    str,
    words(
        "An address; a group by key or name in a console; [pod/]NAMESPACE/NAME; uid/UID; [rule/]NAMESPACE/NAME; [device/]NAME.",
        most=600,
    ),
]


class LeaseRow(Holding, frozen=True, tag="lease", tag_field="row"):
    """Somebody held an address, and the groups that it was in meanwhile (of an address; of a pod they are left out)."""

    groups: tuple[InGroup, ...] = ()


class MemberRow(Document, frozen=True, tag="member", tag_field="row"):
    """An address joined a group, and perhaps left it (`inferred`: it was found gone). `holders` are whom it stood for; `more`: not all."""

    object: str
    address: str
    joined: datetime
    left: datetime | None
    inferred: bool
    holders: tuple[Holding, ...]
    more: bool


class ChangeRow(Document, frozen=True, tag="change", tag_field="row"):
    """Something was done on a device: row `number` of its audit. `lines` are a rule's own, with + and -.

    `before` and `after` end with … where `cut`; the row of the audit has them whole.
    """

    device: str
    number: int
    at: datetime
    object: str
    op: str
    cause: str
    before: str
    after: str
    outcome: str
    plan_digest: str
    lines: tuple[str, ...] = ()
    cut: bool = False


class History(Document, frozen=True):
    """A page of the history of `subject`, in words that mean just that, the newest first. `notes` say how it stands now."""

    subject: str
    title: str
    rows: tuple[LeaseRow | MemberRow | ChangeRow, ...]
    notes: tuple[str, ...]
    next: str | None = None


@router.get("/history", responses=answers(History, 404))
def history(
    site: Asked,
    _: Viewer,
    subject: Words,
    since: Since = None,
    cluster: OfCluster = None,
    limit: Limit = ROWS,
    page: Place = "",
) -> Json:
    """A page about one thing. A page may have fewer rows than asked for, even none, and a next."""
    return Json(told(site, subject, since, cluster, limit, page))


def told(
    site: Site, subject: str, since: str | None = None, cluster: str | None = None, limit: int = ROWS, page: str = ""
) -> History:
    """The same as a value. Raises Wrong (Several where the words can mean several things), Missing where nothing is recorded."""
    try:
        wanted = subjects(subject)
    except ValueError as error:
        raise Wrong("subject", str(error)) from None
    from_then = moment(since, "since", datetime.now(UTC))
    store = history_store.HistoryStore(site.database)
    past = Past(store, tuple(one.cluster for one in recorded(store, cluster)), cluster)
    chosen = _one(subject, past.recorded(wanted))
    try:
        found = past.told(chosen, history_store.Asked(limit, page, from_then))
    except ValueError:
        raise Wrong("page", f"{page!r} is no place: `next` of the page before is") from None
    if from_then is None and not page and not found.known:
        raise Missing(f"nothing is recorded of {subject}")
    return _history(found)


def _one(words: str, candidates: list[Subject]) -> Subject:
    if not candidates:
        raise Missing(f"nothing is recorded of {words}; {FORMS}")
    if len(candidates) > 1:
        choices = [str(one) for one in candidates]
        raise Several("subject", f"{words} can mean several things; say which: {', '.join(choices)}", choices)
    return candidates[0]


def _history(found: Told) -> History:
    rows = tuple(_row(one) for one in found.timeline.document)
    return History(
        subject=found.subject,
        title=found.timeline.title,
        rows=rows,
        notes=found.timeline.notes,
        next=found.next or None,
    )


def _row(document: Mapping[str, Any]) -> LeaseRow | MemberRow | ChangeRow:
    """A row as `history` prints it; what it is shows in its names."""
    if "op" in document:
        return _clipped(msgspec.convert({**document, "row": "change"}, ChangeRow))
    if "holders" in document:
        return msgspec.convert({**document, "row": "member"}, MemberRow)
    return msgspec.convert({**document, "row": "lease"}, LeaseRow)


def _clipped(row: ChangeRow) -> ChangeRow:
    texts = {"before": clip(row.before), "after": clip(row.after)}
    lines = tuple(clip(one) for one in row.lines)
    cut = texts != {"before": row.before, "after": row.after} or lines != row.lines
    return msgspec.structs.replace(row, **texts, lines=lines, cut=cut) if cut else row


def clip(text: str) -> str:
    """The beginning of a long text, with a sign that there is more."""
    return text if len(text) <= TEXT else f"{text[:TEXT]} …"
