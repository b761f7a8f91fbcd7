"""`fusion-bridge config rights`: the roles that the bridge needs in a cluster, made of the settings and of what the code does."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.invocation import invocation
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.cluster.rights import Right
    from bridge.settings import Settings

NAME = "fusion-bridge"


def rights(
    context: typer.Context,
    cluster: Annotated[
        str | None, typer.Argument(metavar="[CLUSTER]", help="Of the settings; the only one where there is one.")
    ] = None,
    account: Annotated[
        str, typer.Option("--service-account", help="NAMESPACE/NAME of whom the bridge is there.")
    ] = f"{NAME}/{NAME}",
) -> None:
    """Print the roles that the bridge needs in a cluster, with their bindings, for `kubectl apply -f -`; nothing is contacted."""
    import yaml

    from bridge.cluster.rights import bindings, roles

    asked = invocation(context)
    granted = needed(asked.settings, cluster)
    home, _, name = account.rpartition("/")
    if not home or not name:
        raise SettingsError({"--service-account": f"{account!r} is not NAMESPACE/NAME"}, "the command line")
    items = [*roles(NAME, granted), *bindings(NAME, granted, name, home)]
    if asked.output.json:
        asked.output.document({"apiVersion": "v1", "kind": "List", "items": items})
    else:
        for line in yaml.safe_dump_all(items, sort_keys=False).splitlines():
            asked.output.line(line)


def needed(settings: "Settings", cluster: str | None = None) -> "tuple[Right, ...]":
    """What the bridge does in this cluster by these settings. SettingsError where it is not there, or not named among several."""
    from bridge.cli import assembly
    from bridge.cluster.rights import rights as needed_for
    from bridge.model.observed import ALWAYS_WATCHED

    names = [one.name for one in settings.clusters]
    if cluster is None and len(names) == 1:
        cluster = names[0]
    if cluster not in names:
        words = f"there is no cluster {cluster}" if cluster else "name one of the clusters"
        raise SettingsError({"CLUSTER": f"{words}; there are {', '.join(names)}"}, "the command line")
    kinds = assembly.dialects(settings.cluster(cluster)).kinds
    return needed_for((*ALWAYS_WATCHED, *kinds), _secrets(settings, cluster))


def _secrets(settings: "Settings", cluster: str) -> "set[tuple[str, str]]":
    """Namespace and name of the Secrets in this cluster that hold a device's credentials."""
    places = (source.secret for device in settings.devices for _, source in device.credentials.places())
    only = len(settings.clusters) == 1
    return {
        (one.namespace, one.name) for one in places if one and (one.cluster == cluster or (only and not one.cluster))
    }
