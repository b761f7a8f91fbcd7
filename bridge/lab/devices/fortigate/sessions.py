"""The session table: what the monitor shows of it, and what closes sessions.

`GET firewall/session?count=…` (rounded to 20 at least and 1,000 at most) filters by `source`, `destination`, `sourceport`,
`destport`, `protocol`, `policyid`, `ip_version`. `POST firewall/session/close` closes one that is named wholly, `close-multiple`
those that match what is given of `proto` (or `pro`), `saddr`, `daddr`, `sport`, `dport`, `policy`, in the query or in the body.
Parameters that are not known are ignored: `close-multiple` without any known one closes every session of its kind on the box.
`close-all` closes those of its kind, `clear_all` those of both kinds, of one VDOM.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.lab.devices.fortigate.answers import FortiError, Json
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.query import single, whole
from bridge.lab.devices.fortigate.referee import PROTOCOLS, Packet
from bridge.lab.devices.fortigate.values import number

_FEWEST = 20
_NAMES = {"saddr": "source", "daddr": "destination", "sport": "source_port", "dport": "port", "policy": "policy"}
_SHOWN = {
    "source": "source",
    "destination": "destination",
    "sourceport": "source_port",
    "destport": "port",
    "policyid": "policy",
}


@dataclass(frozen=True, slots=True)
class Session:
    """One flow that the box lets through. `protocol` is the number; ports are 0 where there are none."""

    serial: int
    source: str
    destination: str
    protocol: int = 6
    source_port: int = 0
    port: int = 0
    policy: int = 0
    vdom: str = "root"
    inward: str = "port1"
    outward: str = "port2"

    @property
    def version(self) -> int:
        """4 or 6."""
        return number(self.source).version

    def packet(self, at: float) -> Packet:
        """What would begin it at that time; of ICMP, a request for an echo."""
        icmp = {1: (8, 0), 58: (128, 0)}.get(self.protocol)
        return Packet(
            self.source,
            self.destination,
            self.protocol,
            self.port,
            self.source_port,
            icmp,
            self.vdom,
            self.inward,
            self.outward,
            at,
        )

    def shown(self) -> Json:
        """As the monitor shows it."""
        names = {told: name for name, told in PROTOCOLS.items()}
        return {
            "sessid": self.serial,
            "proto": names.get(self.protocol, str(self.protocol)),
            "saddr": self.source,
            "sport": self.source_port,
            "daddr": self.destination,
            "dport": self.port,
            "srcintf": self.inward,
            "dstintf": self.outward,
            "policyid": self.policy,
            "policytype": "policy",
            "vf": self.vdom,
            "duration": 1,
            "expiry": "3599",
            "sentbyte": 0,
            "rcvdbyte": 0,
            "tx_packets": 0,
            "rx_packets": 0,
            "tx_shaper_drops": 0,
            "rx_shaper_drops": 0,
            "apps": [],
            "app_list_id": 0,
        }


class Sessions:
    """The table."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[int, Session] = {}
        self._serials = itertools.count(1001)

    def add(self, source: str, destination: str, **more: Any) -> Session:  # noqa: ANN401 - fields of a session
        """A new session, as traffic would make it."""
        one = Session(next(self._serials), source, destination, **more)
        self._held[one.serial] = one
        return one

    def all(self) -> list[Session]:
        """Every session, oldest first."""
        return list(self._held.values())

    def close(self, closed: Iterable[Session]) -> None:
        """These are no more."""
        for one in closed:
            self._held.pop(one.serial, None)

    def clear(self) -> None:
        """None is left."""
        self._held.clear()

    def show(self, given: dict[str, list[str]], vdom: str) -> Json:
        """The monitor's answer."""
        if not single(given, "count"):
            raise FortiError(400)
        count = min(max(whole(given, "count", 0), _FEWEST), self._limits.sessions_page)
        start = whole(given, "start", 0)
        wanted = {kept: single(given, name) for name, kept in _SHOWN.items() if single(given, name)}
        if single(given, "protocol", "all") != "all":
            wanted["protocol"] = single(given, "protocol")
        version = {"ipv4": 4, "ipv6": 6}.get(single(given, "ip_version", "ipv4"))
        found = [one for one in self._held.values() if one.vdom == vdom and _matches(one, wanted)]
        found = [one for one in found if version in (None, one.version)]
        told: Json = {"details": [one.shown() for one in found[start : start + count]]}
        if single(given, "summary") in ("1", "true", "True"):
            told["summary"] = {"matched_count": len(found), "session_count": len(self._held), "setup_rate": 0}
        return told

    def command(self, version: int, action: str, given: Mapping[str, Any], vdom: str) -> None:
        """`close`, `close-multiple`, `close-all` or `clear_all`."""
        calls: dict[str, Callable[[int, Mapping[str, str], str], list[Session]]] = {
            "close": self._one,
            "close-multiple": self._several,
            "close-all": self._kind,
            "clear_all": self._both,
        }
        found = calls.get(action)
        if found is None:
            raise FortiError(404)
        self.close(found(version, _wanted(given), vdom))

    def _one(self, version: int, wanted: Mapping[str, str], vdom: str) -> list[Session]:
        if wanted.keys() < {"protocol", "source", "destination", "source_port", "port"}:
            raise FortiError(400)
        return self._several(version, wanted, vdom)[:1]

    def _several(self, version: int, wanted: Mapping[str, str], vdom: str) -> list[Session]:
        if not wanted:
            return self._every(version, wanted, vdom)
        held = (one for one in self._held.values() if one.vdom == vdom and one.version == version)
        return [one for one in held if _matches(one, wanted)]

    def _kind(self, version: int, _wanted: Mapping[str, str], vdom: str) -> list[Session]:
        return [one for one in self._held.values() if (one.version, one.vdom) == (version, vdom)]

    def _both(self, _version: int, _wanted: Mapping[str, str], vdom: str) -> list[Session]:
        return [one for one in self._held.values() if one.vdom == vdom]

    def _every(self, version: int, _wanted: Mapping[str, str], _vdom: str) -> list[Session]:
        return [one for one in self._held.values() if one.version == version]


def _wanted(given: Mapping[str, Any]) -> dict[str, str]:
    told = {kept: str(given[name]) for name, kept in _NAMES.items() if given.get(name) not in (None, "")}
    protocol = given.get("proto", given.get("pro"))
    return told | ({"protocol": str(protocol)} if protocol not in (None, "") else {})


def _matches(one: Session, wanted: Mapping[str, str]) -> bool:
    return all(_equal(one, name, text) for name, text in wanted.items())


def _equal(one: Session, name: str, text: str) -> bool:
    held = getattr(one, name)
    if name in ("source", "destination"):
        try:
            return number(held) == number(text)
        except ValueError:
            raise FortiError(400) from None
    if name == "protocol":
        text = str(PROTOCOLS.get(text.lower(), text))
    if not text.isdecimal():
        raise FortiError(400)
    return bool(held == int(text))
