"""`fusion-bridge report`: every device, read live, against what it should hold; and the reports that were kept."""

import contextlib
import io
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import Invocation, invocation
from bridge.cli.output import complain
from bridge.errors import BridgeError, SettingsError

if TYPE_CHECKING:
    from bridge.cli.fresh import Fresh
    from bridge.report.difference import Difference
    from bridge.report.model import Report
    from bridge.state.database import Database

_MADE = " "  # the command that is meant when none is named; nothing that anybody types


class Rendering(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


class Reports(TyperGroup):
    """`report` by itself, with the names of devices or options after it, makes one; `report list` and the like are commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (the library's own, and not public)
        """Take the first word for a command only when it is one; after `--` it never is."""
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else [_MADE, *args])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """In its help, the command without a name has none."""
        name, command, rest = super().resolve_command(ctx, args)
        return (name or "").strip(), command, rest


app = typer.Typer(cls=Reports, rich_markup_mode=None)

Devices = Annotated[list[str] | None, typer.Argument(metavar="[DEVICE]…", help="Which devices; all unless told.")]
How = Annotated[Rendering | None, typer.Option("--format", help="How to write it; as --output unless told.")]


def _in_a_folder(file: Path | None) -> Path | None:
    """Found wrong before any device is asked or anything is kept."""
    if file is not None and not file.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.parent}")
    return file


Out = Annotated[
    Path | None, typer.Option("--out", help="Write it to this file.", dir_okay=False, callback=_in_a_folder)
]
Objects = Annotated[
    bool, typer.Option("--objects", help="In text, with every object, equal ones too, and the rules in order.")
]
Members = Annotated[
    bool, typer.Option("--members", help="In text, with every member too; in JSON, with plain lists of all items.")
]


@app.command(_MADE, hidden=True)
def report(
    context: typer.Context,
    devices: Devices = None,
    objects: Objects = False,
    members: Members = False,
    rendering: How = None,
    out: Out = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it in the state, with a number.")] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Have the running bridge read what differs now, and tell what it found changed."),
    ] = False,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option("--diff", metavar="A B", help="Compare two: numbers of kept ones, last, previous, or now."),
    ] = None,
) -> None:
    """Compare what devices hold with what they should; exit code 1 when something differs, else 3 when something is held.

    Also: `report list`, `report show N`, `report schema`. A device that bears such a name is given after `--`.
    """
    from bridge.cli import reporting
    from bridge.cli.state import opened
    from bridge.report.kept import keep as put_away

    asked, names = invocation(context), devices or []
    readings: list[Fresh] = []
    if diff is not None:
        _compare(asked, names, diff, rendering)
        return
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        found = reporting.made(asked.settings, names, database, fresh=partial(_read_now, readings) if fresh else None)
        if keep:
            found = put_away(found, database) or found
    _tell(asked, found, rendering, out, objects=objects, members=members)
    if not found.in_step or any(one.drift for one in readings):
        raise typer.Exit(FINDINGS)
    if found.held:
        raise typer.Exit(HELD)


def _read_now(readings: "list[Fresh]", database: "Database", devices: tuple[str, ...]) -> list[str]:
    """Have these devices read, put down what came of it, and say which were not; returns those that were."""
    from bridge.cli.fresh import read_now

    readings += read_now(database, devices)
    for one in readings:
        if one.why:
            complain(f"{one.device}: {one.why}")
    return [one.device for one in readings if one.read]


@app.command("list")
def listed(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 20,
) -> None:
    """The reports that are kept, the newest first."""
    from bridge.cli.state import opened
    from bridge.report.document import kept_document
    from bridge.report.text import kept_sheet
    from bridge.state.report_archive import ReportArchive

    asked = invocation(context)
    with opened(asked.base, asked.folder(asked.base)) as database:
        kept = ReportArchive(database).kept(limit)
    if asked.output.json:
        asked.output.document({"reports": [kept_document(one) for one in kept]})
    else:
        sheet = kept_sheet(kept)
        asked.output.table(sheet.title, sheet.columns, sheet.rows)


@app.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="Its number, as `report list` has it.")],
    objects: Objects = False,
    members: Members = False,
    rendering: How = None,
    out: Out = None,
) -> None:
    """A report as it was kept; no device is asked."""
    from bridge.cli import reporting
    from bridge.cli.state import opened

    asked = invocation(context)
    with opened(asked.base, asked.folder(asked.base)) as database:
        found = reporting.recall(number, database)
    _tell(asked, found, rendering, out, objects=objects, members=members)


@app.command()
def schema(context: typer.Context) -> None:
    """Print a JSON schema of reports in JSON."""
    from bridge.report.document import report_schema

    invocation(context).output.document(report_schema())


def _compare(asked: Invocation, names: list[str], sides: tuple[str, str], rendering: Rendering | None) -> None:
    """Two reports side by side; exit code 1 when they differ."""
    from bridge.cli.state import opened
    from bridge.report.difference import difference

    if rendering in (Rendering.CSV, Rendering.HTML):
        raise SettingsError({"--format": "a comparison is written as text or json"}, "the command line")
    with opened(asked.base, asked.folder(asked.base)) as database:
        before, after = (_side(asked, names, word, database) for word in sides)
    found = difference(before, after)
    _tell_difference(asked, found, rendering)
    if not found.equal:
        raise typer.Exit(FINDINGS)


def _side(asked: Invocation, names: list[str], word: str, database: "Database") -> "Report":
    """The report that a word names: its number, `last`, `previous`, or one made `now`."""
    from bridge.cli import reporting
    from bridge.report.model import of_devices
    from bridge.state.report_archive import ReportArchive

    if word == "now":
        return reporting.made(asked.settings, names, database)
    number = word
    if word in ("last", "previous"):
        kept = ReportArchive(database).kept(2)
        which = 0 if word == "last" else 1
        if len(kept) <= which:
            raise SettingsError({"--diff": f"there is no {word} report: {len(kept)} kept"}, "the command line")
        number = str(kept[which].number)
    if not number.isdecimal():
        raise SettingsError({"--diff": f"{word} is no number, nor last, previous or now"}, "the command line")
    found = reporting.recall(int(number), database)
    return of_devices(found, names) if names else found


def _tell(
    asked: Invocation, found: "Report", rendering: Rendering | None, out: Path | None, *, objects: bool, members: bool
) -> None:
    rendering = rendering or Rendering(asked.output.format.value)
    if out is None:
        _write(asked, found, rendering, objects=objects, members=members)
        return
    written = io.StringIO(newline="")
    with contextlib.redirect_stdout(written):
        _write(asked, found, rendering, objects=objects, members=members)
    put(out, written.getvalue())
    if not asked.output.json:
        from bridge.report.words import report_line

        asked.output.line(f"report: {out}")
        asked.output.line(report_line(found))


def _write(asked: Invocation, found: "Report", rendering: Rendering, *, objects: bool, members: bool) -> None:
    match rendering:
        case Rendering.JSON:
            from bridge.report.document import report_document

            asked.output.document(report_document(found, members=members))
        case Rendering.CSV:
            from bridge.report.rows import csv_text

            sys.stdout.write(csv_text(found))
        case Rendering.HTML:
            from bridge.report.page import page

            sys.stdout.write(page(found))
        case Rendering.TEXT:
            _write_text(asked, found, objects=objects, members=members)


def _write_text(asked: Invocation, found: "Report", *, objects: bool, members: bool) -> None:
    from bridge.report.text import report_sheets
    from bridge.report.words import clock, report_line

    for sheet in report_sheets(found, objects=objects, members=members):
        asked.output.table(sheet.title, sheet.columns, sheet.rows)
    if found.number is not None:
        asked.output.line(f"kept as report {found.number}, {found.origin}, as of {clock(found.at)}")
    asked.output.line(report_line(found))


def _tell_difference(asked: Invocation, found: "Difference", rendering: Rendering | None) -> None:
    from bridge.report.document import difference_document
    from bridge.report.text import difference_line, difference_sheets

    if (rendering or Rendering(asked.output.format.value)) is Rendering.JSON:
        asked.output.document(difference_document(found))
        return
    for sheet in difference_sheets(found):
        asked.output.table(sheet.title, sheet.columns, sheet.rows)
    asked.output.line(difference_line(found))


def put(file: Path, text: str) -> None:
    """Write a whole file. BridgeError when that cannot be."""
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise BridgeError(f"{file}: {error.strerror}") from None
