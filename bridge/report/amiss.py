"""Why a device does not do what policy says of one packet, in the words of status, from what is recorded of it now."""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.report.words import unnamed
from bridge.state.batch import Placement
from bridge.state.desired import ObjectState
from bridge.state.policy_picture import DeviceRow
from bridge.state.trace_store import Stood

OK, AWAITING = "ok", "AwaitingDeploy"
STATED = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED, ObjectState.HELD, ObjectState.WITHHELD)


@dataclass(frozen=True, slots=True)
class Situation:
    """One device and the objects there that a decision takes. `loose`: the lines stand there and nothing that is enforced refers to them.

    `exempt`: the device lets the sender on unmatched; `why` says why something is not known.
    """

    name: str
    device: DeviceRow
    rows: tuple[Stood, ...]
    placed: Placement | None
    loose: bool
    attach_by: str
    exempt: bool
    why: str


def amiss(it: Situation, *, agrees: bool | None) -> tuple[str, str]:
    """A word of docs/status.md and a message; `ok` where nothing is amiss. `agrees`: the device holds all that it takes."""
    found = None if agrees else next(_recorded(it), None)
    if found is not None:
        return found
    if any(row.state is ObjectState.AWAITING_DEPLOY for row in it.rows):
        return AWAITING, "stored, not yet enforced"
    if it.loose:
        return "NotAttached", it.attach_by
    if agrees:
        unwell = "" if it.device.state == OK else f"as last seen: the device is {it.device.state}"
        return OK, unwell or (it.placed.message if it.placed else "")
    return next(_unrecorded(it, known=agrees is not None))


def _recorded(it: Situation) -> Iterator[tuple[str, str]]:
    """What is recorded to be in the way, the most telling first."""
    if it.placed is not None and it.placed.reason:
        yield it.placed.reason, it.placed.message
    for state in STATED:
        yield from ((row.state.value, row.message) for row in it.rows if row.state is state)
    if any(row.waiting_since for row in it.rows) and not it.loose:
        yield late(it.name, it.device)


def _unrecorded(it: Situation, *, known: bool) -> Iterator[tuple[str, str]]:
    if it.device.state != OK:
        yield late(it.name, it.device)
    if it.exempt:
        yield "Exempt", "the device lets it on unmatched, as the pod of a namespace that is not governed"
    yield "Missing" if known else "not known", it.why or "the device was not seen to hold it"


def late(name: str, device: DeviceRow) -> tuple[str, str]:
    """Why a change that is wanted has not reached the device."""
    if device.mode == "plan":
        return "Pending", "the bridge only plans for it (mode: plan) and writes nothing there"
    if device.state == OK:
        return "Pending", "a change has not reached the device yet"
    return "DeviceUnreachable", unnamed(name, device.message) or device.state
