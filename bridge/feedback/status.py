"""The status of an object of ours: two conditions, and how far each device is."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.feedback.standing import Standing
from bridge.feedback.wording import advised, gravest, on_devices, text
from bridge.model.reasons import Reason
from bridge.state.policy_picture import Judged

Json = dict[str, Any]


def status(
    judged: Judged,
    standings: Sequence[Standing],
    absent: Reason,
    before: Mapping[str, Any],
    now: datetime,
    phases: tuple[str, str] | None = None,
) -> Json:
    """What `status` should say; `before` is what it says. `absent` is the reason where no device is to hold anything of the object.

    A condition keeps its time as long as its status stays the same, and a device the generation that it was last seen to hold. `phases`
    are the words of another program's status.phase, for what is programmed as written and for what is not.
    """
    times = {one["type"]: one for one in before.get("conditions", ())}
    held = {one["name"]: one.get("generation") for one in before.get("devices", ())}
    programmed = _programmed(judged, standings, absent)
    whole = judged.ok and programmed[0] is Reason.PROGRAMMED
    return {
        **({"phase": phases[0 if whole else 1]} if phases else {}),
        "observedGeneration": judged.generation,
        "conditions": [
            _condition("Accepted", *_accepted(judged), judged.generation, times, now),
            _condition("Programmed", *programmed, judged.generation, times, now),
        ],
        "devices": [
            _device(one, judged, held.get(one.device)) for one in sorted(standings, key=lambda one: one.device)
        ],
    }


def generation_on(device: str, content: Mapping[str, Any]) -> int | None:
    """The generation that the device was last told to hold."""
    return next((one.get("generation") for one in content.get("devices", ()) if one["name"] == device), None)


def _accepted(judged: Judged) -> tuple[Reason, str]:
    if judged.ok:
        return Reason.ACCEPTED, text(Reason.ACCEPTED, judged.message)
    reason = Reason(judged.reason)
    return reason, advised(text(reason, judged.message), reason)


def _programmed(judged: Judged, standings: Sequence[Standing], absent: Reason) -> tuple[Reason, str]:
    if judged.in_force is None:
        return Reason.NOT_ACCEPTED, advised(text(Reason.NOT_ACCEPTED), Reason.NOT_ACCEPTED)
    of_older = (
        "" if judged.in_force == judged.generation else f"of generation {judged.in_force}, which stays in force: "
    )
    if not standings:
        return absent, of_older + advised(text(absent), absent)
    amiss = [one for one in standings if one.reason is not Reason.PROGRAMMED]
    if not amiss:
        return Reason.PROGRAMMED, of_older + text(Reason.PROGRAMMED, ", ".join(sorted(one.device for one in standings)))
    return gravest(amiss), of_older + on_devices(amiss)


def _condition(
    kind: str, reason: Reason, message: str, generation: int, times: Mapping[str, Json], now: datetime
) -> Json:
    value = "True" if reason in (Reason.ACCEPTED, Reason.PROGRAMMED) else "False"
    known = times.get(kind, {})
    since = known["lastTransitionTime"] if known.get("status") == value else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": kind,
        "status": value,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": str(reason),
        "message": message,
    }


def _device(one: Standing, judged: Judged, before: int | None) -> Json:
    found: Json = {"name": one.device, "state": str(one.reason)}
    generation = judged.in_force if one.holds else before
    if generation:
        found["generation"] = generation
    if one.reason is not Reason.PROGRAMMED:
        found["message"] = text(one.reason, one.words)
    elif one.words:
        found["message"] = one.words
    return found
