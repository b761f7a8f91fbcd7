"""Flows that the gateway's kernel tracks, through conntrack: listed by who opened them, and closed one by one.

A rule judges every packet that goes the way of the flow's first one, so a flow whose permission is revoked is stopped in that direction at
once, whatever is tracked; only answers still go by. To close a flow is to have it forgotten. But a packet of the other side would then be
taken for the first of a new flow (TCP too: the kernel picks flows up in the middle unless nf_conntrack_tcp_loose is 0), and what we
govern would go on as its answers. So before a flow is forgotten, a table of our own, `fusion_bridge_<owner>_flows`, drops such packets for
an hour. It looks at nothing else, and a new flow of the same ports from our side is not touched by it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from adapters.nftables import wire
from adapters.nftables.transport import Answer, Transport
from bridge.errors import Busy, Denied
from bridge.model.flows import Flow
from bridge.model.policy import NUMBERS, Protocol

Json = dict[str, Any]

SECONDS = 3600  # TCP has given up long before that
_BEFORE = 1  # so much earlier than our own base chain
_WORDS = {Protocol.TCP: "tcp", Protocol.UDP: "udp", Protocol.SCTP: "sctp"}
_PROTOCOLS = {NUMBERS[protocol]: protocol for protocol in _WORDS}
_SETS = {"closed4": ("ip", "ipv4_addr"), "closed6": ("ip6", "ipv6_addr")}
_CHAIN = "forward"
_DENIED = ("ermission denied", "not permitted", "a password is required", "not in the sudoers", 'exec of "')


class Tracker:
    """conntrack on one gateway. Its words are single addresses in canonical form and numbers, each of them of a Flow."""

    def __init__(self, device: str, way: Transport, program: str, permit: Callable[[], None]) -> None:
        self._device = device
        self._way = way
        self._program = program
        self._permit = permit

    def flows(self, sources: Collection[str]) -> Iterator[Flow]:
        """The flows that these addresses opened: one command for each address. Raises Busy, Denied."""
        for source in sources:
            family = "ipv6" if ":" in source else "ipv4"
            answer = self._run("-L", "-f", family, "--orig-src", source)
            for line in answer.output.decode(errors="replace").splitlines():
                flow = _flow(line)
                if flow is not None and flow.source == source:
                    yield flow

    def forget(self, flow: Flow) -> int:
        """Have the kernel forget exactly this flow; how many that were. Raises Busy, Denied."""
        self._permit()
        answer = self._run(
            "-D",
            *("-f", "ipv6" if ":" in flow.source else "ipv4", "-p", _WORDS[flow.protocol]),
            *("--orig-src", flow.source, "--reply-src", flow.destination),
            *("--orig-port-src", str(flow.source_port), "--reply-port-src", str(flow.port)),
        )
        return len(answer.output.splitlines())

    def _run(self, *words: str) -> Answer:
        answer = self._way.run((self._program, *words))
        if answer.code == 0 or "0 flow entries" in answer.words:
            return answer
        said = " ".join(answer.words.split())[:200] or f"code {answer.code}"
        if answer.code in (126, 127) or any(words in said for words in _DENIED):
            raise Denied(self._device, f"{self._program} cannot be used there: {said}")
        raise Busy(self._device, f"{self._program}: {said}")


def blocking(table: str, mark: str, priority: int, flows: Iterable[Flow], *, stands: bool) -> list[Json]:
    """What drops packets of the other side that would open these flows anew, beside what stands already."""
    made = [] if stands else _frame(table, mark, priority)
    for name, (family, _) in _SETS.items():
        elem = [{"concat": _answer(one)} for one in flows if (":" in one.source) == (family == "ip6")]
        if elem:
            made.append(_one(table, "element", name=name, elem=elem))
    return made


def is_ours(listed: wire.Listing, mark: str) -> bool:
    """Whether the table is the one that `blocking` makes."""
    found = listed.rules.get(_CHAIN, [])
    return (
        len(found) == len(_SETS) and all(rule.comment == mark for rule in found) and listed.sets.keys() == _SETS.keys()
    )


def _frame(table: str, mark: str, priority: int) -> list[Json]:
    made: list[Json] = [{"create": {"table": {"family": "inet", "name": table}}}]
    hook = {"type": "filter", "hook": "forward", "prio": priority - _BEFORE, "policy": "accept"}
    made.append(_one(table, "chain", name=_CHAIN, **hook))
    for name, (family, kind) in _SETS.items():
        types = [kind, kind, "inet_proto", "inet_service", "inet_service"]
        made.append(_one(table, "set", name=name, type=types, flags=["timeout"], timeout=SECONDS))
        parts = [_payload(family, "saddr"), _payload(family, "daddr"), {"meta": {"key": "l4proto"}}]
        parts += [_payload("th", "sport"), _payload("th", "dport")]
        begins = {"match": {"op": "==", "left": {"ct": {"key": "direction"}}, "right": "original"}}
        closed = {"match": {"op": "==", "left": {"concat": parts}, "right": f"@{name}"}}
        made.append(_one(table, "rule", chain=_CHAIN, comment=mark, expr=[begins, closed, {"drop": None}]))
    return made


def _answer(flow: Flow) -> Sequence[str | int]:
    """A packet of the other side."""
    return [flow.destination, flow.source, _WORDS[flow.protocol], flow.port, flow.source_port]


def _payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _one(table: str, kind: str, **content: object) -> Json:
    return {"add": {kind: {"family": "inet", "table": table, **content}}}


def _flow(line: str) -> Flow | None:
    """A line of `conntrack -L`: the way of the first packet, then the way of answers, which come from where it really went."""
    words = line.split()
    values: dict[str, list[str]] = {}
    for name, equals, value in (word.partition("=") for word in words):
        if equals:
            values.setdefault(name, []).append(value)
    try:
        protocol = _PROTOCOLS[int(words[1])]
        ports = values["sport"]
        return Flow(values["src"][0], values["src"][1], protocol, int(ports[0]), int(ports[1]))
    except (KeyError, IndexError, ValueError):
        return None  # no ports, or none that a flow can be told by
