"""What a table does with a packet, read from nft's own listing by nothing of the adapter's: a small reading of nftables' rules."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from bridge.model.addresses import networks
from bridge.model.policy import NUMBERS, Protocol
from bridge.policy.evaluate import Packet, Verdict

Json = Mapping[str, Any]
_L4 = {
    Protocol.TCP: "tcp",
    Protocol.UDP: "udp",
    Protocol.SCTP: "sctp",
    Protocol.ICMP: "icmp",
    Protocol.ICMPV6: "icmpv6",
}
_GO_ON, _RETURN = "go on", "return"


@dataclass
class Ruleset:
    """One table as it stood at one moment."""

    listing: Sequence[Json]
    sets: dict[str, list[Any]] = field(default_factory=dict)
    rules: dict[str, list[list[Json]]] = field(default_factory=dict)
    hooks: list[str] = field(default_factory=list)
    clock: float = 0.0

    @classmethod
    def of(cls, text: str) -> "Ruleset":
        """From what `nft -jn list table` printed; an empty text is no table."""
        found = cls(json.loads(text)["nftables"] if text.strip() else [])
        for item in found.listing:
            match item:
                case {"set": one}:
                    found.sets[one["name"]] = one.get("elem", [])
                case {"chain": one}:
                    found.rules[one["name"]] = []
                    if one.get("hook") == "forward":
                        found.hooks.append(one["name"])
                case {"rule": {"chain": name, "expr": expr}}:
                    found.rules[name].append(expr)
        return found

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        """The first hooked chain that takes the packet; one that is accepted after a Pass was taken by none of our lines.

        `at`: when it comes, in seconds since 1970; else it comes now.
        """
        self.clock = time.time() if at is None else at
        for chain in self.hooks:
            taken = self._walk(chain, packet)
            if isinstance(taken, Verdict) and taken is not Verdict.UNMATCHED:
                return taken
        return Verdict.UNMATCHED

    def dangling(self) -> list[str]:
        """References to what is not there."""
        return [
            f"{chain} -> {name}"
            for chain, rules in self.rules.items()
            for expr in rules
            for name in _references(expr)
            if name not in self.sets and name not in self.rules
        ]

    def _walk(self, chain: str, packet: Packet) -> Verdict | str:
        for expr in self.rules[chain]:
            taken = self._rule(chain, expr, packet)
            if taken == _RETURN:
                return _GO_ON
            if taken != _GO_ON:
                return taken
        return _GO_ON

    def _rule(self, chain: str, expr: Sequence[Json], packet: Packet) -> Verdict | str:
        for statement in expr:
            if "match" in statement:
                if not self._matches(statement["match"], packet):
                    return _GO_ON
            elif not statement.keys() & {"counter", "log", "limit"}:
                return self._end(chain, statement, packet)
        return _GO_ON

    def _end(self, chain: str, statement: Json, packet: Packet) -> Verdict | str:
        match statement:
            case {"jump": {"target": target}}:
                return self._walk(target, packet)
            case {"goto": {"target": target}}:
                taken = self._walk(target, packet)
                return _RETURN if taken == _GO_ON else taken
        (word,) = statement
        accepted = Verdict.UNMATCHED if chain.startswith("next/") else Verdict.ALLOW
        return {"accept": accepted, "drop": Verdict.DENY, "reject": Verdict.REJECT, "return": _RETURN}[word]

    def _matches(self, match: Json, packet: Packet) -> bool:
        left, right = match["left"], match["right"]
        match left:
            case {"meta": {"key": "time"}}:
                return match["op"] == "<" and self.clock < _second(right)
            case {"payload": {"protocol": ("ip" | "ip6") as family, "field": side}}:
                address = packet.source if side == "saddr" else packet.destination
                return (_number(address)[0] == (4 if family == "ip" else 6)) and self._holds(right, address)
            case {"payload": {"protocol": protocol, "field": part}}:
                return _L4.get(packet.protocol) == protocol and self._is_header(part, right, packet)
        known = {"l4proto": NUMBERS.get(packet.protocol, packet.number), "state": 8, "direction": 0}  # new, original
        return bool(known[next(iter(left.values()))["key"]] == right)

    def _is_header(self, part: str, right: Any, packet: Packet) -> bool:  # noqa: ANN401 (JSON)
        if part == "dport":
            return self._has_port(right, packet.port)
        return packet.icmp is not None and right == (packet.icmp.type if part == "type" else packet.icmp.code)

    def _holds(self, name: str, address: str) -> bool:
        version, number = _number(address)
        spans = (_span(text(one)) for one in self.sets[name.removeprefix("@")])
        return any(kind == version and first <= number <= last for kind, first, last in spans)

    def _has_port(self, name: str, port: int) -> bool:
        spans = (one["range"] if isinstance(one, dict) else (one, one) for one in self.sets[name.removeprefix("@")])
        return any(first <= port <= last for first, last in spans)


@lru_cache(maxsize=65536)
def _number(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)


def _second(date: str) -> float:
    """A date as nft prints it, where its zone is UTC."""
    return datetime.strptime(f"{date}Z", "%Y-%m-%d %H:%M:%S%z").timestamp()


@lru_cache(maxsize=65536)
def _span(member: str) -> tuple[int, int, int]:
    """Version, first and last address of an address, prefix or range."""
    nets = list(networks((member,)))
    return nets[0].version, int(nets[0][0]), int(nets[-1][-1])


def text(element: Any) -> str:  # noqa: ANN401 (JSON)
    """An element of a set of addresses as a member."""
    match element:
        case {"elem": {"val": value}}:
            return text(value)
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{first}-{last}"
    return str(element)


def _references(expr: Sequence[Json]) -> Iterator[str]:
    for statement in expr:
        match statement:
            case {"match": {"right": str(right)}} if right.startswith("@"):
                yield right[1:]
            case {"jump": {"target": target}} | {"goto": {"target": target}}:
                yield target
