"""`fusion-bridge plan`: what delivery would do to each device now, or what manifests would change."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import Invocation, invocation
from bridge.cli.output import Output, complain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.report.text import Sheet


def plan(
    context: typer.Context,
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE]…", help="Which devices; all unless told.")
    ] = None,
    manifests: Annotated[
        list[Path] | None,
        typer.Option("--manifests", metavar="DIR", help="Plan for these manifests in place of now.", exists=True),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="CLUSTER|SNAPSHOT", help="A cluster of the settings, or a snapshot's file."),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="What the manifests do not hold goes: of their kinds, in their namespaces."),
    ] = False,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="With --manifests: the rules that count then.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print a JSON schema of the answer, and no more.")] = False,
) -> None:
    """Print the ordered changes for each device, and who gains or loses what; change nothing.

    Exit code 1 when there are any changes, else 3 when some are held. With --manifests no device is asked.
    """
    asked = invocation(context)
    if schema:
        from bridge.report.planned import plan_schema

        asked.output.document(plan_schema())
        return
    if (manifests is None) != (against is None):
        raise typer.BadParameter("--manifests and --against go together")
    if manifests is None or against is None:
        if prune or at:
            raise typer.BadParameter("--prune and --at go with --manifests")
        _live(asked, devices or [])
    else:
        if devices:
            raise typer.BadParameter("with --manifests, every device of the cluster is planned for")
        from bridge.cli.manifest_plan import plan_manifests

        plan_manifests(asked, manifests, against, at, prune=prune)


def _live(asked: Invocation, names: "Sequence[str]") -> None:
    from bridge.cli.comparison import compare_all
    from bridge.cli.consequence import consequence
    from bridge.cli.state import opened
    from bridge.report.planned import device_sheets, document, planned_device

    with opened(asked.settings, asked.folder(asked.settings)) as database:
        compared = list(compare_all(asked.settings, names, database))
        plans = [
            (one.plan, planned_device(one.kind, one.plan, consequence(asked.settings, one, database)))
            for one in compared
            if one.plan is not None
        ]
    failed = {one.device: one.error for one in compared if one.plan is None}
    if asked.output.json:
        asked.output.document({"devices": [document(found) for _, found in plans], "errors": failed})
    else:
        for made, found in plans:
            show(asked.output, device_sheets(made, found))
        for name, words in failed.items():
            complain(f"fusion-bridge: {name}: {words}")
    if failed or any(not made.empty for made, _ in plans):
        raise typer.Exit(FINDINGS)
    if any(made.held for made, _ in plans):
        raise typer.Exit(HELD)


def show(output: Output, sheets: "Iterable[Sheet]") -> None:
    """Print tables, and lines where a sheet has no columns."""
    for sheet in sheets:
        if sheet.columns:
            output.table(sheet.title, sheet.columns, sheet.rows)
            continue
        output.line(sheet.title)
        for row in sheet.rows:
            output.line(f"  {row[0]}")
        output.line()
