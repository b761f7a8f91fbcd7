"""What `/__lab/` of a simulated FortiGate has besides what it has on every device (`devices/laboratory.py`).

| call | does |
| --- | --- |
| GET state[?vdom=…][&path=firewall/address] | every entry and what feeds hold, and the digest |
| POST objects `{path, body, vdom}` | put an entry there as somebody else |
| DELETE objects `{path, vdom}` | take away what that path names, as somebody else |
| GET decide?source=…&destination=…&protocol=…&port=…&icmp=8:0&vdom=…&inward=…&outward=…&at=… | the referee's decision |
| GET, POST sessions `{source, destination, …}` | the session table; a new session |
| POST pair, failover, manage `{manager}` | as `Fortigate` |
| POST settings `{inFlight, version, serial, synced, trusted}` | those given |
| POST settings `{emptySnapshot, feedsSurviveReboot, feedsReachPeer, pushAtomic}` | those given |
"""

from typing import TYPE_CHECKING, Any

import msgspec

from bridge.lab.devices.fortigate import entry
from bridge.lab.devices.fortigate.answers import FortiError
from bridge.lab.devices.fortigate.referee import Packet
from bridge.lab.devices.laboratory import Arguments, Call, Laboratory, Setter, icmp, told
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.fortigate.simulator import Fortigate


class FortigateLaboratory(Laboratory):
    """Answers `/__lab/…`."""

    def __init__(self, device: "Fortigate") -> None:
        self._device = device
        calls: dict[tuple[str, str], Call] = {
            ("GET", "state"): self._state,
            ("POST", "objects"): lambda given: device.put_object(
                given["path"], given["body"], vdom=given.get("vdom", "root")
            ),
            ("DELETE", "objects"): lambda given: device.delete_object(given["path"], vdom=given.get("vdom", "root")),
            ("GET", "decide"): self._decide,
            ("GET", "sessions"): lambda _given: [one.shown() for one in device.sessions.all()],
            ("POST", "sessions"): lambda given: device.sessions.add(**given).shown(),
            ("POST", "pair"): lambda _given: device.pair(),
            ("POST", "failover"): lambda _given: device.failover(),
            ("POST", "manage"): lambda given: device.manage(str(given.get("manager", "192.0.2.9"))),
        }
        setters: dict[str, Setter] = {
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
        super().__init__(device, calls, setters)

    def handle(self, request: Request) -> Answer:
        """One call; what the device refuses is told as it tells it."""
        try:
            return super().handle(request)
        except FortiError as refusal:
            return told(refusal.status, {"error": refusal.error, "message": refusal.words})

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
            options["icmp"] = icmp(options["icmp"])
        decision = self._device.judge(Packet(**options))
        return msgspec.to_builtins(decision) | {"allowed": decision.allowed}
