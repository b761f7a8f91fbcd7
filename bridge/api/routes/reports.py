"""Reconciliation reports: those that are kept, what differs between two, and one made now."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response, StreamingResponse

from bridge.api.access import Forbidden, Operator, Person, Role, Viewer
from bridge.api.asked import Asked
from bridge.api.comparisons import Compared, Comparisons
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import Limit, Place, cut, parts, place
from bridge.api.parameters import MOST_OF_NAME, TEXT, words
from bridge.api.problems import Missing, Wrong
from bridge.api.routes.history import clip
from bridge.api.routes.plan import require_device
from bridge.api.site import Site
from bridge.api.turns import LIVE, WHOLE
from bridge.report.difference import DeviceDifference, Difference, Side, difference
from bridge.report.document import kept_document
from bridge.report.kept import kept_json, kept_report
from bridge.report.model import Origin, Report, summary_of
from bridge.report.page import page as html_page
from bridge.report.rows import csv_text
from bridge.state.report_archive import ReportArchive

router = APIRouter(tags=["reports"])

ROWS = 50  # of one page, unless told
_MOST_NUMBER = 2**63 - 1
_MOST_DEVICES = 500
_PIECE = 1 << 18  # bytes
# A report is a page by itself, with its own style sheet in it; whatever else it might hold does nothing.
_ALONE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


class Rendering(StrEnum):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


_TYPES = {Rendering.JSON: "application/json", Rendering.CSV: "text/csv", Rendering.HTML: "text/html"}

Number = Annotated[int, Path(ge=1, le=_MOST_NUMBER, description="The report, by its number.")]
How = Annotated[Rendering, Query(alias="format", description="How to write it.")]
Which = Annotated[str, words("A kept report's number, last, previous, or now, for which devices are read.", most=20)]
OfOrigin = Annotated[Origin | None, Query(description="Only those that were made so.")]


class KeptReport(Document, frozen=True):
    """A kept report in numbers. `audit` is the last row of each device's audit then; `slot` the time of a schedule it was made for."""

    number: int
    origin: Origin
    at: datetime
    slot: datetime | None
    in_step: bool
    attached: bool
    devices: tuple[str, ...]
    audit: dict[str, int]
    groups: int
    members: int
    rules: int
    missing: int
    extra: int
    held: int
    quarantined: int
    drift: int


class Differs(StrEnum):
    """In what two reports differ: an object or an item came to be on a device or went, lines are asked in another order, a word changed."""

    OBJECT_CAME = "object came"
    OBJECT_WENT = "object went"
    ITEM_CAME = "item came"
    ITEM_WENT = "item went"
    ORDER = "order"
    STATE = "state"


class DifferenceRow(Document, frozen=True):
    """One difference on one device. `what` is an object's key, or what stands otherwise; `item` of an object came or went.

    `before` and `after` are words for a state, or the names of a list's lines in their order, one a line.
    """

    device: str
    differs: Differs
    what: str
    item: str = ""
    stands_for: str = ""
    before: str = ""
    after: str = ""


class Differences(Document, frozen=True):
    """A page of what is otherwise in `after`; `count` says how much there is in all."""

    before: Side
    after: Side
    equal: bool
    count: int
    rows: tuple[DifferenceRow, ...]
    next: str | None = None


class NewReport(BaseModel):
    """Which devices a report is made of; all unless told."""

    model_config = ConfigDict(extra="forbid")

    devices: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=MOST_OF_NAME, pattern=TEXT)]],
        Field(max_length=_MOST_DEVICES),
    ] = []


def _written() -> dict[int | str, dict[str, Any]]:
    found = answers(Report, 404, description="The report, as it was kept.")
    texts = {kind: {"schema": {"type": "string"}} for kind in (_TYPES[Rendering.CSV], _TYPES[Rendering.HTML])}
    found[200]["content"].update(texts)
    return found


@router.get("/reports", responses=answers(Page[KeptReport]))
def reports(site: Asked, _: Viewer, origin: OfOrigin = None, limit: Limit = ROWS, page: Place = "") -> Json:
    """The reports that are kept, the newest first."""
    return Json(kept(site, origin, limit, page))


@router.post(
    "/reports", status_code=201, responses=answers(KeptReport, 404, 502, status=201, description="Made and kept.")
)
def new_report(site: Asked, _: Operator, asked: Annotated[NewReport, Body()]) -> Json:
    """Read these devices now, compare them with what they should hold, and keep the report. Nothing is written to a device."""
    return Json(made(site, asked.devices), HTTPStatus.CREATED)


@router.get("/reports/difference", responses=answers(Differences, 404, 502))
def reports_difference(
    site: Asked,
    person: Viewer,
    known: Compared,
    before: Which = "previous",
    after: Which = "last",
    limit: Limit = ROWS,
    page: Place = "",
) -> Json:
    """What is otherwise in one report than in another. `now` takes an operator."""
    return Json(listed(whole(site, person, known, before, after), limit, page))


@router.get("/reports/{number}", responses=_written(), response_class=Response)
def report(number: Number, site: Asked, _: Viewer, rendering: How = Rendering.JSON) -> Response:
    """One report; as a page it needs nothing besides itself."""
    body = written(site, number, rendering)
    headers = {
        "Content-Length": str(len(body)),
        "Content-Disposition": f'inline; filename="report-{number}.{rendering}"',
        "Content-Security-Policy": _ALONE,
    }
    return StreamingResponse(_pieces(body), media_type=_TYPES[rendering], headers=headers)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """As fast as they are taken: a report can be tens of MB, and is not to lie in the server's buffers besides."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def kept(site: Site, origin: Origin | None = None, limit: int = ROWS, page: str = "") -> Page[KeptReport]:
    """A page of reports in numbers. Raises Wrong."""
    (before,) = parts(page, int) or (None,)
    found = ReportArchive(site.database).kept(limit + 1, None if before is None else int(before), origin)
    rows, following = cut(found, limit, lambda row: (row.number,))
    return Page(rows=tuple(msgspec.convert(kept_document(one), KeptReport) for one in rows), next=following)


def made(site: Site, names: list[str]) -> KeptReport:
    """A report of these devices, or of all, made now and kept. Raises Missing, what adapters raise, HTTPException 503."""
    for name in names:
        require_device(site, name)
    with LIVE.one():
        found = site.reported(names)
    summary = msgspec.to_builtins(summary_of(found))
    return msgspec.convert(
        {"number": found.number, "origin": found.origin, "at": found.at, "slot": None, **summary}, KeptReport
    )


def written(site: Site, number: int, rendering: Rendering = Rendering.JSON) -> bytes:
    """One report. Raises Missing, and HTTPException 503 when too many are being written."""
    with WHOLE.one():
        if rendering is Rendering.JSON:
            body = kept_json(number, site.database)
            if body is None:
                raise _missing(number)
            return body
        found = _kept(site, number)
        return (csv_text(found) if rendering is Rendering.CSV else html_page(found)).encode()


def whole(site: Site, person: Person, known: Comparisons, before: str = "previous", after: str = "last") -> Difference:
    """All that is otherwise. Raises Missing, Wrong, Forbidden, what adapters raise, HTTPException 503."""
    ours, theirs = _sides(site, before, after)
    if ours is None or theirs is None:
        return _read(site, person, ours, theirs)
    return known.of((ours, theirs), lambda: _compared(site, ours, theirs))


def soon(
    site: Site, person: Person, known: Comparisons, seconds: float, before: str = "previous", after: str = "last"
) -> Difference | None:
    """The same; None where two kept reports are not compared within so many seconds. Ask again: it goes on meanwhile."""
    ours, theirs = _sides(site, before, after)
    if ours is None or theirs is None:
        return _read(site, person, ours, theirs)
    return known.within(seconds, (ours, theirs), lambda: _compared(site, ours, theirs))


def listed(found: Difference, limit: int = ROWS, page: str = "") -> Differences:
    """A page of what is otherwise. Raises Wrong."""
    (start,) = parts(page, int) or (0,)
    rows = [row for device in found.by_device for row in _rows(device)]
    shown = tuple(islice(rows, int(start), int(start) + limit))
    end = int(start) + limit
    return Differences(
        before=found.before,
        after=found.after,
        equal=found.equal,
        count=len(rows),
        rows=shown,
        next=place(end) if end < len(rows) else None,
    )


def _sides(site: Site, before: str, after: str) -> tuple[int | None, int | None]:
    """The numbers of two kept reports; None for `now`."""
    return _number(site, before, "before"), _number(site, after, "after")


def _compared(site: Site, before: int, after: int) -> Difference:
    return difference(_kept(site, before), _kept(site, after))


def _read(site: Site, person: Person, before: int | None, after: int | None) -> Difference:
    """At least one of them is made of the devices as they are now."""
    with WHOLE.one():
        return difference(_side(site, person, before), _side(site, person, after))


def _number(site: Site, word: str, parameter: str) -> int | None:
    """The number of the kept report that is meant; None for `now`."""
    if word == "now":
        return None
    if word in ("last", "previous"):
        found = ReportArchive(site.database).kept(2)
        which = 0 if word == "last" else 1
        if len(found) <= which:
            raise Missing(f"there is no {word} report: {len(found)} kept")
        return found[which].number
    if not (word.isascii() and word.isdecimal() and 0 < int(word) < _MOST_NUMBER):
        raise Wrong(parameter, f"{word} is no number, nor last, previous or now")
    if int(word) not in {one.number for one in ReportArchive(site.database).kept(1, int(word) + 1)}:
        raise _missing(int(word))
    return int(word)


def _side(site: Site, person: Person, number: int | None) -> Report:
    if number is not None:
        return _kept(site, number)
    if person.role < Role.OPERATOR:
        raise Forbidden(f"to read devices takes the role operator; {person.name} has {person.role.name.lower()}")
    with LIVE.one():
        return site.read(())


def _kept(site: Site, number: int) -> Report:
    found = kept_report(number, site.database)
    if found is None:
        raise _missing(number)
    return found


def _missing(number: int) -> Missing:
    return Missing(f"no report {number} is kept, or not any more; /reports lists those that are")


def _rows(device: DeviceDifference) -> Iterator[DifferenceRow]:
    name = device.device
    for state in device.states:
        yield DifferenceRow(device=name, differs=Differs.STATE, what=state.what, before=state.before, after=state.after)
    yield from (DifferenceRow(device=name, differs=Differs.OBJECT_CAME, what=one) for one in device.came)
    yield from (DifferenceRow(device=name, differs=Differs.OBJECT_WENT, what=one) for one in device.went)
    for one in device.items:
        for differs, items in ((Differs.ITEM_CAME, one.came), (Differs.ITEM_WENT, one.went)):
            for item in items:
                yield DifferenceRow(
                    device=name, differs=differs, what=one.object, item=item.item, stands_for=item.stands_for
                )
    for order in device.order:
        before, after = clip("\n".join(order.before)), clip("\n".join(order.after))
        yield DifferenceRow(device=name, differs=Differs.ORDER, what=order.object, before=before, after=after)
