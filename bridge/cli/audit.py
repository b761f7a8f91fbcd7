"""`fusion-bridge audit`: whether the record of what was done to the devices is whole."""

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import invocation
from bridge.cli.output import Output, complain
from bridge.errors import SettingsError

if TYPE_CHECKING:
    from bridge.state.audit_store import AuditStore
    from bridge.state.verification import Answered, Claim, Verified

app = typer.Typer(rich_markup_mode=None, help="The record of every change on the devices.", no_args_is_help=True)

Devices = Annotated[list[str] | None, typer.Argument(metavar="[DEVICE]…", help="Which devices; all unless told.")]

_SECONDS = 2.0  # between two words of progress


@app.command(short_help="Go through the chain of each device.")
def verify(
    context: typer.Context,
    devices: Devices = None,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="[NUMBER:]HASH", help="A head that was printed before: is it in the chain?"),
    ] = None,
) -> None:
    """Go through the chain of each device from its beginning to its head; exit code 1 when one is broken.

    The heads in kept reports are looked for too. With --head, a hash that no chain has is a finding; with its number, it is clear even
    when the row was pruned.
    """
    from bridge.cli.state import opened
    from bridge.report.chains import answer_document, best, verified_document
    from bridge.state.audit_store import AuditStore

    asked = invocation(context)
    heads = [_claim(text) for text in head or ()]
    with opened(asked.base, asked.folder(asked.base)) as database:
        store = AuditStore(database)
        names = _chosen(store, devices)
        claims = store.claims()
        found = [
            store.verify(name, [*claims.get(name, ()), *heads], None if asked.output.json else _Progress(name))
            for name in names
        ]
    answers = [best(found, one) for one in heads]
    if asked.output.json:
        whole = all(one.sound for one in found)
        told = [{**answer_document(one), "device": device} for device, one in answers]
        asked.output.document({"sound": whole, "devices": [verified_document(one) for one in found], "asked": told})
    else:
        _show(asked.output, found, answers)
    if not all(one.sound for one in found) or not all(one.answer.good for _, one in answers):
        raise typer.Exit(FINDINGS)


@app.command(short_help="Print where the chain of each device ends.")
def heads(context: typer.Context, devices: Devices = None) -> None:
    """Print where the chain of each device ends: what to write down elsewhere, and to give to `audit verify --head` later."""
    from bridge.cli.state import opened
    from bridge.report.chains import end_document
    from bridge.report.words import clock
    from bridge.state.audit_store import AuditStore

    asked = invocation(context)
    with opened(asked.base, asked.folder(asked.base)) as database:
        store = AuditStore(database)
        found = store.heads(_chosen(store, devices))
    if asked.output.json:
        asked.output.document({"devices": [end_document(one) for one in found]})
        return
    rows = [(one.device, f"{one.head.number}:{one.head.hash}", clock(one.at)) for one in found]
    asked.output.table("Heads", ("device", "head", "last row"), rows)


class _Progress:
    """Says on standard error how far it is, now and then."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._told = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self._told >= _SECONDS:
            self._told = time.monotonic()
            complain(f"{self._device}: {done} of {of} rows")
            sys.stderr.flush()


def _claim(text: str) -> "Claim":
    """What `--head` says."""
    from bridge.report.chains import claim

    try:
        return claim(text)
    except ValueError as error:
        raise SettingsError({"--head": str(error)}, "the command line") from None


def _chosen(store: "AuditStore", devices: Iterable[str] | None) -> tuple[str, ...]:
    known = store.devices()
    unknown = {
        name: f"no such device; there are {', '.join(known) or 'none'}" for name in devices or () if name not in known
    }
    if unknown:
        raise SettingsError(unknown, "the command line")
    return tuple(devices) if devices else known


def _show(output: Output, found: "list[Verified]", asked: "list[tuple[str, Answered]]") -> None:
    output.table("Audit", ("device", "chain", "rows", "begins", "head", "reports"), [_row(one) for one in found])
    for one in found:
        if one.problems:
            listed = [(str(each.number), each.what) for each in one.problems]
            more = [("", f"and {one.more} more")] if one.more else []
            output.table(f"{one.device}: broken", ("row", "what"), [*listed, *more])
    if asked:
        rows = [(_head(one), device or "-", one.answer.value) for device, one in asked]
        output.table("Heads that were asked about", ("head", "device", "answer"), rows)


def _row(one: "Verified") -> tuple[str, ...]:
    from bridge.state.verification import Answer

    start = one.checkpoint
    kept = [each for each in one.answers if not each.claim.asked]
    met = sum(each.answer is Answer.PART for each in kept)
    older = sum(each.answer is Answer.BEFORE for each in kept)
    return (
        one.device,
        "whole" if one.sound else "BROKEN",
        str(one.rows),
        f"after row {start.number}, pruned until {start.until.isoformat()}" if start else "with the first row",
        f"{one.head.number}:{one.head.hash}" if one.head.number else "-",
        f"{met} heads met" + (f", {older} {Answer.BEFORE.value}" if older else ""),
    )


def _head(one: "Answered") -> str:
    number = one.claim.number if one.claim.number is not None else one.number
    return one.claim.hash if number is None else f"{number}:{one.claim.hash}"
