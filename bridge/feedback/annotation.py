"""The annotation `fusionbridge.io/status` of a Namespace or Service that asks for address groups.

Compact JSON, for people and programs: {"groups":{"payments":{"edge":"Programmed"}}}, each group with its state on each device. Where
something is amiss `reason` and `message` say what and what to do, as a condition of our own kinds would.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bridge.feedback.standing import Standing
from bridge.feedback.wording import advised, gravest, on_devices, text
from bridge.model.reasons import Reason
from bridge.state.policy_picture import Judged

STATUS = "fusionbridge.io/status"
_encode = msgspec.json.Encoder(order="sorted").encode


def annotation(groups: Mapping[str, Iterable[Standing]]) -> str:
    """The text for these groups."""
    every = [one for standings in groups.values() for one in standings]
    found: dict[str, Any] = {
        "groups": {name: {one.device: str(one.reason) for one in standings} for name, standings in groups.items()}
    }
    reason = gravest(every)
    if reason is not Reason.PROGRAMMED:
        amiss = [one for one in every if one.reason is not Reason.PROGRAMMED]
        found |= {"reason": str(reason), "message": on_devices(dict.fromkeys(amiss))}
    return _encode(found).decode()


def complaint(judged: Judged) -> str:
    """The text for an annotation that cannot be taken."""
    reason = Reason(judged.reason)
    return _encode({"reason": str(reason), "message": advised(text(reason, judged.message), reason)}).decode()


def groups(content: str) -> Mapping[str, Mapping[str, str]]:
    """The groups with their states as a text of ours says."""
    found: Mapping[str, Mapping[str, str]] = (msgspec.json.decode(content) if content else {}).get("groups", {})
    return found
