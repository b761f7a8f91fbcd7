"""`fusion-bridge db`: the schema of the state."""

import typer

from bridge.cli.invocation import invocation

app = typer.Typer(help="The schema of the state database.", no_args_is_help=True)


@app.command(short_help="Bring the schema to what this program needs.")
def upgrade(context: typer.Context) -> None:
    """Bring the schema to the version that this program needs."""
    from bridge.cli.state import connected

    asked = invocation(context)
    with connected(asked.base, asked.folder(asked.base), make=True) as database:
        applied, current = database.upgrade(), database.current()
    if asked.output.json:
        asked.output.document({"applied": applied, "current": current})
    else:
        done = f"applied {', '.join(applied)}; " if applied else "nothing to do; "
        asked.output.line(f"{done}the schema is at {current}")


@app.command(short_help="Print the schema's version.")
def current(context: typer.Context) -> None:
    """Print the schema's version; exit code 1 when it is not the one that this program needs."""
    from bridge.cli.state import connected

    asked = invocation(context)
    with connected(asked.base, asked.folder(asked.base)) as database:
        found, head = database.current(), database.head()
    if asked.output.json:
        asked.output.document({"current": found, "head": head})
    else:
        asked.output.line(f"the schema is at {found or 'none'}; this version needs {head}")
    if found != head:
        raise typer.Exit(1)
