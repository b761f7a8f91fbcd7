"""`fusion-bridge confirm`: a person says that a device or a cluster which is another one now is the right one."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.deciding import By, Reason
from bridge.cli.invocation import Invocation, invocation
from bridge.errors import Refused, SettingsError

if TYPE_CHECKING:
    from bridge.state.recognition import Decision

app = typer.Typer(rich_markup_mode=None, help="That another device or cluster is the right one.", no_args_is_help=True)


@app.command(short_help="The device that answers now is the right one.")
def device(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A device of the settings.", show_default=False)],
    by: By,
    reason: Reason,
    also: Annotated[
        bool, typer.Option("--also", help="Beside the one that it was: two units of a pair behind one address.")
    ] = False,
) -> None:
    """Record the serial of the device as it answers now: what was known of the one before is forgotten, and it is filled anew."""
    from bridge.cli.deciding import decided, seen
    from bridge.cli.state import opened
    from bridge.state.recognition import Recognitions

    asked, decision = invocation(context), decided(by, reason)
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        store = Recognitions(database)
        found, known = seen(asked.settings, name).snapshot.identity, store.of(name)
        if known.knows(found):
            raise Refused(f"device {name} is {found or 'without a serial'}, as recorded: there is nothing to confirm")
        store.confirm_device(name, found, decision, also=also)
    before = " + ".join(sorted(known.identities))
    if asked.output.json:
        told = {"device": name, "before": before, "now": found, "also": also}
        asked.output.document(told | {"by": decision.by, "reason": decision.reason})
    else:
        asked.output.line(
            f"{name}: {f'{before}, and also {found}' if also else f'{found}, and no longer {before}'}, {decision}"
        )


@app.command(short_help="The cluster that answers now is the right one.")
def cluster(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A cluster of the settings.", show_default=False)],
    by: By,
    reason: Reason,
    policy: Annotated[
        bool, typer.Option("--policy", help="Not that: the policy that is missing from its lists now was deleted.")
    ] = False,
) -> None:
    """Record the identity of the cluster as it answers now: what was recorded of the one before and is missing now, is inferred to be
    gone, under the guard. With --policy, let exactly those policy objects go that stay in force now though its lists do not show them.
    """
    from contextlib import closing

    from bridge.cli.assembly import cluster_config
    from bridge.cli.deciding import decided
    from bridge.cli.state import opened
    from bridge.clock import SystemClock
    from bridge.cluster.client import Connection
    from bridge.state.intake_store import IntakeStore
    from bridge.state.recognition import Recognitions

    asked, decision = invocation(context), decided(by, reason)
    known = {one.name: one for one in asked.settings.clusters}
    if name not in known:
        raise SettingsError({name: f"no such cluster; there are {', '.join(known)}"}, "the command line")
    if policy:
        _let_go(asked, name, decision)
        return
    with closing(Connection(cluster_config(known[name]), SystemClock())) as connection:
        found = connection.identity()
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        before = IntakeStore(database).identity(name)
        if before in ("", found):
            raise Refused(
                f"cluster {name} is {found}, {'as' if before else 'not yet'} recorded: there is nothing to confirm"
            )
        devices = Recognitions(database).confirm_cluster(name, found, decision)
    if asked.output.json:
        told = {"cluster": name, "before": before, "now": found, "devices": list(devices)}
        asked.output.document(told | {"by": decision.by, "reason": decision.reason})
    else:
        asked.output.line(f"{name}: {found}, and no longer {before}, {decision}")


def _let_go(asked: Invocation, name: str, decision: "Decision") -> None:
    from bridge.cli.state import opened
    from bridge.state.recognition import Recognitions

    with opened(asked.settings, asked.folder(asked.settings)) as database:
        refs, devices = Recognitions(database).confirm_policy(name, decision)
    if not refs:
        raise Refused(f"no policy of cluster {name} is doubted: there is nothing to confirm")
    if asked.output.json:
        told = {"cluster": name, "deleted": [str(ref) for ref in refs], "devices": list(devices)}
        asked.output.document(told | {"by": decision.by, "reason": decision.reason})
    else:
        asked.output.line(f"{name}: {', '.join(map(str, refs))} were deleted, {decision}")
