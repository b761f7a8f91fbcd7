"""A person who decides: in which cluster, by whose credentials, under which name, for what reason. No database is needed for that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.invocation import Invocation
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.cluster.orders import Orders
    from bridge.cluster.settings import ClusterConfig

_LINE = "the command line"

Cluster = Annotated[str | None, typer.Option("--cluster", help="Of the settings; the only one where there is one.")]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Whose credentials; else those of the settings, else kubectl's.")
]
Context = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides; else whoever the cluster takes you for.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever reads the audit.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the bridge's word on it.")]


@contextmanager
def orders(asked: Invocation, cluster: str | None, kubeconfig: Path | None, context: str | None) -> Iterator["Orders"]:
    """The orders of that cluster. SettingsError where it cannot be told which cluster is meant."""
    from bridge.clock import SystemClock
    from bridge.cluster.client import Connection
    from bridge.cluster.orders import Orders

    connection = Connection(config(asked, cluster, kubeconfig, context))
    try:
        yield Orders(connection, SystemClock())
    finally:
        connection.close()


def config(asked: Invocation, cluster: str | None, kubeconfig: Path | None, context: str | None) -> "ClusterConfig":
    """How to reach the cluster: as the command line says, else as the settings do where there are any, else as kubectl would."""
    from bridge.cluster.settings import ClusterConfig

    if kubeconfig is not None and not kubeconfig.is_file():
        raise SettingsError({"--kubeconfig": f"there is no file {kubeconfig}"}, _LINE)
    if kubeconfig is not None or context is not None or asked.file is None:
        return ClusterConfig(cluster or context or "the cluster", kubeconfig, context)
    return _of_settings(asked, cluster)


def said(name: str, text: str) -> str:
    """What a person gave as a name or a reason. SettingsError for nothing but blanks."""
    if not text.strip():
        raise SettingsError({f"--{name}": "must say something"}, _LINE)
    return text.strip()


def _of_settings(asked: Invocation, cluster: str | None) -> "ClusterConfig":
    from bridge.cli.assembly import cluster_config

    names = [one.name for one in asked.settings.clusters]
    if cluster is None and len(names) == 1:
        cluster = names[0]
    if cluster not in names:
        words = f"there is no cluster {cluster}" if cluster else "name one of the clusters"
        raise SettingsError({"--cluster": f"{words}; there are {', '.join(names)}"}, _LINE)
    return cluster_config(asked.settings.cluster(cluster))
