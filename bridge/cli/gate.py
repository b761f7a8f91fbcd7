"""`fusion-bridge gate`: whose gate is open, and to open gates by hand. Both need Kubernetes alone: no settings, no database, no bridge."""

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.cluster.client import Connection
    from bridge.cluster.gates import GatedPod

app = typer.Typer(
    help="Pods that wait until the firewalls know them: readiness gate fusionbridge.io/programmed.",
    no_args_is_help=True,
)

Namespace = Annotated[str | None, typer.Option("--namespace", help="Of this namespace only; else of all.")]
Kubeconfig = Annotated[Path | None, typer.Option("--kubeconfig", help="Without it, kubectl's own default applies.")]
Context = Annotated[
    str | None, typer.Option("--context", help="A context of the kubeconfig; without it, its current one.")
]
InCluster = Annotated[bool, typer.Option("--in-cluster", help="As the service account of the pod that this runs in.")]


@app.command("list", short_help="Show which gated pods wait, and why.")
def list_(
    context: typer.Context,
    namespace: Namespace = None,
    every: Annotated[bool, typer.Option("--all", help="Those too whose gate is open.")] = False,
    kubeconfig: Kubeconfig = None,
    kube_context: Context = None,
    in_cluster: InCluster = False,
) -> None:
    """Print the gated pods that wait, as Kubernetes knows them; exit code 1 when there are some."""
    from bridge.cluster.gates import every as gated

    output = invocation(context).output
    with _connected(kubeconfig, kube_context, in_cluster=in_cluster) as connection:
        found = [pod for pod in gated(connection, namespace or "") if pod.waits or (every and not pod.ended)]
    if output.json:
        output.document([_document(pod) for pod in found])
    elif found:
        output.table("", ("namespace", "pod", "open", "since", "reason", "message"), map(_row, found))
    else:
        output.line("nobody waits")
    if any(pod.waits for pod in found):
        raise typer.Exit(FINDINGS)


@app.command("open", short_help="Let gated pods through without the firewalls.")
def open_(
    context: typer.Context,
    by: Annotated[str, typer.Option("--by", help="Who decides that.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    namespace: Namespace = None,
    pod: Annotated[list[str] | None, typer.Option("--pod", help="This pod only; may be repeated.")] = None,
    kubeconfig: Kubeconfig = None,
    kube_context: Context = None,
    in_cluster: InCluster = False,
) -> None:
    """Open the gates of pods that wait, now; it opens no firewall. Who and why stand on each pod and in an Event."""
    from bridge.cluster.answers import RequestRefused
    from bridge.cluster.gates import every, open_by_hand

    output = invocation(context).output
    for name, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise typer.BadParameter("must say something", param_hint=name)
    opened, left = [], []
    with _connected(kubeconfig, kube_context, in_cluster=in_cluster) as connection:
        waiting = [one for one in every(connection, namespace or "") if one.waits and (not pod or one.name in pod)]
        for one in waiting:
            try:
                opened.append((one, open_by_hand(connection, one, by, reason, datetime.now(UTC))))
            except RequestRefused as error:  # it went meanwhile, or it is another now
                left.append((one, str(error)))
    if output.json:
        places = [{"namespace": one.namespace, "pod": one.name} for one, _ in opened]
        output.document({"opened": places, "by": by, "reason": reason, "refused": [words for _, words in left]})
        return
    for one, untold in opened:
        output.line(f"opened {one.namespace}/{one.name}" + (f", and no Event tells of it: {untold}" if untold else ""))
    for one, words in left:
        output.line(f"left {one.namespace}/{one.name}: {words}")
    if not opened and not left:
        output.line("nobody waits")


@contextmanager
def _connected(kubeconfig: Path | None, context: str | None, *, in_cluster: bool) -> "Iterator[Connection]":
    from bridge.cluster.client import Connection
    from bridge.cluster.settings import ClusterConfig

    if in_cluster and (kubeconfig or context):
        raise typer.BadParameter("goes without --kubeconfig and --context", param_hint="--in-cluster")
    connection = Connection(ClusterConfig("the cluster", kubeconfig, context, in_cluster))
    try:
        yield connection
    finally:
        connection.close()


def _row(pod: "GatedPod") -> tuple[str, ...]:
    return (pod.namespace, pod.name, "yes" if pod.open else "no", pod.since, pod.reason or "-", pod.message or "-")


def _document(pod: "GatedPod") -> dict[str, Any]:
    return {
        "namespace": pod.namespace,
        "pod": pod.name,
        "open": pod.open,
        "since": pod.since,
        "reason": pod.reason,
        "message": pod.message,
    }
