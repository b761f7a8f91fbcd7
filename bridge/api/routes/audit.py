"""The record of every change on the devices: its rows, where the chains end, and whether a chain is whole."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import Limit, Place, cut, parts, place
from bridge.api.parameters import Device, OfDevice, Since, moment, words
from bridge.api.problems import Missing, Wrong
from bridge.api.site import Site
from bridge.api.turns import CHAINS
from bridge.report.chains import answer_document, claim, end_document, verified_document
from bridge.state.audit_pages import AuditPages, Sought
from bridge.state.audit_pages import AuditRow as Row
from bridge.state.audit_store import AuditStore
from bridge.state.verification import Answer, Claim

router = APIRouter(tags=["audit"])

ROWS = 50  # of one page, unless told
REPORTS = 10  # kept reports whose heads are looked for, unless told
_HEADS = 10  # to ask about at once
_MOST_NUMBER = 2**63 - 1
_EVERYTHING = Sought()

OfObject = Annotated[str | None, words("Of this object only, by its key.", most=700, alias="object")]
OfOperation = Annotated[str | None, words("Of this operation only: create, update, delete, drift and others.", most=60)]
Refused = Annotated[bool, Query(description="Only what the device refused.")]
Number = Annotated[int, Path(ge=1, le=_MOST_NUMBER, description="The row, by its number in the device's audit.")]
Heads = Annotated[
    list[Annotated[str, Query(max_length=90)]] | None,
    Query(
        alias="head", max_length=_HEADS, description="[NUMBER:]HASH that was written down before: is it in the chain?"
    ),
]
InReports = Annotated[
    int,
    Query(alias="reports", ge=0, le=100, description="So many of the last kept reports have their heads looked for."),
]


class AuditRow(Document, frozen=True):
    """One change on a device, or one that was found there (`drift`). `lag`: seconds since the change in the cluster that it answers.

    Of a row in a page `before` and `after` are told to a certain length; `cut` where they go on.
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
    lag: float | None
    plan_digest: str
    hash: str
    cut: bool


class ChainHead(Document, frozen=True):
    """Where the chain of a device ends: after how many rows, with which hash, written when. Rows up to `checkpoint` were pruned."""

    device: str
    number: int
    hash: str
    at: datetime | None
    checkpoint: int | None


class HeadAnswer(Document, frozen=True):
    """What a chain says to a head that somebody wrote down; `source` is where, `row` the number at which it was met."""

    source: str
    number: int | None
    hash: str
    at: datetime | None
    answer: Answer
    row: int | None


class NumberedHash(Document, frozen=True):
    """The hash of one row."""

    number: int
    hash: str


class Beginning(Document, frozen=True):
    """The last row that was pruned, its hash and its time."""

    number: int
    hash: str
    until: datetime


class ChainProblem(Document, frozen=True):
    """Where a chain is broken, and how."""

    number: int
    what: str


class Verification(Document, frozen=True):
    """What came out for one device. `heads` are those of kept reports, `asked` those of the request.

    `unchained` counts rows from before there was a chain, `moreProblems` those that are not told.
    """

    device: str
    sound: bool
    rows: int
    unchained: int
    head: NumberedHash
    checkpoint: Beginning | None
    problems: tuple[ChainProblem, ...]
    more_problems: int
    heads: tuple[HeadAnswer, ...]
    asked: tuple[HeadAnswer, ...]


@router.get("/audit", responses=answers(Page[AuditRow], 404))
def audit(
    site: Asked,
    _: Viewer,
    device: OfDevice = None,
    of: OfObject = None,
    op: OfOperation = None,
    refused: Refused = False,
    since: Since = None,
    limit: Limit = ROWS,
    page: Place = "",
) -> Json:
    """Rows of all devices or of one, the newest first. A page may have fewer rows than asked for, even none, and a next."""
    wanted = Sought(device, of, op, refused, moment(since, "since", datetime.now(UTC)))
    return Json(rows(site, wanted, limit, page))


@router.get("/audit/heads", responses=answers(Page[ChainHead]))
def audit_heads(site: Asked, _: Viewer, limit: Limit = ROWS, page: Place = "") -> Json:
    """Where the chain of each device ends, by name: what to write down elsewhere, and to ask about later."""
    return Json(heads(site, limit, page))


@router.get("/audit/{device}/verification", responses=answers(Verification, 404))
def audit_verification(
    device: Device, site: Asked, _: Viewer, head: Heads = None, reports: InReports = REPORTS
) -> Json:
    """Go through the whole chain of the device, which takes seconds where it is long; one chain at a time."""
    return Json(verified(site, device, head or (), reports))


@router.get("/audit/{device}/{number}", responses=answers(AuditRow, 404))
def audit_row(device: Device, number: Number, site: Asked, _: Viewer) -> Json:
    """One row, whole."""
    return Json(row(site, device, number))


def rows(site: Site, wanted: Sought = _EVERYTHING, limit: int = ROWS, page: str = "") -> Page[AuditRow]:
    """A page of rows. Raises Wrong, and Missing for a device of which there is no audit."""
    (before,) = parts(page, int) or (None,)
    if wanted.device is not None and wanted.device not in site.devices:
        _require_audit(site, wanted.device)
    found, following = AuditPages(site.database).rows(wanted, None if before is None else int(before), limit)
    return Page(rows=tuple(map(_row, found)), next=None if following is None else place(following))


def row(site: Site, device: str, number: int) -> AuditRow:
    """One row, whole. Raises Missing."""
    found = AuditPages(site.database).row(device, number)
    if found is None:
        raise Missing(f"the audit of {device} has no row {number}, or not any more")
    return _row(found)


def heads(site: Site, limit: int = ROWS, page: str = "") -> Page[ChainHead]:
    """A page of the ends of chains. Raises Wrong."""
    (after,) = parts(page, str) or ("",)
    store = AuditStore(site.database)
    names, following = cut(store.devices(str(after), limit + 1), limit, lambda name: (name,))
    found = tuple(msgspec.convert(end_document(one), ChainHead) for one in store.heads(names))
    return Page(rows=found, next=following)


def verified(site: Site, device: str, heads: Iterable[str] = (), reports: int = REPORTS) -> Verification:
    """What comes out when the chain is gone through, and the heads looked for in it. Raises Missing, Wrong, HTTPException 503."""
    asked = [_claim(text) for text in heads]
    store = AuditStore(site.database)
    _require_audit(site, device)
    with CHAINS.one():
        kept = store.claims(reports).get(device, []) if reports else []
        found = store.verify(device, [*kept, *asked])
    said = [answer_document(one) for one in found.answers if one.claim.asked]
    return msgspec.convert({**verified_document(found), "asked": said}, Verification)


def _require_audit(site: Site, device: str) -> None:
    """Also of a device that is gone there is one."""
    known = AuditStore(site.database).devices()
    if device not in known:
        raise Missing(f"there is no audit of {device}; there is of {', '.join(known) or 'none'}")


def _claim(text: str) -> Claim:
    try:
        return claim(text)
    except ValueError as error:
        raise Wrong("head", str(error)) from None


def _row(one: Row) -> AuditRow:
    return AuditRow(
        device=one.device,
        number=one.number,
        at=one.at,
        object=one.key,
        op=one.op,
        cause=one.cause,
        before=one.before,
        after=one.after,
        outcome=one.outcome,
        lag=one.lag,
        plan_digest=one.plan_digest,
        hash=one.hash,
        cut=one.cut,
    )
