"""The annotation `fusionbridge.io/status` of a Namespace or Service that asks for address groups.

Compact JSON, for people and programs: {"groups":{"payments":{"edge":"Programmed"}}}, each group with its state on each device. Where
something is amiss `reason` and `message` stand before that, brief: `kubectl describe` shows the first 140 characters of an annotation.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bridge.feedback.standing import Standing
from bridge.feedback.wording import advised, gravest, text
from bridge.model.reasons import Reason
from bridge.state.policy_picture import Judged

STATUS = "fusionbridge.io/status"
_encode = msgspec.json.Encoder().encode


def annotation(groups: Mapping[str, Iterable[Standing]]) -> str:
    """The text for these groups."""
    every = [(name, one) for name, standings in groups.items() for one in standings]
    reason = gravest([one for _, one in every])
    found: dict[str, Any] = {}
    if reason is not Reason.PROGRAMMED:
        name, one = next(each for each in every if each[1].reason is reason)
        said = f"{name} on {one.device}: {one.words or text(reason)}"
        found = {"reason": str(reason), "message": advised(said, reason)}
    found["groups"] = {
        name: {one.device: str(one.reason) for one in sorted(groups[name], key=lambda one: one.device)}
        for name in sorted(groups)
    }
    return _encode(found).decode()


def complaint(judged: Judged) -> str:
    """The text for an annotation that cannot be taken."""
    reason = Reason(judged.reason)
    said = judged.message.rpartition("]: ")[2] or text(reason)  # it stands beside the one that is meant
    return _encode({"reason": str(reason), "message": advised(said, reason)}).decode()


def summary(status: Mapping[str, Any]) -> str:
    """The text for a policy object of another program: the state of our conditions, and what is amiss."""
    conditions = {one["type"]: one for one in status["conditions"]}
    amiss = next((one for one in conditions.values() if one["status"] != "True"), None)
    accepted = conditions["Accepted"]["message"]
    found = {"reason": amiss["reason"], "message": amiss["message"]} if amiss else {}
    if not amiss and accepted != text(Reason.ACCEPTED):
        found = {"message": accepted}  # it is there, and otherwise than written
    return _encode({**found, **{name: one["status"] for name, one in conditions.items()}}).decode()


def groups(content: str) -> Mapping[str, Mapping[str, str]]:
    """The groups with their states as a text of ours says."""
    found: Mapping[str, Mapping[str, str]] = (msgspec.json.decode(content) if content else {}).get("groups", {})
    return found
