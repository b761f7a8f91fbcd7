"""`fusion-bridge db`: the schema of the state."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.invocation import invocation

if TYPE_CHECKING:
    from bridge.state.schema import Upgraded

app = typer.Typer(help="The schema of the state database.", no_args_is_help=True)


@app.command(short_help="Bring the schema to what this program needs.")
def upgrade(
    context: typer.Context,
    pre: Annotated[
        bool, typer.Option("--pre", help="Only what this version needs; programs of the version before run on.")
    ] = False,
    post: Annotated[bool, typer.Option("--post", help="All of it; refused while a replica is too old for it.")] = False,
) -> None:
    """Bring the schema to what this version needs, and further as far as every replica that runs can follow.

    Exit code 3, naming the replicas, when what is asked for would break one that runs.
    """
    from bridge.cli.state import connected
    from bridge.state.schema import Stage

    if pre and post:
        raise typer.BadParameter("--pre or --post, or neither")
    asked = invocation(context)
    stage = Stage.PRE if pre else Stage.POST if post else None
    with connected(asked.base, asked.folder(asked.base), make=True) as database:
        done, current = database.upgrade(stage), database.current()
    if asked.output.json:
        told: dict[str, Any] = {"applied": list(done.applied), "current": current, "waiting": list(done.waiting)}
        asked.output.document(told | {"heldUpBy": list(done.held_up_by)})
    else:
        applied = f"applied {', '.join(done.applied)}; " if done.applied else "nothing to do; "
        asked.output.line(f"{applied}the schema is at {current}{_left(done)}")


@app.command(short_help="Print the schema's version.")
def current(context: typer.Context) -> None:
    """Print the schema's version, and what is not applied; exit code 1 when this program cannot run on it."""
    from bridge.cli.state import connected
    from bridge.errors import SchemaOutdated

    asked, problem = invocation(context), ""
    with connected(asked.base, asked.folder(asked.base)) as database:
        found, head, waiting = database.current(), database.head(), database.waiting()
        try:
            database.require_current()
        except SchemaOutdated as error:
            problem = str(error)
    stages = {stage: [one.name for one in waiting if one.stage == stage] for stage in ("pre", "post")}
    if asked.output.json:
        asked.output.document({"current": found, "head": head, "waiting": stages, "problem": problem})
    else:
        asked.output.line(f"the schema is at {found or 'none'}; this version knows {head}")
        for stage, names in stages.items():
            if names:
                asked.output.line(f"not applied, {stage}: {', '.join(names)}")
        if problem:
            asked.output.line(problem)
    if problem:
        raise typer.Exit(1)


def _left(done: "Upgraded") -> str:
    """What was not applied, and for whose sake."""
    if not done.waiting:
        return ""
    why = f" for {', '.join(done.held_up_by)}" if done.held_up_by else ": `db upgrade` once every replica is new"
    return f"; {', '.join(done.waiting)} waits{why}"
