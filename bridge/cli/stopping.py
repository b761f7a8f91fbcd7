"""`fusion-bridge stop` and `start`: whether anything is written to devices."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli import person
from bridge.cli.errors import HELD
from bridge.cli.invocation import invocation
from bridge.cli.output import Output

if TYPE_CHECKING:
    from bridge.cluster.orders import Given

Devices = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DEVICE]…", help="Which devices; every one that serves the cluster unless told."),
]
Name = Annotated[str | None, typer.Option("--stop", metavar="NAME", help="The Stop to lift, by its name.")]
_WAIT = 30.0


def stop(
    context: typer.Context,
    reason: person.Reason,
    devices: Devices = None,
    by: person.By = None,
    cluster: person.Cluster = None,
    kubeconfig: person.Kubeconfig = None,
    kube_context: person.Context = None,
    wait: person.Wait = _WAIT,
) -> None:
    """Write nothing more to devices until `start`; exit code 3 while some device has not heard it.

    They are read, compared and reported all the same. It writes a Stop into the cluster with your credentials there, and waits until each
    device obeys: a call that is under way then still ends.
    """
    asked = invocation(context)
    with person.orders(asked, cluster, kubeconfig, kube_context) as orders:
        spec = {"devices": devices} if devices else {}
        who = {"by": person.said("by", by) if by else orders.whoami(), "reason": person.said("reason", reason)}
        found = orders.settled(orders.stop({**spec, **who}), ("Stopped", "NotHere"), wait)
    _tell(asked.output, [found], "Stopped")


def start(
    context: typer.Context,
    reason: person.Reason,
    devices: Devices = None,
    name: Name = None,
    by: person.By = None,
    cluster: person.Cluster = None,
    kubeconfig: person.Kubeconfig = None,
    kube_context: person.Context = None,
    wait: person.Wait = _WAIT,
) -> None:
    """Lift the stops that are in force: of these devices, or all of the cluster; exit code 3 while some device is still stopped.

    With --stop it lifts that one alone, even where its object is no longer in the cluster.
    """
    asked = invocation(context)
    with person.orders(asked, cluster, kubeconfig, kube_context) as orders:
        chosen, others = _chosen(orders.stops(), devices or (), name)
        said = person.said("reason", reason)
        who = (person.said("by", by) if by else orders.whoami()) if chosen or name else ""
        lifted = [orders.lift(one, who, said) for one in chosen]
        if name and not chosen:
            lifted = [orders.lift_unseen(name, who, said)]
        found = [orders.settled(one, ("Started", "NotHere"), wait) for one in lifted]
    _tell(
        asked.output,
        found,
        "Started",
        [f"{one.name} is about other devices too: lift it by --stop {one.name}" for one in others],
    )


def _chosen(stops: "Sequence[Given]", devices: Sequence[str], name: str | None) -> "tuple[list[Given], list[Given]]":
    """The stops to lift, and those that stop one of the devices and others too."""
    from bridge.cluster.orders import to_lift

    if name is None:
        return to_lift(stops, devices)
    return [one for one in stops if one.name == name and not one.lifted], []


def _tell(output: Output, found: "Sequence[Given]", wanted: str, others: Sequence[str] = ()) -> None:
    if output.json:
        stops = [
            {"name": one.name, "devices": list(one.devices), "state": one.state, "message": one.message}
            for one in found
        ]
        output.document({"stops": stops, "others": list(others)})
    else:
        for one in found:
            output.line(f"{one.name}: {one.state or 'not heard yet'}" + (f": {one.message}" if one.message else ""))
        for words in others:
            output.line(words)
        if not found and not others:
            output.line("nothing is stopped")
    if others or any(one.state != wanted for one in found):
        raise typer.Exit(HELD)
