"""`fusion-bridge report`: every device, read live, against what it should hold."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import Invocation, invocation

if TYPE_CHECKING:
    from bridge.cli.comparison import Comparison
    from bridge.report.model import DeviceReport, Report
    from bridge.state.report_store import ReportStore

Devices = Annotated[list[str] | None, typer.Argument(metavar="[DEVICE]…", help="Which devices; all unless told.")]


def report(
    context: typer.Context,
    devices: Devices = None,
    objects: Annotated[bool, typer.Option("--objects", help="List every object, equal ones too.")] = False,
    members: Annotated[bool, typer.Option("--members", help="In JSON, with all items of every object.")] = False,
) -> None:
    """Compare what devices hold with what they should; exit code 1 when something differs, else 3 when something is held."""
    from bridge.report.document import report_document
    from bridge.report.text import report_line, report_sheets

    asked = invocation(context)
    found = made(asked, devices or [])
    if asked.output.json:
        asked.output.document(report_document(found, members=members))
    else:
        for sheet in report_sheets(found, objects=objects):
            asked.output.table(sheet.title, sheet.columns, sheet.rows)
        asked.output.line(report_line(found))
    if not found.in_step:
        raise typer.Exit(FINDINGS)
    if found.held:
        raise typer.Exit(HELD)


def made(asked: Invocation, devices: list[str]) -> "Report":
    """The report of these devices, or of all."""
    from bridge.cli.comparison import compare_all
    from bridge.cli.state import opened
    from bridge.report.model import Report
    from bridge.state.report_store import ReportStore

    with opened(asked.settings, asked.folder(asked.settings)) as database:
        store = ReportStore(database)
        found = tuple(device_report(one, store) for one in compare_all(asked.settings, devices, database))
    return Report(datetime.now(UTC), found)


def device_report(compared: "Comparison", store: "ReportStore") -> "DeviceReport":
    """What is to be said of one device."""
    from bridge.report import build
    from bridge.report.model import DeviceReport

    if compared.snapshot is None or compared.plan is None:
        return DeviceReport(compared.device, compared.kind, error=compared.error)
    held = store.held(compared.device)
    return build.device_report(compared.kind, compared.snapshot, compared.plan, compared.standings, held)
