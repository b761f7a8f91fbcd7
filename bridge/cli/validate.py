"""`fusion-bridge validate`: manifests on disk."""

from typing import Annotated

import typer

from bridge.cli.invocation import invocation


def validate(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH…", help="Files, folders, or - for standard input.", show_default=False)
    ],
) -> None:
    """Check manifests without a cluster; exit code 1 when any of them would be refused."""
    from bridge.dialects.manifests import Severity, check, failed

    output = invocation(context).output
    findings = check(paths)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if output.json:
        rows = [
            {
                "path": one.path,
                "line": one.line,
                "object": one.object,
                "field": one.field,
                "severity": one.severity.value,
                "message": one.message,
            }
            for one in findings
        ]
        output.document({"ok": not errors, "findings": rows})
    else:
        if findings:
            places = [f"{one.path}:{one.line}" if one.line is not None else one.path for one in findings]
            cells = [
                (place, one.severity.value, one.object, one.field, one.message)
                for place, one in zip(places, findings, strict=True)
            ]
            output.table("", ("place", "severity", "object", "field", "message"), cells)
        output.line(f"{errors} errors, {len(findings) - errors} warnings" if findings else "ok")
    if failed(findings):
        raise typer.Exit(1)
