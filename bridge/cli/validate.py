"""`fusion-bridge validate`: manifests on disk."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import invocation
from bridge.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.dialects.manifests import Finding


class Form(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"


def validate(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH…", help="Files, folders, or - for standard input.", show_default=False)
    ],
    form: Annotated[
        Form | None, typer.Option("--format", help="How to write it; text unless told, or as --output says.")
    ] = None,
    dialects: Annotated[
        list[str] | None, typer.Option("--dialect", help="Check this dialect too, such as ces; may be repeated.")
    ] = None,
    home: Annotated[
        str, typer.Option("--controller-namespace", help="Of ces: where cluster rules find external services.")
    ] = "kube-system",
) -> None:
    """Check manifests without a cluster; exit code 1 when any of them would be refused."""
    from bridge import __version__
    from bridge.cli import findings
    from bridge.dialects.dialect import NATIVE, load
    from bridge.dialects.manifests import check, failed

    output = invocation(context).output
    found = check(paths, dialects=load((NATIVE, *(dialects or ())), {"ces": {"controllerNamespace": home}}))
    match form or (Form.JSON if output.json else Form.TEXT):
        case Form.TEXT:
            _show(output, found)
        case Form.JSON:
            output.document(findings.document(found))
        case Form.JUNIT:
            print(findings.junit(found))
        case Form.SARIF:
            output.document(findings.sarif(found, __version__))
    if failed(found):
        raise typer.Exit(FINDINGS)


def _show(output: Output, found: "Sequence[Finding]") -> None:
    from bridge.dialects.manifests import Severity

    errors = sum(one.severity is Severity.ERROR for one in found)
    if found:
        places = [f"{one.path}:{one.line}" if one.line is not None else one.path for one in found]
        cells = [
            (place, one.severity.value, one.object, one.field, one.message)
            for place, one in zip(places, found, strict=True)
        ]
        output.table("", ("place", "severity", "object", "field", "message"), cells)
    output.line(f"{errors} errors, {len(found) - errors} warnings" if found else "ok")
