"""The program `fusion-bridge`: its commands, its global options, and what becomes of errors.

Exit codes: 0 fine, 1 findings or differences, 2 usage or settings, 3 held or refused. Commands import what they need when they run, so
that the program starts at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bridge.cli import (
    adopt,
    audit,
    config,
    confirm,
    db,
    decide,
    demo,
    devices,
    fence,
    gate,
    held,
    history,
    importing,
    lab,
    plan,
    report,
    run,
    serve,
    snapshot,
    status,
    stopping,
    trace,
    validate,
    wait,
    who,
)
from bridge.cli.errors import exit_code, explain
from bridge.cli.invocation import Invocation, LogLevel, invocation
from bridge.cli.output import Format
from bridge.errors import BridgeError

_GLOBAL = ("--config", "--data-dir", "--output", "--log-level")


class Root(TyperGroup):
    """The top of the program. Its options may stand before or after the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (the library's own, and not public)
        """Take the global options from wherever they stand."""
        return super().parse_args(ctx, hoisted(args))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run the command; an error of ours becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            asked = ctx.find_object(Invocation) or Invocation()
            explain(error, asked)
            raise typer.Exit(exit_code(error)) from None
        except BrokenPipeError:
            _hush()
            raise typer.Exit(0) from None


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options first; everything after `--` stays where it is."""
    first: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            rest += ["--", *waiting]
            break
        name, equals, _ = argument.partition("=")
        if name not in _GLOBAL:
            rest.append(argument)
            continue
        first.append(argument)
        if not equals and waiting:
            first.append(waiting.pop(0))
    return first + rest


app = typer.Typer(
    cls=Root,
    name="fusion-bridge",
    help="Keeps firewalls outside a Kubernetes cluster in step with the identities inside it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def options(
    context: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="The settings file; else FUSION_BRIDGE_CONFIG, ./bridge.yaml, /etc/fusion-bridge/bridge.yaml.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where the embedded Postgres keeps its data.")
    ] = None,
    output: Annotated[Format, typer.Option("--output", help="How to answer.")] = Format.TEXT,
    log_level: Annotated[
        LogLevel | None, typer.Option("--log-level", help="In place of the settings' log.level.")
    ] = None,
) -> None:
    """Options that hold for every command; they may stand after it too."""
    context.obj = Invocation(config_file, data_dir, output, log_level.value if log_level else None)


@app.command()
def version(context: typer.Context) -> None:
    """Print the version."""
    from bridge import __version__

    output = invocation(context).output
    if output.json:
        output.document({"version": __version__})
    else:
        output.line(f"fusion-bridge {__version__}")


app.command(short_help="Keep the devices in step with the clusters.")(run.run)
app.command(short_help="Serve the HTTP API and the console.")(serve.serve)
app.command(short_help="Print what would be done to each device, now or by manifests.")(plan.plan)
app.command(short_help="Write down a cluster, to plan against elsewhere.")(snapshot.snapshot)
app.command(short_help="Show how far everything has got.")(status.status)
app.add_typer(report.app, name="report", short_help="Compare what devices hold with what they should.")
app.command(short_help="Show what waits for a person, and the stops in force.")(held.held)
app.command(short_help="Let held steps be done.")(decide.release)
app.command(short_help="Leave held steps undone for good.")(decide.reject)
app.command(short_help="Write nothing more to devices.")(stopping.stop)
app.command(short_help="Write to devices again.")(stopping.start)
app.command(short_help="Say what becomes of a packet, why, and whether the devices do so.")(trace.trace)
app.command(short_help="Say who held an address, now or at a time.")(who.who)
app.command(short_help="Show what became of a group, rule, device, pod or address.")(history.history)
app.command(short_help="Show what each kind of device can, and whether yours are fit.")(devices.devices)
app.command(short_help="Check manifests without a cluster.")(validate.validate)
app.add_typer(importing.app, name="import", short_help="Write policy of another program anew in our own kinds.")
app.add_typer(gate.app, name="gate", short_help="Pods that wait for the firewalls, and to let them through.")
app.command(short_help="In an init container: wait until the firewalls know the pod.")(wait.wait)
app.add_typer(audit.app, name="audit", short_help="Whether the record of every change is whole.")
app.add_typer(fence.app, name="fence", short_help="Whose each device is, and what a person decides about that.")
app.add_typer(confirm.app, name="confirm", short_help="That another device or cluster is the right one.")
app.command(short_help="Take objects under our names that lost our mark for ours.")(adopt.adopt)
app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")
app.add_typer(lab.app, name="lab", short_help="Simulated clusters and devices.")
app.command(short_help="Prove the main job on simulated parties.")(demo.demo)


def main() -> None:
    """The console script."""
    app()


def _hush() -> None:
    """Whoever read our answer has gone: the interpreter must not complain about it at its end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
