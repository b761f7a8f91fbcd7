"""`fusion-bridge snapshot`: one cluster as recorded, in a file against which a pipeline plans."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.invocation import invocation
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.intake.snapshot import ClusterSnapshot
    from bridge.settings import Settings
    from bridge.state.database import Database


def snapshot(
    context: typer.Context,
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="A cluster of the settings.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Compressed where it ends in .gz.", dir_okay=False)
    ],
) -> None:
    """Write down a cluster as recorded, for `plan --manifests DIR --against FILE` where there is neither database nor cluster."""
    from bridge.cli.state import opened
    from bridge.intake.snapshot import write

    asked = invocation(context)
    if not out.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        found = taken(asked.settings, cluster, database)
    write(found, out)
    recorded = found.recorded
    told = {
        "cluster": cluster,
        "revision": recorded.revision,
        "pods": len(recorded.pods),
        "policy": len(recorded.verdicts),
        "devices": [one.target.name for one in found.devices],
        "file": str(out),
    }
    if asked.output.json:
        asked.output.document(told)
    else:
        devices = ", ".join(one.target.name for one in found.devices) or "none"
        asked.output.line(
            f"{out}: cluster {cluster} at revision {recorded.revision}, {len(recorded.pods)} pods, "
            f"{len(recorded.verdicts)} objects of policy, devices: {devices}"
        )


def taken(settings: "Settings", cluster: str, database: "Database") -> "ClusterSnapshot":
    """The cluster as recorded now. SettingsError for a name that is none, StateError for a cluster that was never recorded."""
    from bridge.cli.adapters import InstalledAdapters
    from bridge.cli.assembly import dialect_options, governance, targets
    from bridge.errors import StateError
    from bridge.intake.snapshot import ClusterSnapshot, PlannedDevice
    from bridge.state.intake_store import IntakeStore

    known = {one.name: one for one in settings.clusters}
    if cluster not in known:
        raise SettingsError({cluster: f"no such cluster; there are {', '.join(known)}"}, "the command line")
    adapters = InstalledAdapters()
    recorded = IntakeStore(database).load_cluster(cluster)
    if recorded.revision == 0:
        raise StateError(f"cluster {cluster} has not been recorded yet: see `fusion-bridge run`")
    kinds = {one.name: one for one in settings.serving(cluster)}
    devices = tuple(
        PlannedDevice(
            kinds[target.name].kind,
            target,
            adapters.factory(kinds[target.name].kind).limits(kinds[target.name].config(settings.owner)),
        )
        for target in targets(settings, cluster, adapters)
    )
    guard = settings.delivery.guard.limits()
    chosen = known[cluster]
    head = (cluster, datetime.now(UTC), governance(chosen), devices, guard, recorded)
    return ClusterSnapshot(*head, tuple(chosen.dialects), dialect_options(chosen))
