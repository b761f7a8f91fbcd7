"""What Decisions and Stops are told: what became of them, for whoever wrote them and waits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.model.decisions import Choice, DecisionRecord, Settled, Stop, StopRecord
from bridge.state.policy_picture import DeviceRow

LONGEST = 4000
GOOD_NEWS = frozenset({"Released", "Rejected", "Stopped", "Started"})
"""The reasons of Events that warn of nothing."""
_WORDS = {
    Settled.WAITING: "the device has not taken it up yet",
    Settled.NOTHING_HELD: "nothing of that cluster is held on the device under that digest",
}


@dataclass(frozen=True, slots=True)
class Said:
    """The status of an order, and the Event about it: its reason, "" for none, and its words."""

    status: Mapping[str, Any]
    reason: str = ""
    words: str = ""


def about_decision(record: DecisionRecord) -> Said:
    """What a decision is told."""
    words = (record.message or _WORDS.get(record.state, ""))[:LONGEST]
    status = {"state": str(record.state), "message": words}
    if record.state is Settled.WAITING:
        return Said(status)
    verdict = "Released" if record.decision.verdict is Choice.RELEASE else "Rejected"
    return Said(status, verdict if record.state is Settled.DONE else str(record.state), words)


def about_stop(record: StopRecord, devices: Mapping[str, DeviceRow], serving: Collection[str]) -> Said:
    """What a stop is told, by the devices that obey it; `serving` are those of its cluster."""
    stop = record.stop
    states = {name: _state(record, name, devices, serving) for name in stop.devices or sorted(serving)}
    words = ("Starting", "Started") if record.lifted else ("Stopping", "Stopped")
    # A name that is nobody's is most likely a slip: then something is not stopped that somebody believes to be.
    state = next((one for one in (words[0], "NotHere") if one in states.values()), words[1])
    said = "; ".join(filter(None, (_by(record), *_amiss(states), *_others(stop, states, devices), record.message)))
    status = {
        "state": state,
        "message": said[:LONGEST],
        "devices": [{"name": name, "state": one} for name, one in states.items()],
    }
    return Said(status, state, said[:LONGEST]) if state != words[0] else Said(status)


def _state(record: StopRecord, name: str, devices: Mapping[str, DeviceRow], serving: Collection[str]) -> str:
    if name not in serving:
        return "NotHere"
    obeys = name in devices and record.stop.uid in devices[name].stopped_by
    if record.lifted:
        return "Starting" if obeys else "Started"
    return "Stopped" if obeys else "Stopping"


def _by(record: StopRecord) -> str:
    if record.lifted is None:
        return f"stopped by {record.stop.by}: {record.stop.reason}"
    return f"lifted by {record.lifted.by}: {record.lifted.reason}"


def _amiss(states: Mapping[str, str]) -> list[str]:
    waiting = [name for name, state in states.items() if state in ("Stopping", "Starting")]
    absent = [name for name, state in states.items() if state == "NotHere"]
    found = [f"not heard yet by {', '.join(waiting)}"] if waiting else []
    return [*found, f"no device of this cluster: {', '.join(absent)}"] if absent else found


def _others(stop: Stop, states: Mapping[str, str], devices: Mapping[str, DeviceRow]) -> list[str]:
    """Devices that another stop keeps from being written to when this one is lifted."""
    kept = [
        name
        for name, state in states.items()
        if state == "Started" and name in devices and set(devices[name].stopped_by) - {stop.uid}
    ]
    return [f"still stopped by another: {', '.join(kept)}"] if kept else []
