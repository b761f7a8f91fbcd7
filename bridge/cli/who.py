"""`fusion-bridge who`: which workload held an address at a time."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import Invocation, invocation
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.state.history_store import HistoryStore
    from bridge.state.past import Watched

Address = Annotated[str, typer.Argument(metavar="IP", help="One IPv4 or IPv6 address, in any spelling.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="ISO 8601, UTC unless it says a zone; or how long ago: 90s, 10m, 2h, 3d."
    ),
]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Of this cluster only; else of each.")]


def who(context: typer.Context, address: Address, at: At = None, cluster: Cluster = None) -> None:
    """Say who held an address, now or at a time; exit code 1 when nobody did or nobody knows."""
    from bridge.cli.state import opened
    from bridge.report.answering import answered
    from bridge.report.times import time_text, zone_assumed
    from bridge.report.who import who_document, who_lines
    from bridge.state.history_store import HistoryStore

    asked = invocation(context)
    now = datetime.now(UTC)
    wanted, when = address_of(address), time_of(at, now, "--at")
    if when > now:
        raise typer.BadParameter(f"{time_text(when)} has not come yet", param_hint="--at")
    with opened(asked.base, asked.folder(asked.base)) as database:
        store = HistoryStore(database)
        ranges = pod_ranges(asked)
        answers = [
            answered(store, one, wanted, when, ranges.get(one.cluster, ())) for one in clusters_of(store, cluster)
        ]
    if asked.output.json:
        asked.output.document(who_document(wanted, when, answers))
    else:
        zone = " (taken as UTC, as it says no zone)" if at and zone_assumed(at) else ""
        asked.output.line(f"{wanted} at {time_text(when)}{zone}")
        for line in who_lines(answers):
            asked.output.line(line)
    if not any(one.holders for one in answers):
        raise typer.Exit(FINDINGS)


def pod_ranges(asked: Invocation) -> dict[str, tuple[str, ...]]:
    """The pod ranges of each cluster, as far as the settings can be read: the answer needs the state alone."""
    try:
        return {one.name: one.pod_ranges for one in asked.settings.clusters}
    except SettingsError:
        return {}


def address_of(text: str) -> str:
    """The address in its one spelling; a usage error for anything else."""
    from bridge.report.answering import one_address

    try:
        return one_address(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="IP") from None


def time_of(text: str | None, now: datetime, option: str) -> datetime:
    """The time of these words, now for none; a usage error for others."""
    from bridge.report.times import time_from

    try:
        return now if text is None else time_from(text, now)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def clusters_of(store: "HistoryStore", cluster: str | None) -> "tuple[Watched, ...]":
    """The clusters to look at; a usage error for one that was never recorded."""
    found = store.clusters(cluster)
    if cluster is not None and not found:
        known = ", ".join(one.cluster for one in store.clusters()) or "none yet"
        raise typer.BadParameter(f"no cluster {cluster} is recorded; there are: {known}", param_hint="--cluster")
    return found
