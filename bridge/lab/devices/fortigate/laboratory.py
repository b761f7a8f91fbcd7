"""`/__lab/` of a simulated FortiGate: the controls over HTTP, for those who run it as a process of its own. No authentication.

| call | does |
| --- | --- |
| GET requests[?since=n] | the log of calls, with bytes in and out |
| GET, POST, DELETE faults | count of waiting faults; add one (`Fault`'s fields); forget all |
| GET state[?vdom=…][&path=firewall/address] | every entry and what feeds hold, and the digest |
| GET history | who wrote what, with the digest of the state after it |
| POST objects `{path, body, vdom}` | put an entry there as somebody else |
| DELETE objects `{path, vdom}` | take away what that path names, as somebody else |
| GET decide?source=…&destination=…&protocol=…&port=…&icmp=8:0&vdom=…&inward=…&outward=…&at=… | the referee's decision |
| GET, POST sessions `{source, destination, …}` | the session table; a new session |
| POST reboot, wipe, pair, failover, manage `{manager}` | as `Fortigate` |
| POST clock `{advance}` | let seconds pass |
| POST settings `{latency, inFlight, version, serial, synced, trusted}` | those given |
| POST settings `{emptySnapshot, feedsSurviveReboot, feedsReachPeer, pushAtomic}` | those given |
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from bridge.lab.devices.fortigate import entry
from bridge.lab.devices.fortigate.answers import FortiError, json_answer
from bridge.lab.devices.fortigate.configuration import read_body
from bridge.lab.devices.fortigate.referee import Packet
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.fortigate.simulator import Fortigate

Arguments = Mapping[str, Any]


class Laboratory:
    """Answers `/__lab/…`."""

    def __init__(self, device: "Fortigate") -> None:
        self._device = device
        self._calls: dict[tuple[str, str], Callable[[Arguments], Any]] = {
            ("GET", "requests"): self._requests,
            ("GET", "faults"): lambda _given: {"waiting": len(device.faults)},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): lambda _given: device.faults.clear(),
            ("GET", "state"): self._state,
            ("GET", "history"): lambda _given: device.history(),
            ("POST", "objects"): lambda given: device.put_object(
                given["path"], given["body"], vdom=given.get("vdom", "root")
            ),
            ("DELETE", "objects"): lambda given: device.delete_object(given["path"], vdom=given.get("vdom", "root")),
            ("GET", "decide"): self._decide,
            ("GET", "sessions"): lambda _given: [one.shown() for one in device.sessions.all()],
            ("POST", "sessions"): lambda given: device.sessions.add(**given).shown(),
            ("POST", "reboot"): lambda _given: device.reboot(),
            ("POST", "wipe"): lambda _given: device.wipe(),
            ("POST", "pair"): lambda _given: device.pair(),
            ("POST", "failover"): lambda _given: device.failover(),
            ("POST", "manage"): lambda given: device.manage(str(given.get("manager", "192.0.2.9"))),
            ("POST", "clock"): lambda given: device.clock.advance(float(given["advance"])),
            ("POST", "settings"): self._settings,
        }

    def handle(self, request: Request) -> Answer:
        """One call; an empty result answers `{}`."""
        call = self._calls.get((request.method, request.path.removeprefix("/__lab/").rstrip("/")))
        if call is None:
            return json_answer(404, {"message": "no such lab control"})
        try:
            result = call(dict(parse_qsl(request.query)) | read_body(request.body))
        except FortiError as refusal:
            return json_answer(refusal.status, {"error": refusal.error, "message": refusal.words})
        except (KeyError, ValueError, TypeError, LookupError) as error:
            return json_answer(400, {"message": f"{type(error).__name__}: {error}"})
        return json_answer(200, {} if result is None else result)

    def _requests(self, given: Arguments) -> Any:  # noqa: ANN401
        since = int(given.get("since", 0))
        return [msgspec.to_builtins(one) for one in self._device.requests() if one.number > since]

    def _add_fault(self, given: Arguments) -> None:
        options = dict(given)
        self._device.faults.add(options.pop("kind"), **options)

    def _state(self, given: Arguments) -> Any:  # noqa: ANN401
        state = self._device.state()
        told: dict[str, Any] = {}
        for place in sorted(state.tables):
            if given.get("vdom", place[0]) == place[0] and given.get("path", place[1]) == place[1]:
                told[":".join(place)] = [entry.show(item) for item in state.listed(place)]
        feeds = {":".join((key[0], key[2])): list(held) for key, held in sorted(state.entries.items())}
        return {"digest": state.digest(), "tables": told, "entries": feeds}

    def _decide(self, given: Arguments) -> Any:  # noqa: ANN401
        options = dict(given)
        for name in ("port", "source_port"):
            if name in options:
                options[name] = int(options[name])
        if "at" in options:
            options["at"] = float(options["at"])
        if str(options.get("protocol", "")).isdecimal():
            options["protocol"] = int(options["protocol"])
        if "icmp" in options:
            kind, _, code = options["icmp"].partition(":")
            options["icmp"] = (int(kind), int(code or 0))
        decision = self._device.judge(Packet(**options))
        return msgspec.to_builtins(decision) | {"allowed": decision.allowed}

    def _settings(self, given: Arguments) -> None:
        device = self._device
        setters: dict[str, Callable[[Any], None]] = {
            "latency": lambda value: setattr(device.endpoint, "latency", float(value)),
            "inFlight": lambda value: setattr(device.limits, "in_flight", int(value)),
            "version": lambda value: setattr(device.identity, "version", str(value)),
            "serial": lambda value: setattr(device.identity.units[0], "serial", str(value)),
            "synced": lambda value: setattr(device.identity, "synced", bool(value)),
            "trusted": lambda value: setattr(device.tokens.users()[0], "trusted", tuple(value)),
            "emptySnapshot": lambda value: setattr(device.conduct, "empty_snapshot", str(value)),
            "feedsSurviveReboot": lambda value: setattr(device.conduct, "feeds_survive_reboot", bool(value)),
            "feedsReachPeer": lambda value: setattr(device.conduct, "feeds_reach_peer", bool(value)),
            "pushAtomic": lambda value: setattr(device.conduct, "push_atomic", bool(value)),
        }
        for name, value in given.items():
            setters[name](value)
