"""`/__lab/` of a simulated AWS account: the controls over HTTP, for those who run it as a process of its own. No authentication.

| call | does |
| --- | --- |
| GET requests[?since=n] | the log of calls, with bytes in and out |
| GET, POST, DELETE faults | count of waiting faults; add one (`Fault`'s fields); forget all |
| GET state | every prefix list, security group and rule, and the digest |
| GET history | who wrote what, with the digest of the state after it |
| POST call `{action, parameters}` | an action as somebody else, its parameters by their names on the wire |
| POST groups `{name, prefixes}` | a security group of somebody's, and the interfaces that wear it; answers its id |
| POST lists `{name, prefixes, size}` | a prefix list of somebody's; answers its id |
| POST interfaces `{prefix, groups}` | who wears what |
| GET decide?source=…&destination=…&protocol=6&port=443&icmp=8:0 | the referee's decision |
| POST reboot, wipe | as `Aws` |
| POST clock `{advance}` | let seconds pass |
| POST settings `{latency, settling, throttle, permitted, limits}` | those given; `permitted` is a list of actions, `limits` by name |
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from bridge.lab.devices.aws.answers import Refusal
from bridge.lab.devices.aws.referee import Packet
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.aws.simulator import Aws

Arguments = Mapping[str, Any]


class Laboratory:
    """Answers `/__lab/…`."""

    def __init__(self, device: "Aws") -> None:
        self._device = device
        self._calls: dict[tuple[str, str], Callable[[Arguments], Any]] = {
            ("GET", "requests"): self._requests,
            ("GET", "faults"): lambda _given: {"waiting": len(device.faults)},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): lambda _given: device.faults.clear(),
            ("GET", "state"): self._state,
            ("GET", "history"): lambda _given: device.history(),
            ("POST", "call"): lambda given: {"answer": device.call(given["action"], given["parameters"]).body.decode()},
            ("POST", "groups"): lambda given: {"id": device.create_group(given["name"], *given.get("prefixes", ()))},
            ("POST", "lists"): lambda given: {
                "id": device.create_list(given["name"], *given.get("prefixes", ()), size=given.get("size", 0))
            },
            ("POST", "interfaces"): lambda given: device.place(given["prefix"], *given.get("groups", ())),
            ("GET", "decide"): self._decide,
            ("POST", "reboot"): lambda _given: device.reboot(),
            ("POST", "wipe"): lambda _given: device.wipe(),
            ("POST", "clock"): lambda given: device.clock.advance(float(given["advance"])),
            ("POST", "settings"): self._settings,
        }

    def handle(self, request: Request) -> Answer:
        """One call; an empty result answers `{}`."""
        call = self._calls.get((request.method, request.path.removeprefix("/__lab/").rstrip("/")))
        if call is None:
            return _told(404, {"message": "no such lab control"})
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Any]) if request.body else {}
            result = call(dict(parse_qsl(request.query)) | body)
        except Refusal as refusal:
            return _told(refusal.status, {"code": refusal.code, "message": refusal.message})
        except (KeyError, ValueError, TypeError, LookupError, AttributeError) as error:
            return _told(400, {"message": f"{type(error).__name__}: {error}"})
        return _told(200, {} if result is None else result)

    def _requests(self, given: Arguments) -> Any:  # noqa: ANN401
        since = int(given.get("since", 0))
        return [msgspec.to_builtins(one) for one in self._device.requests() if one.number > since]

    def _add_fault(self, given: Arguments) -> None:
        options = dict(given)
        self._device.faults.add(options.pop("kind"), **options)

    def _state(self, _given: Arguments) -> Any:  # noqa: ANN401
        state = self._device.state()
        held = {name: msgspec.to_builtins(one) for name, one in state.items()}
        return {"digest": state.digest(), "items": held, "interfaces": dict(self._device.interfaces)}

    def _decide(self, given: Arguments) -> Any:  # noqa: ANN401
        kind, _, code = str(given.get("icmp", "")).partition(":")
        icmp = (int(kind), int(code or 0)) if kind else None
        packet = Packet(
            given["source"], given["destination"], int(given.get("protocol", 6)), int(given.get("port", 0)), icmp
        )
        return msgspec.to_builtins(self._device.judge(packet))

    def _settings(self, given: Arguments) -> None:
        device = self._device
        setters: dict[str, Callable[[Any], None]] = {
            "latency": lambda value: setattr(device.endpoint, "latency", float(value)),
            "settling": lambda value: setattr(device, "settling", float(value)),
            "throttle": lambda value: setattr(device.throttle, "on", bool(value)),
            "permitted": lambda value: setattr(device, "permitted", set(value)),
            "limits": self._set_limits,
        }
        for name, value in given.items():
            setters[name](value)

    def _set_limits(self, given: Arguments) -> None:
        for name, value in given.items():
            getattr(self._device.limits, name)
            setattr(self._device.limits, name, value)


def _told(status: int, value: object) -> Answer:
    return Answer(status, msgspec.json.encode(value))
