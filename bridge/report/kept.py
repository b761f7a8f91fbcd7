"""Reports that are kept: put away with a number, found again, as they were written or as values."""

from datetime import datetime

import msgspec

from bridge.report.document import report_from, report_text
from bridge.report.model import Report, summary_of
from bridge.state.database import Database
from bridge.state.report_archive import ReportArchive

_BEFORE, _AFTER = b'"number":null', b'"number":%d'  # of a report: null until it is kept, and so it is in what is kept


def keep(report: Report, database: Database, slot: datetime | None = None) -> Report | None:
    """The report with the number under which it is kept; None when its slot has one already."""
    summary = msgspec.json.encode(summary_of(report)).decode()
    archive = ReportArchive(database)
    number = archive.keep(report.at, report_text(report), summary, origin=report.origin.value, slot=slot)
    return None if number is None else msgspec.structs.replace(report, number=number)


def kept_report(number: int, database: Database) -> Report | None:
    """A kept report; None when there is none of that number, or not any more. StateError for one that this version cannot read."""
    body = ReportArchive(database).body(number)
    return None if body is None else msgspec.structs.replace(report_from(body), number=number)


def kept_json(number: int, database: Database) -> bytes | None:
    """A kept report as its JSON, as it was written, whichever version wrote it."""
    body = ReportArchive(database).written(number)
    return None if body is None else body.replace(_BEFORE, _AFTER % number, 1)
