"""Whether a gate opens now, and in which words: pure, so that every case can be tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.model.gate import GateReason
from bridge.state.desired import ObjectState
from bridge.state.gate_store import Gate, Missing

_NAMED: Final = 5  # devices that a message names
_DEVICE: Final = {
    "denied": GateReason.UNREACHABLE,
    "unreachable": GateReason.UNREACHABLE,
    "stopped": GateReason.STOPPED,
}
_OBJECT: Final = {
    ObjectState.QUARANTINED: GateReason.QUARANTINED,
    ObjectState.UNSUPPORTED: GateReason.QUARANTINED,
    ObjectState.AWAITING_DEPLOY: GateReason.AWAITING_DEPLOY,
}
_SETTLED: Final = {ObjectState.HELD: GateReason.HELD, ObjectState.WITHHELD: GateReason.WITHHELD}
_WORST_FIRST: Final = (
    GateReason.HELD,
    GateReason.QUARANTINED,
    GateReason.WITHHELD,
    GateReason.STOPPED,
    GateReason.UNREACHABLE,
    GateReason.AWAITING_DEPLOY,
    GateReason.PENDING,
)
PASSING: Final = frozenset({GateReason.PENDING, GateReason.AWAITING_DEPLOY})
"""Reasons that go away by themselves within moments."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the gate is open, the word for it, and a sentence."""

    open: bool
    reason: GateReason
    message: str


def judge(gate: Gate, now: datetime, patience: timedelta) -> Verdict:
    """What to say of a gate that waits."""
    waiting = _waiting(gate)
    if waiting is None:
        if gate.needy:
            return Verdict(True, GateReason.PROGRAMMED, "every device in scope knows the pod")
        return Verdict(True, GateReason.NO_GROUP, "no device has a group that the pod is in")
    if gate.since + patience <= now:
        seconds = f"{patience.total_seconds():g}"
        return Verdict(
            True, GateReason.TIMED_OUT, f"opened after {seconds} s although {waiting.reason}: {waiting.message}"
        )
    return waiting


def _waiting(gate: Gate) -> Verdict | None:
    """Why it must wait; None when nothing is missing."""
    if gate.blocked:
        words = {
            GateReason.CONFLICT: "another pod holds one of its addresses",
            GateReason.UNKNOWN: "its namespace has not been seen yet",
        }
        reason = GateReason(gate.blocked)
        return Verdict(False, reason, words.get(reason, gate.blocked))
    if not gate.missing:
        return None
    reasons = [(_reason(one), one) for one in gate.missing]
    worst = min((reason for reason, _ in reasons), key=_WORST_FIRST.index)
    return Verdict(False, worst, _sentence([one for reason, one in reasons if reason is worst], worst))


def _reason(one: Missing) -> GateReason:
    if one.settled:
        return _SETTLED.get(one.state, GateReason.PENDING)
    return _DEVICE.get(one.device_state) or _OBJECT.get(one.state, GateReason.PENDING)


def _sentence(missing: Sequence[Missing], reason: GateReason) -> str:
    """Each device once, with its own words where it has any."""
    devices: dict[str, str] = {}
    for one in missing:
        said = one.device_message if reason in (GateReason.STOPPED, GateReason.UNREACHABLE) else ""
        said = said or (one.message if reason is not GateReason.PENDING else "")
        devices.setdefault(one.device, said)
    named = [f"{device} ({said})" if said else device for device, said in list(devices.items())[:_NAMED]]
    rest = f" and {len(devices) - _NAMED} more" if len(devices) > _NAMED else ""
    return f"waiting for {', '.join(named)}{rest}"
