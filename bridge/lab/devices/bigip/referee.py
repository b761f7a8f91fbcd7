"""What the firewall decides about a packet, read from its configuration by AFM's rules and by nothing of the bridge's.

A packet meets the contexts global, route domain, virtual server, in this order; each has one enforced policy at most. The
first rule that matches in a policy counts, a rule list standing for its rules. `accept` ends this context and goes on with
the next, `accept-decisively` ends all of them, `drop` and `reject` are final, no match goes on. After the last context
stands the device's default. Within one side of a rule, addresses, lists and names are alternatives; sides, ports, protocol
and ICMP must all match; what is not given matches everything.

An address without `%n` belongs to the default route domain of the partition that its object is in. A rule whose status is scheduled
counts while its schedule is in force, one that refers to a list with all rules of it. Not looked at: countries, VLANs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from time import time

from bridge.lab.devices.bigip.compile import contexts
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.bigip.item import State
from bridge.lab.devices.bigip.kinds import ADDRESS_LIST, PARTITION, POLICY, PORT_LIST, RULE_LIST, SCHEDULE
from bridge.lab.devices.bigip.rules import Rule
from bridge.lab.devices.bigip.schedule import in_force
from bridge.lab.devices.bigip.values import protocol_number, span

FINAL = frozenset({"accept-decisively", "drop", "reject"})


@dataclass(frozen=True, slots=True)
class Packet:
    """What a first packet of a flow shows. `icmp` is (type, code) for ICMP, the ports for TCP, UDP and SCTP."""

    source: str
    destination: str
    protocol: str = "tcp"
    port: int | None = None
    source_port: int | None = None
    icmp: tuple[int, int] | None = None
    route_domain: int = 0
    virtual: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that decided in one context; `rule` is `list/rule` inside a rule list."""

    context: str
    policy: str
    rule: str
    action: str
    log: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome and each context's match on the way. `allowed` is what a caller mostly wants."""

    action: str
    matches: tuple[Match, ...]

    @property
    def allowed(self) -> bool:
        """Whether the packet goes on."""
        return self.action in ("accept", "accept-decisively")


def decide(
    state: State,
    packet: Packet,
    *,
    at: float | None = None,
    default: str = "accept",
    names: Mapping[str, Iterable[str]] | None = None,
) -> Decision:
    """The decision on one packet, now or at that second. `default` follows the last context; `names` are addresses by domain name."""
    court = _Court(state, packet, time() if at is None else at, names or {})
    matches: list[Match] = []
    for context, policy in court.policies():
        match = court.judge(context, policy)
        if match is not None:
            matches.append(match)
            if match.action in FINAL:
                return Decision(match.action, tuple(matches))
    return Decision(default, tuple(matches))


class _Court:
    def __init__(self, state: State, packet: Packet, at: float, names: Mapping[str, Iterable[str]]) -> None:
        self.state = state
        self.packet = packet
        self.at = at
        self.names = names

    def policies(self) -> Iterator[tuple[str, str]]:
        """The enforced policies that this packet meets."""
        for one in contexts(self.state):
            if one.policy_type == "enforced" and self._meets(one.kind, one.name):
                yield f"{one.kind} {one.name}", one.policy

    def _meets(self, kind: str, name: str) -> bool:
        if kind == "route-domain":
            return bool(self.state["net/route-domain", name].body["id"] == self.packet.route_domain)
        return kind == "global" or name == self.packet.virtual

    def judge(self, context: str, policy: str) -> Match | None:
        """The first rule of the policy that matches."""
        for label, rule in self._rules(self.state[POLICY, policy].rules):
            if self._matches(rule):
                return Match(context, policy, label, rule.body["action"], rule.body["log"] == "yes")
        return None

    def _rules(self, rules: Iterable[Rule]) -> Iterator[tuple[str, Rule]]:
        for rule in rules:
            if not self._counts(rule):
                continue
            listed = rule.body.get("ruleList")
            if not listed:
                yield rule.name, rule
                continue
            yield from ((f"{rule.name}/{name}", one) for name, one in self._rules(self.state[RULE_LIST, listed].rules))

    def _counts(self, rule: Rule) -> bool:
        if rule.body["status"] == "scheduled":
            return in_force(self.state[SCHEDULE, rule.body["schedule"]].body, self.at)
        return bool(rule.body["status"] == "enabled")

    def _matches(self, rule: Rule) -> bool:
        packet, body = self.packet, rule.body
        if body["ipProtocol"] != "any" and protocol_number(body["ipProtocol"]) != protocol_number(packet.protocol):
            return False
        if body.get("icmp") and not _icmp(body["icmp"], packet.icmp):
            return False
        source, destination = body.get("source", {}), body.get("destination", {})
        return (
            self._address(source, packet.source)
            and self._address(destination, packet.destination)
            and self._port(source, packet.source_port)
            and self._port(destination, packet.port)
        )

    def _address(self, side: Json, address: str) -> bool:
        given = [side.get(name) for name in ("addresses", "addressLists", "fqdns", "geo")]
        if not any(given):
            return True
        return self._among(side, address) or any(
            self._in_list(path, address, frozenset()) for path in side.get("addressLists", ())
        )

    def _among(self, body: Json, address: str, partition: str = "Common") -> bool:
        if any(self._within(one, address, partition) for one in body.get("addresses", ())):
            return True
        return any(address in self.names.get(name, ()) for name in body.get("fqdns", ()))

    def _in_list(self, path: str, address: str, seen: frozenset[str]) -> bool:
        item = self.state.get((ADDRESS_LIST, path))
        if item is None or path in seen:
            return False
        nested = item.body.get("addressLists", ())
        return self._among(item.body, address, item.partition) or any(
            self._in_list(one, address, seen | {path}) for one in nested
        )

    def _within(self, text: str, address: str, partition: str) -> bool:
        version, number = _number(address)
        one = span(text)
        if one.version != version or not one.low <= number <= one.high:
            return False
        domain = self._bare(partition) if one.domain is None else one.domain
        return domain == self.packet.route_domain

    def _bare(self, partition: str) -> int:
        """The route domain of an address that names none."""
        found = self.state.get((PARTITION, f"/{partition}"))
        return int(found.body["defaultRouteDomain"]) if found is not None else 0

    def _port(self, side: Json, port: int | None) -> bool:
        if not side.get("ports") and not side.get("portLists"):
            return True
        if port is None:
            return False
        return _in_ports(side.get("ports", ()), port) or any(
            self._in_port_list(path, port) for path in side.get("portLists", ())
        )

    def _in_port_list(self, path: str, port: int) -> bool:
        item = self.state.get((PORT_LIST, path))
        if item is None:
            return False
        nested = item.body.get("portLists", ())
        return _in_ports(item.body.get("ports", ()), port) or any(self._in_port_list(one, port) for one in nested)


@lru_cache(maxsize=100_000)
def _number(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)


def _in_ports(ports: Iterable[str], port: int) -> bool:
    for text in ports:
        low, _, high = text.partition("-")
        if int(low) <= port <= int(high or low):
            return True
    return False


def _icmp(entries: Iterable[str], packet: tuple[int, int] | None) -> bool:
    if packet is None:
        return False
    for text in entries:
        kind, _, code = text.partition(":")
        if int(kind) == packet[0] and (not code or int(code) == packet[1]):
            return True
    return False
