"""`fusion-bridge wait`: in an init container, until the firewalls know the pod. It needs the right to get its own pod, and nothing else."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS, USAGE
from bridge.cli.invocation import invocation

if TYPE_CHECKING:
    from bridge.cluster.client import Connection
    from bridge.cluster.gates import GatedPod

_EVERY = 0.5  # seconds between two looks at the pod
_CALL = 5.0  # seconds for one look

Seconds = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="Wait no longer; the bridge itself lets in after 60."),
]
Then = Annotated[
    bool,
    typer.Option("--start-anyway", help="When the time is over let the application start, in place of exit code 1."),
]
Pod = Annotated[
    str | None,
    typer.Option("--pod", envvar="POD_NAME", help="Whose gate; without it and the variable, the host's name."),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", envvar="POD_NAMESPACE", help="Of the pod; without it and the variable, our own."),
]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="In place of the service account of the pod that this runs in.")
]


def wait(
    context: typer.Context,
    timeout: Seconds = 120.0,
    start_anyway: Then = False,
    pod: Pod = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Wait until the pod that this runs in is known to the firewalls; exit code 1 when the time is over before that."""
    from bridge.cli.assembly import own_namespace
    from bridge.cluster.client import Connection
    from bridge.cluster.settings import ClusterConfig

    output = invocation(context).output
    home, name = namespace or own_namespace(), pod or socket.gethostname()
    if not home:
        raise typer.BadParameter("is needed outside a pod", param_hint="--namespace")
    config = ClusterConfig(
        "this cluster", kubeconfig, in_cluster=kubeconfig is None, connect_timeout=_CALL, read_timeout=_CALL
    )
    connection = Connection(config)
    try:
        found, trouble = _watched(connection, home, name, timeout)
    finally:
        connection.close()
    if found is not None and found.open:
        output.line(f"{home}/{name}: {found.reason}: {found.message}")
        return
    if found is not None and not found.gated:
        output.line(f"{home}/{name} is not gated: annotate the pod with fusionbridge.io/programmed: wanted")
        raise typer.Exit(USAGE)
    output.line(f"{home}/{name}: not in {timeout:g} s: {trouble or _words(found)}")
    if not start_anyway:
        raise typer.Exit(FINDINGS)


def _watched(connection: "Connection", namespace: str, name: str, timeout: float) -> "tuple[GatedPod | None, str]":
    """The pod as it was last seen, and what kept us from seeing it."""
    import threading

    from bridge.clock import SystemClock
    from bridge.cluster.gates import read
    from bridge.errors import ClusterError

    clock, never = SystemClock(), threading.Event()
    end = clock.elapsed() + timeout
    found: GatedPod | None = None
    while True:
        trouble = ""
        try:
            found = read(connection, namespace, name)
        except ClusterError as error:
            trouble = str(error)
        if found is not None and (found.open or not found.gated):
            return found, trouble
        if clock.elapsed() + _EVERY > end:
            return found, trouble
        clock.wait(never, _EVERY)


def _words(found: "GatedPod | None") -> str:
    if found is None or not found.status:
        return "the bridge has said nothing yet"
    return f"{found.reason}: {found.message}"
