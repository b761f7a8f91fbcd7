"""`/__lab/` of a simulated BIG-IP: the controls over HTTP, for those who run it as a process of its own. No authentication.

| call | does |
| --- | --- |
| GET requests[?since=n] | the log of calls, with bytes in and out |
| GET, POST, DELETE faults | count of waiting faults; add one (`Fault`'s fields); forget all |
| GET state[?config=active][&collection=…] | every object, rules with it, and the digest |
| GET history | who wrote what, with the digest of the state after it |
| POST objects `{collection, body}` | put an object there as somebody else; rules: collection `security/firewall/policy/~Common~p/rules` |
| DELETE objects `{path}` | take away what that REST path names, as somebody else |
| GET decide?source=…&destination=…&protocol=…&port=…&icmp=8:0&route_domain=0&virtual=…&config=active | the referee's decision |
| GET, POST connections `{client, client_port, server, server_port, protocol}` | those that are tracked; one more |
| POST reboot, wipe, deploy | as `Bigip` |
| POST clock `{advance}` | let seconds pass |
| POST settings `{compileDelay, manualCompile, latency, tokenLimit, transactionSeconds, serial, failover, sync}` | those given |
| POST settings `{as3Seconds, as3Patience, as3Installed}` | how long a declaration takes, when 202 is answered unasked, is it there |
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from bridge.lab.devices.bigip.answers import ApiError, encode, framework_error
from bridge.lab.devices.bigip.configuration import read_body
from bridge.lab.devices.bigip.connections import Connection
from bridge.lab.devices.bigip.referee import Packet
from bridge.lab.devices.bigip.show import show_item
from bridge.lab.devices.bigip.store import digest
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.bigip.simulator import Bigip

Arguments = Mapping[str, Any]


class Laboratory:
    """Answers `/__lab/…`."""

    def __init__(self, device: "Bigip") -> None:
        self._device = device
        self._calls: dict[tuple[str, str], Callable[[Arguments], Any]] = {
            ("GET", "requests"): self._requests,
            ("GET", "faults"): lambda _given: {"waiting": len(device.faults)},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): lambda _given: device.faults.clear(),
            ("GET", "state"): self._state,
            ("GET", "history"): lambda _given: device.history(),
            ("POST", "objects"): lambda given: device.put_object(given["collection"], given["body"]),
            ("DELETE", "objects"): lambda given: device.delete_object(given["path"]),
            ("GET", "decide"): self._decide,
            ("GET", "connections"): lambda _given: [msgspec.to_builtins(one) for one in device.connections.open],
            ("POST", "connections"): lambda given: device.connections.open.append(Connection(**given)),
            ("POST", "reboot"): lambda _given: device.reboot(),
            ("POST", "wipe"): lambda _given: device.wipe(),
            ("POST", "deploy"): lambda _given: device.deploy(),
            ("POST", "clock"): lambda given: device.clock.advance(float(given["advance"])),
            ("POST", "settings"): self._settings,
        }

    def handle(self, request: Request) -> Answer:
        """One call; an empty result answers `{}`."""
        call = self._calls.get((request.method, request.path.removeprefix("/__lab/").rstrip("/")))
        if call is None:
            return framework_error(404, "no such lab control")
        try:
            result = call(dict(parse_qsl(request.query)) | read_body(request.body))
        except ApiError as refusal:
            return refusal.answer()
        except (KeyError, ValueError, TypeError, LookupError) as error:
            return framework_error(400, f"{type(error).__name__}: {error}")
        return Answer(200, encode({} if result is None else result))

    def _requests(self, given: Arguments) -> Any:  # noqa: ANN401
        since = int(given.get("since", 0))
        return [msgspec.to_builtins(one) for one in self._device.requests() if one.number > since]

    def _add_fault(self, given: Arguments) -> None:
        options = dict(given)
        self._device.faults.add(options.pop("kind"), **options)

    def _state(self, given: Arguments) -> Any:  # noqa: ANN401
        state = self._device.state(given.get("config", "stored"))
        wanted = given.get("collection", "")
        shown = [show_item(item, expand=True) for key, item in sorted(state.items()) if wanted in ("", key[0])]
        return {"digest": digest(state), "objects": shown}

    def _decide(self, given: Arguments) -> Any:  # noqa: ANN401
        options = dict(given)
        config = options.pop("config", "stored")
        for name in ("port", "source_port", "route_domain"):
            if name in options:
                options[name] = int(options[name])
        if "icmp" in options:
            kind, _, code = options["icmp"].partition(":")
            options["icmp"] = (int(kind), int(code or 0))
        decision = self._device.judge(Packet(**options), config=config)
        return msgspec.to_builtins(decision) | {"allowed": decision.allowed}

    def _settings(self, given: Arguments) -> None:
        device = self._device
        setters: dict[str, Callable[[Any], None]] = {
            "compileDelay": lambda value: setattr(device.store.compiler, "delay", float(value)),
            "manualCompile": lambda value: setattr(device.store.compiler, "manual", bool(value)),
            "latency": lambda value: setattr(device.endpoint, "latency", float(value)),
            "tokenLimit": lambda value: setattr(device.tokens, "limit", int(value)),
            "transactionSeconds": lambda value: setattr(device.transactions, "seconds", float(value)),
            "serial": lambda value: setattr(device.identity, "serial", str(value)),
            "failover": lambda value: setattr(device.identity, "failover", str(value)),
            "as3Seconds": lambda value: setattr(device.as3, "seconds", float(value)),
            "as3Patience": lambda value: setattr(device.as3, "patience", float(value)),
            "as3Installed": lambda value: setattr(device.as3, "installed", bool(value)),
            "sync": lambda value: setattr(device.identity, "sync", str(value)),
        }
        for name, value in given.items():
            setters[name](value)
