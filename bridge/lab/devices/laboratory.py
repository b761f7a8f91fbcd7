"""`/__lab/` of a simulated device: what can be asked and done over HTTP in the same way on each of them. No authentication.

| call | does |
| --- | --- |
| GET requests[?since=n] | the log of calls, with bytes in and out |
| GET, POST, DELETE faults | count of waiting faults; add one (`Fault`'s fields); forget all |
| GET history | who wrote what, with the digest of the state after it |
| POST reboot, wipe | as the device's own |
| POST clock `{advance}` | let seconds pass |
| POST settings `{latency, …}` | those given |
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from bridge.lab.devices.message import Answer, Request
from bridge.lab.devices.served import Served

Arguments = Mapping[str, Any]
Call = Callable[[Arguments], Any]
Setter = Callable[[Any], None]


class Laboratory:
    """Answers `/__lab/…` with these calls of a device and with these settings, and with those of every device."""

    def __init__(
        self, device: Served[Any], calls: Mapping[tuple[str, str], Call], setters: Mapping[str, Setter]
    ) -> None:
        self._served = device
        self._calls: dict[tuple[str, str], Call] = {
            ("GET", "requests"): self._requests,
            ("GET", "faults"): lambda _given: {"waiting": len(device.faults)},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): lambda _given: device.faults.clear(),
            ("GET", "history"): lambda _given: device.history(),
            ("POST", "reboot"): lambda _given: device.reboot(),
            ("POST", "wipe"): lambda _given: device.wipe(),
            ("POST", "clock"): lambda given: device.clock.advance(float(given["advance"])),
            ("POST", "settings"): self._settings,
            **calls,
        }
        self._setters = {"latency": self._set_latency, **setters}

    def handle(self, request: Request) -> Answer:
        """One call; an empty result answers `{}`. What the device refuses leaves as its own error."""
        call = self._calls.get((request.method, request.path.removeprefix("/__lab/").rstrip("/")))
        if call is None:
            return told(404, {"message": "no such lab control"})
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Any]) if request.body.strip() else {}
            result = call(dict(parse_qsl(request.query)) | body)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            return told(400, {"message": f"{type(error).__name__}: {error}"})
        return told(200, {} if result is None else result)

    def _requests(self, given: Arguments) -> Any:  # noqa: ANN401
        since = int(given.get("since", 0))
        return [msgspec.to_builtins(one) for one in self._served.requests() if one.number > since]

    def _add_fault(self, given: Arguments) -> None:
        options = dict(given)
        self._served.faults.add(options.pop("kind"), **options)

    def _settings(self, given: Arguments) -> None:
        for name, value in given.items():
            self._setters[name](value)

    def _set_latency(self, value: Any) -> None:  # noqa: ANN401
        self._served.endpoint.latency = float(value)


def told(status: int, value: object) -> Answer:
    """An answer of the laboratory."""
    return Answer(status, msgspec.json.encode(value))


def icmp(text: str) -> tuple[int, int]:
    """Type and code of a message, from `8` or `3:4`."""
    kind, _, code = text.partition(":")
    return int(kind), int(code or 0)
