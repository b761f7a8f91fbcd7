"""`fusion-bridge plan`: what delivery would do to each device now."""

from typing import Annotated

import typer

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import invocation
from bridge.cli.output import complain


def plan(
    context: typer.Context,
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE]…", help="Which devices; all unless told.")
    ] = None,
) -> None:
    """Print the ordered changes for each device and change nothing; exit code 1 when there are any, else 3 when some are held."""
    from bridge.cli.comparison import compare_all
    from bridge.cli.state import opened
    from bridge.report.document import plan_document
    from bridge.report.text import plan_sheets

    asked = invocation(context)
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        compared = list(compare_all(asked.settings, devices or [], database))
    plans = [(one.kind, one.plan) for one in compared if one.plan is not None]
    failed = {one.device: one.error for one in compared if one.plan is None}
    if asked.output.json:
        documents = [plan_document(kind, made) for kind, made in plans]
        asked.output.document({"devices": documents, "errors": failed})
    else:
        for _, made in plans:
            for sheet in plan_sheets(made):
                asked.output.table(sheet.title, sheet.columns, sheet.rows)
        for name, words in failed.items():
            complain(f"fusion-bridge: {name}: {words}")
    if failed or any(not made.empty for _, made in plans):
        raise typer.Exit(FINDINGS)
    if any(made.held for _, made in plans):
        raise typer.Exit(HELD)
