"""What the firewall decides about a packet, read from its configuration by FortiOS's rules and by nothing of the bridge's.

The policies of a VDOM (its security policies, where it is in policy-based mode) are tried in their order; the first that is
enabled, whose schedule is running, and whose interfaces, source, destination and service all match decides. A packet of IPv4 meets
`srcaddr` and `dstaddr`, one of IPv6 `srcaddr6` and
`dstaddr6`; a side of which nothing is said for that version matches nothing. Feeds match by the entries that are in
force; an empty feed, and a name that nobody resolved, match nothing. Behind the last policy stands the implicit deny.

Not looked at: users, countries, internet services, NAT, interfaces that the packet does not name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from ipaddress import IPv4Address, IPv6Address
from time import time
from zoneinfo import ZoneInfo

from bridge.lab.devices.fortigate.answers import Json
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.feeds import room
from bridge.lab.devices.fortigate.firewall import WITH_PORTS
from bridge.lab.devices.fortigate.item import FEED, POLICY, SECURITY_POLICY, Item, Key, State
from bridge.lab.devices.fortigate.table import (
    ADDRESS,
    ADDRESS6,
    GLOBAL,
    GROUP,
    GROUP6,
    ONETIME,
    RECURRING,
    SCHEDULE_GROUP,
    SERVICE,
    SERVICE_GROUP,
    SETTINGS,
)
from bridge.lab.devices.fortigate.values import DAYS, Span, entry_span, instant, number, port_spans

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132, "udplite": 136}
_RANGES = {6: "tcp-portrange", 17: "udp-portrange", 132: "sctp-portrange", 136: "udplite-portrange"}
_ICMP = {"ICMP": 1, "ICMP6": 58}
_SIDES = {4: ("srcaddr", "dstaddr"), 6: ("srcaddr6", "dstaddr6")}
_NETS = {4: (ADDRESS, GROUP, FEED), 6: (ADDRESS6, GROUP6, FEED)}


@dataclass(frozen=True, slots=True)
class Packet:
    """What a first packet of a flow shows.

    `icmp` is (type, code), `protocol` a number or one of `PROTOCOLS`, `at` seconds since the epoch (None: now).
    """

    source: str
    destination: str
    protocol: str | int = "tcp"
    port: int = 0
    source_port: int = 1024
    icmp: tuple[int, int] | None = None
    vdom: str = "root"
    inward: str | None = None
    outward: str | None = None
    at: float | None = None

    @property
    def number(self) -> int:
        """Of the protocol."""
        return PROTOCOLS[self.protocol] if isinstance(self.protocol, str) else self.protocol


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, `accept`, `deny`, `reject` (a deny that answers) or the default, and the policy that decided (None: no one did)."""

    action: str
    policy: int | None = None
    name: str = ""
    log: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the packet goes on."""
        return self.action == "accept"


@dataclass(slots=True)
class _Net:
    hosts: set[int] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)
    but: "_Net | None" = None
    parts: list["_Net"] = field(default_factory=list)

    def add(self, span: Span) -> None:
        if span.low == span.high:
            self.hosts.add(span.low << 4 | span.version)
        else:
            self.spans.append(span)

    def take(self, other: "_Net") -> None:
        if other.but is not None:
            self.parts.append(other)
            return
        self.hosts |= other.hosts
        self.spans += other.spans
        self.parts += other.parts

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        if self.but is not None and self.but.holds(address):
            return False
        if int(address) << 4 | address.version in self.hosts:
            return True
        return any(one.holds(address) for one in self.spans) or any(one.holds(address) for one in self.parts)


class Court:
    """Decides upon one state. What policies name is worked out once, so keep it for many packets of one state."""

    def __init__(
        self,
        state: State,
        *,
        limits: Limits | None = None,
        shared_room: bool = True,
        names: Mapping[str, Iterable[str]] | None = None,
        default: str = "deny",
    ) -> None:
        self._state = state
        self._names = names or {}
        self._default = default
        self._room = room(state, limits or Limits(), shared=shared_room)
        self._nets: dict[Key, _Net] = {}
        self._policies: dict[str, list[Item]] = {}
        self._zone = _zone(state)
        self._sides: dict[tuple[str, str, str], list[_Net]] = {}  # by VDOM, policy and side
        self._at: float | None = None
        self._running: dict[tuple[str, str], bool] = {}  # whether a schedule of a VDOM runs, at that time

    def judge(self, packet: Packet) -> Decision:
        """The decision on one packet."""
        if packet.vdom not in self._policies:
            self._policies[packet.vdom] = self._state.listed((packet.vdom, self._deciding(packet.vdom)))
        at = packet.at if packet.at is not None else time()
        if at != self._at:
            self._at, self._running = at, {}
        for item in self._policies[packet.vdom]:
            if item.body["status"] == "enable" and self._matches(item, packet, at):
                return _decision(item)
        return Decision(self._default)

    def _deciding(self, vdom: str) -> str:
        settings = self._state.get((vdom, SETTINGS, ""))
        based = settings is not None and settings.body["ngfw-mode"] == "policy-based"
        return SECURITY_POLICY if based else POLICY

    def _matches(self, item: Item, packet: Packet, at: float) -> bool:
        body = item.body
        return (
            _through(body["srcintf"], packet.inward)
            and _through(body["dstintf"], packet.outward)
            and self._is_running(packet.vdom, body["schedule"], at)
            and self._address(item, packet)
            and self._service(body, packet)
        )

    def _address(self, item: Item, packet: Packet) -> bool:
        body = item.body
        for index, text in enumerate((packet.source, packet.destination)):
            address = number(text)
            side = _SIDES[address.version][index]
            if not body[side]:
                return False
            among = any(net.holds(address) for net in self._nets_of(item, side, address.version))
            if among == (body.get(f"{side}-negate") == "enable"):
                return False
        return True

    def _nets_of(self, item: Item, side: str, version: int) -> list[_Net]:
        vdom, _, name = item.key
        found = self._sides.get((vdom, name, side))
        if found is None:
            found = self._sides[vdom, name, side] = [self._net(vdom, version, one) for one in item.body[side]]
        return found

    def _net(self, vdom: str, version: int, name: str) -> _Net:
        for scope in (vdom, ""):
            for path in _NETS[version]:
                key = (scope, path, name)
                if key in self._nets:
                    return self._nets[key]
                item = self._state.get(key)
                if item is not None:
                    self._nets[key] = net = _Net()
                    self._fill(net, item, version)
                    return net
        return _Net()

    def _fill(self, net: _Net, item: Item, version: int) -> None:
        vdom, path, _ = item.key
        if path == FEED:
            self._fill_feed(net, item)
        elif path in (GROUP, GROUP6):
            for name in item.body["member"]:
                net.take(self._net(vdom, version, name))
            if item.body["exclude"] == "enable":
                net.but = _Net(parts=[self._net(vdom, version, name) for name in item.body["exclude-member"]])
        else:
            for span in self._spans(item.body):
                net.add(span)

    def _fill_feed(self, net: _Net, item: Item) -> None:
        if item.body["status"] != "enable" or item.key not in self._room:
            return
        for text in list(self._state.entries.get(item.key, ()))[: self._room[item.key].count]:
            span = entry_span(text)
            if span is not None:
                net.add(span)

    def _spans(self, body: Json) -> Iterable[Span]:
        kind = body["type"]
        if kind == "fqdn":
            found = [entry_span(one) for one in self._names.get(body["fqdn"], ())]
            return [span for span in found if span is not None]
        if kind == "iprange":
            return _known(f"{body['start-ip']}-{body['end-ip']}")
        if kind == "ipmask":
            return _known(body["subnet"].replace(" ", "/"))
        return _known(body["ip6"]) if kind == "ipprefix" else ()

    def _is_running(self, vdom: str, name: str, at: float) -> bool:
        known = self._running.get((vdom, name))
        if known is None:
            known = self._running[vdom, name] = self._runs(vdom, name, datetime.fromtimestamp(at, self._zone))
        return known

    def _runs(self, vdom: str, name: str, at: datetime) -> bool:
        one = self._state.get((vdom, ONETIME, name))
        if one is not None:
            return instant(one.body["start"], self._zone) <= at.timestamp() < instant(one.body["end"], self._zone)
        one = self._state.get((vdom, RECURRING, name))
        if one is not None:
            return _recurs(one.body, at)
        one = self._state.get((vdom, SCHEDULE_GROUP, name))
        return one is not None and any(self._runs(vdom, member, at) for member in one.body["member"])

    def _service(self, body: Json, packet: Packet) -> bool:
        if not body["service"]:
            return True  # only a security policy may name none
        among = any(self._serves(packet, name, frozenset()) for name in body["service"])
        return bool(among != (body["service-negate"] == "enable"))

    def _serves(self, packet: Packet, name: str, seen: frozenset[str]) -> bool:
        one = self._state.get((packet.vdom, SERVICE, name))
        if one is not None:
            return _carries(one.body, packet)
        one = self._state.get((packet.vdom, SERVICE_GROUP, name))
        if one is None or name in seen:
            return False
        return any(self._serves(packet, member, seen | {name}) for member in one.body["member"])


def _zone(state: State) -> tzinfo:
    """In which the box keeps its time; a number of Fortinet's own is taken for UTC."""
    told = state.get(("", GLOBAL, ""))
    try:
        return ZoneInfo(told.body["timezone"]) if told is not None else UTC
    except (KeyError, OSError, ValueError):
        return UTC


def _decision(item: Item) -> Decision:
    body = item.body
    action = "deny" if body["action"] == "deny" else "accept"
    if action == "deny" and body["send-deny-packet"] == "enable":
        action = "reject"
    return Decision(action, int(item.name), body["name"], body["logtraffic"] == "all")


def _known(text: str) -> Iterable[Span]:
    span = entry_span(text)
    return (span,) if span else ()


def _through(interfaces: Iterable[str], interface: str | None) -> bool:
    return interface is None or any(one in ("any", interface) for one in interfaces)


def _recurs(body: Json, at: datetime) -> bool:
    running = set(body["day"].split())
    now = at.strftime("%H:%M")
    start, end = body["start"], body["end"]
    today, before = DAYS[at.weekday()] in running, DAYS[(at - timedelta(days=1)).weekday()] in running
    if start == end:
        return today
    if start < end:
        return today and start <= now < end
    return (today and now >= start) or (before and now < end)


def _carries(body: Json, packet: Packet) -> bool:
    kind = body["protocol"]
    if kind in WITH_PORTS:
        spans = port_spans(body[_RANGES[packet.number]]) if packet.number in _RANGES else ()
        return any(
            there[0] <= packet.port <= there[1] and here[0] <= packet.source_port <= here[1] for there, here in spans
        )
    if kind in _ICMP:
        return packet.number == _ICMP[kind] and _is_of(body, packet.icmp)
    return bool(kind in ("IP", "ALL") and body["protocol-number"] in (0, packet.number))


def _is_of(body: Json, icmp: tuple[int, int] | None) -> bool:
    if body["icmptype"] == "":
        return True
    return icmp is not None and icmp[0] == body["icmptype"] and body["icmpcode"] in ("", icmp[1])
