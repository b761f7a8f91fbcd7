"""`fusion-bridge trace`: what becomes of a packet, why, and whether each device in scope does just that."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS, USAGE
from bridge.cli.invocation import Invocation, invocation
from bridge.cli.output import Output, complain
from bridge.cli.who import time_of

if TYPE_CHECKING:
    from bridge.report.destination import Destination
    from bridge.report.sender import From
    from bridge.report.trace import Site
    from bridge.report.trace_model import Trace

Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="NAMESPACE/POD|SERVICE|IP",
        help="Who sends: [pod/]NAMESPACE/POD, [service/]NAMESPACE/NAME, an address.",
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="HOST|IP[:PORT][/PROTO]",
        help="Where to: 203.0.113.7:443, [2001:db8::7]:53/udp, api.example.com:443, 203.0.113.7/icmp:8, 203.0.113.7/47. TCP unless told; "
        "without a port and a protocol, all traffic.",
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="At a past moment: ISO 8601, UTC unless it says a zone; or how long ago: 90s, 10m, 2h, 3d.",
    ),
]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Of this cluster; needed where several could be meant.")]
Schema = Annotated[bool, typer.Option("--schema", help="Print a JSON schema of the answer, and nothing else.")]


def trace(
    context: typer.Context,
    source: Source = "",
    to: To = "",
    at: At = None,
    cluster: Cluster = None,
    schema: Schema = False,
) -> None:
    """Say what becomes of a packet; exit code 1 unless it is decided and every device in scope does as policy says."""
    from bridge.report.sender import Ambiguous
    from bridge.report.trace_model import trace_document, trace_schema

    asked = invocation(context)
    if schema:
        asked.output.document(trace_schema())
        return
    try:
        found = _traced(asked, _source(source), _destination(to), at, cluster)
    except Ambiguous as error:
        complain(f"fusion-bridge: {error}")
        raise typer.Exit(USAGE) from None
    if asked.output.json:
        asked.output.document(trace_document(found))
    else:
        _show(asked.output, found)
    if not found.agrees:
        raise typer.Exit(FINDINGS)


def _traced(asked: Invocation, source: "From", to: "Destination", at: str | None, cluster: str | None) -> "Trace":
    from bridge.cli.state import opened
    from bridge.report.times import time_text
    from bridge.report.trace import Tracer
    from bridge.state.trace_store import TraceStore

    now = datetime.now(UTC)
    when = None if at is None else time_of(at, now, "--at")
    if when is not None and when > now:
        raise typer.BadParameter(f"{time_text(when)} has not come yet", param_hint="--at")
    known = sites(asked)
    if cluster is not None and cluster not in known:
        raise typer.BadParameter(
            f"the settings have no cluster {cluster}; there are: {', '.join(known)}", param_hint="--cluster"
        )
    chosen = known if cluster is None else {cluster: known[cluster]}
    with opened(asked.settings, asked.folder(asked.settings)) as database, TraceStore(database).reading() as reading:
        return Tracer(reading, chosen, when, now).trace(source, to, cluster)


def sites(asked: Invocation) -> "dict[str, Site]":
    """The clusters of the settings, each with the devices that serve it."""
    from bridge.cli.adapters import InstalledAdapters
    from bridge.cli.assembly import dialects, governance, targets
    from bridge.report.trace import Site

    adapters = InstalledAdapters()
    return {
        one.name: Site(governance(one), targets(asked.settings, one.name, adapters), dialects(one))
        for one in asked.settings.clusters
    }


def _source(text: str) -> "From":
    from bridge.report.sender import source

    try:
        return source(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None


def _destination(text: str) -> "Destination":
    from bridge.report.destination import destination

    try:
        return destination(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--to") from None


def _show(output: Output, trace: "Trace") -> None:
    from bridge.report.trace_text import trace_sheets

    for sheet in trace_sheets(trace):
        if sheet.rows:
            output.table(sheet.title, sheet.columns, sheet.rows)
        else:
            output.line(sheet.title)
