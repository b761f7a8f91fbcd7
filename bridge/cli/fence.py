"""`fusion-bridge fence`: whose a device is, and what a person decides where that owner is no more."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.deciding import By, Reason
from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import invocation
from bridge.errors import BridgeError, Refused

if TYPE_CHECKING:
    from bridge.cli.deciding import Seen
    from bridge.model.intent import FenceState
    from bridge.state.recognition import Claim, Recognition

app = typer.Typer(rich_markup_mode=None, help="Whose each device is.", no_args_is_help=True)

Devices = Annotated[list[str], typer.Argument(metavar="DEVICE…", show_default=False)]


@app.command(short_help="Print whose each device is, as it says itself and as the database has it.")
def show(
    context: typer.Context,
    devices: Annotated[list[str] | None, typer.Argument(metavar="[DEVICE]…", help="All unless told.")] = None,
) -> None:
    """Read the fence of each device and compare it with the database; exit code 1 when a device is not this database's."""
    from bridge.cli.deciding import chosen, seen
    from bridge.cli.state import opened
    from bridge.state.recognition import Recognitions

    asked = invocation(context)
    names = devices or [one.name for one in asked.settings.devices]
    for name in names:
        chosen(asked.settings, name)
    told: list[dict[str, Any]] = []
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        store = Recognitions(database)
        for name in names:
            claim = store.claim(name)
            try:
                told.append(_told(seen(asked.settings, name), claim, store.of(name)))
            except BridgeError as error:
                told.append({"device": name, "ours": False, "problem": str(error)})
    if asked.output.json:
        asked.output.document({"devices": told})
    else:
        rows = [(one["device"], one.get("fence", "-"), one.get("database", "-"), one["problem"]) for one in told]
        asked.output.table("Fences", ("device", "on the device", "in the database", ""), rows)
    if any(one["problem"] for one in told):
        raise typer.Exit(FINDINGS)


@app.command(short_help="Let devices be taken over from an owner who is no more.")
def reset(
    context: typer.Context,
    devices: Devices,
    by: By,
    reason: Reason,
    watch: Annotated[
        float, typer.Option("--watch", metavar="SECONDS", help="For how long to look that nobody writes there.", min=0)
    ] = 10.0,
) -> None:
    """Let the bridge replace the fence that stands on each device now, under a higher epoch; nothing is written to a device by this.

    Refused (exit code 3) where the device is ours already, where a bridge of this database keeps it, or where somebody writes to it while
    it is looked at. A silent owner who lives cannot be told from one who is gone: the new fence stops him at his next write.
    """
    from bridge.cli.deciding import decided, watched
    from bridge.cli.state import opened
    from bridge.state.recognition import Recognitions

    asked, decision = invocation(context), decided(by, reason)
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        store = Recognitions(database)
        for name in devices:
            found = watched(asked.settings, name, watch)
            fence = found.snapshot.fence
            if _is_ours(fence, store.claim(name), store.of(name)):
                raise Refused(f"device {name} is ours already ({found.fence}): there is nothing to reset")
            store.reset_fence(name, fence, decision)
            if not asked.output.json:
                asked.output.line(f"{name}: {found.fence} is to be replaced at the next take-over, {decision}")
    if asked.output.json:
        asked.output.document({"reset": devices, "by": decision.by, "reason": decision.reason})


def _is_ours(fence: "FenceState", claim: "Claim", known: "Recognition") -> bool:
    """Whether nobody else's fence stands there, and not one of a later state of this database."""
    mine = fence.installation == claim.installation and fence.epoch <= claim.epoch
    return not fence.epoch or (mine and fence != known.stopped_by)


def _told(found: "Seen", claim: "Claim", known: "Recognition") -> dict[str, Any]:
    fence = found.snapshot.fence
    ours = _is_ours(fence, claim, known)
    whose = "the database is older than the device" if fence.installation == claim.installation else "another bridge's"
    return {
        "device": found.device,
        "fence": found.fence,
        "database": f"epoch {claim.epoch} of installation {claim.installation}",
        "holder": claim.holder,
        "ours": ours,
        "problem": "" if ours else whose,
    }
