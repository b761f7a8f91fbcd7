"""A simulated BIG-IP in the hands of the conformance suite."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from bridge.contract import DeviceConfig
from bridge.lab.device import Moment, Trouble
from bridge.lab.devices.bigip import referee
from bridge.lab.devices.bigip.answers import encode, framework_error, html, tm_error
from bridge.lab.devices.bigip.fields import Limits
from bridge.lab.devices.bigip.item import Item, State
from bridge.lab.devices.bigip.kinds import ADDRESS_LIST
from bridge.lab.devices.bigip.show import show_item
from bridge.lab.devices.bigip.simulator import Bigip
from bridge.lab.devices.message import Answer
from bridge.lab.devices.rig import Login, ServedRig
from bridge.model.identity import ObjectKey
from bridge.model.policy import Protocol
from bridge.policy.evaluate import Packet, Verdict

_VIRTUAL = "/Common/egress"
_SLOTS = frozenset({"enforcedPolicy", "enforcedPolicyReference", "fwEnforcedPolicy", "fwEnforcedPolicyReference"})
_WIDE = Limits()
_WRITES = "POST PATCH PUT DELETE"
_WORDS = {
    Protocol.TCP: "tcp",
    Protocol.UDP: "udp",
    Protocol.SCTP: "sctp",
    Protocol.ICMP: "icmp",
    Protocol.ICMPV6: "ipv6-icmp",
}
_CANNED = {
    Trouble.UNAUTHORIZED: "unauthorized",
    Trouble.FORBIDDEN: "forbidden",
    Trouble.UNAVAILABLE: "busy",
    Trouble.SILENCE: "hang",
    Trouble.CUT: "cut",
}
_GONE = "01020036:3: The requested object (/Common/fb/it) was not found."
_THERE = "01020066:3: The requested object (/Common/fb/it) already exists in partition Common."


def verdict(state: State, packet: Packet, at: float, virtual: str = _VIRTUAL) -> Verdict:
    """What a configuration does at that second with a packet that enters through the virtual server."""
    word = _WORDS.get(packet.protocol, str(packet.number))
    icmp = (packet.icmp.type, packet.icmp.code or 0) if packet.icmp else None
    seen = referee.Packet(packet.source, packet.destination, word, packet.port or None, icmp=icmp, virtual=virtual)
    decision = referee.decide(state, seen, at=at, default="unmatched")
    words = {"accept-decisively": Verdict.ALLOW, "drop": Verdict.DENY, "reject": Verdict.REJECT}
    return words.get(decision.action, Verdict.UNMATCHED)


class BigipMoment:
    """The configuration after one of its changes."""

    virtual = _VIRTUAL

    def __init__(self, device: Bigip, number: int) -> None:
        self._device = device
        self._number = number

    @cached_property
    def state(self) -> State:
        """Made when it is first asked for."""
        return self._device.state(f"at:{self._number}")

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        """The referee's, for a packet that enters through the virtual server of the rig."""
        return verdict(self.state, packet, self._device.clock.now() if at is None else at, self.virtual)

    def dangling(self) -> Sequence[str]:
        """References to objects that are not there."""
        state = self.state
        return [f"{item.path} -> {ref[1]}" for item in state.values() for ref in item.references if ref not in state]


class BigipRig(ServedRig[Bigip]):
    """The controls of one simulator, in the suite's words."""

    canned = _CANNED
    limits: Mapping[str, int] = {"group_members": 6, "rules": 4}
    way = "/mgmt/tm/"  # to what is disturbed

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """The first owner attached wherever our policies can be, for there is room for one; small pages, so that there are several."""
        scope: dict[str, Any] = {"pageSize": 20} | ({"transactionSize": max(2, batch)} if batch else {})
        return DeviceConfig(
            "edge",
            "bigip",
            self.device.url,
            owner,
            Login(self.device),
            scope,
            {"mode": "ifEmpty" if owner == "fb" else "none", "service": {"virtualServer": _VIRTUAL}},
            ca_file=self.device.ca,
            timeout=timeout,
        )

    def reset(self) -> None:
        """The factory's configuration, and the virtual server."""
        self.calm()
        self.device.wipe()
        self.device.limits.members, self.device.limits.rules = _WIDE.members, _WIDE.rules
        self.device.put_object("ltm/virtual", {"name": _VIRTUAL, "destination": "0.0.0.0:0", "mask": "any"})
        self._since = self.device.writes()[-1].number

    def plant(self) -> Collection[str]:
        """Lists in our folder, with our prefix, with our mark; and a policy of the site with rules of its own."""
        device = self.device
        device.put_object("sys/folder", {"name": "/Common/fb"})
        alike = ("/Common/fb/somebodys", "/Common/fb/fb_prod_service_shop_web2", "/Common/fb_prod_service_shop_web")
        for name in (*alike, "/Common/unrelated"):
            device.put_object(ADDRESS_LIST, {"name": name, "addresses": [{"name": "192.0.2.99"}]})
        copy = {"name": "/Common/copy", "description": "fb:fb:group:prod/service/shop/web"}
        device.put_object(ADDRESS_LIST, copy | {"addresses": [{"name": "192.0.2.98"}]})
        device.put_object("security/firewall/policy", {"name": "/Common/site"})
        rule = {"name": "own", "action": "drop", "ipProtocol": "tcp", "placeAfter": "last"}
        device.put_object("security/firewall/policy/~Common~site/rules", rule)
        return (*alike, "/Common/copy")

    def contents(self) -> Mapping[str, bytes]:
        """Every object as GET shows it, without what counts changes and without the places of policies."""
        return {f"{key[0]} {key[1]}": _bytes(item) for key, item in sorted(self.device.state().items())}

    def moments(self) -> Sequence[Moment]:
        """The states are made when they are asked for."""
        return [BigipMoment(self.device, number) for number in self.numbers()]

    def narrow(self, limit: str) -> None:
        """The simulator's own limits."""
        setattr(self.device.limits, {"group_members": "members", "rules": "rules"}[limit], self.limits[limit])

    def unmark(self, key: ObjectKey) -> str:
        """Another description, and for address lists another address."""
        item = self._item(key)
        body: dict[str, Any] = {"description": "mine now"}
        if item.kind.collection == ADDRESS_LIST:
            body["addresses"] = [{"name": "192.0.2.97"}]
        self.device.change_object(_rest(item), body)
        return f"{item.kind.collection} {item.path}"

    def tamper(self, key: ObjectKey) -> None:
        """One more address."""
        item = self._item(key)
        self.device.change_object(
            _rest(item), {"addresses": [{"name": name} for name in (*item.body["addresses"], "10.66.0.66")]}
        )

    def secrets(self) -> Collection[str]:
        """The password and the tokens."""
        return {self.device.password, *(token.name for token in self.device.tokens.live())}

    def _item(self, key: ObjectKey) -> Item:
        found = (one for one in self.device.state().values() if one.path.startswith("/Common/fb/"))
        return next(one for one in found if str(one.body.get("description")) == f"fb:fb:{key}")

    def _in_the_way(self, *, writes: bool) -> Mapping[str, str]:
        return {"path": self.way, "method": _WRITES if writes else ""}

    def _answer(self, trouble: Trouble) -> Answer:
        answers = {
            Trouble.MISSING: tm_error(404, _GONE),
            Trouble.CONFLICT: tm_error(409, _THERE),
            Trouble.TOO_MANY: html(429, "Too Many Requests", "Slow down."),
            Trouble.HTML: html(200, "Configuration utility", "Please log in."),
            Trouble.ECHO: framework_error(400, f"cannot serve {' '.join(sorted(self.secrets()))}"),
        }
        return answers[trouble]


@contextmanager
def bigip_rig() -> Iterator[BigipRig]:
    """A rig around a simulator that runs as long as the context."""
    with Bigip(tls=False, keep=2_000) as device:
        yield BigipRig(device)


def _rest(item: Item) -> str:
    return f"{item.kind.collection}/{item.path.replace('/', '~')}"


def _bytes(item: Item) -> bytes:
    return encode(_plain(show_item(item, expand=True)))


def _plain(shown: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(shown, dict):
        return {name: _plain(value) for name, value in shown.items() if name not in _SLOTS | {"generation"}}
    return [_plain(one) for one in shown] if isinstance(shown, list) else shown
