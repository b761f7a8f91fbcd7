"""`fusion-bridge history`: what became of a group, a rule, a device, a pod or an address over time, the newest first."""

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS, USAGE
from bridge.cli.invocation import invocation
from bridge.cli.output import Output, complain
from bridge.cli.who import Cluster, clusters_of, time_of

if TYPE_CHECKING:
    from bridge.report.subject import Subject
    from bridge.report.told import Told

PAGE = 20  # rows, unless told
Words = Annotated[
    str,
    typer.Argument(
        metavar="GROUP|RULE|DEVICE|POD|IP",
        help="An address; a group by key or name in the console; [pod/]NAMESPACE/NAME; [rule/]NAMESPACE/NAME; [device/]NAME.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Nothing that was over before: ISO 8601, or how long ago: 90s, 10m, 2h, 3d."
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Rows of one page.")]
Start = Annotated[str, typer.Option("--page", metavar="PLACE", help="Go on from where the page before said.")]


def history(
    context: typer.Context,
    subject: Words,
    since: Since = None,
    limit: Limit = PAGE,
    cluster: Cluster = None,
    page: Start = "",
) -> None:
    """Show the history of one thing, the newest first; exit code 1 when nothing is recorded, 2 when the words can mean several things."""
    from bridge.cli.state import opened
    from bridge.report.subject import FORMS
    from bridge.report.told import Past
    from bridge.state.history_store import Asked, HistoryStore

    asked = invocation(context)
    wanted = _meant(subject)
    place = Asked(limit, page, None if since is None else time_of(since, datetime.now(UTC), "--since"))
    with opened(asked.base, asked.folder(asked.base)) as database:
        store = HistoryStore(database)
        past = Past(store, tuple(one.cluster for one in clusters_of(store, cluster)), cluster)
        candidates = past.recorded(wanted)
        if len(candidates) > 1:
            _ask_which(subject, candidates)
        try:
            told = past.told(candidates[0], place) if candidates else None
        except ValueError:
            raise typer.BadParameter(
                f"{page!r} is no place: the last line of a page names the next", param_hint="--page"
            ) from None
    if told is None or (not since and not told.known):
        complain(f"nothing is recorded of {subject}" + (f"; {FORMS}" if told is None else ""))
        raise typer.Exit(FINDINGS)
    _show(asked.output, told, since, again(since, limit, cluster))
    if not told.timeline.rows and not told.next:
        raise typer.Exit(FINDINGS)


def again(since: str | None, limit: int, cluster: str | None) -> str:
    """The options that the next page needs too."""
    chosen = {"--since": since, "--limit": str(limit) if limit != PAGE else None, "--cluster": cluster}
    return "".join(f" {option} {shlex.quote(value)}" for option, value in chosen.items() if value is not None)


def _meant(words: str) -> "tuple[Subject, ...]":
    from bridge.report.subject import subjects

    try:
        return subjects(words)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _ask_which(words: str, candidates: "list[Subject]") -> None:
    complain(f"{words} can mean several things; say which:")
    for one in candidates:
        complain(f"  fusion-bridge history {shlex.quote(str(one))}")
    raise typer.Exit(USAGE)


def _show(output: Output, told: "Told", since: str | None, again: str) -> None:
    timeline, following = told.timeline, told.next
    if output.json:
        rows, notes = list(timeline.document), list(timeline.notes)
        output.document({"subject": told.subject, "rows": rows, "notes": notes, "next": following or None})
        return
    for note in timeline.notes:
        output.line(note)
    if timeline.rows:
        output.table(timeline.title, timeline.columns, timeline.rows)
    elif not following:
        output.line(f"{timeline.title}: nothing" + (f" since {since}" if since else ""))
    if following:
        output.line(f"older: fusion-bridge history {shlex.quote(told.subject)}{again} --page {shlex.quote(following)}")
