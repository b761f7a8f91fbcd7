"""What `/__lab/` of a simulated BIG-IP has besides what it has on every device (`devices/laboratory.py`).

| call | does |
| --- | --- |
| GET state[?config=active][&collection=…] | every object, rules with it, and the digest |
| POST objects `{collection, body}` | put an object there as somebody else; rules: collection `security/firewall/policy/~Common~p/rules` |
| DELETE objects `{path}` | take away what that REST path names, as somebody else |
| GET decide?source=…&destination=…&protocol=…&port=…&icmp=8:0&route_domain=0&virtual=…&config=active | the referee's decision |
| GET, POST connections `{client, client_port, server, server_port, protocol}` | those that are tracked; one more |
| POST deploy | as `Bigip` |
| POST settings `{compileDelay, manualCompile, tokenLimit, transactionSeconds, serial, failover, sync}` | those given |
| POST settings `{as3Seconds, as3Patience, as3Installed}` | how long a declaration takes, when 202 is answered unasked, is it there |
"""

from typing import TYPE_CHECKING, Any

import msgspec

from bridge.lab.devices.bigip.answers import ApiError
from bridge.lab.devices.bigip.connections import Connection
from bridge.lab.devices.bigip.referee import Packet
from bridge.lab.devices.bigip.show import show_item
from bridge.lab.devices.bigip.store import digest
from bridge.lab.devices.laboratory import Arguments, Call, Laboratory, Setter, icmp
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.bigip.simulator import Bigip


class BigipLaboratory(Laboratory):
    """Answers `/__lab/…`."""

    def __init__(self, device: "Bigip") -> None:
        self._device = device
        calls: dict[tuple[str, str], Call] = {
            ("GET", "state"): self._state,
            ("POST", "objects"): lambda given: device.put_object(given["collection"], given["body"]),
            ("DELETE", "objects"): lambda given: device.delete_object(given["path"]),
            ("GET", "decide"): self._decide,
            ("GET", "connections"): lambda _given: [msgspec.to_builtins(one) for one in device.connections.open],
            ("POST", "connections"): lambda given: device.connections.open.append(Connection(**given)),
            ("POST", "deploy"): lambda _given: device.deploy(),
        }
        setters: dict[str, Setter] = {
            "compileDelay": lambda value: setattr(device.store.compiler, "delay", float(value)),
            "manualCompile": lambda value: device.store.compile_by_hand(bool(value)),
            "tokenLimit": lambda value: setattr(device.tokens, "limit", int(value)),
            "transactionSeconds": lambda value: setattr(device.transactions, "seconds", float(value)),
            "serial": lambda value: setattr(device.identity, "serial", str(value)),
            "failover": lambda value: setattr(device.identity, "failover", str(value)),
            "as3Seconds": lambda value: setattr(device.as3, "seconds", float(value)),
            "as3Patience": lambda value: setattr(device.as3, "patience", float(value)),
            "as3Installed": lambda value: setattr(device.as3, "installed", bool(value)),
            "sync": lambda value: setattr(device.identity, "sync", str(value)),
        }
        super().__init__(device, calls, setters)

    def handle(self, request: Request) -> Answer:
        """One call; what the device refuses is told as it tells it."""
        try:
            return super().handle(request)
        except ApiError as refusal:
            return refusal.answer()

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
            options["icmp"] = icmp(options["icmp"])
        decision = self._device.judge(Packet(**options), config=config)
        return msgspec.to_builtins(decision) | {"allowed": decision.allowed}
