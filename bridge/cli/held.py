"""`fusion-bridge held`: what waits for a person on the devices, and what keeps them from being written to."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.errors import FINDINGS, HELD
from bridge.cli.invocation import invocation
from bridge.cli.output import Output, complain

if TYPE_CHECKING:
    from bridge.model.decisions import Stop
    from bridge.state.report_store import ReportStore
    from bridge.state.reported import HeldPlan

_SHOWN = ("held", "superseded", "released", "rejected")

Digest = Annotated[str | None, typer.Argument(help="One list, with everything that is in it.")]
Device = Annotated[str | None, typer.Option("--device", help="Of this device only.")]
Every = Annotated[bool, typer.Option("--all", help="Lists that are done with too.")]


def held(context: typer.Context, digest: Digest = None, device: Device = None, every: Every = False) -> None:
    """Show what waits for a person, and the stops in force; exit code 3 when anything does. Read from the bridge's database.

    What a freeze keeps from a device waits for its end, and not for a person, though a person may release it. With a DIGEST show that list
    with its members; exit code 1 where there is none.
    """
    from bridge.cli.state import opened
    from bridge.state.decisions import standing_stops
    from bridge.state.report_store import ReportStore

    asked = invocation(context)
    with opened(asked.base, asked.folder(asked.base)) as database:
        lists = _lists(ReportStore(database), device)
        with database.transaction(snapshot=True) as connection:
            stops = standing_stops(connection)
    if digest is not None:
        _show_one(asked.output, [one for one in lists if one.digest.startswith(digest)], digest)
        return
    shown = [one for one in lists if every or one.state in _SHOWN]
    if asked.output.json:
        asked.output.document({"held": [_document(one) for one in shown], "stops": [_stop(one) for one in stops]})
    else:
        _show(asked.output, shown, stops)
    if stops or any(map(_waits, shown)):
        raise typer.Exit(HELD)


def _lists(store: "ReportStore", device: str | None) -> "list[HeldPlan]":
    return [one for each in store.devices() if device in (None, each.name) for one in store.held(each.name)]


def _show_one(output: Output, found: "list[HeldPlan]", digest: str) -> None:
    if output.json:
        output.document({"held": [{**_document(one), "steps": _steps(one)} for one in found]})
    for one in found if not output.json else ():
        output.line(f"{one.digest} on {one.device}, of cluster {one.cluster}: {_state(one)}")
        for step in _steps(one):
            output.line(f"  {step['kind']} {step['object']}: {step['reason']}")
            for member in step["members"]:
                output.line(f"    {member}")
    if not found:
        complain(f"nothing is or was held as {digest}")
        raise typer.Exit(FINDINGS)
    if any(map(_waits, found)):
        raise typer.Exit(HELD)


def _show(output: Output, lists: "list[HeldPlan]", stops: "tuple[Stop, ...]") -> None:
    from bridge.report.words import clock

    rows = [
        (
            one.device,
            one.cluster,
            one.digest,
            one.kind,
            clock(one.since),
            _state(one),
            str(_count(one)),
            "; ".join(_reasons(one)),
        )
        for one in lists
    ]
    if rows:
        output.table("Held", ("device", "cluster", "digest", "by the", "since", "state", "members", "why"), rows)
    if stops:
        about = [
            (one.name, one.cluster, ", ".join(one.devices) or "all", clock(one.since), one.by, one.reason)
            for one in stops
        ]
        output.table("Stops in force", ("stop", "cluster", "devices", "since", "by", "reason"), about)
    if not rows and not stops:
        output.line("nothing is held, and nothing is stopped")
    if any(one.state == "held" for one in lists):
        output.line("To decide: fusion-bridge release DIGEST --device DEVICE --by NAME --reason TEXT, or reject.")
    if stops:
        output.line("To write again: fusion-bridge start [DEVICE]… --by NAME --reason TEXT.")


def _waits(one: "HeldPlan") -> bool:
    """For a person."""
    return one.state == "held" and one.kind == "guard"


def _state(one: "HeldPlan") -> str:
    words = f"{one.state} by {one.by}: {one.reason}" if one.by else one.state
    return f"{words} ({one.message})" if one.message else words


def _count(one: "HeldPlan") -> int:
    return sum(len(part.members) for part in one.held)


def _reasons(one: "HeldPlan") -> list[str]:
    return list(dict.fromkeys(part.reason for part in one.held))


def _steps(one: "HeldPlan") -> list[dict[str, Any]]:
    return [
        {"object": str(part.key), "kind": str(part.kind), "reason": part.reason, "members": sorted(part.members)}
        for part in one.held
    ]


def _document(one: "HeldPlan") -> dict[str, Any]:
    return {
        "device": one.device,
        "cluster": one.cluster,
        "digest": one.digest,
        "since": one.since.isoformat(),
        "kind": one.kind,
        "state": one.state,
        "by": one.by,
        "reason": one.reason,
        "message": one.message,
        "members": _count(one),
        "why": _reasons(one),
    }


def _stop(one: "Stop") -> dict[str, Any]:
    return {
        "name": one.name,
        "cluster": one.cluster,
        "devices": list(one.devices),
        "since": one.since.isoformat(),
        "by": one.by,
        "reason": one.reason,
    }
