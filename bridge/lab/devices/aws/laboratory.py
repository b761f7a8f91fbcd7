"""What `/__lab/` of a simulated AWS account has besides what it has on every device (`devices/laboratory.py`).

| call | does |
| --- | --- |
| GET state | every prefix list, security group and rule, and the digest |
| POST call `{action, parameters}` | an action as somebody else, its parameters by their names on the wire |
| POST groups `{name, prefixes}` | a security group of somebody's, and the interfaces that wear it; answers its id |
| POST lists `{name, prefixes, size}` | a prefix list of somebody's; answers its id |
| POST interfaces `{prefix, groups}` | who wears what |
| GET decide?source=…&destination=…&protocol=6&port=443&icmp=8:0 | the referee's decision |
| POST settings `{settling, throttle, permitted, limits}` | those given; `permitted` is a list of actions, `limits` by name |
"""

from typing import TYPE_CHECKING, Any

import msgspec

from bridge.lab.devices.aws.answers import Refusal
from bridge.lab.devices.aws.referee import Packet
from bridge.lab.devices.laboratory import Arguments, Call, Laboratory, Setter, icmp, told
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.aws.simulator import Aws


class AwsLaboratory(Laboratory):
    """Answers `/__lab/…`."""

    def __init__(self, device: "Aws") -> None:
        self._device = device
        calls: dict[tuple[str, str], Call] = {
            ("GET", "state"): self._state,
            ("POST", "call"): lambda given: {"answer": device.call(given["action"], given["parameters"]).body.decode()},
            ("POST", "groups"): lambda given: {"id": device.create_group(given["name"], *given.get("prefixes", ()))},
            ("POST", "lists"): lambda given: {
                "id": device.create_list(given["name"], *given.get("prefixes", ()), size=given.get("size", 0))
            },
            ("POST", "interfaces"): lambda given: device.place(given["prefix"], *given.get("groups", ())),
            ("GET", "decide"): self._decide,
        }
        setters: dict[str, Setter] = {
            "settling": lambda value: setattr(device, "settling", float(value)),
            "throttle": lambda value: setattr(device.throttle, "on", bool(value)),
            "permitted": lambda value: setattr(device, "permitted", set(value)),
            "limits": self._set_limits,
        }
        super().__init__(device, calls, setters)

    def handle(self, request: Request) -> Answer:
        """One call; what the device refuses is told as it tells it."""
        try:
            return super().handle(request)
        except Refusal as refusal:
            return told(refusal.status, {"code": refusal.code, "message": refusal.message})

    def _state(self, _given: Arguments) -> Any:  # noqa: ANN401
        state = self._device.state()
        held = {name: msgspec.to_builtins(one) for name, one in state.items()}
        return {"digest": state.digest(), "items": held, "interfaces": dict(self._device.interfaces)}

    def _decide(self, given: Arguments) -> Any:  # noqa: ANN401
        message = icmp(given["icmp"]) if given.get("icmp") else None
        packet = Packet(
            given["source"], given["destination"], int(given.get("protocol", 6)), int(given.get("port", 0)), message
        )
        return msgspec.to_builtins(self._device.judge(packet))

    def _set_limits(self, given: Arguments) -> None:
        for name, value in given.items():
            getattr(self._device.limits, name)
            setattr(self._device.limits, name, value)
